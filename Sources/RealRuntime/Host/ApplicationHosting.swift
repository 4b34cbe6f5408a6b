import Protocol

/// The application as the host sees it: one call for a batch, whatever the state machine's type.
protocol ApplicationHosting: AnyObject {
  var appliedUpTo: Slot { get }
  var digest: UInt64 { get }
  var contractViolation: Contract? { get }
  /// Why the state must not be used any more; nil for one that nothing speaks against.
  var divergence: Divergence? { get }
  var digestStanding: DigestStanding { get }
  var digestWatch: DigestWatch { get }
  /// Compares the states to come with the other members'.
  func watch(_ watch: DigestWatch)
  func apply(
    _ slot: Slot, _ batch: RawSpan, into replies: inout ReplyBuffer
  ) throws(CommandInvalid)
  func query(_ query: RawSpan, into replies: inout ReplyBuffer) -> Range<Int>
  /// The state as it is now; what is applied later does not change it.
  func snapshot() -> any SnapshotReading
  func beginRestore() -> any SnapshotRestoring
}

/// A frozen state as bytes.
protocol SnapshotReading: Sendable {
  var slot: Slot { get }
  mutating func chunk(limit: Int, into bytes: inout [UInt8]) -> Bool
}

/// Takes a snapshot's bytes and, when they are whole, puts the state into the application they came from.
protocol SnapshotRestoring {
  mutating func take(_ bytes: RawSpan) throws(SnapshotInvalid)
  mutating func finish() throws(SnapshotInvalid)
}

final class ApplicationBox<Machine: StateMachine & Sendable>: ApplicationHosting {
  private var application: Application<Machine>

  init(_ machine: Machine, limits: SessionTable.Limits) {
    application = Application(machine: machine, limits: limits)
  }

  var appliedUpTo: Slot { application.appliedUpTo }
  var digest: UInt64 { application.digest }
  var contractViolation: Contract? { application.contracts.violation }
  var divergence: Divergence? { application.divergence }
  var digestStanding: DigestStanding { application.digestStanding }
  var digestWatch: DigestWatch { application.watch }

  func watch(_ watch: DigestWatch) { application.watch(watch) }

  func apply(
    _ slot: Slot, _ batch: RawSpan, into replies: inout ReplyBuffer
  ) throws(CommandInvalid) {
    try application.apply(slot, batch, into: &replies)
  }

  func query(_ query: RawSpan, into replies: inout ReplyBuffer) -> Range<Int> {
    application.query(query, into: &replies)
  }

  func snapshot() -> any SnapshotReading { Reader(source: application.snapshot()) }
  func beginRestore() -> any SnapshotRestoring { Restoration(box: self) }

  private struct Reader: SnapshotReading {
    var source: SnapshotSource<Machine>
    var slot: Slot { source.slot }

    mutating func chunk(limit: Int, into bytes: inout [UInt8]) -> Bool {
      source.chunk(limit: limit, into: &bytes)
    }
  }

  private struct Restoration: SnapshotRestoring {
    let box: ApplicationBox
    var restorer: SnapshotRestorer<Machine>?

    init(box: ApplicationBox) {
      self.box = box
      restorer = box.application.restorer()
    }

    mutating func take(_ bytes: RawSpan) throws(SnapshotInvalid) { try restorer?.take(bytes) }

    mutating func finish() throws(SnapshotInvalid) {
      guard let restorer = restorer.take() else { return }
      box.application = try restorer.finish()
    }
  }
}
