/// The files of a journal as a crash could leave them, held against what its replica was told: preconditions on writes, checked
/// at run time (LeBlanc et al., "PoWER Never Corrupts", OSDI 2025).
///
/// It is told everything that is done to the files and keeps what is durable, and what was written since in pieces of 8 bytes.
/// Whenever something becomes durable or is answered by, it makes the images that a crash could leave at that moment, recovers
/// each, and demands
///
/// - the *steady* permission: it recovers to what was acknowledged, or to that and a beginning of the records appended since, in
///   order, and finds no damage;
/// - the rule of *externalisation*: no image recovers to less than what was reported as persisted.
///
/// What a file system may do: any piece of an unflushed write survives or not; names change in the order they were changed in,
/// and a crash leaves a beginning of these changes, as journaling file systems do; a block that was being written may hold
/// anything at all (`tornBlockLength`).
///
/// Pure: where files are, and who tells it, is the host's business (`WriteProbe` in RealRuntime).
public struct CheckedRegion: Sendable {
  /// What a file is called.
  public enum Name: Hashable, Sendable {
    case segment(UInt64)
    /// Not looked at by recovery.
    case other(String)
  }

  /// What is done to the files, and what is said about it.
  public enum Event: Sendable {
    /// A journal begins a life from what recovery found.
    case began(DurableState)
    /// A file with durable bytes has got a name.
    case added(Name, [UInt8])
    case renamed(Name, to: Name)
    case removed(Name)
    /// The link that names the newest segment was changed.
    case newest(UInt64)
    case wrote(Name, at: Int, [UInt8])
    /// Everything written to the file so far is durable.
    case flushed(Name)
    /// So many changes of names, counted from the beginning, are durable.
    case namesFlushed(Int)
    case appended(JournalRecord)
    /// The replica is told that everything up to here is durable, counted from the beginning of this life.
    case persisted(JournalPosition)
  }

