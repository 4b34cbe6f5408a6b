// What the log holds of a command, little endian:
//
//   verb u8, form u8, time u48, then count, ends, bytes
//
// `form` is 0 where `count` and every end are u16, 1 where they are u32. An end says where the argument ends in the bytes
// that follow the ends, so an argument is found without looking at the ones before it. The command's name is not among
// the arguments: the verb stands for it. `time` is what the gateway's wall clock showed, in milliseconds since 1970.
//
// A transaction is verb 3, and its arguments are encoded commands, whose own times mean nothing.

/// Encodes commands as the state machine takes them.
public enum CommandCoding {
  /// Appends a command whose arguments lie in `bytes` at `arguments`.
  public static func encode(
    _ verb: Verb, time: UInt64, arguments: ArraySlice<Range<Int>>,
    of bytes: UnsafeRawBufferPointer, into out: inout [UInt8]
  ) {
    var total = 0
    for argument in arguments { total += argument.count }
    encode(verb, time, count: arguments.count, total: total, into: &out) { writer in
      for argument in arguments {
        writer.put(argument: UnsafeRawBufferPointer(rebasing: bytes[argument]))
      }
    }
  }

  /// Appends a command with these arguments.
  public static func encode(
    _ verb: Verb, time: UInt64, arguments: [[UInt8]], into out: inout [UInt8]
  ) {
    let total = arguments.reduce(0) { $0 + $1.count }
    encode(verb, time, count: arguments.count, total: total, into: &out) { writer in
      for argument in arguments { argument.withUnsafeBytes { writer.put(argument: $0) } }
    }
  }

  /// Appends a transaction of these encoded commands.
  public static func encodeTransaction(
    time: UInt64, commands: [[UInt8]], into out: inout [UInt8]
  ) {
    encode(.exec, time: time, arguments: commands, into: &out)
  }

  private static func encode(
    _ verb: Verb, _ time: UInt64, count: Int, total: Int, into out: inout [UInt8],
    _ body: (inout ArgumentWriter) -> Void
  ) {
    precondition(total <= UInt32.max && count <= UInt32.max, "a command is shorter than 4 GiB")
    let isWide = total > UInt16.max || count > UInt16.max
    let width = isWide ? 4 : 2
    // 48 bits of milliseconds last until the year 10889.
    let stamp = min(time, 1 << 48 - 1)
    let head = UInt64(verb.rawValue) | (isWide ? 1 << 8 : 0) | stamp << 16
    let length = 8 + width + count * width + total
    out.append(addingCapacity: length) { (span: inout OutputSpan<UInt8>) in
      span.withUnsafeMutableBufferPointer { buffer, initialized in
        let place = UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[initialized..<initialized + length])
        place.storeBytes(of: head.littleEndian, toByteOffset: 0, as: UInt64.self)
        var writer = ArgumentWriter(
          UnsafeMutableRawBufferPointer(rebasing: place[8...]), count: count, isWide: isWide)
        body(&writer)
        precondition(writer.isComplete, "fewer arguments than announced")
        initialized += length
      }
    }
  }
}

/// Writes count, ends and bytes of the arguments into memory of exactly their length.
private struct ArgumentWriter {
  private let bytes: UnsafeMutableRawBufferPointer
  private let isWide: Bool
  private let first: Int
  private var end = 0
  private var index = 1
  private let count: Int

  init(_ bytes: UnsafeMutableRawBufferPointer, count: Int, isWide: Bool) {
    self.bytes = bytes
    self.isWide = isWide
    self.count = count
    first = (count + 1) * (isWide ? 4 : 2)
    put(count, at: 0)
  }

  var isComplete: Bool { index == count + 1 && first + end == bytes.count }

  @inline(__always)
  mutating func put(argument: UnsafeRawBufferPointer) {
    precondition(bytes.count - first - end >= argument.count, "longer than announced")
    UnsafeMutableRawBufferPointer(rebasing: bytes[(first + end)...]).copyMemory(from: argument)
    end += argument.count
    put(end, at: index)
    index += 1
  }

  @inline(__always)
  private func put(_ value: Int, at index: Int) {
    if isWide {
      let word = UInt32(truncatingIfNeeded: value).littleEndian
      bytes.storeBytes(of: word, toByteOffset: 4 * index, as: UInt32.self)
    } else {
      let word = UInt16(truncatingIfNeeded: value).littleEndian
      bytes.storeBytes(of: word, toByteOffset: 2 * index, as: UInt16.self)
    }
  }
}

/// A decoded command. Borrows the bytes: valid only inside the call they were handed to.
struct Request {
  var verb: Verb
  var time: UInt64
  var arguments: Arguments

  /// Total: nil for bytes that are no command.
  init?(_ bytes: ByteView) {
    guard bytes.count >= 8, bytes.count <= KeyValueStore.stringMax else { return nil }
    let head = bytes.word(at: 0)
    guard let verb = Verb(rawValue: UInt8(truncatingIfNeeded: head)),
      let arguments = Arguments(
        ByteView(rebasing: bytes[8...]), form: UInt8(truncatingIfNeeded: head >> 8))
    else { return nil }
    self.verb = verb
    time = head >> 16
    self.arguments = arguments
  }
}

/// The arguments of a command, without its name.
struct Arguments {
  let count: Int
  private let ends: ByteView
  private let bytes: ByteView
  private let isWide: Bool

  fileprivate init?(_ encoded: ByteView, form: UInt8) {
    guard form <= 1 else { return nil }
    isWide = form == 1
    let width = isWide ? 4 : 2
    guard encoded.count >= width else { return nil }
    count = Self.number(encoded, 0, isWide)
    guard (encoded.count - width) / width >= count else { return nil }
    ends = ByteView(rebasing: encoded[width..<width + count * width])
    bytes = ByteView(rebasing: encoded[(width + count * width)...])
    var last = 0
    for i in 0..<count {
      let end = Self.number(ends, i, isWide)
      guard end >= last, end <= bytes.count else { return nil }
      last = end
    }
    guard last == bytes.count else { return nil }
  }

  /// All arguments together, and what their lengths take in a snapshot at most.
  var byteCount: Int { bytes.count + 5 * count }

  subscript(index: Int) -> ByteView {
    precondition(index >= 0 && index < count, "no such argument")
    let begin = index == 0 ? 0 : Self.number(ends, index &- 1, isWide)
    return ByteView(rebasing: bytes[begin..<Self.number(ends, index, isWide)])
  }

  @inline(__always)
  private static func number(_ bytes: ByteView, _ index: Int, _ isWide: Bool) -> Int {
    isWide
      ? Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 &* index, as: UInt32.self)))
      : Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 &* index, as: UInt16.self)))
  }
}
