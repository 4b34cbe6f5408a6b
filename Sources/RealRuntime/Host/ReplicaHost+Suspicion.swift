import Logging
import Protocol

// A replica whose storage is damaged, in words: the log's and the operators'.
extension ReplicaHost {
  private static let suspicionInterval = TimeSpan.seconds(10)

  /// Why the replica does not vote and what it waits for; nil for a sound one.
  var suspicion: String? {
    guard let waits = replica.suspicionText else { return nil }
    let more = damages.count > 1 ? " and \(damages.count - 1) more" : ""
    let other =
      sightings.isSetBack
      ? "its disk was set back: peers had heard more of its journal"
      : "its log does not fit into log.bytes"
    let cause = damages.first.map { "journal \($0)\(more)" } ?? other
    return "\(cause); \(waits)"
  }

  /// At the start: what was found, whether it matters or not.
  func reportDamage() {
    for damage in damages {
      logger.warning(
        "damaged",
        metadata: ["journal": "\(damage)", "directory": "\(configuration.dataDirectory)"])
    }
    guard let doubt = replica.suspicion?.doubt else {
      damages = []
      return
    }
    logger.warning(
      "suspect: does not vote until it is repaired from its peers", metadata: ["doubt": "\(doubt)"])
  }

  /// Now and then what a suspect waits for, and once that it is cured.
  func reportSuspicion() {
    guard !damages.isEmpty || replica.suspicion != nil || sightings.isSetBack else { return }
    guard let suspicion else {
      damages = []
      forgetSetBack()
      return logger.notice(
        "cured: votes again",
        metadata: [
          "promised": "\(replica.acceptor.promised)", "snapshot": "\(replica.snapshot.slot)",
        ])
    }
    guard now >= nextSuspicionReport else { return }
    if nextSuspicionReport > .zero {
      logger.warning("still a suspect", metadata: ["why": "\(suspicion)"])
    }
    nextSuspicionReport = now + Self.suspicionInterval
  }
}
