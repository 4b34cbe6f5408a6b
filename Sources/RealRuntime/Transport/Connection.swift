import Glibc
import Protocol

/// Where a session's answers go, and how far they have come.
final class SessionRoute {
  let session: SessionID
  let connection: Connection
  /// The highest sequence that came on this connection.
  var received: UInt64 = 0
  /// The highest sequence that was answered.
  var answered: UInt64 = 0

  init(_ session: SessionID, _ connection: Connection) {
    self.session = session
    self.connection = connection
  }
}

/// One stream socket of the loop: what was received and is not a frame yet, and what is to be sent.
final class Connection {
  enum Kind {
    /// From or to another replica.
    case peer
    case client
  }

  enum State {
    /// Dialed, and not decided yet.
    case connecting
    /// Waiting for the other side's Hello.
    case greeting
    case open
    case closed
  }

  /// A frame that has come to this many bytes is ended, though it might be longer: whoever receives it takes it in whole,
  /// and looks at its beginning again whenever more of it has come.
  static let frameLengthUsual = 64 << 10

  let descriptor: Int32
  let token: UInt64
  let kind: Kind
  /// Where it comes from, for logs and limits.
  let host: String
  /// Proven by a certificate; nil on a plaintext connection.
  let identity: PeerIdentity?
  var state: State
  /// When to give up waiting for the other side's Hello.
  let handshakeDeadline: Instant
  /// The replica at the other end of a peer connection, once it has said so.
  var peer: ReplicaID?
  /// Sessions of a client whose answers go here.
  var sessions: [SessionID] = []

  /// The beginning of a frame.
  var partial: [UInt8] = []
  /// How many bytes that frame will have, as far as its beginning says; means nothing while there is none.
  var partialTotal = 0
  /// Whether the loop is watching for room to write.
  var isWatchingWrites = false
  /// Something was appended in this turn.
  var isDirty = false
  /// No more is read from a client that does not take its answers.
  var isReadingPaused = false
  private(set) var bytesSent: UInt64 = 0

  private var writer: FrameWriter
  private var outgoing = GatheredBytes()
  /// The route of the frames that leave here; its receiver is known when the other side has said who it is.
  var route: FrameRoute
  private var isFrameBegun = false
  /// What the other side did not take in an earlier turn.
  private var unsent: [UInt8] = []
  private var unsentBegin = 0

  init(
    _ descriptor: Int32, token: UInt64, kind: Kind, host: String, identity: PeerIdentity?,
    state: State, handshakeDeadline: Instant, route: FrameRoute, frameLengthMax: Int
  ) {
    self.descriptor = descriptor
    self.token = token
    self.kind = kind
    self.host = host
    self.identity = identity
    self.state = state
    self.handshakeDeadline = handshakeDeadline
    self.route = route
    writer = FrameWriter(kind: kind == .peer ? .peer : .client, lengthMax: frameLengthMax)
  }

  /// How much is waiting for the other side, in bytes.
  var unsentCount: Int { unsent.count - unsentBegin }

  // MARK: Appending

  /// The other side takes no longer frames than this. Before the first message.
  func limitFrames(_ length: Int) {
    if isFrameBegun { finishFrame() }
    // Whoever takes less than a rejection is refused by his own parser.
    writer = FrameWriter(kind: writer.kind, lengthMax: min(writer.lengthMax, max(length, 256)))
  }

  /// The longest client's message that a frame holds.
  var clientMessageMax: Int { writer.clientMessageMax }

  func append(_ hello: Hello) {
    var body: [UInt8] = []
    hello.encode(into: &body)
    append(.hello, body)
  }

  /// What another host is to know.
  func append(_ notice: HostNotice) {
    if isFrameBegun { finishFrame() }
    var body: [UInt8] = []
    notice.encode(into: &body)
    append(.notice, body)
  }

  /// A frame of its own.
  private func append(_ kind: FrameKind, _ body: [UInt8]) {
    var frame = FrameWriter(kind: kind)
    frame.begin(route, into: &outgoing.bytes)
    frame.append(encoded: body.span.bytes, into: &outgoing.bytes)
    frame.finish(into: &outgoing.bytes)
  }

