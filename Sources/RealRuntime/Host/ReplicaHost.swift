import Glibc
import Logging
public import Protocol

/// Drives one replica with real sockets, real files and a real clock: event in, step, effects out, all on one thread.
///
/// A turn of the loop takes in everything that has arrived, steps the replica for each of it, and ends by sending what
/// was said to each peer and client in one piece and handing the journal what is to be made durable. No lock is taken and
/// no task spawned on the way; a command's bytes are copied once, from the socket's buffer into the log buffer.
///
/// Confined to the thread that calls `run`; other threads speak to it through its mailbox.
final class ReplicaHost {
  let configuration: NodeConfiguration
  let membership: Configuration
  let application: any ApplicationHosting
  var logger: Logger
  let poller: Poller
  let mailbox: Mailbox<HostRequest>
  let worker: WorkerThread
  /// Looks names up and dials; never the thread that writes snapshots, which may be busy for long.
  let dialer: WorkerThread
  /// Reads files at rest, slowly.
  let scrubber: WorkerThread
  let log: LogBuffer
  let snapshots: SnapshotStore
  let journal: FileJournal
  let identity: JournalIdentity
  let screen: FrameScreen
  let recorder: FlightRecorder?
  /// Ends TLS in front of the loop; nil when everything is plaintext.
  let bridge: TLSBridge?
  /// Times of the stages that commands pass, for whoever asks.
  let stages: StageBoard
  var stageClock: StageClock
  let parser: FrameParser

  var replica: Replica
  var effects = EffectBuffer()
  /// When the replica wants to be woken.
  var deadline = Instant.never
  /// The time of this turn; the replica's clock stands still while events are taken in, so that commands which arrived
  /// together form one batch.
  var now = Instant.zero

  // Connections.
  var connections: [Connection?] = []
  var freeSlots: [Int] = []
  var generation: UInt64 = 0
  var connectionCount = 0
  var clientCount = 0
  var dirty: [Connection] = []
  var listeners: [Listener] = []
  /// Where clients connect.
  var clientPort: UInt16 = 0
  /// By the voter's index; the own place stays empty.
  var links: [PeerLink]
  let scratch: UnsafeMutableRawBufferPointer
  var vectors: [iovec] = []

  // Clients.
  var routes: [SessionID: SessionRoute] = [:]
  var lastRoute: SessionRoute?
  var reads: [RequestID: WaitingRead] = [:]
  var replies = ReplyBuffer()
  var message: [UInt8] = []

  /// The command that is being taken in was rejected.
  var isCommandRefused = false
  /// The position of the message's payload that is being taken in, and whether a record points at it.
  var incoming: UInt64?
  var isIncomingKept = false
  /// The bytes of the snapshot chunk that is being taken in.
  var incomingChunk: UnsafeRawBufferPointer?
  /// Something was put aside because the log buffer is full.
  var lacksMemory = false
  /// Positions below may be released at the end of the turn.
  var isReleaseDue = false

  var nextHousekeeping = Instant.zero
  var counters = HostCounters()
  var refusals = RefusalLog()
  /// What the log was told last.
  var lastNews: RoleNews?
  var room = RoomWatch()
  var scrub = ScrubWatch()
  var pace: TransferPace
  var digests: DigestDesk
  var sightings: SightingDesk
  var stopping: Stopping?
  var failure: HostFailure?
  /// What recovery found damaged, while the replica is a suspect for it; and when to say again what it waits for.
  var damages: [JournalDamage]
  var nextSuspicionReport = Instant.zero

  /// A socket that others connect to.
  struct Listener {
    var descriptor: Int32
    var kind: Connection.Kind
  }

  /// What is worth a line for operators when roles change.
  struct RoleNews: Equatable {
    var leads: Bool
    var leader: ReplicaID?
  }

  /// A read that the replica has not answered yet.
  struct WaitingRead {
    var connection: Connection
    var query: [UInt8]
    var isLocal: Bool
  }

