import Logging
import Protocol

/// What the host carries between application and replica, and what it has told operators.
struct DigestDesk {
  /// What the replica was told last.
  var told = DigestStanding.none
  /// Reports that the leader's replica wants in the log.
  var reports: [DigestReport] = []
  /// How often in a row this replica's states had diverged before this one.
  var divergences = 0
  /// How many slots without a possible majority the log was told of.
  var splits: UInt64 = 0
}

// The state's digest on its way into the log, and the end of a state that has diverged.
extension ReplicaHost {
  /// So many states in a row may be thrown away. What makes a replica diverge so often is not repaired by peers.
  static let divergencesMax = 3

  /// Before anything is restored: how often this replica had diverged lately, and the watch over its states to come.
  static func watchDigests(
    _ configuration: NodeConfiguration, _ application: any ApplicationHosting
  ) throws -> DigestDesk {
    var desk = DigestDesk()
    desk.divergences = try DivergenceNote.read(in: configuration.dataDirectory)
    guard desk.divergences < divergencesMax else {
      throw HostFailure.divergesAgain(
        times: desk.divergences, note: DivergenceNote.file.path(configuration.dataDirectory))
    }
    application.watch(
      DigestWatch(
        period: UInt64(configuration.options.digestPeriod), own: configuration.replica,
        isRepairing: desk.divergences > 0))
    return desk
  }

  /// The end of a turn: nothing that was taken in waits for its place in the log buffer.
  func carryDigests() {
    guard configuration.options.digestPeriod > 0 else { return }
    while failure == nil {
      let standing = application.digestStanding
      if standing != digests.told {
        digests.told = standing
        step(.digestsChanged(standing))
        reportDigests()
        continue
      }
      guard let report = digests.reports.first else { return }
      var bytes: [UInt8] = []
      report.encode(into: &bytes)
      guard let position = bytes.withUnsafeBytes({ log.append($0) }) else {
        lacksMemory = true
        return
      }
      digests.reports.removeFirst()
      step(.reportEntered(report.reference(to: bytes.span.bytes, position: position)))
    }
  }

  private func reportDigests() {
    let watch = application.digestWatch
    if watch.splits > digests.splits {
      digests.splits = watch.splits
      logger.warning(
        "no majority of the members is in the same state; nobody knows whose is right",
        metadata: ["slots": "\(watch.splits)"])
    }
    guard digests.divergences > 0, !watch.isRepairing else { return }
    digests.divergences = 0
    DivergenceNote.file.remove(in: configuration.dataDirectory)
    logger.notice(
      "repaired: the state is the majority's again", metadata: ["slot": "\(watch.vouchedUpTo)"])
  }

  /// Nothing leaves this process any more. Its snapshots go for good, as if they were damaged, and the next start is one from
  /// the log, or that of a suspect.
  func diverged(_ divergence: Divergence) {
    let times = digests.divergences + 1
    // A snapshot of this state may be on its way to its name.
    worker.finish()
    do throws(SystemError) {
      try DivergenceNote.write(times, in: configuration.dataDirectory)
      try snapshots.discard()
    } catch {
      return fail(.snapshot(error))
    }
    fail(.diverged(divergence, times: times))
  }
}
