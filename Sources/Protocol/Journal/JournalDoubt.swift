/// What a replica cannot know about itself, because records are lost that it had answered by. Such a replica is a suspect:
/// it neither promises nor votes until it is cured (`Suspicion`).
public struct JournalDoubt: Hashable, Sendable, CustomStringConvertible {
  /// It may have promised a ballot that no readable record or header is at or above.
  public var isPromiseLost: Bool
  /// It may have voted in any slot up to this one and not know of it; nil: in any slot at all.
  public var slotsUpTo: Slot?

  public init(isPromiseLost: Bool, slotsUpTo: Slot?) {
    self.isPromiseLost = isPromiseLost
    self.slotsUpTo = slotsUpTo
  }

  /// Any promise and any vote may be lost.
  public static let everything = JournalDoubt(isPromiseLost: true, slotsUpTo: nil)

  /// Votes up to this slot are not in hand either.
  mutating func includeVotes(upTo slot: Slot) {
    if let bound = slotsUpTo { slotsUpTo = max(bound, slot) }
  }

  public var description: String {
    let votes = slotsUpTo.map { "votes up to slot \($0) may be lost" } ?? "any vote may be lost"
    return isPromiseLost ? votes + ", and a promise" : votes
  }
}

/// What is wrong with a journal, and where. Thrown, nothing may be concluded from the journal; in a `RecoveredJournal`, what
/// is readable was read and the replica is a suspect.
public struct JournalDamage: Error, Hashable, Sendable, CustomStringConvertible {
  public enum What: Hashable, Sendable {
    /// Numbers that do not follow one another.
    case segmentMissing
    /// Nothing says where the log leaves this segment, so nobody can look for damage in it: a header behind it is lost.
    case endLost
    /// Bytes that were durable are not a header.
    case header(DecodeError.What)
    /// Bytes that were durable are not a record.
    case record(DecodeError.What)
    /// The record is whole, but its value is not.
    case value(Slot)
    /// A record that is whole, but not the next one.
    case outOfChain
    /// The journal of another replica, ring, cluster or life.
    case foreign(JournalIdentity)
    /// The segment calls itself by another number.
    case misplaced(UInt64)
    /// A record of a configuration that is not its segment's: nothing says which members it was given to.
    case unknownEpoch(Epoch, governing: ConfigurationSpan)
    /// A segment of a configuration that cannot follow the one before.
    case configurationOutOfOrder(ConfigurationSpan, after: ConfigurationSpan)
    /// A format this code does not read.
    case unsupportedVersion
    /// Slots up to here were recorded in segments that are gone, and the snapshot ends before.
    case slotsMissing(upTo: Slot, snapshot: Slot)
    /// A snapshot was recorded as durable, and the newest one found is older.
    case snapshotMissing(recorded: Slot, found: Slot)
    /// Damage that was found at an earlier start and is not repaired yet.
    case notCured
    /// So many bytes could not be read; the disk's answer, in words.
    case unreadable(bytes: Int, why: String)
  }

  public var segment: UInt64
  /// In bytes from the beginning of the segment.
  public var offset: Int
  public var what: What

  public init(segment: UInt64, offset: Int, what: What) {
    self.segment = segment
    self.offset = offset
    self.what = what
  }

  public var description: String { "segment \(segment), byte \(offset): \(reason)" }

  /// What it is, without the place.
  public var reason: String {
    guard case .unreadable(let bytes, let why) = what else { return "\(what)" }
    return "\(bytes) bytes cannot be read: \(why)"
  }
}
