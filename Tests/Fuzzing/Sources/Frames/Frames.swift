import Protocol

/// Any bytes give frames or an error; any part of the bytes asks for more or gives the same.
///
/// The first byte says whether magic, lengths and checksums are made right first: nothing random has a right checksum, so
/// without that only the outer door would be tried.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  guard let data, size > 0 else { return 0 }
  var bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: size - 1))
  if data[0] & 1 != 0 { repair(&bytes, withLength: data[0] & 2 != 0) }
  let parser = FrameParser(lengthMax: 1 << 16)
  var offset = 0
  while let parse = try? parser.next(in: bytes.span.bytes, from: offset) {
    switch parse {
    case .needsMore(let total):
      precondition(total > bytes.count - offset && total <= parser.lengthMax, "an endless wait")
      return 0
    case .frame(let header, let body):
      precondition(body.lowerBound >= offset + FrameHeader.length && body.upperBound <= bytes.count)
      checkPrefix(parser, bytes, offset..<body.upperBound, cut: Int(data[0]))
      walk(header, body, bytes)
      offset = body.upperBound
    }
  }
  return 0
}

/// A cut frame is never taken for a whole one, nor for a bad one.
private func checkPrefix(_ parser: FrameParser, _ bytes: [UInt8], _ frame: Range<Int>, cut: Int) {
  let length = cut * frame.count / 256
  let part = Array(bytes[frame.lowerBound..<frame.lowerBound + length])
  guard case .needsMore = try? parser.next(in: part.span.bytes) else {
    fatalError("a part of a frame is not a part of a frame")
  }
}

private func walk(_ header: FrameHeader, _ body: Range<Int>, _ bytes: [UInt8]) {
  switch header.kind {
  case .peer:
    var messages = FrameMessages(header, body: body)
    var count: UInt32 = 0
    while let message = try? messages.next(in: bytes.span.bytes, placing: .at(0)) {
      precondition(message.payload.upperBound <= body.upperBound, "a payload outside its frame")
      count += 1
    }
    precondition(count <= header.count, "more messages than announced")
  case .hello:
    if let hello = try? Hello(body: body, of: bytes.span.bytes) {
      var again: [UInt8] = []
      hello.encode(into: &again)
      precondition(again.elementsEqual(bytes[body]), "not canonical")
    }
  case .notice:
    if let notice = try? HostNotice(body: body, of: bytes.span.bytes) {
      var again: [UInt8] = []
      notice.encode(into: &again)
      precondition(again.elementsEqual(bytes[body]), "not canonical")
    }
  case .client:
    var messages = ClientMessages(header, body: body)
    var count: UInt32 = 0
    var end = body.lowerBound
    while let message = try? messages.next(in: bytes.span.bytes) {
      precondition(message.lowerBound == (end + 7) & ~7 + 8, "messages that are not back to back")
      precondition(message.count >= 8 && message.upperBound <= body.upperBound, "outside its frame")
      _ = try? ClientMessage(bytes.span.bytes.extracting(message))
      end = message.upperBound
      count += 1
    }
    precondition(count <= header.count, "more messages than announced")
  }
}

private func repair(_ bytes: inout [UInt8], withLength: Bool) {
  var offset = 0
  while bytes.count - offset >= FrameHeader.length {
    func store(_ value: UInt32, _ at: Int) {
      for i in 0..<4 { bytes[offset + at + i] = UInt8(truncatingIfNeeded: value >> UInt32(8 * i)) }
    }
    func load(_ at: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[offset + at + $1]) << UInt32(8 * $1) }
    }
    store(0x464C_5352, 0)
    bytes[offset + 4] = FrameHeader.version
    bytes[offset + 6] = UInt8(FrameHeader.length)
    bytes[offset + 7] = 0
    store(0, 12)
    if withLength { store(UInt32(bytes.count - offset), 8) }
    let total = Int(load(8))
    if total >= FrameHeader.length, total <= bytes.count - offset {
      store(CRC32C.checksum(Array(bytes[offset + FrameHeader.length..<offset + total])), 48)
    }
    store(CRC32C.checksum(Array(bytes[offset..<offset + 52])), 52)
    guard total >= FrameHeader.length else { return }
    offset += min(total, bytes.count - offset)
  }
}
