/// The bytes of a reply that is kept for retries.
///
/// Most are a number or a word: those lie in place, so that keeping one allocates nothing and a table of them is copied in
/// one piece.
struct KeptBytes: Sendable {
  private var short: (UInt64, UInt64) = (0, 0)
  private var shortCount = 0
  /// Empty unless the bytes are too many for their place; then it holds all of them.
  private var long: [UInt8] = []

  static let shortMax = 16
  /// The memory of a buffer up to so many bytes waits for the next reply; larger ones would add up over all sessions.
  private static let capacityKept = 256

  init() {}

  init(_ bytes: RawSpan) {
    set(bytes)
  }

  var count: Int { long.isEmpty ? shortCount : long.count }

  /// Puts `bytes` in place of what was there.
  mutating func set(_ bytes: RawSpan) {
    removeAll()
    bytes.withUnsafeBytes { bytes in
      guard bytes.count <= Self.shortMax else { return long.append(contentsOf: bytes) }
      shortCount = bytes.count
      withUnsafeMutableBytes(of: &short) { $0.copyMemory(from: bytes) }
    }
  }

  @inline(__always)
  mutating func removeAll() {
    shortCount = 0
    if !long.isEmpty { long.removeAll(keepingCapacity: long.capacity <= Self.capacityKept) }
  }

  @inline(__always)
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    guard long.isEmpty else { return long.withUnsafeBytes(body) }
    return withUnsafeBytes(of: short) { body(UnsafeRawBufferPointer(rebasing: $0[..<shortCount])) }
  }
}
