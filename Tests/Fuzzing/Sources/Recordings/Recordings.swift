import Protocol

/// Any bytes are a recording, whose steps can be written and read again, or an error. Once as they are, and once with good
/// checksums, so that what is behind them is reached.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  read(bytes)
  var sealed = withoutTail(bytes)
  var sealer = RecordingSealer()
  sealer.seal(&sealed)
  read(sealed)
  // A good beginning, and the input as its only chunk of steps.
  var whole = beginning
  whole.append(contentsOf: chunk(bytes))
  sealer = RecordingSealer()
  sealer.seal(&whole)
  read(whole)
  return 0
}

private let fresh: Replica = {
  guard
    let configuration = try? Configuration(voters: (1...3).map { Member(id: ReplicaID($0)) }),
    let replica = try? Replica(
      id: ReplicaID(1), configuration: configuration, options: ReplicaOptions(), seed: 1)
  else { preconditionFailure("three voters are a configuration") }
  return replica
}()

/// Header and checkpoint of a fresh replica.
private let beginning: [UInt8] = {
  var writer = RecordingWriter(identity: identity)
  var bytes: [UInt8] = []
  writer.beginFile(fresh, into: &bytes)
  return bytes
}()

private let identity = JournalIdentity(
  cluster: ClusterID(1), ring: RingID(0), replica: ReplicaID(1), incarnation: Incarnation(1))

/// The first byte says how many steps there are to be.
private func chunk(_ bytes: [UInt8]) -> [UInt8] {
  let steps = UInt32(bytes.first ?? 0)
  let payload = bytes.dropFirst()
  var chunk = Array("RSLR".utf8) + [1, 3, 0, 0]
  for word in [UInt32(payload.count), steps, 0, 0, 0, 0] {
    withUnsafeBytes(of: word.littleEndian) { chunk.append(contentsOf: $0) }
  }
  return chunk + payload
}

/// As many whole chunks as the bytes begin with, by their lengths alone.
private func withoutTail(_ bytes: [UInt8]) -> [UInt8] {
  var end = 0
  while bytes.count - end >= 32 {
    let length = (0..<4).reduce(0) { $0 | Int(bytes[end + 8 + $1]) << (8 * $1) }
    guard length <= bytes.count - end - 32 else { break }
    end += 32 + length
  }
  return Array(bytes[..<end])
}

private func read(_ bytes: [UInt8]) {
  guard var reader = try? RecordingReader(bytes) else { return }
  // A window of any size can be asked for; memory is not what this is about.
  if reader.header.options.logSlots <= 1 << 14 { _ = try? reader.replica() }
  var effects = EffectBuffer()
  while let step = try? reader.next(into: &effects) {
    precondition(step.number >= reader.header.firstStep)
    check(step, effects)
  }
}

/// A step that could be read is written, and read the same.
private func check(_ step: RecordedStep, _ effects: EffectBuffer) {
  var writer = RecordingWriter(identity: identity)
  var bytes: [UInt8] = []
  writer.beginFile(fresh, into: &bytes)
  writer.note(step.event, now: step.now, effects, into: &bytes)
  writer.endFile(.closed, into: &bytes)
  var sealer = RecordingSealer()
  sealer.seal(&bytes)
  var again = EffectBuffer()
  guard var reader = try? RecordingReader(bytes), let same = try? reader.next(into: &again) else {
    preconditionFailure("what was written cannot be read")
  }
  precondition(same.event == step.event && same.now == step.now, "another event")
  precondition(again.all == effects.all, "other effects")
}
