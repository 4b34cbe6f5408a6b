// A snapshot is a sequence of blocks, little endian: length u32, kind u32, then `length` bytes.
//
//   header    magic u64, version u32, sessionsMax u32, outstandingMax u32, replyLengthMax u32, slot u64, sessions u64
//   session   id, nonce, last, floor, lastUse u64, then for each kept reply slot u64, length u32, isDropped u32, bytes
//             (one block per session, the least recently used first)
//   digests   what replicas have reported: DigestTable; only where anything was
//   machine   one piece of the state machine, as it made it
//   end       digest of the application u64, CRC32C of everything before this block u32, zero u32
//
// Only the state decides about the bytes: replicas that applied the same slots make the same snapshot, whatever chunks
// it is asked for in.

enum SnapshotFormat {
  static let magic: UInt64 = 0x3150_414E_534C_5352  // "RSLSNAP1"
  static let version: UInt32 = 1
  static let blockHeaderLength = 8
  static let headerLength = 40
  static let sessionLength = 40
  static let replyLength = 16
  static let endLength = 16
  /// The `limit` state machines are given: part of the format, because it decides where pieces end.
  static let pieceMax = 1 << 16

  enum Kind: UInt32 {
    case header = 1
    case session = 2
    case machine = 3
    case end = 4
    case digests = 5
  }

  /// The longest block of this kind that a snapshot with these limits can have.
  static func lengthMax(_ kind: Kind, _ limits: SessionTable.Limits) -> Int {
    switch kind {
    case .header: headerLength
    case .session:
      sessionLength + limits.outstandingMax * (replyLength + limits.replyLengthMax)
    case .machine: pieceMax
    case .end: endLength
    case .digests: DigestTable.lengthMax
    }
  }
}

/// Reads an application's state, frozen when this was made, as a stream of bytes in chunks of any size.
public struct SnapshotSource<Machine: StateMachine> {
  private let application: Application<Machine>
  private var stage = Stage.header
  /// The block being handed out, and how much of it already was.
  private var block: [UInt8] = []
  private var given = 0
  private var checksum: UInt32 = 0
  /// The state after this slot.
  public var slot: Slot { application.appliedUpTo }
  /// How many bytes were handed out.
  public private(set) var offset: UInt64 = 0

  private enum Stage {
    case header
    case session(Int32)
    case digests
    case machine(cursor: UInt64)
    case end
    case done
  }

  init(_ application: Application<Machine>) { self.application = application }

  /// Appends at most `limit` bytes, fewer only at the end; false when nothing was left to append.
  public mutating func chunk(limit: Int, into bytes: inout [UInt8]) -> Bool {
    precondition(limit > 0, "a chunk has at least one byte")
    var room = limit
    while room > 0 {
      if given == block.count {
        guard makeBlock() else { break }
      }
      let n = min(room, block.count - given)
      bytes.append(contentsOf: block[given..<given + n])
      given += n
      room -= n
    }
    offset += UInt64(limit - room)
    return room < limit
  }

  /// Fills `block` with the next one; false at the end.
  private mutating func makeBlock() -> Bool {
    block.removeAll(keepingCapacity: true)
    given = 0
    switch stage {
    case .header:
      makeHeader()
      advance(to: application.sessions.oldest)
    case .session(let place):
      makeSession(Int(place))
      advance(to: application.sessions.sessions[Int(place)].newer)
    case .digests:
      begin(.digests)
      application.digests.encode(into: &block)
      end()
      stage = .machine(cursor: 0)
    case .machine(let cursor):
      makeMachine(cursor)
    case .end:
      makeEnd()
      stage = .done
      return true
    case .done:
      return false
    }
    checksum = CRC32C.checksum(block, seed: checksum)
    return true
  }

  private mutating func advance(to place: Int32) {
    if place >= 0 {
      stage = .session(place)
    } else {
      stage = application.digests.isEmpty ? .machine(cursor: 0) : .digests
    }
  }

  private mutating func makeHeader() {
    let limits = application.sessions.limits
    begin(.header)
    block.put(SnapshotFormat.magic)
    block.put(SnapshotFormat.version)
    block.put(UInt32(limits.sessionsMax))
    block.put(UInt32(limits.outstandingMax))
    block.put(UInt32(limits.replyLengthMax))
    block.put(application.appliedUpTo.rawValue)
    block.put(UInt64(application.sessions.count))
    end()
  }

  private mutating func makeSession(_ place: Int) {
    let session = application.sessions.sessions[place]
    begin(.session)
    block.put(session.id)
    block.put(session.nonce)
    block.put(session.last)
    block.put(session.floor)
    block.put(session.lastUse)
    var sequence = session.floor
    while sequence < session.last {
      sequence &+= 1
      let reply = application.sessions.replies[place, sequence]
      block.put(reply.slot)
      block.put(UInt32(reply.bytes.count))
      block.put(UInt32(reply.isDropped ? 1 : 0))
      reply.bytes.withBytes { block.append(contentsOf: $0) }
    }
    end()
  }

  private mutating func makeMachine(_ cursor: UInt64) {
    begin(.machine)
    let next = application.machine.snapshotChunk(
      at: cursor, limit: SnapshotFormat.pieceMax, into: &block)
    let length = block.count - SnapshotFormat.blockHeaderLength
    precondition(length <= SnapshotFormat.pieceMax, "snapshotChunk appended more than its limit")
    precondition(length > 0 || next == nil, "snapshotChunk appended nothing before the end")
    end()
    stage = if let next { .machine(cursor: next) } else { .end }
  }

  private mutating func makeEnd() {
    begin(.end)
    block.put(application.digest)
    block.put(checksum)
    block.put(UInt32(0))
    end()
  }

  private mutating func begin(_ kind: SnapshotFormat.Kind) {
    block.put(UInt32(0))
    block.put(kind.rawValue)
  }

  private mutating func end() {
    block.set(UInt32(block.count - SnapshotFormat.blockHeaderLength), at: 0)
  }
}

extension SnapshotSource: Sendable where Machine: Sendable {}
