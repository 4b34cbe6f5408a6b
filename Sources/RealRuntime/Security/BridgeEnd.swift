internal import NIOCore

/// One of two channels of one event loop that are tied together: what one receives the other sends.
///
/// A side is only read from while the other takes more, so that what is buffered stays within a channel's write
/// watermark and one read. The end of one side's input ends the other's output; the loss of one closes the other. Shape:
/// the glue handler of NIO's proxy examples.
final class BridgeEnd: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var other: BridgeEnd?
  private var context: ChannelHandlerContext?
  /// The channel wants to read and has to wait for the other side.
  private var isReadHeld = false

  static func pair() -> (BridgeEnd, BridgeEnd) {
    let ends = (BridgeEnd(), BridgeEnd())
    ends.0.other = ends.1
    ends.1.other = ends.0
    return ends
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    other?.other = nil
    other = nil
  }

  // MARK: What happens here

  func channelActive(context: ChannelHandlerContext) {
    other?.takesMore()
    context.fireChannelActive()
  }

  func read(context: ChannelHandlerContext) {
    if let other, other.isWritable {
      context.read()
    } else {
      isReadHeld = true
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let other, let target = other.context else { return }
    target.write(other.wrapOutboundOut(unwrapInboundIn(data)), promise: nil)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    other?.context?.flush()
    context.fireChannelReadComplete()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { other?.takesMore() }
    context.fireChannelWritabilityChanged()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let event = event as? ChannelEvent, event == .inputClosed {
      other?.context?.close(mode: .output, promise: nil)
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    other?.context?.close(promise: nil)
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    other?.context?.close(promise: nil)
    context.fireChannelInactive()
  }

  // MARK: What the other end asks

  private var isWritable: Bool { context?.channel.isWritable ?? false }

  /// The other side takes more: go on reading if that had to wait.
  private func takesMore() {
    guard isReadHeld, let context else { return }
    isReadHeld = false
    context.read()
  }
}
