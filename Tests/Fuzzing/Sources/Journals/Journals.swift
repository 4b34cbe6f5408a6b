import Protocol

private let identity = JournalIdentity(
  cluster: ClusterID(7), ring: RingID(1), replica: ReplicaID(2), incarnation: Incarnation(3))

/// Any segments give a state or a typed reason why not; the state is the same each time, in order, and points only at
/// bytes that exist. A journal can go on from whatever was recovered.
///
/// The first byte chooses how the rest is cut into segments and whether identities, checksums and chains are made right
/// first (layout: docs/wire-format.md), so that the fold is reached and not only the checksum.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  guard let data, size > 1 else { return 0 }
  let mode = data[0]
  let bytes = UnsafeBufferPointer(start: data + 1, count: size - 1)
  let count = Int(mode & 3)
  let first = UInt64(1 + (mode >> 2 & 1))
  var segments: [(number: UInt64, bytes: [UInt8])] = []
  var link: UInt32 = 0
  for i in 0..<count {
    var part = [UInt8](bytes[i * bytes.count / count..<(i + 1) * bytes.count / count])
    if mode & 8 != 0 { link = repair(&part, number: first + UInt64(i), link, all: mode & 16 != 0) }
    segments.append((first + UInt64(i), part))
  }
  let snapshot =
    mode & 32 != 0
    ? SnapshotInfo(slot: Slot(UInt64(bytes[0])), length: 1, digest: 1) : SnapshotInfo.none
  guard
    let recovered = try? JournalRecovery.recover(segments, identity: identity, snapshot: snapshot)
  else { return 0 }
  check(recovered, segments)
  let again = try? JournalRecovery.recover(segments, identity: identity, snapshot: snapshot)
  precondition(again == recovered, "recovery depends on something else")
  goOn(recovered, segments, snapshot)
  return 0
}

private func check(_ recovered: RecoveredJournal, _ segments: [(number: UInt64, bytes: [UInt8])]) {
  let configurations = recovered.durable.configurations
  for (before, after) in zip(configurations, configurations.dropFirst()) {
    precondition(before.lastSlot < after.firstSlot, "two configurations govern one slot")
  }
  var last = recovered.durable.snapshot.slot
  for entry in recovered.durable.entries {
    precondition(entry.slot > last, "entries out of order")
    last = entry.slot
    precondition(configurations.contains { $0.epoch == entry.epoch }, "an entry of no epoch")
    let bytes = entry.value.bytes
    guard bytes.length > 0 else { continue }
    let segment = segments.first { $0.number == bytes.position >> 32 }
    let end = Int(bytes.position & 0xFFFF_FFFF) + Int(bytes.length)
    precondition(end <= segment?.bytes.count ?? -1, "a value outside its segment")
    precondition(entry.ballot <= recovered.durable.promised, "a vote above the promise")
  }
}

/// What is written after a recovery is found by the next one, and nothing that was found is lost. A suspect's next life is a
/// suspect's: its header says so, whatever becomes of the bytes before.
private func goOn(
  _ recovered: RecoveredJournal, _ segments: [(number: UInt64, bytes: [UInt8])],
  _ snapshot: SnapshotInfo
) {
  // A promise at the top leaves nothing above it to promise.
  guard recovered.durable.promised.round < .max else { return }
  var writer = JournalWriter(identity: identity, after: recovered)
  var out: [UInt8] = []
  let span = recovered.durable.configurations.last ?? ConfigurationSpan(epoch: Epoch(1))
  let number = writer.beginSegment(under: span, into: &out)
  guard recovered.durable.doubt == nil else {
    let next = try? JournalRecovery.recover(
      segments + [(number, out)], identity: identity, snapshot: snapshot)
    precondition(next?.durable.doubt != nil, "a suspect became sound by starting again")
    precondition(next?.durable.promised == recovered.durable.promised, "a promise changed")
    return
  }
  let promise = recovered.durable.promised.successor(for: ReplicaID(2))
  let record = JournalRecord(.promised(promise), epoch: span.epoch)
  writer.append(record, payload: [UInt8]().span.bytes, into: &out)
  var expected = recovered.durable
  expected.begin(span)
  expected.apply(record)
  let next = try? JournalRecovery.recover(
    segments + [(number, out)], identity: identity, snapshot: snapshot)
  precondition(next?.durable == expected, "the life after recovery is another")
}

/// Makes the header right, and the records as far as they look like some. Returns the last link.
private func repair(_ bytes: inout [UInt8], number: UInt64, _ before: UInt32, all: Bool) -> UInt32 {
  guard bytes.count >= SegmentHeader.length else { return before }
  func store<T: FixedWidthInteger>(_ value: T, _ at: Int) {
    for i in 0..<T.bitWidth / 8 {
      bytes[at + i] = UInt8(truncatingIfNeeded: value >> T(8 * i))
    }
  }
  func load(_ at: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
  }
  func crc(_ range: Range<Int>, _ seed: UInt32 = 0) -> UInt32 {
    CRC32C.checksum(Array(bytes[range]), seed: seed)
  }
  store(UInt32(0x4A4C_5352), 0)
  store(UInt32(2), 4)
  store(identity.cluster.rawValue, 8)
  store(identity.ring.rawValue, 16)
  store(identity.replica.rawValue, 20)
  store(identity.incarnation.rawValue, 24)
  store(number, 32)
  if all {
    store(before, 68)
    // Few epochs and slots, so that segments agree now and then.
    let epoch = UInt64(bytes[112] & 1)
    store(epoch, 112)
    store(epoch * 8, 120)
    store(UInt64.max, 128)
    store(UInt64(bytes[136]) & epoch, 136)
  }
  store(crc(0..<156), 156)
  var stamp = SIMD4<UInt64>(
    identity.cluster.rawValue,
    UInt64(identity.ring.rawValue) << 32 | UInt64(identity.replica.rawValue),
    UInt64(identity.incarnation.rawValue), number)
  let seed = withUnsafeBytes(of: &stamp) { CRC32C.checksum($0) }
  var link = load(156)
  var sequence = UInt64(load(48)) | UInt64(load(52)) << 32
  var offset = SegmentHeader.length
  while offset + 48 <= bytes.count {
    let type = 1 + bytes[offset + 3] % 6
    let fields = [0, 16, 32, 24, 8, 24][Int(type) - 1]
    let limit = bytes.count - offset - 48
    guard limit >= fields else { break }
    store(UInt32(0x0002_4A52) | UInt32(type) << 24, offset)
    var length = Int(load(offset + 4)) % 64
    if type == 2 || type > 4 { length = fields }
    length = max(length, fields)
    guard length <= limit else { break }
    store(UInt32(length), offset + 4)
    sequence &+= 1
    if all {
      store(link, offset + 12)
      store(sequence, offset + 16)
      store(identity.ring.rawValue, offset + 24)
      store(UInt32(bytes[offset + 32] & 1), offset + 32)
      // Nearly always the segment's.
      if bytes[offset + 40] & 15 != 0 { for i in 0..<8 { bytes[offset + 40 + i] = bytes[112 + i] } }
    }
    let payload = offset + 48 + fields
    store(type == 1 ? 0 : crc(payload..<offset + 48 + length), offset + 28)
    store(crc(offset + 12..<payload, crc(offset..<offset + 8, seed)), offset + 8)
    link = load(offset + 8)
    offset += 48 + (length + 7) & ~7
  }
  return link
}
