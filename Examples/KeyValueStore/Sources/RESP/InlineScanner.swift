/// The words of an inline command: `"…"` with `\n \r \t \b \a \xHH` and `\` before anything else, `'…'` with `\'` alone.
struct InlineScanner {
  private let line: UnsafeRawBufferPointer
  private var offset = 0

  init(_ line: UnsafeRawBufferPointer) { self.line = line }

  /// Passes over white space; false at the end of the line.
  mutating func skipSpace() -> Bool {
    while offset < line.count, Self.isSpace(line[offset]) { offset += 1 }
    return offset < line.count
  }

  /// Appends the next word; false when a quote is not closed, or is followed by something else than space.
  mutating func word(into bytes: inout [UInt8]) -> Bool {
    while offset < line.count {
      let byte = line[offset]
      offset += 1
      switch byte {
      case UInt8(ascii: "\""):
        return doubleQuoted(into: &bytes) && isAtBoundary
      case UInt8(ascii: "'"):
        return singleQuoted(into: &bytes) && isAtBoundary
      case _ where Self.isSpace(byte), 0:
        return true
      default:
        bytes.append(byte)
      }
    }
    return true
  }

  private var isAtBoundary: Bool { offset == line.count || Self.isSpace(line[offset]) }

  private mutating func doubleQuoted(into bytes: inout [UInt8]) -> Bool {
    while offset < line.count {
      let byte = line[offset]
      offset += 1
      if byte == UInt8(ascii: "\"") { return true }
      guard byte == UInt8(ascii: "\\"), offset < line.count else {
        bytes.append(byte)
        continue
      }
      let escaped = line[offset]
      offset += 1
      switch escaped {
      case UInt8(ascii: "n"): bytes.append(10)
      case UInt8(ascii: "r"): bytes.append(13)
      case UInt8(ascii: "t"): bytes.append(9)
      case UInt8(ascii: "b"): bytes.append(8)
      case UInt8(ascii: "a"): bytes.append(7)
      case UInt8(ascii: "x"):
        if offset + 1 < line.count, let high = Self.hex(line[offset]),
          let low = Self.hex(line[offset + 1])
        {
          bytes.append(high << 4 | low)
          offset += 2
        } else {
          bytes.append(escaped)
        }
      default: bytes.append(escaped)
      }
    }
    return false
  }

  private mutating func singleQuoted(into bytes: inout [UInt8]) -> Bool {
    while offset < line.count {
      let byte = line[offset]
      offset += 1
      if byte == UInt8(ascii: "'") { return true }
      if byte == UInt8(ascii: "\\"), offset < line.count, line[offset] == UInt8(ascii: "'") {
        offset += 1
        bytes.append(UInt8(ascii: "'"))
      } else {
        bytes.append(byte)
      }
    }
    return false
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

  private static func hex(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 0x30
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 0x57
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 0x37
    default: nil
    }
  }
}