  enum Stopping {
    /// Leading: another one is asked to, until then.
    case handingOver(until: Instant)
    /// Whatever is on its way to the journal is made durable.
    case flushing
  }

  static let housekeepingInterval = TimeSpan.milliseconds(50)

  /// Recovers the replica from its directory, opens its ports, and is ready to run.
  init(
    configuration: NodeConfiguration, application: any ApplicationHosting, logger: Logger,
    stages: StageBoard = StageBoard(), bridge: TLSBridge? = nil, seed: UInt64,
    reader: FileReader = .system
  ) throws {
    self.stages = stages
    self.bridge = bridge
    stageClock = StageClock(
      slots: 2 * configuration.options.windowSlots, traceRate: configuration.traceRate)
    self.configuration = configuration
    pace = TransferPace(bytesPerSecond: configuration.snapshotTransferBytesPerSecond)
    self.application = application
    self.logger = logger
    membership = try configuration.membership
    links = membership.voters.map { PeerLink(id: $0.id) }
    identity = JournalIdentity(cluster: configuration.cluster, replica: configuration.replica)
    screen = FrameScreen(
      cluster: identity.cluster, replica: identity.replica, incarnation: identity.incarnation)
    recorder = try Self.recorder(configuration, identity)
    parser = FrameParser(lengthMax: configuration.limits.frameBytes)
    poller = try Poller()
    let mailbox = Mailbox<HostRequest>(waker: poller.waker)
    self.mailbox = mailbox
    worker = try WorkerThread(name: "rsl-files")
    dialer = try WorkerThread(name: "rsl-dial")
    scrubber = try WorkerThread(name: "rsl-scrub")
    let capacity = configuration.logCapacity
    log = try LogBuffer(capacity: capacity)
    scratch = .allocate(byteCount: configuration.limits.frameBytes + Self.receiveMax, alignment: 16)
    snapshots = SnapshotStore(
      directory: configuration.dataDirectory, worker: worker, reader: reader
    ) {
      mailbox.post(.snapshot($0))
    }
    digests = try Self.watchDigests(configuration, application)
    try snapshots.recover(into: application)
    var recovered = try RecoveredFiles.recover(
      directory: configuration.dataDirectory, identity: identity, snapshot: snapshots.current,
      into: log, reader: reader)
    damages = recovered.damages
    sightings = try SightingDesk(
      life: seed, recovered: recovered.end.mark, directory: configuration.dataDirectory)
    if sightings.isSetBack { recovered.wasSetBack() }
    replica = try Replica(
      id: configuration.replica, configuration: membership,
      options: Self.options(configuration, logCapacity: capacity), durable: recovered.durable,
      seed: seed)
    // Behind the replica, which refuses a configuration that cannot follow what the journal holds.
    do {
      journal = try FileJournal(
        directory: configuration.dataDirectory, options: configuration.journal, identity: identity,
        configuration: membership.span, recovered: recovered, worker: worker, waker: poller.waker,
        reserve: JournalReserve(
          configuration.options, segmentBytes: configuration.journal.segmentBytes))
    } catch let error as SystemError where error.isNoRoom {
      throw HostFailure.noRoom(error)
    }
    try listen()
    let durable = recovered.durable
    logger.info(
      "recovered",
      metadata: [
        "promised": "\(durable.promised)", "snapshot": "\(durable.snapshot.slot)",
        "slots": "\(durable.entries.count)", "tail": "\(recovered.tail)",
        "flush": "\(journal.mode.rawValue)",
        "persistence": "\(journal.persistence?.rawValue ?? "files")",
      ])
    reportDamage()
  }

