import CoreMetrics
import NIOCore
import Synchronization

/// What all event loops of a gateway share.
final class GatewayShared: Sendable {
  let configuration: GatewayConfiguration
  let started = NIODeadline.now()
  let clients = Atomic<Int>(0)
  let rejected = Atomic<UInt64>(0)
  let port = Atomic<Int>(0)
  private let lastClient = Atomic<Int>(0)
  // The same for whatever the process's backend of swift-metrics is.
  private let clientsGauge = Gauge(label: "resp.clients")
  private let rejectedCounter = Counter(label: "resp.clients.rejected")

  init(_ configuration: GatewayConfiguration) { self.configuration = configuration }

  /// Takes a place among `clientsMax`; false when there is none.
  func admit() -> Bool {
    let count = clients.add(1, ordering: .relaxed).newValue
    if count <= configuration.clientsMax {
      clientsGauge.record(count)
      return true
    }
    clients.subtract(1, ordering: .relaxed)
    rejected.add(1, ordering: .relaxed)
    rejectedCounter.increment()
    return false
  }

  func release() { clientsGauge.record(clients.subtract(1, ordering: .relaxed).newValue) }

  func nextClientID() -> Int { lastClient.add(1, ordering: .relaxed).newValue }
}

/// Tells a client for whom there is no place, and closes.
final class RejectingHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  func channelActive(context: ChannelHandlerContext) {
    let buffer = context.channel.allocator.buffer(
      string: "-ERR max number of clients reached\r\n")
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in
      channel.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
