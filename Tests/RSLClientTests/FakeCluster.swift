import NIOCore
import NIOPosix
import NIOSSL
import Protocol
import RSLClient
import Testing

/// Every suite that uses the loops below, one test after the other: they measure no time, but do wait for deadlines.
@Suite(.serialized) enum OverSockets {}

/// What a replica does with one message.
enum Treatment: Hashable, Sendable {
  case answer
  /// Applied before, answered after the next messages.
  case delay
  case dropRequest
  case dropReply
  case answerTwice
  case reject(Rejection)
  /// A part of the answer's frame, then the end of the connection.
  case cut
  /// Bytes that are no frame, in place of the answer.
  case garbage
  /// A frame of another cluster.
  case foreign
  /// The end of the connection, before the request is taken.
  case hangUp
}

/// Replicas that serve clients over real sockets and share one `Application`: what they decide is decided. Who leads and
/// how each message is treated is the test's business. Everything lives on one event loop of its own.
final class FakeCluster {
  static let id = ClusterID(0xC1)
  static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  static let loop = group.next()

  var app: Application<TallyMachine>
  var leader = ReplicaID(1)
  var slot = Slot.zero
  /// Asked for every message, with the replica and the number of messages before it.
  var treat: (ReplicaID, Int) -> Treatment = { _, _ in .answer }
  /// What a replica says at the beginning of its n-th connection; nil for nothing.
  var hello: (ReplicaID, _ connections: Int) -> Hello? = { _, _ in FakeCluster.hello }
  static let hello = Hello(oldestVersion: 1, newestVersion: 1, frameLengthMax: 1 << 20)
  var leasesEnabled = true
  var channels: [(ReplicaID, any Channel)] = []
  var addresses: [ReplicaAddress] = []
  /// Connections accepted and messages received, by replica.
  var accepted: [ReplicaID: Int] = [:]
  var messages: [ReplicaID: Int] = [:]
  var frames = 0
  var received = 0
  private var listeners: [any Channel] = []
  private var waiting: [(count: Int, EventLoopPromise<Void>)] = []
  /// Made outside of the clients' frames, sent after the next message.
  var delayed: [(any Channel, [UInt8])] = []

  init(limits: SessionTable.Limits) { app = Application(machine: TallyMachine(), limits: limits) }

  /// Starts `count` replicas on ports of the system's choice.
  static func start(
    _ count: Int = 3, tls: NIOSSLContext? = nil,
    limits: SessionTable.Limits = .init(sessionsMax: 64, outstandingMax: 32, replyLengthMax: 256)
  ) async throws -> Handle {
    let cluster = try await loop.submit {
      NIOLoopBound(FakeCluster(limits: limits), eventLoop: loop)
    }.get()
    for i in 1...count {
      let replica = ReplicaID(UInt32(i))
      let channel = try await ServerBootstrap(group: loop)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            if let tls {
              try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
            }
            try channel.pipeline.syncOperations.addHandler(
              FakeReplica(cluster.value, replica, channel))
          }
        }
        .bind(host: "127.0.0.1", port: 0).get()
      try await loop.submit {
        cluster.value.listeners.append(channel)
        cluster.value.addresses.append(
          ReplicaAddress(id: replica, host: "127.0.0.1", port: channel.localAddress?.port ?? 0))
      }.get()
    }
    return Handle(cluster: cluster)
  }

  /// The cluster, for tasks.
  struct Handle: Sendable {
    let cluster: NIOLoopBound<FakeCluster>

    @discardableResult
    func with<T: Sendable>(_ body: @escaping @Sendable (FakeCluster) throws -> T) async throws -> T
    {
      try await FakeCluster.loop.submit { try body(cluster.value) }.get()
    }

    func configuration(seed: UInt64 = 1) async throws -> ClientConfiguration {
      var configuration = ClientConfiguration(
        cluster: FakeCluster.id, replicas: try await with { $0.addresses })
      configuration.seed = seed
      configuration.options.retryMin = .milliseconds(50)
      configuration.options.retryMax = .seconds(2)
      configuration.options.backoffMin = .milliseconds(1)
      configuration.options.backoffMax = .milliseconds(20)
      configuration.reconnectMin = .milliseconds(1)
      configuration.reconnectMax = .milliseconds(20)
      return configuration
    }

    /// Returns when so many messages were received in all.
    func received(_ count: Int) async throws {
      try await FakeCluster.loop.flatSubmit {
        let promise = FakeCluster.loop.makePromise(of: Void.self)
        cluster.value.waiting.append((count, promise))
        cluster.value.noteReceived()
        return promise.futureResult
      }.get()
    }

    /// Stops listening and ends all connections, of one replica or of all.
    func stop() async throws {
      let channels = try await with { cluster in
        cluster.listeners + cluster.channels.map(\.1)
      }
      for channel in channels { try? await channel.close().get() }
    }
  }

  func noteReceived() {
    for (count, promise) in waiting where count <= received { promise.succeed(()) }
    waiting.removeAll { $0.count <= received }
  }
}