  private static func recorder(
    _ configuration: NodeConfiguration, _ identity: JournalIdentity
  ) throws -> FlightRecorder? {
    guard configuration.recorder.isEnabled else { return nil }
    var options = FlightRecorderOptions()
    options.bytesMax = configuration.recorder.bytesMax
    options.fileBytesMax = min(options.fileBytesMax, options.bytesMax / 4)
    let directory = configuration.recorder.directory
    return try FlightRecorder(
      directory: directory.isEmpty ? configuration.dataDirectory + "/recordings" : directory,
      identity: identity, options: options)
  }

  /// The replica's options as this host needs them.
  private static func options(
    _ configuration: NodeConfiguration, logCapacity: Int
  ) -> ReplicaOptions {
    var options = configuration.options
    // A batch closes when the turn that began it has taken everything in: the clock stands still for so long.
    options.batchDelay = max(options.batchDelay, TimeSpan(nanoseconds: 1))
    // What a snapshot in the making, the slots behind it and the window hold must fit beside what comes meanwhile.
    options.snapshotBytes = min(options.snapshotBytes, UInt64(logCapacity / 4))
    return options
  }

  deinit {
    closeSockets()
    scratch.deallocate()
  }

  /// Gives every socket back.
  func closeSockets() {
    for connection in connections { if let connection { close(connection.descriptor) } }
    for listener in listeners { close(listener.descriptor) }
    connections = []
    listeners = []
  }

  // MARK: The loop

  /// Runs until it is told to stop; throws when it cannot go on.
  func run() throws(HostFailure) {
    now = MonotonicClock.now()
    recorder?.begin(replica)
    step(.started)
    endTurn()
    while failure == nil, !isStopped {
      do throws(SystemError) {
        try poller.wait(until: min(deadline, nextHousekeeping, pace.due)) { event in
          if now == .zero { now = MonotonicClock.now() }
          handle(event)
        }
      } catch {
        fail(.system(error))
      }
      now = MonotonicClock.now()
      if now >= deadline {
        // It comes once; the step asks for the next one.
        deadline = .never
        step(.deadlineReached)
      }
      if now >= pace.due { sendChunks() }
      if now >= nextHousekeeping { keepHouse() }
      endTurn()
    }
    vouch(isLast: true)
    recorder?.close()
    if let failure { throw failure }
  }

  private func handle(_ event: PollEvent) {
    guard failure == nil else { return }
    if event.token == Poller.wakeToken {
      takeMail()
      flushEnded()
    } else if let listener = listener(event.token) {
      accept(listener)
    } else if let connection = connection(event.token) {
      if connection.state == .connecting { return dialed(connection) }
      if event.isWritable { flush(connection) }
      if event.isReadable || event.isClosed { receive(connection) }
    }
  }

  /// Takes in one event and performs everything that follows from it.
  func step(_ event: Event) {
    guard failure == nil else { return }
    effects.removeAll()
    replica.step(event, now: now, into: &effects)
    recorder?.record(event, now: now, effects)
    if ContractRecorder.isEnabled, let contract = replica.contracts.violation {
      return fail(.contract(contract))
    }
    for i in 0..<effects.count {
      perform(effects[i])
      if failure != nil { return }
    }
  }

  /// Sends what this turn had to say, and hands the journal what is to be made durable.
  private func endTurn() {
    carryDigests()
    // Peers first: their flushes and the own one overlap then.
    for connection in dirty where connection.kind == .peer { flush(connection) }
    stageClock.sent()
    flushJournal()
    for connection in dirty where connection.isDirty { flush(connection) }
    stageClock.replied()
    stages.publishIfAsked(&stageClock.histograms)
    dirty.removeAll(keepingCapacity: true)
    recorder?.turnEnded(replica)
    if isReleaseDue { release() }
    log.populateAhead(on: worker)
    counters.turns &+= 1
    now = .zero
  }

  /// Gives back the log buffer's memory that neither the replica nor the journal asks for any more.
  private func release() {
    isReleaseDue = false
    let lowest = replica.lowestPosition(end: log.end)
    log.release(upTo: min(lowest, journal.lowestPosition ?? lowest))
  }

