/// Fetches what others know to be chosen and this replica does not: slot by slot while somebody keeps them, else by
/// snapshot. The receiver asks and so sets the pace.
public struct CatchUp: Equatable, Sendable {
  /// A snapshot on its way here.
  public struct Transfer: Equatable, Sendable {
    public var snapshot: SnapshotInfo
    public var source: Int
    /// Everything below has been stored.
    public var offset: UInt64
    /// Everything has been stored; the host verifies it.
    public var isComplete: Bool
  }

  /// How far each voter is known to know the log.
  public private(set) var peers: [Slot]
  /// The voter asked and the last slot asked for, while an answer is awaited.
  public private(set) var asked: (voter: Int, lastSlot: Slot)? {
    get { askedVoter < 0 ? nil : (askedVoter, askedLast) }
    set {
      askedVoter = newValue?.voter ?? -1
      askedLast = newValue?.lastSlot ?? .zero
    }
  }
  public private(set) var transfer: Transfer?
  /// Stored as two fields so that the compiler can derive equality.
  private var askedVoter = -1
  private var askedLast = Slot.zero
  /// How often in a row the transfer was looked at without having moved.
  private var stalls = 0
  /// As often must it stand still before another peer's other snapshot is begun instead.
  private static let patience = 4
  private let own: Int
  private let slotsMax: UInt32

  public init(voters: Int, own: Int, _ options: ReplicaOptions) {
    peers = Array(repeating: .zero, count: voters)
    self.own = own
    slotsMax = options.catchUpSlots
  }

  /// A voter said how far it knows the log.
  public mutating func heard(_ chosenUpTo: Slot, from voter: Int) {
    peers[voter] = max(peers[voter], chosenUpTo)
  }

  /// Whether any voter is ahead of `chosenUpTo`.
  public func isBehind(_ chosenUpTo: Slot) -> Bool {
    for i in peers.indices where i != own && peers[i] > chosenUpTo { return true }
    return false
  }

  /// Asks the voter that is known to be furthest, or, when an answer is overdue, the next voter after the one that owes
  /// it: not only those known to be ahead, because followers that are do not tell each other.
  public mutating func ask(
    window: SlotWindow, _ contracts: inout ContractRecorder
  ) -> (voter: Int, Fetch)? {
    let overdue = askedVoter >= 0 ? askedVoter : transfer?.source ?? -1
    askedVoter = -1
    var best = -1
    for step in 1...peers.count {
      let i = (max(overdue, 0) + step) % peers.count
      guard i != own else { continue }
      if overdue >= 0 {
        best = i
        break
      }
      guard peers[i] > window.chosenUpTo else { continue }
      if best < 0 || peers[i] > peers[best] { best = i }
    }
    guard best >= 0 else { return nil }
    let room = window.lastSlot - window.chosenUpTo
    let limit = UInt32(clamping: min(Int(slotsMax), room))
    guard limit > 0 else { return nil }
    askedVoter = best
    askedLast = window.chosenUpTo + Int(limit)
    contracts.ensure(.fetchPostFitsTheWindow, window.contains(askedLast))
    return (best, Fetch(firstSlot: window.chosenUpTo.next, limit: limit))
  }

  /// Whether the last fetch has been answered in full, so that the next may go out.
  public func isAnswered(chosenUpTo: Slot) -> Bool {
    askedVoter < 0 || chosenUpTo >= min(askedLast, peers[askedVoter])
  }

  /// Nothing more is awaited.
  public mutating func answered() { askedVoter = -1 }

  // MARK: Snapshot transfer

  /// A voter offers a snapshot. Returns the chunk to ask for, nil when the offer is not needed.
  public mutating func process(
    _ offer: SnapshotOffer, from voter: Int, chosenUpTo: Slot, _ contracts: inout ContractRecorder
  ) -> SnapshotFetch? {
    guard offer.snapshot.slot > chosenUpTo else { return nil }
    if let transfer {
      // What is stored is worth more than a new beginning, unless its source moved on or is long silent.
      let isOther = offer.snapshot != transfer.snapshot && voter != transfer.source
      if transfer.isComplete || isOther && stalls < Self.patience { return nil }
    }
    askedVoter = -1
    stalls = 0
    if transfer?.snapshot == offer.snapshot {
      // The same snapshot from another voter, or again: what is stored stays stored.
      transfer?.source = voter
      contracts.mark(.snapshotTransferResumed)
    } else {
      transfer = Transfer(
        snapshot: offer.snapshot, source: voter, offset: 0, isComplete: false)
    }
    return nextChunk
  }

  /// The chunk to ask for next.
  public var nextChunk: SnapshotFetch? {
    guard let transfer, !transfer.isComplete else { return nil }
    return SnapshotFetch(snapshot: transfer.snapshot, offset: transfer.offset)
  }

  /// A chunk. True when it is the one that was asked for and is to be stored.
  public mutating func process(
    _ chunk: SnapshotChunk, _ contracts: inout ContractRecorder
  ) -> Bool {
    guard var transfer, !transfer.isComplete, chunk.snapshot == transfer.snapshot,
      chunk.offset == transfer.offset, chunk.bytes.length > 0,
      UInt64(chunk.bytes.length) <= transfer.snapshot.length - transfer.offset
    else { return false }
    stalls = 0
    let before = transfer.offset
    transfer.offset += UInt64(chunk.bytes.length)
    transfer.isComplete = transfer.offset == transfer.snapshot.length
    self.transfer = transfer
    contracts.ensure(.transferPostAdvances, transfer.offset > before)
    contracts.ensure(.transferPostWithinLength, transfer.offset <= transfer.snapshot.length)
    return true
  }

  /// The transfer was looked at and had not moved. True when it is time to ask others as well.
  public mutating func transferStalled() -> Bool {
    stalls += 1
    return stalls > 1
  }

  /// The transfer is over, installed or not. After a refused one the next voter is asked: the source's may be rotten.
  public mutating func endTransfer(isRefused: Bool = false) {
    if let transfer, isRefused {
      askedVoter = transfer.source
      askedLast = .last
    }
    transfer = nil
    stalls = 0
  }
}

extension CatchUp {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.each(&peers) { coder, slot throws(DecodeError) in try coder.word(&slot) }
    let voters = peers.count
    let none = Transfer(snapshot: .none, source: 0, offset: 0, isComplete: false)
    try coder.optional(&transfer, none) { coder, transfer throws(DecodeError) in
      try coder.snapshot(&transfer.snapshot)
      try coder.count(&transfer.source)
      try coder.check(transfer.source < voters)
      try coder.word(&transfer.offset)
      try coder.check(transfer.offset <= transfer.snapshot.length)
      try coder.bool(&transfer.isComplete)
    }
    try coder.index(&askedVoter, below: voters)
    try coder.word(&askedLast)
    try coder.count(&stalls)
  }
}
