import Protocol

private let payload = [UInt8](repeating: 0x5A, count: 64)
private let reference = BytesRef(position: 0, length: 64)
private let value = Value(bytes: reference, count: 1, digest: 1)
private let accept = Message.accept(
  Accept(
    ballot: Ballot(round: 7, proposer: ReplicaID(1)), slot: Slot(1_000), value: value,
    chosenUpTo: Slot(990)))
private let accepted = Message.accepted(
  Accepted(
    ballot: Ballot(round: 7, proposer: ReplicaID(1)), firstSlot: Slot(990), lastSlot: Slot(1_000)))
private let route = FrameRoute(
  cluster: ClusterID(1), ring: RingID(0), sender: ReplicaID(1), receiver: ReplicaID(2),
  senderIncarnation: Incarnation(1), receiverIncarnation: Incarnation(1))
private let identity = JournalIdentity(
  cluster: ClusterID(1), ring: RingID(0), replica: ReplicaID(1), incarnation: Incarnation(1))

/// Bytes of the wire and of the journal.
func measureCodec() -> [Figure] {
  measureMessages() + measureJournal() + measureChecksum()
}

private func measureMessages() -> [Figure] {
  var figures: [Figure] = []
  for (name, message, bytes) in [
    ("accepted", accepted, []), ("accept, 64 bytes", accept, payload),
  ] {
    var out: [UInt8] = []
    func frame(_ messages: Int) {
      out.removeAll(keepingCapacity: true)
      var writer = FrameWriter(kind: .peer)
      writer.begin(route, into: &out)
      for _ in 0..<messages {
        writer.append(message, epoch: Epoch(1), payload: bytes.span.bytes, into: &out)
      }
      writer.finish(into: &out)
    }
    for batch in [1, 64] {
      let encode = nanoseconds(256_000) { count in
        for _ in 0..<count / batch { frame(batch) }
      }
      let decode = nanoseconds(256_000) { count in
        for _ in 0..<count / batch { decodeFrame(out) }
      }
      let what = "\(name), frames of \(batch)"
      figures.append(Figure(.codec, "encode \(what)", encode, "ns/message"))
      figures.append(Figure(.codec, "decode \(what)", decode, "ns/message"))
    }
  }
  return figures
}

private func decodeFrame(_ bytes: [UInt8]) {
  do {
    guard case .frame(let header, let body) = try FrameParser().next(in: bytes.span.bytes) else {
      preconditionFailure("a whole frame was written")
    }
    var messages = FrameMessages(header, body: body)
    while let message = try messages.next(in: bytes.span.bytes, placing: .inPlace(origin: 0)) {
      sink &+= UInt64(message.payload.upperBound)
    }
  } catch {
    preconditionFailure("what was encoded is decoded: \(error)")
  }
}

private func measureJournal() -> [Figure] {
  let records = 64_000
  var out: [UInt8] = []
  func write(_ count: Int, flushEvery group: Int) {
    out.removeAll(keepingCapacity: true)
    var writer = JournalWriter(identity: identity, after: .fresh)
    let span = ConfigurationSpan(epoch: Epoch(1))
    sink &+= writer.beginSegment(under: span, into: &out)
    for i in 0..<count {
      writer.append(
        JournalRecord(
          .accepted(Slot(UInt64(i + 1)), Ballot(round: 7, proposer: ReplicaID(1)), value),
          epoch: span.epoch),
        payload: payload.span.bytes, into: &out)
      if i % group == group - 1 {
        writer.padToBlock(into: &out)
        sink &+= UInt64(writer.flushed(writer.flush()).rawValue)
      }
    }
  }
  var figures: [Figure] = []
  for group in [1, 64] {
    let name = "journal, \(group) a flush"
    let append = nanoseconds(records) { write($0, flushEvery: group) }
    figures.append(Figure(.codec, "\(name): append", append, "ns/record"))
    write(records, flushEvery: group)
    let recover = nanoseconds(records, passes: 3) { _ in recoverJournal(out) }
    figures.append(Figure(.codec, "\(name): recover", recover, "ns/record"))
  }
  return figures
}

private func recoverJournal(_ bytes: [UInt8]) {
  bytes.withUnsafeBytes { buffer in
    do {
      let recovered = try JournalRecovery.recover(
        [JournalSegment(number: 1, bytes: buffer)], identity: identity, snapshot: .none
      ) { UInt64($0.offset) }
      sink &+= UInt64(recovered.durable.entries.count)
    } catch {
      preconditionFailure("what was written is recovered: \(error)")
    }
  }
}

private func measureChecksum() -> [Figure] {
  [64, 512, 65_536].map { size in
    let bytes = [UInt8](repeating: 0xA5, count: size)
    let rounds = 64_000_000 / size
    let each = nanoseconds(rounds, passes: 5) { count in
      for _ in 0..<count { sink &+= UInt64(CRC32C.checksum(bytes, seed: UInt32(size))) }
    }
    return Figure(.codec, "CRC32C over \(size) bytes", Double(size) / each, "bytes/ns")
  }
}
