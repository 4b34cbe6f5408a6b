/// What a key holds.
enum Value: Sendable {
  case string([UInt8])
  case list(Box<List>)
  case hash(Box<FieldMap>)
  case set(Box<FieldMap>)

  /// As TYPE names it.
  var typeName: StaticString {
    switch self {
    case .string: "string"
    case .list: "list"
    case .hash: "hash"
    case .set: "set"
    }
  }

  /// Differs, with high probability, when the contents differ.
  var digest: UInt64 {
    switch self {
    case .string(let bytes): ByteHash.mix(1, ByteHash.hash(bytes))
    case .list(let list):
      ByteHash.mix(2 | UInt64(list.value.count) << 8, list.value.digest)
    case .hash(let map): ByteHash.mix((map.value.isLarge ? 4 : 3), map.value.digest)
    case .set(let map): ByteHash.mix((map.value.isLarge ? 6 : 5), map.value.digest)
    }
  }
}

/// A value of its own on the heap, so that what holds it stays small. Copied before a change unless only one holds it.
final class Box<Content: Sendable>: @unchecked Sendable {
  // Sendable: `content` is changed only through `change`, which makes sure that nobody else refers to this box.
  private var content: Content
  var value: Content { content }

  init(_ content: Content) { self.content = content }

  /// Changes the content of `box`, in place when this is the only reference to it.
  static func change<R>(_ box: inout Box, _ body: (inout Content) -> R) -> R {
    if !isKnownUniquelyReferenced(&box) { box = Box(box.content) }
    return body(&box.content)
  }
}

/// A key's value, when it ends, and what both add to the store's digest.
struct Record: Sendable {
  static let never = UInt64.max

  var value: Value
  /// The first millisecond at which the key is no more.
  var expiry = Record.never
  /// What this record adds to the sum of all.
  var digest: UInt64 = 0

  init(_ value: Value, expiry: UInt64 = Record.never) {
    self.value = value
    self.expiry = expiry
  }

  func isLive(at now: UInt64) -> Bool { expiry > now }
}
