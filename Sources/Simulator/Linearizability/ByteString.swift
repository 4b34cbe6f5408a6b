/// Text compared byte by byte.
///
/// `String` considers canonically equivalent spellings equal, which would let a store return other
/// bytes than it was given and still pass.
public struct ByteString: Equatable, Comparable, Sendable, ExpressibleByStringLiteral,
  CustomStringConvertible
{
  public var bytes: [UInt8]

  public init(_ bytes: [UInt8] = []) { self.bytes = bytes }
  public init(_ text: String) { bytes = [UInt8](text.utf8) }
  public init(stringLiteral text: String) { self.init(text) }

  public static func < (a: Self, b: Self) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }

  public static func + (a: Self, b: Self) -> Self { Self(a.bytes + b.bytes) }

  /// Quoted; what is not UTF-8 shows as replacement characters.
  public var description: String { "\"\(String(decoding: bytes, as: UTF8.self))\"" }
}
