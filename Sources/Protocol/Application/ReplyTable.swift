/// The replies that are kept for retries: of each session a ring, the reply of sequence s at s mod `outstandingMax`.
///
/// The rings lie in groups of about a thousand replies. A snapshot shares all of them, and whoever changes one afterwards copies its
/// group first, not the table: that is the loop's time.
struct ReplyTable: Sendable {
  struct Reply: Sendable {
    var slot: UInt64 = 0
    /// The reply was longer than `replyLengthMax`: `bytes` is empty.
    var isDropped = false
    var bytes = KeptBytes()
    /// What this reply adds to the digest of the table.
    var digest: UInt64 = 0
  }

  private static let groupLength = 1_024

  private let ringLength: Int
  /// A group holds the rings of two to this power sessions.
  private let shift: Int
  private var groups: [[Reply]] = []
  private var sessions = 0

  init(outstandingMax: Int) {
    ringLength = outstandingMax
    let rings = max(1, Self.groupLength / outstandingMax)
    shift = Int.bitWidth - 1 - rings.leadingZeroBitCount
  }

  /// Room for the replies of one session more.
  mutating func addSession() {
    if sessions >> shift == groups.count { groups.append([]) }
    groups[groups.count - 1].append(contentsOf: repeatElement(Reply(), count: ringLength))
    sessions += 1
  }

  /// Where the session's ring begins in its group.
  @inline(__always)
  private func begin(_ session: Int) -> Int { (session & (1 &<< shift &- 1)) &* ringLength }

  subscript(session: Int, sequence: UInt64) -> Reply {
    get { groups[session &>> shift][begin(session) &+ Int(sequence % UInt64(ringLength))] }
    set {
      groups[session &>> shift][begin(session) &+ Int(sequence % UInt64(ringLength))] = newValue
    }
  }

  /// Calls `body` with a session's ring. Looked up once: each access through the array would ask whether it is shared.
  @inline(__always)
  mutating func withRing<Result>(
    session: Int, _ body: (UnsafeMutableBufferPointer<Reply>) -> Result
  ) -> Result {
    let (begin, length) = (begin(session), ringLength)
    return groups[session &>> shift].withUnsafeMutableBufferPointer { group in
      assert(begin + length <= group.count)
      return body(
        UnsafeMutableBufferPointer(start: group.baseAddress! + begin, count: length))
    }
  }
}

extension ReplyTable.Reply {
  /// The reply that was given in `slot`; one longer than `lengthMax` is only known to have been.
  mutating func keep(_ reply: RawSpan, of slot: Slot, lengthMax: Int) {
    self.slot = slot.rawValue
    isDropped = reply.byteCount > lengthMax
    if isDropped { bytes.removeAll() } else { bytes.set(reply) }
  }

  /// What it adds to the digest of its table.
  @inline(__always)
  func contribution(session: UInt64, _ sequence: UInt64) -> UInt64 {
    let checksum = bytes.withBytes { CRC32C.checksum($0) }
    let content = UInt64(checksum) << 32 | UInt64(bytes.count) << 1 | (isDropped ? 1 : 0)
    return SessionTable.mix(session, SessionTable.mix(sequence, SessionTable.mix(slot, content)))
  }
}
