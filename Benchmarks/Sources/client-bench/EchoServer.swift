import NIOCore
import NIOPosix
import Protocol
import RSLLoad

/// One replica that decides by itself: every frame is a batch, applied to an `Application` at once and answered in one
/// frame. The least that a server can do and still be exactly once.
final class EchoServer: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// What all connections share; on one event loop.
  final class State {
    var app = Application(
      machine: EchoMachine(),
      limits: .init(sessionsMax: 4096, outstandingMax: 4096, replyLengthMax: 64))
    var slot: UInt64 = 0
    var replies = ReplyBuffer()
    var batch: [UInt8] = []
    var out: [UInt8] = []
  }

  static let cluster = ClusterID(1)
  static let replica = ReplicaID(1)
  private let state: State
  private var partial: [UInt8] = []
  private var out = ByteBuffer()

  init(_ state: State) { self.state = state }

  /// Listens on a port of the system's choice.
  static func start(on loop: any EventLoop) async throws -> any Channel {
    let state = try await loop.submit { NIOLoopBound(State(), eventLoop: loop) }.get()
    return try await ServerBootstrap(group: loop)
      .childChannelOption(
        .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 256 << 10)
      )
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(EchoServer(state.value))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    unwrapInboundIn(data).withUnsafeReadableBytes { partial.append(contentsOf: $0) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    var consumed = 0
    state.out.removeAll(keepingCapacity: true)
    while case .frame(let header, let body) = try? FrameParser().next(
      in: partial.span.bytes, from: consumed)
    {
      consumed = body.upperBound
      answer(header, body)
    }
    partial.removeFirst(consumed)
    guard !state.out.isEmpty else { return }
    out.clear(minimumCapacity: state.out.count)
    out.writeBytes(state.out)
    context.writeAndFlush(wrapOutboundOut(out), promise: nil)
  }

  private func apply() {
    state.slot += 1
    state.replies.removeAll()
    do {
      try state.batch.withUnsafeBytes {
        try state.app.apply(Slot(state.slot), $0.bytes, into: &state.replies)
      }
    } catch {
      fatalError("not a batch: \(error)")
    }
  }

  private func answer(_ header: FrameHeader, _ body: Range<Int>) {
    let route = FrameRoute.response(
      cluster: Self.cluster, ring: header.route.ring, from: Self.replica, Incarnation(1))
    var writer = FrameWriter(kind: header.kind)
    writer.begin(route, into: &state.out)
    if header.kind == .hello {
      var hello: [UInt8] = []
      Hello(oldestVersion: 1, newestVersion: 1, frameLengthMax: 16 << 20).encode(into: &hello)
      writer.append(encoded: hello.span.bytes, into: &state.out)
    } else {
      state.batch.removeAll(keepingCapacity: true)
      var messages = ClientMessages(header, body: body)
      while let range = try? messages.next(in: partial.span.bytes) {
        state.batch.append(
          contentsOf: partial[
            (range.lowerBound + ClientMessage.requestHeaderLength)..<range.upperBound])
      }
      apply()
      for reply in state.replies.replies {
        writer.append(reply, in: state.replies, into: &state.out)
      }
    }
    writer.finish(into: &state.out)
  }
}