  /// A full log buffer is given back by a snapshot; who takes no more commands does not come to the next one by itself.
  func makeMemory() {
    guard lacksMemory else { return }
    lacksMemory = false
    step(.snapshotRequested)
  }

  private func flushJournal() {
    do throws(SystemError) {
      if let position = try journal.submit(log) { persisted(upTo: position) }
    } catch {
      fail(.journal(error))
    }
  }

  /// Damage to what was written last shall not look like a torn write.
  func vouch(isLast: Bool = false) {
    guard failure == nil else { return }
    do throws(SystemError) {
      try journal.vouch(isLast: isLast)
    } catch {
      fail(.journal(error))
    }
  }

  private func persisted(upTo position: JournalPosition) {
    stageClock.persisted(upTo: position.rawValue)
    step(.persisted(upTo: position))
  }

  private func flushEnded() {
    do throws(SystemError) {
      if let position = try journal.completed() { persisted(upTo: position) }
    } catch {
      // Never tried again: what a failed flush left behind nobody knows (Rebello et al., ATC 2020).
      fail(.journal(error))
    }
  }

  func fail(_ failure: HostFailure) {
    guard self.failure == nil else { return }
    self.failure = failure
    logger.critical("stopping", metadata: ["reason": "\(failure)"])
  }
}

/// Why a host cannot go on.
public enum HostFailure: Error, CustomStringConvertible {
  /// A write or a flush of the journal failed; what is durable is known only after a restart.
  case journal(SystemError)
  case snapshot(SystemError)
  /// There is no space to begin with.
  case noRoom(SystemError)
  case system(SystemError)
  /// What was chosen is not what the log buffer holds.
  case batch(Slot, CommandInvalid)
  /// A snapshot that was verified cannot be restored.
  case restore(SnapshotInfo, String)
  case contract(Contract)
  /// The state is not the majority's; it and its snapshots are gone.
  case diverged(Divergence, times: Int)
  /// It has diverged so often that starting again helps nobody.
  case divergesAgain(times: Int, note: String)
  /// What is on the disk ends before what this replica has told a peer was durable.
  case setBack(peer: ReplicaID, heard: JournalMark, found: JournalMark)

  public var description: String {
    switch self {
    case .journal(let error):
      "the journal failed and is never written to again: \(error)\(Self.advice(error))"
    case .snapshot(let error): "a snapshot could not be kept: \(error)\(Self.advice(error))"
    case .noRoom(let error):
      "there is no room for the journal's next segments: \(error)\(Self.advice(error))"
    case .system(let error): "\(error)"
    case .batch(let slot, let error): "slot \(slot) holds bytes that are not its value: \(error)"
    case .restore(let info, let reason): "snapshot \(info.slot) cannot be restored: \(reason)"
    case .diverged(let divergence, let times):
      "this replica has diverged (\(times) in a row): \(divergence); its state and its snapshots are thrown away."
        + " Start it again: it repairs itself from its log or from its peers"
    case .divergesAgain(let times, let note):
      "this replica has diverged \(times) times in a row, and starting it again would be once more. Look for faulty memory,"
        + " and for what its state machine does that is not the same everywhere; then remove \(note) and start it again"
    case .setBack(let peer, let heard, let found):
      "the disk was set back, or has lost what it had made durable: replica \(peer) has heard of its journal up to \(heard),"
        + " and the journal ended at \(found) when this process began. Start it again: it then has no voice until it is repaired"
        + " from its peers"
    case .contract(let contract): "contract \(contract.id) does not hold: \(contract.sentence)"
    }
  }

  /// What to do about a disk that fails.
  private static func advice(_ error: SystemError) -> String {
    switch error.code {
    case ENOSPC, EDQUOT:
      "; make room where data-directory is, then start the replica again: it goes on with what is durable"
    case EIO:
      "; look for errors of the disk in the kernel's log, then start the replica again: it goes on with what is durable"
    default: ""
    }
  }
}
