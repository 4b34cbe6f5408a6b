/// The code of a Swift source file: comments and string literals blanked out, everything else in place.
///
/// Line and column numbers stay what they were, because every removed byte becomes a space and newlines
/// are kept. Code inside an interpolation is code. Bare regex literals are not recognised.
func codeOnly(_ source: String) -> String {
  var scanner = CodeScanner(source: Array(source.utf8))
  scanner.run()
  return String(decoding: scanner.output, as: UTF8.self)
}

private struct CodeScanner {
  /// What the scanner is inside of; interpolations nest code in strings and strings in code.
  enum Frame {
    case code(parentheses: Int)
    case string(hashes: Int, multiline: Bool)
  }

  let source: [UInt8]
  var output: [UInt8] = []
  var position = 0
  var frames: [Frame] = [.code(parentheses: 0)]

  init(source: [UInt8]) {
    self.source = source
    output.reserveCapacity(source.count)
  }

  mutating func run() {
    while position < source.count {
      switch frames[frames.count - 1] {
      case .code(let parentheses): scanCode(parentheses)
      case .string(let hashes, let multiline): scanString(hashes, multiline)
      }
    }
  }

  func at(_ text: StaticString, _ offset: Int) -> Bool {
    guard offset + text.utf8CodeUnitCount <= source.count else { return false }
    for i in 0..<text.utf8CodeUnitCount where source[offset + i] != text.utf8Start[i] {
      return false
    }
    return true
  }

  mutating func keep() {
    output.append(source[position])
    position += 1
  }

  mutating func blank(_ count: Int = 1) {
    for _ in 0..<count where position < source.count {
      output.append(source[position] == UInt8(ascii: "\n") ? source[position] : UInt8(ascii: " "))
      position += 1
    }
  }

  mutating func scanCode(_ parentheses: Int) {
    if at("//", position) {
      while position < source.count, source[position] != UInt8(ascii: "\n") { blank() }
    } else if at("/*", position) {
      skipBlockComment()
    } else if let (hashes, quotes) = openingQuote() {
      frames.append(.string(hashes: hashes, multiline: quotes == 3))
      blank(hashes + quotes)
    } else {
      let byte = source[position]
      let isInterpolation = frames.count > 1
      if byte == UInt8(ascii: "("), isInterpolation {
        frames[frames.count - 1] = .code(parentheses: parentheses + 1)
      } else if byte == UInt8(ascii: ")"), isInterpolation {
        if parentheses == 1 {
          frames.removeLast()
        } else {
          frames[frames.count - 1] = .code(parentheses: parentheses - 1)
        }
      }
      keep()
    }
  }

  mutating func skipBlockComment() {
    var depth = 0
    repeat {
      if at("/*", position) {
        depth += 1
        blank(2)
      } else if at("*/", position) {
        depth -= 1
        blank(2)
      } else {
        blank()
      }
    } while depth > 0 && position < source.count
  }

  /// The number of `#` and of quotes when a string literal begins here.
  func openingQuote() -> (hashes: Int, quotes: Int)? {
    var end = position
    while end < source.count, source[end] == UInt8(ascii: "#") { end += 1 }
    guard end < source.count, source[end] == UInt8(ascii: "\"") else { return nil }
    return (end - position, at("\"\"\"", end) ? 3 : 1)
  }

  func hashesFollow(_ count: Int, at offset: Int) -> Bool {
    guard offset + count <= source.count else { return false }
    return source[offset..<offset + count].allSatisfy { $0 == UInt8(ascii: "#") }
  }

  mutating func scanString(_ hashes: Int, _ multiline: Bool) {
    let byte = source[position]
    if byte == UInt8(ascii: "\\"), hashesFollow(hashes, at: position + 1) {
      blank(1 + hashes)
      if position < source.count, source[position] == UInt8(ascii: "(") {
        frames.append(.code(parentheses: 0))
      } else {
        blank()
      }
    } else if byte == UInt8(ascii: "\"") {
      let quotes = multiline ? 3 : 1
      let closes = !multiline || at("\"\"\"", position)
      if closes, hashesFollow(hashes, at: position + quotes) {
        blank(quotes + hashes)
        frames.removeLast()
      } else {
        blank()
      }
    } else if byte == UInt8(ascii: "\n"), !multiline {
      // An unterminated literal does not compile; do not let it swallow the rest of the file.
      frames.removeLast()
    } else {
      blank()
    }
  }
}
