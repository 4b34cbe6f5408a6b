import Protocol

/// Any bytes give messages that encode to those very bytes, or an error.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: data, count: size)
  var reader = ByteReader(bytes)
  while !reader.isAtEnd {
    let begin = reader.offset
    guard
      let decoded = try? MessageCodec.decode(
        &reader, from: ReplicaID(1), to: ReplicaID(2), placing: .inPlace(origin: 0))
    else { return 0 }
    let payload = UnsafeRawBufferPointer(rebasing: bytes[decoded.payload])
    var again: [UInt8] = []
    MessageCodec.encode(
      decoded.envelope.message, epoch: decoded.envelope.epoch, payload: payload.bytes, into: &again)
    precondition(again.elementsEqual(bytes[begin..<reader.offset]), "not canonical")
    let reference = decoded.envelope.message.payload
    precondition(reference.length == payload.count, "the handle and the payload differ")
    precondition(payload.isEmpty || reference.position == UInt64(decoded.payload.lowerBound))
  }
  return 0
}
