import Protocol

/// Any bytes give a client message, a command or a batch, or an error; what is accepted lies within the bytes, and a
/// batch that is accepted is the one its value names.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: data, count: size).bytes
  if let message = try? ClientMessage(bytes), case .request(let command) = message {
    precondition(command.upperBound <= size, "a command outside its message")
    _ = try? CommandRef(verifying: bytes.extracting(command), position: 0)
  }
  if let value = try? Value(of: bytes, position: 0) {
    precondition(Int(value.bytes.length) == size && (value.count == 0) == (size == 0))
    precondition((try? value.verify(bytes)) != nil, "a batch that is not itself")
  }
  return 0
}
