import Glibc

/// Receives the leader's frames into its ring, checks them, makes them durable, and says how far it has got: one write, one
/// flush and one acknowledgement for everything that was there.
final class Follower {
  private let settings: Settings
  private let leader: Int32
  private let ring: LogRing
  private let journal: Journal
  private var state = AppliedState()
  /// Frames below are durable.
  private var durable: UInt64 = 0
  private var received: UInt64 = 0

  init(_ settings: Settings, name: String, leader: Int32) throws(BareLoopError) {
    self.settings = settings
    self.leader = leader
    ring = try LogRing(atLeast: 4 * settings.frameMax)
    journal = try Journal(directory: settings.directory, name: name, flush: settings.flush)
  }

  /// Until the leader closes the connection.
  func run() throws -> RoleReport {
    let usage = ProcessorTime.now()
    // There is one socket, and nothing to do without it: no poller is as fast as a call that waits.
    while let count = try receive(
      leader, ring.at(received), ring.capacity - Int(received - durable), waits: true), count > 0
    {
      received += UInt64(count)
      try takeFrames()
    }
    guard received == durable else {
      throw BareLoopError("the leader is gone in the middle of a frame")
    }
    return RoleReport(
      used: ProcessorTime.now() - usage, state, bytesWritten: journal.bytesWritten,
      flushes: journal.flushes)
  }

  private func takeFrames() throws(BareLoopError) {
    var end = durable
    while let bytes = try Frame.check(
      ring.at(end), available: Int(received - end), block: settings.flush.block, at: end,
      after: state.count, bytesMax: settings.batch)
    {
      for offset in stride(from: 0, to: bytes, by: settings.payload) {
        state.apply(ring.at(end) + Frame.headerLength + offset)
      }
      end += UInt64(Frame.length(operations: bytes, block: settings.flush.block))
    }
    guard end > durable else { return }
    try journal.append(ring.bytes(durable, end))
    durable = end
    var position = end
    try check("send") { send(leader, &position, 8, Int32(MSG_NOSIGNAL)) }
  }
}