  /// A message to a replica, with its payload where it lies in the log buffer.
  func append(_ message: Message, epoch: Epoch, _ log: LogBuffer) {
    prepare(MessageCodec.encodedLength(of: message))
    let payload = message.payload
    guard payload.length > 0 else {
      return writer.append(message, epoch: epoch, payload: RawSpan(), into: &outgoing.bytes)
    }
    let place = writer.appendFixed(
      message, epoch: epoch, payload: log.bytes(payload).bytes, into: &outgoing.bytes)
    outgoing.insert(payload, at: place)
  }

  /// A message to a replica, with a copy of its payload.
  func append(_ message: Message, epoch: Epoch, payload: RawSpan) {
    prepare(MessageCodec.encodedLength(of: message))
    writer.append(message, epoch: epoch, payload: payload, into: &outgoing.bytes)
  }

  /// The answer to a client's command.
  func append(_ reply: CommandReply, in replies: ReplyBuffer) {
    prepare(
      FrameWriter.encodedLength(
        ofClientMessage: ClientMessage.responseHeaderLength + reply.bytes.count))
    writer.append(reply, in: replies, into: &outgoing.bytes)
  }

  /// A client's message that is encoded already.
  func append(clientMessage: RawSpan) {
    prepare(FrameWriter.encodedLength(ofClientMessage: clientMessage.byteCount))
    writer.append(clientMessage: clientMessage, into: &outgoing.bytes)
  }

  private func prepare(_ length: Int) {
    if isFrameBegun, writer.length >= Self.frameLengthUsual || !writer.hasRoom(for: length) {
      finishFrame()
    }
    guard !isFrameBegun else { return }
    writer.begin(route, into: &outgoing.bytes)
    isFrameBegun = true
  }

  private func finishFrame() {
    writer.finish(into: &outgoing.bytes)
    isFrameBegun = false
  }

  // MARK: Sending

  /// Sends what was appended; what the other side does not take is kept. Throws when the connection is broken.
  func flush(_ log: LogBuffer, _ vectors: inout [iovec]) throws(SystemError) {
    if isFrameBegun { finishFrame() }
    isDirty = false
    try sendUnsent()
    guard !outgoing.isEmpty else { return }
    defer { outgoing.removeAll() }
    var failure: SystemError?
    outgoing.gather(log.memory, into: &vectors) { vectors in
      var first = 0
      do throws(SystemError) {
        while unsentCount == 0, first < vectors.count {
          guard let sent = try send(vectors, from: first) else { break }
          first = vectors.advance(from: first, by: sent)
        }
      } catch {
        failure = error
      }
      for vector in vectors[first...] {
        unsent.append(
          contentsOf: UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len))
      }
    }
    if let failure { throw failure }
  }

  private func sendUnsent() throws(SystemError) {
    while unsentCount > 0 {
      let sent: Int?
      do {
        let count = unsentCount
        let vector = unsent.withUnsafeMutableBytes {
          iovec(iov_base: $0.baseAddress! + unsentBegin, iov_len: count)
        }
        // Nothing touches the array before the system call returns.
        sent = try withExtendedLifetime(unsent) { () throws(SystemError) in
          try send([vector], from: 0)
        }
      }
      guard let sent else { break }
      unsentBegin += sent
    }
    if unsentBegin == unsent.count {
      // A burst's memory is given back; the steady state never comes here with any.
      if unsentBegin > 0 { unsent = [] }
      unsentBegin = 0
    } else if unsentBegin > unsent.count / 2 {
      unsent.removeFirst(unsentBegin)
      unsentBegin = 0
    }
  }

  /// How many bytes the kernel took; nil when it takes none now.
  private func send(_ vectors: [iovec], from first: Int) throws(SystemError) -> Int? {
    let count = min(vectors.count - first, 1_024)
    let sent = vectors.withUnsafeBufferPointer { vectors in
      var header = msghdr()
      header.msg_iov = UnsafeMutablePointer(mutating: vectors.baseAddress! + first)
      header.msg_iovlen = count
      while true {
        let sent = sendmsg(descriptor, &header, Int32(MSG_NOSIGNAL))
        if sent >= 0 || errno != EINTR { return sent }
      }
    }
    guard sent < 0 else {
      bytesSent += UInt64(sent)
      return sent
    }
    guard errno == EAGAIN else { throw SystemError("send", host) }
    return nil
  }
}
