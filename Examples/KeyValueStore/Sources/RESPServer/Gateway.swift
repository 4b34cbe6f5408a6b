public import NIOCore
import NIOPosix

/// A TCP server that speaks RESP2 and RESP3 and hands commands to a replicated store.
///
/// On each event loop it has a submitter of its own. Replies to one connection come in the order of its commands, and each
/// command of a connection sees the ones before it: a read goes without the log only while no write is under way, and a
/// write waits for the reads before it.
public final class Gateway: Sendable {
  private let shared: GatewayShared
  private let channel: any Channel
  private let loops: [BoundLoop]

  /// The port that is listened on.
  public let port: Int

  private init(
    shared: GatewayShared, channel: any Channel, loops: [BoundLoop], port: Int
  ) {
    self.shared = shared
    self.channel = channel
    self.loops = loops
    self.port = port
  }

  /// Listens; `makeSubmitter` is called once on each event loop.
  public static func start(
    _ configuration: GatewayConfiguration, on group: any EventLoopGroup,
    makeSubmitter:
      @escaping @Sendable (any EventLoop, @escaping SubmissionCompletion) -> any CommandSubmitting
  ) async throws -> Gateway {
    let shared = GatewayShared(configuration)
    var loops: [BoundLoop] = []
    for eventLoop in group.makeIterator() {
      let loop = eventLoop.submit {
        let loop = GatewayLoop(gateway: shared, eventLoop: eventLoop, submitter: makeSubmitter)
        return NIOLoopBound(loop, eventLoop: eventLoop)
      }
      loops.append(BoundLoop(eventLoop: eventLoop, bound: try await loop.get()))
    }
    let bound = loops
    let channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(
        .recvAllocator,
        value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 16384, maximum: 65536)
      )
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard shared.admit() else {
            return try channel.pipeline.syncOperations.addHandler(RejectingHandler())
          }
          guard let loop = bound.first(where: { $0.eventLoop === channel.eventLoop }) else {
            preconditionFailure("the channel is on an event loop of another group")
          }
          let connection = GatewayConnection(channel, on: loop.bound.value)
          try channel.pipeline.syncOperations.addHandler(connection)
        }
      }
      .bind(host: configuration.host, port: configuration.port).get()
    let port = channel.localAddress?.port ?? configuration.port
    shared.port.store(port, ordering: .relaxed)
    return Gateway(shared: shared, channel: channel, loops: loops, port: port)
  }

  /// The sum over all event loops.
  public func statistics() async throws -> GatewayStatistics {
    var sum = GatewayStatistics()
    for loop in loops {
      let part = try await loop.eventLoop.submit { loop.bound.value.statistics }.get()
      sum.connectionsReceived += part.connectionsReceived
      sum.clients += part.clients
      sum.commandsSubmitted += part.commandsSubmitted
      sum.readsSubmitted += part.readsSubmitted
      sum.commandsAnsweredHere += part.commandsAnsweredHere
      sum.protocolErrors += part.protocolErrors
    }
    sum.connectionsRejected = shared.rejected.load(ordering: .relaxed)
    return sum
  }

  /// Stops listening, answers what was taken, closes all connections, and returns when that is done. A client that does
  /// not read its replies is cut off after `grace`.
  public func close(grace: TimeAmount = .seconds(15)) async throws {
    try await channel.close().get()
    let drained = loops.map { loop in
      loop.eventLoop.flatSubmit { loop.bound.value.finish(within: grace) }
    }
    for (loop, drained) in zip(loops, drained) {
      try await drained.get()
      try await loop.eventLoop.submit { loop.bound.value.submitter.close() }.get()
    }
  }

  /// A loop's part of the gateway, and the event loop it may be touched on.
  private struct BoundLoop: Sendable {
    let eventLoop: any EventLoop
    let bound: NIOLoopBound<GatewayLoop>
  }
}
