import NIOCore
import RESP

/// One client: its bytes in, its replies out, in order.
///
/// Commands are taken while there is room for their answers. A client that sends faster than it is answered, or does not
/// read its replies, is not read from until it catches up; what it may have under way is bounded by `pendingMax`.
final class GatewayConnection: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  let loop: GatewayLoop
  private let channel: any Channel
  private var context: ChannelHandlerContext?
  private var parser: RESPCommandParser
  private let pendingMax: Int
  private var isWritable = true

  /// Received and not taken yet.
  private var input: ByteBuffer?
  /// To be written at the end of the turn.
  private var output: ByteBuffer
  private var isDirty = false
  /// The pipeline asked for more to read while there was no room.
  private var isReadHeld = false

  private(set) var place = 0
  /// Sequence numbers of the first command that is not answered, and of the next one to come.
  private var head: UInt64 = 0
  private var next: UInt64 = 0
  private var pending = CircularBuffer<Pending>()
  /// Submitted and not answered.
  private var writesUnderWay = 0
  private var readsUnderWay = 0
  /// A write that waits for the reads before it; nothing behind it is taken.
  private var parked: [UInt8]?
  /// Nothing more is taken; closed when everything is answered.
  private var isFinishing = false
  private var isInputClosed = false
  private var isClosed = false

  // What the client told about itself.
  let clientID: Int
  var version = RESPVersion.two
  var name = ""
  var libraryName = ""
  var libraryVersion = ""
  var lastCommand = "NULL"
  var transaction: Transaction?

  private struct Pending {
    enum Kind {
      case here
      case read
      case write
    }

    var kind: Kind
    var version: RESPVersion
    var isAnswered = false
    var reply: [UInt8] = []
  }

  init(_ channel: any Channel, on loop: GatewayLoop) {
    self.loop = loop
    self.channel = channel
    parser = RESPCommandParser(limits: loop.gateway.configuration.limits)
    pendingMax = loop.gateway.configuration.pendingMax
    output = channel.allocator.buffer(capacity: 0)
    clientID = loop.gateway.nextClientID()
  }

  var remoteAddress: String { channel.remoteAddress.map(Self.text) ?? "?" }
  var localAddress: String { channel.localAddress.map(Self.text) ?? "?" }

  private static func text(_ address: SocketAddress) -> String {
    "\(address.ipAddress ?? "?"):\(address.port ?? 0)"
  }
}

// What the channel tells.
extension GatewayConnection {
  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    (place, head) = loop.add(self)
    next = head
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    isClosed = true
    self.context = nil
    loop.remove(place: place, nextSequence: next)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var received = unwrapInboundIn(data)
    if input == nil {
      input = received
    } else {
      input?.writeBuffer(&received)
    }
    takeCommands()
  }

  func read(context: ChannelHandlerContext) {
    if hasRoom { context.read() } else { isReadHeld = true }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    isWritable = context.channel.isWritable
    if isWritable { markDirty() }
    context.fireChannelWritabilityChanged()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    // The client sends nothing more, and may still read: everything it sent is answered first.
    if let event = event as? ChannelEvent, event == .inputClosed {
      isInputClosed = true
      markDirty()
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A connection reset, or the like: nobody is left to be answered.
    context.close(promise: nil)
  }
}

// Commands in.
extension GatewayConnection {
  private var hasRoom: Bool {
    !isFinishing && parked == nil && pending.count < pendingMax && isWritable
  }

  private func takeCommands() {
    guard hasRoom, var buffer = input else { return }
    input = nil
    loop.readClock()
    // Taken out of the object, because every use of it there is checked for exclusivity when it runs.
    var parser = RESPCommandParser(limits: self.parser.limits)
    swap(&parser, &self.parser)
    defer { swap(&parser, &self.parser) }
    let used = buffer.withUnsafeReadableBytes { bytes in
      var offset = 0
      while hasRoom {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
        let outcome = parser.parse(rest)
        switch outcome {
        case .command:
          if parser.isInline {
            parser.inlineBytes.withUnsafeBytes {
              perform(CommandWords(bytes: $0, ranges: parser.arguments))
            }
          } else {
            perform(CommandWords(bytes: rest, ranges: parser.arguments))
          }
        case .incomplete: break
        case .invalid(let error):
          loop.statistics.protocolErrors += 1
          answer { $0.error("ERR \(error)") }
          isFinishing = true
        }
        offset += parser.consumed
        if outcome != .command { break }
      }
      return offset
    }
    buffer.moveReaderIndex(forwardBy: used)
    if buffer.readableBytes > 0 {
      // What was taken would otherwise pile up in front of a command that comes in many parts.
      if buffer.readerIndex >= 1 << 16 { buffer.discardReadBytes() }
      input = buffer
    }
    if isFinishing { markDirty() }
  }

