import Logging
import Protocol

/// What a host has read of its files at rest since it started, and what came of it.
public struct ScrubCounters: Hashable, Sendable {
  public internal(set) var bytesRead: UInt64 = 0
  /// Everything was read so often.
  public internal(set) var passes: UInt64 = 0
  /// Files that were found damaged, and those of them that are repaired.
  public internal(set) var damagesFound: UInt64 = 0
  public internal(set) var damagesRepaired: UInt64 = 0
  /// Snapshots that were given up because what was read back was not what had been written.
  public internal(set) var misreads: UInt64 = 0
}

/// What a host knows of its files at rest.
struct ScrubWatch {
  var counters = ScrubCounters()
  var pass: ScrubPass?
  /// A slice is being read.
  var isReading = false
  /// When the next pass begins; nil until the first look at the clock.
  var nextPass: Instant?
  /// How much may be read now, in bytes; below zero when more was read than that.
  var allowance = 0

  /// Segments that are damaged, and how.
  var segments: [UInt64: JournalDamage] = [:]
  /// What is wrong with the current snapshot, and which that is.
  var snapshot: (slot: Slot, problem: String)?
  /// Another one is being written in its place.
  var isRewriting = false

  /// The longest slice, in bytes: more is not saved up while nothing is read.
  static let sliceMax = 1 << 20
}

// Damage to files at rest. Everything that is damaged here is in memory: what was applied in the application, votes above it in
// the replica. So a new snapshot takes the place of a damaged one, and of every segment that speaks of nothing above it.
extension ReplicaHost {
  /// Reads on where it is time, and repairs what was found. Called now and then.
  func scrubOn() {
    repairFiles()
    guard configuration.scrub.isEnabled, stopping == nil else { return }
    let rate = configuration.scrub.bytesPerSecond
    let share = rate / Int(TimeSpan.seconds(1).nanoseconds / Self.housekeepingInterval.nanoseconds)
    scrub.allowance = min(scrub.allowance + max(share, 1), max(share, ScrubWatch.sliceMax))
    // All of it was read at the start.
    guard let nextPass = scrub.nextPass else {
      scrub.nextPass = now + configuration.scrub.period
      return
    }
    if scrub.pass == nil, now >= nextPass {
      scrub.nextPass = now + configuration.scrub.period
      scrub.allowance = max(share, 1)
      scrub.pass = ScrubPass(
        .init(
          directory: configuration.dataDirectory, identity: identity,
          segments: journal.segmentNumbers, durable: journal.durable, snapshot: snapshots.current),
        snapshots.reader)
    }
    guard let pass = scrub.pass, !scrub.isReading, scrub.allowance > 0 else { return }
    scrub.isReading = true
    let (mailbox, count) = (mailbox, scrub.allowance)
    scrubber.run { mailbox.post(.scrubbed(pass.read(count))) }
  }

  func scrubbed(_ report: ScrubPass.Report) {
    scrub.isReading = false
    scrub.allowance -= report.bytesRead
    scrub.counters.bytesRead &+= UInt64(report.bytesRead)
    found(report.findings)
    guard report.isThrough else { return }
    scrub.pass = nil
    scrub.counters.passes &+= 1
    logger.debug("scrubbed", metadata: ["passes": "\(scrub.counters.passes)"])
  }

  /// Notes what is damaged; it is repaired when the house is kept next, outside any step. What was replaced while it was being
  /// read is nobody's any more.
  func found(_ findings: [ScrubPass.Finding]) {
    for finding in findings {
      switch finding {
      case .segment(let damage):
        guard journal.segmentNumbers.contains(damage.segment) else { continue }
        guard scrub.segments.updateValue(damage, forKey: damage.segment) == nil else { continue }
        report("journal \(damage)")
      case .snapshot(let info, let problem):
        guard info == snapshots.current, scrub.snapshot?.slot != info.slot else { continue }
        scrub.snapshot = (info.slot, problem)
        report("snapshot \(info.slot): \(problem)")
      }
    }
  }

  private func report(_ damage: String) {
    scrub.counters.damagesFound &+= 1
    logger.error(
      "damaged at rest, it is being repaired",
      metadata: ["damage": "\(damage)", "directory": "\(configuration.dataDirectory)"])
  }

  private func repaired(_ what: String) {
    scrub.counters.damagesRepaired &+= 1
    logger.notice("repaired", metadata: ["damage": "\(what)"])
  }

  // MARK: Repair

  private func repairFiles() {
    guard scrub.snapshot != nil || !scrub.segments.isEmpty, failure == nil else { return }
    repairSnapshot()
    for number in scrub.segments.keys.sorted() where failure == nil { repairSegment(number) }
  }

  private func repairSnapshot() {
    guard let (slot, _) = scrub.snapshot else { return }
    guard snapshots.current.slot == slot else {
      (scrub.snapshot, scrub.isRewriting) = (nil, false)
      return repaired("snapshot \(slot)")
    }
    // The one under way, or the retry of one that was given up, will do.
    guard !scrub.isRewriting, room.untaken == nil else { return }
    if application.appliedUpTo > slot { return step(.snapshotRequested) }
    scrub.isRewriting = true
    snapshots.take(application.snapshot())
  }

  private func repairSegment(_ number: UInt64) {
    guard let highest = journal.highestSlot(upTo: number) else {
      scrub.segments[number] = nil
      return repaired("journal segment \(number)")
    }
    if journal.mayLeaveSegment {
      do throws(SystemError) { try journal.leave(number, log) } catch {
        return fail(.journal(error))
      }
    }
    let covered = snapshots.current.slot
    if covered >= highest, scrub.snapshot == nil {
      // Not only what the replica truncates: what it keeps for peers it keeps in memory.
      journal.drop(upTo: covered)
    } else if application.appliedUpTo > covered, room.untaken == nil {
      step(.snapshotRequested)
    }
  }

  /// A snapshot is durable: the replica's, or one that takes the place of a damaged file.
  func snapshotTaken(_ info: SnapshotInfo) {
    if room.untaken != nil { snapshotSucceeded() }
    guard info.slot == snapshots.current.slot, scrub.snapshot?.slot == info.slot else {
      return step(.snapshotTaken(info))
    }
    scrub.isRewriting = false
    do throws(SystemError) { try snapshots.adopt(info) } catch { return fail(.snapshot(error)) }
    scrub.snapshot = nil
    repaired("snapshot \(info.slot)")
  }

  // MARK: In words

  /// What is damaged and what its repair waits for; nil when nothing is known to be.
  var damageAtRest: String? {
    let places =
      scrub.segments.sorted { $0.key < $1.key }.map { "journal \($0.value)" }
      + (scrub.snapshot.map { ["snapshot \($0.slot): \($0.problem)"] } ?? [])
    guard let first = places.first else { return misread }
    let more = places.count > 1 ? " and \(places.count - 1) more" : ""
    let highest = scrub.segments.keys.max().flatMap { journal.highestSlot(upTo: $0) } ?? .zero
    let waits =
      application.appliedUpTo < highest
      ? "waits until slot \(highest) is chosen and applied" : "waits for a new snapshot"
    return "\(first)\(more); \(waits)"
  }

  private var misread: String? {
    guard let setback = room.untaken ?? room.unstored, setback.shortage == nil else { return nil }
    return "\(setback)"
  }
}