  public struct Violation: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
  }

  private struct File {
    var durable: [UInt8]
    var pending: [Piece] = []
  }

  /// Eight aligned bytes that were written.
  private struct Piece {
    var offset: Int
    var bytes: InlineArray<8, UInt8>
    var isNew = true
  }

  private enum NameChange {
    case bind(Name, Int)
    case unbind(Name)
    case newest(UInt64)
  }

  /// Names, and which file each of them means.
  private struct Names {
    var bound: [(name: Name, file: Int)] = []
    var newest: UInt64 = 0

    func file(_ name: Name) -> Int? { bound.first { $0.name == name }?.file }

    mutating func apply(_ change: NameChange) {
      switch change {
      case .bind(let name, let file):
        bound.removeAll { $0.name == name }
        bound.append((name, file))
      case .unbind(let name): bound.removeAll { $0.name == name }
      case .newest(let number): newest = number
      }
    }

    var segments: [(number: UInt64, file: Int)] {
      bound.compactMap { entry -> (number: UInt64, file: Int)? in
        guard case .segment(let number) = entry.name else { return nil }
        return (number, entry.file)
      }.sorted { $0.number < $1.number }
    }
  }

  private let identity: JournalIdentity
  /// A block of this length that a write touches may be lost as a whole; nil for memory.
  private let tornBlockLength: Int?
  /// The first word of a group is stored when the rest is durable: no image shows it without the rest.
  private let publishesLast: Bool
  private let drawn: Int
  private var random: SeededRandom

  private var files: [File] = []
  private var durableNames = Names()
  private var names = Names()
  private var changes: [NameChange] = []
  private var changesFlushed = 0

  /// What was acknowledged, and what was appended since.
  private var state = DurableState.empty
  private var records: [JournalRecord] = []
  /// How many records were acknowledged in this life.
  private var acknowledged: UInt64 = 0
  private var snapshot = SnapshotInfo.none
  /// A life that recovery found more for than was acknowledged: acknowledged when its first flush is done.
  private var foundInStart: DurableState?

  /// How many images were recovered.
  public private(set) var images = 0
  /// How many changes of names there were, for `namesFlushed`.
  public var nameChanges: Int { changes.count }

  /// - Parameters:
  ///   - drawn: how many images are drawn, beside the systematic ones, where there are too many for all.
  ///   - publishesLast: for persistent memory, where a group of stores is made visible by its first word.
  public init(
    identity: JournalIdentity, tornBlockLength: Int?, publishesLast: Bool, drawn: Int, seed: UInt64
  ) {
    self.identity = identity
    self.tornBlockLength = tornBlockLength
    self.publishesLast = publishesLast
    self.drawn = drawn
    random = SeededRandom(seed: seed)
  }

  /// Takes in what is done next. Throws when a crash could have left, just before this or since, what no crash may leave.
  public mutating func take(_ event: Event) throws(Violation) {
    switch event {
    case .began(let found): try begin(found)
    case .added(let name, let bytes):
      files.append(File(durable: bytes))
      change(.bind(name, files.count - 1))
    case .renamed(let name, let target):
      guard let file = names.file(name) else { return }
      change(.unbind(name))
      change(.bind(target, file))
    case .removed(let name): change(.unbind(name))
    case .newest(let number): change(.newest(number))
    case .wrote(let name, let offset, let bytes): write(name, offset, bytes)
    case .flushed(let name):
      try explore()
      flush(name)
    case .namesFlushed(let count):
      try explore()
      guard count > changesFlushed else { return }
      for change in changes[changesFlushed..<count] { durableNames.apply(change) }
      changesFlushed = count
    case .appended(let record):
      let record = record.unplaced
      records.append(record)
      if case .snapshot(let info) = record.fact, info.slot > snapshot.slot { snapshot = info }
    case .persisted(let position): try acknowledge(position)
    }
  }

  // MARK: What is done

  private mutating func change(_ change: NameChange) {
    changes.append(change)
    names.apply(change)
  }

  private mutating func write(_ name: Name, _ offset: Int, _ bytes: [UInt8]) {
    guard let file = names.file(name) else { return }
    precondition(offset % 8 == 0 && bytes.count % 8 == 0, "no whole pieces")
    let missing = offset + bytes.count - files[file].durable.count
    if missing > 0 { files[file].durable += [UInt8](repeating: 0, count: missing) }
    for begin in stride(from: 0, to: bytes.count, by: 8) {
      let piece = InlineArray<8, UInt8> { bytes[begin + $0] }
      files[file].pending.append(Piece(offset: offset + begin, bytes: piece))
    }
  }

  private mutating func flush(_ name: Name) {
    guard let file = names.file(name) else { return }
    for piece in files[file].pending { Self.put(piece, into: &files[file].durable, at: 0) }
    files[file].pending.removeAll(keepingCapacity: true)
  }

  private static func put(_ piece: Piece, into bytes: inout [UInt8], at base: Int) {
    for i in 0..<8 { bytes[base + piece.offset + i] = piece.bytes[i] }
  }

  // MARK: What is said

  /// What the process that ended had not acknowledged, recovery may have found or not.
  private mutating func begin(_ found: DurableState) throws(Violation) {
    var found = found
    found.unplace()
    var permitted = state
    var count = 0
    while !isSame(withSnapshot(permitted), found), count < records.count {
      permitted.apply(records[count])
      count += 1
    }
    guard isSame(withSnapshot(permitted), found) else {
      throw Violation(description: "a start found what no crash may leave: \(text(found))")
    }
    records.removeSubrange(count...)
    acknowledged = 0
    foundInStart = permitted
  }

  private mutating func acknowledge(_ position: JournalPosition) throws(Violation) {
    if let found = foundInStart {
      // The first flush of a life: what was found counts as durable from here on.
      state = found
      records.removeAll()
      foundInStart = nil
    }
    while acknowledged < position.rawValue, !records.isEmpty {
      state.apply(records.removeFirst())
      acknowledged += 1
    }
    try explore()
  }

  /// A snapshot is durable before its record is appended, and recovery begins from it.
  private func withSnapshot(_ state: DurableState) -> DurableState {
    var state = state
    state.apply(JournalRecord(.snapshot(snapshot), epoch: Epoch(0)))
    return state
  }

  /// What both say is the same. Which configurations they know depends on which segments are still there.
  private func isSame(_ a: DurableState, _ b: DurableState) -> Bool {
    a.promised == b.promised && a.promisedEpoch == b.promisedEpoch && a.chosenUpTo == b.chosenUpTo
      && a.snapshot == b.snapshot && a.entries == b.entries
  }

  private func text(_ state: DurableState) -> String {
    "promised \(state.promised), chosen \(state.chosenUpTo), snapshot \(state.snapshot.slot), slots "
      + "\(state.entries.map { "\($0.slot)@\($0.ballot)" })"
  }

  // MARK: Images

  /// Everything that a crash could leave now and could not before.
  private mutating func explore() throws(Violation) {
    var permitted = [state]
    for record in records {
      permitted.append(permitted[permitted.count - 1])
      permitted[permitted.count - 1].apply(record)
    }
    permitted = permitted.map(withSnapshot)
    let isNew = files.indices.flatMap { files[$0].pending.map(\.isNew) }
    for changed in changesFlushed...changes.count {
      var names = durableNames
      for change in changes[changesFlushed..<changed] { names.apply(change) }
      var image = Image(names, files)
      let all = Array(image.pieces.indices)
      try check(&image, [], permitted)
      if changed == changes.count {
        var random = random
        let visible = image.pieces.map { $0.piece.isNew }
        try CrashSubsets.forEach(
          of: visible, drawn: drawn, keeps: { random.next(below: 2) == 1 },
          visit: { kept throws(Violation) in try check(&image, kept, permitted) })
        self.random = random
        if isNew.contains(true) { try tearBlocks(&image, permitted) }
      } else {
        try check(&image, all, permitted)
      }
    }
    for file in files.indices {
      for i in files[file].pending.indices { files[file].pending[i].isNew = false }
    }
  }

  /// The segments of one choice of names, one behind the other, with nothing that is pending.
  private struct Image {
    var bytes: [UInt8] = []
    var segments: [(number: UInt64, range: Range<Int>)] = []
    var newest: UInt64
    /// What is pending of these files and would change them, and where the file begins in `bytes`.
    var pieces: [(piece: Piece, base: Int)] = []
    /// Where in `bytes` something is being written, whether or not it would change anything.
    var touched: [Int]

    init(_ names: Names, _ files: [File]) {
      newest = names.newest
      for (number, file) in names.segments {
        let base = bytes.count
        bytes += files[file].durable
        segments.append((number, base..<bytes.count))
        for piece in files[file].pending { pieces.append((piece, base)) }
      }
      // A piece that says what is there already is no choice, unless another one was written over it.
      touched = pieces.map { $0.base + $0.piece.offset }.sorted()
      if !zip(touched, touched.dropFirst()).contains(where: { $0 == $1 }) {
        pieces.removeAll { entry in
          (0..<8).allSatisfy {
            bytes[entry.base + entry.piece.offset + $0] == entry.piece.bytes[$0]
          }
        }
      }
    }
  }

  /// One block that is being written holds anything, the others what was there before or what is written.
  private mutating func tearBlocks(
    _ image: inout Image, _ permitted: [DurableState]
  ) throws(Violation) {
    guard let length = tornBlockLength else { return }
    var end = 0
    for place in image.touched where place >= end {
      let base = image.segments.last { $0.range.lowerBound <= place }!.range.lowerBound
      let block = base + (place - base) / length * length
      end = min(block + length, image.bytes.count)
      let range = block..<end
      try check(&image, [], permitted, torn: range)
      try check(&image, Array(image.pieces.indices), permitted, torn: range)
    }
  }

  private mutating func check(
    _ image: inout Image, _ kept: [Int], _ permitted: [DurableState], torn: Range<Int>? = nil
  ) throws(Violation) {
    images += 1
    let before = image.bytes
    defer { image.bytes = before }
    for i in kept { Self.put(image.pieces[i].piece, into: &image.bytes, at: image.pieces[i].base) }
    if let torn { for i in torn { image.bytes[i] = 0xA5 } }
    let recovered: RecoveredJournal
    do throws(JournalDamage) {
      recovered = try recover(image)
    } catch {
      throw Violation(description: "a crash here could leave a journal that is refused: \(error)")
    }
    if let damage = recovered.damages.first {
      throw Violation(description: "a crash here could leave damage: \(damage)")
    }
    guard permitted.contains(where: { isSame($0, recovered.durable) }) else {
      throw Violation(
        description:
          "a crash here could leave \(text(recovered.durable)); acknowledged is \(text(permitted[0])), and "
          + "\(records.count) records are on their way")
    }
    guard publishesLast, torn == nil else { return }
    let end = recovered.end.mark
    guard let base = image.segments.first(where: { $0.number == end.segment })?.range.lowerBound
    else { return }
    let isVisible = kept.contains { i in
      image.pieces[i].base == base && image.pieces[i].piece.offset == Int(end.offset)
    }
    guard !isVisible else {
      throw Violation(
        description:
          "a crash here could leave the head of a record without the record, and only a checksum tells: segment "
          + "\(end.segment), byte \(end.offset)")
    }
  }

  private func recover(_ image: Image) throws(JournalDamage) -> RecoveredJournal {
    try image.bytes.span.bytes.withUnsafeBytes { buffer throws(JournalDamage) -> RecoveredJournal in
      var segments = image.segments.map {
        JournalSegment(number: $0.number, bytes: UnsafeRawBufferPointer(rebasing: buffer[$0.range]))
      }
      if image.newest > segments.last?.number ?? 0 {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        segments.append(JournalSegment(number: image.newest, bytes: nothing, isMissing: true))
      }
      return try JournalRecovery.recover(
        segments, identity: identity, snapshot: snapshot, place: { _ in 0 })
    }
  }
}

extension JournalRecord {
  /// The same without the place of its value's bytes, which is the host's business.
  public var unplaced: JournalRecord {
    var record = self
    switch fact {
    case .accepted(let slot, let ballot, var value):
      value.bytes.position = 0
      record.fact = .accepted(slot, ballot, value)
    case .learned(let slot, var value):
      value.bytes.position = 0
      record.fact = .learned(slot, value)
    case .promised, .chosenUpTo, .snapshot, .cured: break
    }
    return record
  }
}
