// Segments at rest, looked at one by one while their replica runs: by recovery's own code, with what only a running host knows,
// namely how much of each had been durable.

/// Where the log leaves a segment that is no longer written to.
public enum SegmentEnd: Hashable, Sendable {
  /// In bytes from its beginning.
  case at(Int)
  /// A crash has made it void: nothing in it is part of the log.
  case void
  /// The header that says so is lost.
  case lost
}

/// Where the log leaves every segment below the last one that has a whole header.
///
/// Found from the last header backwards, as recovery finds it: what a crash has made void may have a header as well, and that
/// says where it went on from.
public struct SegmentEnds: Sendable {
  /// What the log goes on from, the last first.
  private var marks: [JournalMark] = []
  private var last: UInt64 = 0

  /// - Parameter headers: of all segments whose headers are whole, in order of their numbers.
  public init(_ headers: [SegmentHeader]) {
    last = headers.last?.number ?? 0
    var wanted = last
    for header in headers.reversed() where header.number <= wanted {
      // A header that is lost, or in the wrong place, says nothing about those below.
      guard header.number == wanted, header.continued.mark.segment < wanted else { return }
      marks.append(header.continued.mark)
      wanted = header.continued.mark.segment
    }
  }

  public subscript(segment: UInt64) -> SegmentEnd {
    guard segment < last, let mark = marks.first(where: { $0.segment <= segment }) else {
      return .lost
    }
    return mark.segment == segment ? .at(Int(mark.offset)) : .void
  }
}

extension JournalRecovery {
  /// What is damaged in a segment all of which had been durable up to `end`, in bytes; empty when a recovery would read
  /// everything there. Damage before a cure is none, as for recovery.
  public static func damages(
    in segment: JournalSegment, upTo end: Int, identity: JournalIdentity
  ) -> [JournalDamage] {
    do throws(JournalDamage) {
      return try JournalRecovery([segment], identity).damages(upTo: end)
    } catch {
      return [error]
    }
  }

  private func damages(upTo end: Int) throws(JournalDamage) -> [JournalDamage] {
    guard let header = headers[0] else { return unreadable + [damage(0, 0, .header(flaws[0]))] }
    // No slot is above this snapshot: which votes may be lost is not asked, only whether any record is.
    let everything = SnapshotInfo(slot: .last, length: 0, digest: 0)
    var fold = JournalFold(segments, everything)
    try fold.begin(header.header, checksum: header.checksum, 0, isFirst: true)
    let isThrough = try read(
      Live(index: 0, end: end, isDurable: true), hasNext: false, into: &fold)
    let last = fold.end.mark
    var found = fold.finish().damages.filter { $0.what != .notCured }
    if !isThrough, found.isEmpty {
      // The records end before the log does, and behind them is nothing that could be one.
      found = [damage(0, Int(last.offset), .record(.truncated))]
    }
    return unreadable + found
  }
}
