internal import NIOCore

/// The end of a channel's pipeline: hands everything to its connection, which knows what it means.
final class ReplicaChannelHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let connection: ReplicaConnection
  /// Which try to connect this is; the connection may have gone on to another since.
  let attempt: UInt64
  private var context: ChannelHandlerContext?

  init(_ connection: ReplicaConnection, attempt: UInt64) {
    self.connection = connection
    self.attempt = attempt
  }

  var isWritable: Bool { context?.channel.isWritable ?? false }

  func send(_ buffer: ByteBuffer) {
    context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
  }

  func close() { context?.close(promise: nil) }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    if context.channel.isActive { connection.opened(self) }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
  }

  func channelActive(context: ChannelHandlerContext) {
    connection.opened(self)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    connection.received(unwrapInboundIn(data), by: self)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    connection.receivedAll()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    connection.writabilityChanged(self)
  }

  func channelInactive(context: ChannelHandlerContext) {
    connection.ended(attempt)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // Whatever it is, TLS or the socket: the place in the stream is lost.
    context.close(promise: nil)
  }
}