  /// Has an encoded command performed. A read goes without the log only while no write is under way: it must see every
  /// command before it. A write waits for the reads before it: they must not see it.
  func submit(_ command: [UInt8], isReadOnly: Bool) {
    if isReadOnly, writesUnderWay == 0 {
      readsUnderWay += 1
      loop.statistics.readsSubmitted += 1
      loop.submitter.read(command.span.bytes, tag: nextTag(.read))
    } else if readsUnderWay > 0 {
      parked = command
    } else {
      writesUnderWay += 1
      loop.statistics.commandsSubmitted += 1
      loop.submitter.submit(command.span.bytes, tag: nextTag(.write))
    }
  }

  /// The tag of a new command, for whose reply a place is kept.
  private func nextTag(_ kind: Pending.Kind) -> UInt64 {
    let tag = GatewayLoop.tag(place: place, sequence: next)
    pending.append(Pending(kind: kind, version: version))
    next &+= 1
    return tag
  }

  /// Nothing more is taken from this client; what was taken is answered.
  func finish() {
    isFinishing = true
    markDirty()
  }

  /// Closes without an answer to what is under way.
  func abort() { channel.close(promise: nil) }
}

// Replies out.
extension GatewayConnection {
  /// Answers the current command here.
  func answer(_ body: (inout RESPBuilder) -> Void) {
    loop.statistics.commandsAnsweredHere += 1
    var builder = RESPBuilder()
    body(&builder)
    if pending.isEmpty {
      builder.bytes.withUnsafeBytes { write($0, version) }
      head &+= 1
      markDirty()
    } else {
      pending.append(
        Pending(kind: .here, version: version, isAnswered: true, reply: builder.bytes))
    }
    next &+= 1
  }

  /// A submitted command has ended.
  func complete(sequence: UInt64, _ outcome: SubmissionOutcome, _ reply: RawSpan) {
    guard sequence >= head, sequence < next else { return }
    let index = pending.index(pending.startIndex, offsetBy: Int(sequence - head))
    guard !pending[index].isAnswered else { return }
    switch pending[index].kind {
    case .read: readsUnderWay -= 1
    case .write: writesUnderWay -= 1
    case .here: return
    }
    if let text = outcome.errorText {
      var builder = RESPBuilder()
      builder.error(text)
      pending[index].reply = builder.bytes
      pending[index].isAnswered = true
    } else if sequence == head {
      // The one whose turn it is: straight to the output.
      let version = pending.removeFirst().version
      head &+= 1
      reply.withUnsafeBytes { write($0, version) }
    } else {
      pending[index].reply = reply.withUnsafeBytes { Array($0) }
      pending[index].isAnswered = true
    }
    while let first = pending.first, first.isAnswered {
      first.reply.withUnsafeBytes { write($0, first.version) }
      pending.removeFirst()
      head &+= 1
    }
    markDirty()
  }

  private func write(_ reply: UnsafeRawBufferPointer, _ version: RESPVersion) {
    if RESPReply.isPlain(reply) {
      output.writeBytes(reply)
    } else {
      var converted: [UInt8] = []
      converted.reserveCapacity(reply.count + 16)
      RESPReply.convert(reply, to: version, into: &converted)
      output.writeBytes(converted)
    }
  }

  private func markDirty() {
    guard !isDirty, !isClosed else { return }
    isDirty = true
    loop.noteDirty(self)
  }

  /// Goes on with what had to wait, and writes what there is.
  func endTurn() {
    guard !isClosed, let context else { return }
    if let command = parked, readsUnderWay == 0 {
      parked = nil
      submit(command, isReadOnly: false)
    }
    takeCommands()
    if output.readableBytes > 0 {
      let bytes = output
      output = channel.allocator.buffer(capacity: 0)
      context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }
    isDirty = false
    if isInputClosed, parked == nil, hasRoom { isFinishing = true }
    if isFinishing, pending.isEmpty, parked == nil {
      isClosed = true
      closeAfterWriting(context)
    } else if isReadHeld, hasRoom {
      isReadHeld = false
      context.read()
    }
  }

  private func closeAfterWriting(_ context: ChannelHandlerContext) {
    let empty = channel.allocator.buffer(capacity: 0)
    let channel = channel
    context.writeAndFlush(wrapOutboundOut(empty)).whenComplete { _ in channel.close(promise: nil) }
  }
}

/// The words of a command, where they lie. Valid only inside the call it is handed to.
struct CommandWords {
  let bytes: UnsafeRawBufferPointer
  let ranges: [Range<Int>]

  var count: Int { ranges.count }

  subscript(index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[ranges[index]])
  }

  func text(_ index: Int) -> String { String(decoding: self[index], as: UTF8.self) }
}
