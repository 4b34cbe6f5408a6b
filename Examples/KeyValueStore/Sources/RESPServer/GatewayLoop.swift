import Glibc
import NIOCore

/// A gateway's part on one event loop: its connections, and the submitter they share.
final class GatewayLoop {
  let gateway: GatewayShared
  let eventLoop: any EventLoop
  private(set) var submitter: (any CommandSubmitting)!
  /// By the upper bits of a tag. A place is used again, but its sequence numbers go on where they stopped, so a late
  /// answer to a connection that is gone never reaches the one that took its place.
  private var connections: [GatewayConnection?] = []
  private var nextSequences: [UInt64] = []
  private var free: [Int] = []
  /// Those with something to write, or with commands that wait.
  private var dirty: [GatewayConnection] = []
  private var dirtySpare: [GatewayConnection] = []
  /// Where commands are encoded.
  var scratch: [UInt8] = []
  /// Milliseconds since 1970, as of the last look.
  private(set) var clock: UInt64 = 0
  var statistics = GatewayStatistics()
  /// Waits for the last connection to close.
  private var drained: EventLoopPromise<Void>?

  private static let sequenceBits: UInt64 = 43
  private static let sequenceMask: UInt64 = 1 << sequenceBits - 1

  init(
    gateway: GatewayShared, eventLoop: any EventLoop,
    submitter make: (any EventLoop, @escaping SubmissionCompletion) -> any CommandSubmitting
  ) {
    self.gateway = gateway
    self.eventLoop = eventLoop
    submitter = make(eventLoop) { [unowned self] tag, outcome, reply in
      complete(tag, outcome, reply)
    }
  }

  func readClock() {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    clock = UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
  }

  /// Gives a connection its place, and the first sequence number it may use.
  func add(_ connection: GatewayConnection) -> (place: Int, sequence: UInt64) {
    let place: Int
    if let last = free.popLast() {
      place = last
      connections[place] = connection
    } else {
      place = connections.count
      connections.append(connection)
      nextSequences.append(0)
    }
    statistics.connectionsReceived += 1
    statistics.clients += 1
    return (place, nextSequences[place])
  }

  func remove(place: Int, nextSequence: UInt64) {
    connections[place] = nil
    nextSequences[place] = nextSequence
    free.append(place)
    statistics.clients -= 1
    gateway.release()
    if statistics.clients == 0 { drained?.succeed() }
  }

  static func tag(place: Int, sequence: UInt64) -> UInt64 {
    UInt64(place) << sequenceBits | sequence & sequenceMask
  }

  private func complete(_ tag: UInt64, _ outcome: SubmissionOutcome, _ reply: RawSpan) {
    let place = Int(tag >> Self.sequenceBits)
    connections[place]?.complete(sequence: tag & Self.sequenceMask, outcome, reply)
  }

  /// Writes what this connection has to write at the end of the turn, together with all others.
  func noteDirty(_ connection: GatewayConnection) {
    if dirty.isEmpty {
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      eventLoop.execute { bound.value.endTurn() }
    }
    dirty.append(connection)
  }

  private func endTurn() {
    swap(&dirty, &dirtySpare)
    for connection in dirtySpare { connection.endTurn() }
    dirtySpare.removeAll(keepingCapacity: true)
  }

  /// No more commands: what was taken is answered, then connections close, after `grace` in any case. Succeeds when there
  /// is none left.
  func finish(within grace: TimeAmount) -> EventLoopFuture<Void> {
    guard statistics.clients > 0 else { return eventLoop.makeSucceededVoidFuture() }
    let promise = drained ?? eventLoop.makePromise(of: Void.self)
    drained = promise
    for connection in connections { connection?.finish() }
    let timer = eventLoop.assumeIsolated().scheduleTask(in: grace) { [self] in
      for connection in connections { connection?.abort() }
    }
    promise.futureResult.whenComplete { _ in timer.cancel() }
    return promise.futureResult
  }

  /// One line for each connection here, as CLIENT LIST shows them.
  var clientLines: [String] { connections.compactMap { $0?.clientLine } }
}
