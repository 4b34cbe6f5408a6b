/// The order in which a group of records becomes durable in persistent memory, all of it or nothing.
///
/// The first word is stored last, when everything behind it is durable: before, what lies there is no record, so a crash leaves no
/// part of the group in sight, and no checksum has to tell. (Unless the file was a segment before and its old bytes begin as the
/// group does: then the checksums of records do, which are each segment's own.) Two fences, however many records there are. Pure:
/// whoever has the memory performs the steps, in order and completely.
public struct GroupCommit: Hashable, Sendable {
  /// What is to be done next.
  public enum Step: Hashable, Sendable {
    /// Store these bytes of the group, as offsets from its beginning; in which order does not matter.
    case store(Range<Int>)
    /// Store the first word, in one piece.
    case publish
    /// Nothing more is stored until everything that was is durable.
    case fence
  }

  /// What memory makes durable in one piece, when it is aligned, in bytes.
  public static let wordLength = 8
  /// What is written back from a cache in one piece, and what a group in memory ends on, in bytes.
  public static let lineLength = 64

  private let length: Int
  private var taken = 0

  /// - Parameter length: of the group in bytes, which begins with a record or header and is longer than a word.
  public init(length: Int) {
    precondition(length > Self.wordLength, "a group begins with a head")
    self.length = length
  }

  /// The next step; nil when the group is durable.
  public mutating func next() -> Step? {
    taken += 1
    switch taken {
    case 1: return .store(Self.wordLength..<length)
    case 2: return .fence
    case 3: return .publish
    case 4: return .fence
    default: return nil
    }
  }
}
