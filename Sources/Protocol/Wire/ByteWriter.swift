/// A cursor that fills bytes just appended to an array: the writing half of `ByteReader`.
///
/// A head of a dozen fields grows its array once (`extend`), and each field is then one bounds check and one store.
/// Borrows the memory: valid only inside the closure of `extend`.
package struct ByteWriter {
  private let bytes: UnsafeMutableRawBufferPointer
  /// Where the next field goes, in bytes.
  private var offset = 0

  fileprivate init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

  fileprivate var isAtEnd: Bool { offset == bytes.count }

  @inline(__always)
  package mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    precondition(bytes.count &- offset >= MemoryLayout<T>.size, "more fields than announced")
    bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    offset &+= MemoryLayout<T>.size
  }

  @inline(__always)
  package mutating func put(_ value: Bool) { put(UInt8(value ? 1 : 0)) }

  @inline(__always)
  package mutating func put(_ span: RawSpan) {
    precondition(bytes.count &- offset >= span.byteCount, "more fields than announced")
    span.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset &+ $0.count]).copyMemory(
        from: $0)
    }
    offset &+= span.byteCount
  }

  @inline(__always)
  package mutating func putZeroes(_ count: Int) {
    precondition(count >= 0 && bytes.count &- offset >= count, "more fields than announced")
    UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset &+ count])
      .initializeMemory(as: UInt8.self, repeating: 0)
    offset &+= count
  }
}

/// Writing: integers in little-endian order at the end of an array, or over bytes that are already there.
extension [UInt8] {
  /// Appends `count` bytes, all of which `body` must write.
  @inline(__always)
  package mutating func extend(by count: Int, _ body: (inout ByteWriter) -> Void) {
    append(addingCapacity: count) { (span: inout OutputSpan<UInt8>) in
      span.withUnsafeMutableBufferPointer { buffer, initialized in
        var writer = ByteWriter(
          UnsafeMutableRawBufferPointer(
            rebasing: UnsafeMutableRawBufferPointer(buffer)[initialized..<initialized + count]))
        body(&writer)
        precondition(writer.isAtEnd, "fewer fields than announced")
        initialized += count
      }
    }
  }

  @inline(__always)
  package mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    extend(by: MemoryLayout<T>.size) { $0.put(value) }
  }

  @inline(__always)
  package mutating func put(_ value: Bool) { append(value ? 1 : 0) }

  package mutating func putZeroes(_ count: Int) {
    if count > 0 { extend(by: count) { $0.putZeroes(count) } }
  }

  /// Overwrites the bytes at `offset`, which must exist: for lengths and checksums known only at the end.
  package mutating func set<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    precondition(offset >= 0 && offset + MemoryLayout<T>.size <= count, "no bytes to overwrite")
    withUnsafeMutableBytes {
      $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
  }
}