/// One connection to one replica.
final class FakeReplica: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let cluster: FakeCluster
  private let replica: ReplicaID
  private let channel: any Channel
  private var partial: [UInt8] = []
  private var hasGreeted = false
  private var isTaking = false

  init(_ cluster: FakeCluster, _ replica: ReplicaID, _ channel: any Channel) {
    self.cluster = cluster
    self.replica = replica
    self.channel = channel
    cluster.channels.append((replica, channel))
    cluster.accepted[replica, default: 0] += 1
  }

  func channelInactive(context: ChannelHandlerContext) {
    cluster.channels.removeAll { $0.1 === channel }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    unwrapInboundIn(data).withUnsafeReadableBytes { partial.append(contentsOf: $0) }
    // A write that fails reads what is left first, from inside of it.
    guard !isTaking else { return }
    isTaking = true
    defer { isTaking = false }
    while channel.isActive,
      case .frame(let header, let body) = try? FrameParser().next(in: partial.span.bytes)
    {
      let frame = Array(partial[..<body.upperBound])
      partial.removeFirst(frame.count)
      take(header, body, frame)
    }
    // A slow answer is sent when something else was received, or else by itself.
    let delayed = cluster.delayed
    cluster.delayed = []
    for (channel, bytes) in delayed where channel.isActive { send(bytes, on: channel) }
  }

  private func take(_ header: FrameHeader, _ body: Range<Int>, _ bytes: [UInt8]) {
    let screen = FrameScreen(
      cluster: FakeCluster.id, replica: replica, incarnation: Incarnation(1))
    precondition(screen.clientRefusal(of: header.route) == nil, "a client's frame is refused")
    precondition(header.kind == (hasGreeted ? .client : .hello), "hello first, and only then")
    if !hasGreeted {
      hasGreeted = true
      guard let hello = cluster.hello(replica, cluster.accepted[replica, default: 0]) else {
        return
      }
      send(
        frame(kind: .hello) { writer, out in
          var body: [UInt8] = []
          hello.encode(into: &body)
          writer.append(encoded: body.span.bytes, into: &out)
        })
      return
    }
    cluster.frames += 1
    var answers: [[UInt8]] = []
    var messages = ClientMessages(header, body: body)
    while channel.isActive {
      // A client that sends what is malformed fails the test.
      guard let range = try! messages.next(in: bytes.span.bytes) else { break }
      cluster.received += 1
      let number = cluster.messages[replica, default: 0]
      cluster.messages[replica] = number + 1
      take(Array(bytes[range]), number, &answers)
    }
    if !answers.isEmpty { send(frame(answers)) }
    cluster.noteReceived()
  }

  private func take(_ message: [UInt8], _ number: Int, _ answers: inout [[UInt8]]) {
    let treatment = cluster.treat(replica, number)
    switch treatment {
    case .dropRequest: return
    case .hangUp: return channel.close(promise: nil)
    case .reject(let rejection): answers.append(refusal(of: message, rejection))
    case .answer, .delay, .dropReply, .answerTwice, .cut, .garbage, .foreign:
      let answer = answer(to: message)
      switch treatment {
      case .dropReply: break
      case .answerTwice: answers += [answer, answer]
      case .delay:
        let bytes = frame([answer])
        cluster.delayed.append((channel, bytes))
        let cluster = NIOLoopBound(cluster, eventLoop: FakeCluster.loop)
        FakeCluster.loop.scheduleTask(in: .milliseconds(20)) {
          let delayed = cluster.value.delayed
          cluster.value.delayed = []
          for (channel, bytes) in delayed where channel.isActive {
            channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
          }
        }
      case .cut:
        let bytes = frame(answers + [answer])
        answers = []
        send(Array(bytes[..<(bytes.count - 1 - number % (bytes.count - 1))]))
        channel.close(promise: nil)
      case .garbage:
        send((0..<200).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ number) })
      case .foreign:
        var bytes = frame([answer])
        bytes[16] ^= 1
        bytes.withUnsafeMutableBytes {
          let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[..<52]))
          $0.storeBytes(of: checksum.littleEndian, toByteOffset: 52, as: UInt32.self)
        }
        send(bytes)
      default: answers.append(answer)
      }
    }
  }

  private func answer(to message: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    var replies = ReplyBuffer()
    switch try! ClientMessage(message.span.bytes) {
    case .request(let command):
      guard replica == cluster.leader else {
        return refusal(of: message, .notLeader(leader: cluster.leader))
      }
      cluster.slot = cluster.slot.next
      let batch = Array(message[command])
      try! cluster.app.apply(cluster.slot, batch.span.bytes, into: &replies)
      ClientMessage.encodeResponse(replies.replies[0], in: replies, into: &out)
    case .read(let id, let mode, let query):
      switch mode {
      case .quorum, .lease:
        guard replica == cluster.leader else {
          return refusal(of: message, .notLeader(leader: cluster.leader))
        }
        if mode == .lease, !cluster.leasesEnabled { return refusal(of: message, .leasesDisabled) }
      case .local(let atLeast):
        guard atLeast <= cluster.slot else {
          return refusal(of: message, .notApplied(appliedUpTo: cluster.slot))
        }
      }
      let part = Array(message[query])
      let range = cluster.app.query(part.span.bytes, into: &replies)
      let reply = Array(replies.bytes[range])
      ClientMessage.encodeReadResponse(
        id, appliedUpTo: cluster.slot, reply: reply.span.bytes, into: &out)
    case .response: preconditionFailure("a client answers")
    }
    return out
  }

  private func refusal(of message: [UInt8], _ rejection: Rejection) -> [UInt8] {
    let id: RequestID
    switch try! ClientMessage(message.span.bytes) {
    case .request(let command):
      let part = Array(message[command])
      id = try! Command(at: 0, of: part.span.bytes).request
    case .read(let read, _, _): id = read
    case .response: preconditionFailure("a client answers")
    }
    var out: [UInt8] = []
    ClientMessage.encodeRejection(id, rejection, into: &out)
    return out
  }

  private func frame(_ messages: [[UInt8]]) -> [UInt8] {
    frame(kind: .client) { writer, out in
      for message in messages { writer.append(clientMessage: message.span.bytes, into: &out) }
    }
  }

  private func frame(
    kind: FrameKind, _ body: (inout FrameWriter, inout [UInt8]) -> Void
  ) -> [UInt8] {
    var out: [UInt8] = []
    var writer = FrameWriter(kind: kind)
    writer.begin(
      .response(cluster: FakeCluster.id, ring: RingID(0), from: replica, Incarnation(1)),
      into: &out)
    body(&writer, &out)
    writer.finish(into: &out)
    return out
  }

  private func send(_ bytes: [UInt8], on other: (any Channel)? = nil) {
    (other ?? channel).writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
  }
}

/// Notes the number in every command, which is unique, and answers with it and with how many there were.
struct TallyMachine: StateMachine, Sendable {
  var applied: [UInt64] = []

  static func number(_ bytes: RawSpan) -> UInt64 {
    guard bytes.byteCount >= 8 else { return .max }
    return UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
  }

  mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter) {
    applied.append(Self.number(command))
    reply.append(Self.number(command))
    reply.append(UInt64(applied.count))
  }

  /// How many commands were applied.
  func query(_ query: RawSpan, reply: inout ReplyWriter) {
    reply.append(UInt64(applied.count))
  }

  func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? { nil }
  mutating func beginRestore() { applied = [] }
  mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid) { throw .length }
  mutating func finishRestore() throws(SnapshotInvalid) {}
  var digest: UInt64 { UInt64(applied.count) }
}

/// A command or a reply: a number, and what follows it.
func bytes(_ number: UInt64, length: Int = 8) -> [UInt8] {
  withUnsafeBytes(of: number.littleEndian) { Array($0) } + Array(repeating: 0, count: length - 8)
}

extension [UInt8] {
  func number(at offset: Int = 0) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(self[offset + $1]) << UInt64(8 * $1) }
  }
}
