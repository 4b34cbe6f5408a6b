internal import Protocol

// The tenant's words for the digest, the codec and the trace.
extension PaxosSystem {
  // MARK: Digest

  public mutating func digestWord(of message: PaxosMessage) -> UInt64 {
    switch message {
    case .client(let bytes):
      return arena.with(bytes) { UInt64(CRC32C.checksum($0)) } << 32 | UInt64(bytes.length)
    case .peer(let envelope):
      return DigestWord.of(envelope.message)
    case .notice(let notice):
      return DigestWord.of(notice)
    }
  }

  public mutating func digestWord(ofEffect effect: Int, _ node: NodeIndex) -> UInt64 {
    guard node.index < nodes.count else { return UInt64(effect) }
    guard effect < effects.count else { return 0xE0D }
    return DigestWord.of(effects[effect])
  }

  // MARK: Codec

  public mutating func encode(_ message: PaxosMessage, into bytes: inout [UInt8]) {
    switch message {
    case .peer(let envelope):
      let payload = envelope.message.payload
      var writer = FrameWriter(kind: .peer)
      writer.begin(
        FrameRoute(
          cluster: PaxosNames.cluster, ring: RingID(0), sender: envelope.from,
          receiver: envelope.to, senderIncarnation: Incarnation(1),
          receiverIncarnation: Incarnation(1)), into: &bytes)
      writer.append(
        envelope.message, epoch: envelope.epoch,
        payload: arena.bytes.span.bytes.extracting(arena.range(payload)), into: &bytes)
      writer.finish(into: &bytes)
    case .notice(let notice):
      var body: [UInt8] = []
      notice.encode(into: &body)
      encode(.notice, body.span.bytes, into: &bytes)
    case .client(let ref):
      let content = arena.bytes
      encode(.client, content.span.bytes.extracting(arena.range(ref)), into: &bytes)
    }
  }

  /// A frame with one message in it that is nobody's in particular.
  private func encode(_ kind: FrameKind, _ body: RawSpan, into bytes: inout [UInt8]) {
    var writer = FrameWriter(kind: kind)
    writer.begin(
      FrameRoute(
        cluster: PaxosNames.cluster, ring: RingID(0), sender: ReplicaID(0),
        receiver: ReplicaID(0), senderIncarnation: Incarnation(1),
        receiverIncarnation: Incarnation(1)), into: &bytes)
    writer.append(encoded: body, into: &bytes)
    writer.finish(into: &bytes)
  }

  public mutating func decode(_ bytes: [UInt8], for node: NodeIndex) -> PaxosMessage? {
    // One frame and nothing behind it, as one message was sent.
    guard let parse = try? FrameParser().next(in: bytes.span.bytes),
      case .frame(let header, let body) = parse, body.upperBound == bytes.count
    else { return nil }
    switch header.kind {
    case .peer:
      let position = UInt64(arena.bytes.count)
      var messages = FrameMessages(header, body: body)
      guard
        let decoded = try? messages.next(
          in: bytes.span.bytes, placing: .at(position))
      else { return nil }
      _ = arena.append(bytes[decoded.payload])
      return .peer(decoded.envelope)
    case .client:
      return .client(arena.append(bytes[body]))
    case .notice:
      return (try? HostNotice(body: body, of: bytes.span.bytes)).map { .notice($0) }
    case .hello:
      return nil
    }
  }

  // MARK: Trace

  public func describe(_ message: PaxosMessage) -> String {
    switch message {
    case .peer(let envelope): Simulator.describe(envelope.message)
    case .client(let bytes): describeClient(bytes)
    case .notice(let notice): notice.isShortOfRoom ? "notice no room" : "notice room"
    }
  }

  private func describeClient(_ bytes: BytesRef) -> String {
    switch try? ClientMessage(arena.bytes.span.bytes.extracting(arena.range(bytes))) {
    case .request: "client request"
    case .read(let id, let mode, _):
      "client read \(PaxosText().describe(id)) \(PaxosText().describe(mode))"
    case .response(let id, let response):
      "response \(PaxosText().describe(id)) \(describe(response))"
    case nil: "malformed client message"
    }
  }

  private func describe(_ response: ClientResponse) -> String {
    switch response {
    case .command(let outcome, _): "\(outcome)"
    case .read(let slot, _): "read at \(slot)"
    case .rejected(let rejection): PaxosText().describe(rejection)
    }
  }

  public func describe(effect: Int, _ node: NodeIndex) -> String {
    guard node.index < nodes.count else {
      return "\(workload.clients[node.index - nodes.count].effects.effects[effect])"
    }
    return effect < effects.count ? Simulator.describe(effects[effect]) : "flush"
  }

  public func describe(timer token: UInt64) -> String {
    switch token {
    case Self.scrubTimer: "scrub"
    case Self.roomTimer: "look at the disk"
    case Self.digestToken, Self.roomToken: "from the host"
    default: "deadline"
    }
  }

  public func describe(external token: UInt64) -> String {
    guard token < PaxosWorkload.operatorToken else {
      return token < Self.startToken ? "operator" : "start again"
    }
    let operation = workload.operations[Int(token)]
    return "client \(operation.client) calls \(operation.kind)"
  }
}
