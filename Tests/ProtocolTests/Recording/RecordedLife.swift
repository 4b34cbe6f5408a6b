import Testing

@testable import Protocol

/// What a cluster goes through, drawn from a seed: elections, partitions, crashes, snapshots, transfers, reads and load.
/// `cluster.observe` sees each step of each replica.
struct RecordedLife {
  let cluster: Cluster
  private var generator: Generator
  private let count: UInt32

  /// Windows and logs that are filled and truncated often, and each optional thing in some of the seeds.
  init(seed: UInt64) {
    generator = Generator(seed: seed)
    count = [1, 3, 3, 3, 5][generator.below(5)]
    let lease = LeaseOptions(duration: .milliseconds(400), driftBoundPPM: 1_000)
    var options = Cluster.options(lease: generator.below(3) == 0 ? lease : nil)
    options.batchCommandsMax = UInt32(1 + generator.below(4))
    options.batchDelay = .milliseconds(UInt64(generator.below(3)))
    options.queuedBatchesMax = 1 + generator.below(4)
    options.snapshotChunkBytes = 400
    options.digestPeriod = [0, 10, 16][Int(seed % 3)]
    cluster = Cluster(count, options: options)
  }

  private mutating func anyone() -> UInt32 { 1 + UInt32(generator.below(Int(count))) }

  mutating func go(_ rounds: Int) {
    for _ in 0..<rounds { turn() }
  }

  private mutating func turn() {
    let id = anyone()
    let target = cluster.leader ?? id
    switch generator.below(25) {
    case 0..<8:
      for _ in 0...generator.below(12) {
        cluster.command(target, length: [8, 32, 32, 32][generator.below(4)])
      }
      if generator.bool() { cluster.settle() }
    case 8..<11:
      cluster.run(UInt64(generator.below(700)))
    case 11:
      cluster.run(2_500)
    case 12:
      cluster.durableAtOnce =
        generator.below(3) == 0
        ? Set(cluster.ids) : Set(cluster.ids.filter { _ in generator.below(3) > 0 })
      for id in cluster.ids where !cluster.pending(id).isEmpty {
        cluster.persist(id, 1 + generator.below(6))
      }
    case 13:
      let lucky = UInt32(generator.below(3))
      cluster.deliver { $0.to.rawValue % 3 == lucky }
    case 14, 15:
      cluster.read(target, [.quorum, .lease, .local(atLeast: .zero)][generator.below(3)])
      cluster.read(id, .local(atLeast: cluster.appliedAnywhere + generator.below(3)))
    case 16:
      cluster.network.removeAll { _ in generator.bool() }
      if generator.bool() {
        // A snapshot transfer that stands still.
        cluster.links = { if case .snapshotChunk = $0.message { false } else { true } }
      }
    case 17:
      let alone = Set([id])
      cluster.partition(alone, Set(cluster.ids).subtracting(alone))
    case 18:
      cluster.heal()
      cluster.settle()
    case 19:
      if cluster.nodes[id]!.isRunning { cluster.crash(id) } else { cluster.restart(id) }
    case 20:
      for id in cluster.ids where !cluster.nodes[id]!.isRunning {
        var durable = cluster.durable(id)
        // One suspect at a time: it only believes that something is lost.
        if count > 1, generator.bool(), cluster.ids.allSatisfy({ cluster[$0].suspicion == nil }) {
          durable.doubt = JournalDoubt(
            isPromiseLost: generator.bool(),
            slotsUpTo: generator.bool() ? nil : durable.chosenUpTo + generator.below(9))
        }
        cluster.restart(id, from: durable)
      }
    case 21:
      cluster.step(target, .transferRequested(to: ReplicaID(anyone())))
    case 22:
      cluster.step(id, .leadershipPermitted(generator.below(4) > 0))
    case 23:
      cluster.snapshotsAtOnce.toggle()
      for id in cluster.ids where cluster.snapshotsAtOnce && cluster.nodes[id]!.isRunning {
        let slot = cluster[id].snapshotBeingTaken
        guard slot > .zero else { continue }
        cluster.step(id, .snapshotTaken(cluster.prefix(of: id, Int(slot.rawValue))))
      }
    default:
      cluster.snapshotsAreIntact = generator.below(4) > 0
      strange(id)
    }
  }

  /// Messages that no replica of this cluster sent; all are screened off.
  private mutating func strange(_ id: UInt32) {
    let heartbeat = Message.heartbeat(
      Heartbeat(ballot: ballot(1, 77), round: 1, chosenUpTo: .zero))
    cluster.send(from: 77, to: id, heartbeat)
    cluster.send(from: id, to: id, heartbeat)
    cluster.send(from: anyone(), to: id, heartbeat, epoch: Epoch(9))
    let other = id % count + 1
    cluster.send(from: other, to: id, .fetch(Fetch(firstSlot: .zero, limit: 1)))
    cluster.send(from: other, to: id, heartbeat)
    cluster.step(
      id,
      .messageReceived(
        Envelope(from: ReplicaID(other), to: ReplicaID(99), epoch: Epoch(1), message: heartbeat)))
  }
}

/// What a recorder saw of one replica, and what it wrote.
final class Recorded {
  struct File {
    var bytes: [UInt8] = []
    var steps: UInt64 = 0
  }

  private(set) var files: [File] = []
  private var writer: RecordingWriter
  private var sealer = RecordingSealer()
  private var buffer: [UInt8] = []

  init(_ id: UInt32) {
    writer = RecordingWriter(identity: Recorded.identity(id))
  }

  static func identity(_ id: UInt32) -> JournalIdentity {
    JournalIdentity(
      cluster: ClusterID(0xC1), ring: RingID(2), replica: ReplicaID(id), incarnation: Incarnation(3)
    )
  }

  func begin(_ replica: Replica) {
    files.append(File())
    sealer = RecordingSealer()
    writer.beginFile(replica, recordedAt: 1_700_000_000_000_000_000, into: &buffer)
    flush()
  }

  func note(_ event: Event, now: Instant, _ effects: EffectBuffer) {
    writer.note(event, now: now, effects, into: &buffer)
    files[files.count - 1].steps += 1
  }

  func endChunk() {
    writer.endChunk(into: &buffer)
    flush()
  }

  func end(_ end: RecordingEnd) {
    writer.endFile(end, into: &buffer)
    flush()
  }

  private func flush() {
    sealer.seal(&buffer)
    files[files.count - 1].bytes += buffer
    buffer.removeAll(keepingCapacity: true)
  }

  /// Records every life of every replica of a cluster: a file begins with each life, and anew at random steps.
  static func lives(seed: UInt64, rounds: Int) -> [Recorded] {
    var recorded: [UInt32: Recorded] = [:]
    var generator = Generator(seed: seed ^ 0xF11E)
    let rotateEvery = 20 + generator.below(200)
    var life = RecordedLife(seed: seed)
    life.cluster.observe = { [unowned cluster = life.cluster] before, event, effects, after in
      let id = after.id.rawValue
      let recorder = recorded[id] ?? Recorded(id)
      recorded[id] = recorder
      if recorder.files.isEmpty || event == .started {
        if !recorder.files.isEmpty { recorder.end(.closed) }
        recorder.begin(before)
      }
      recorder.note(event, now: cluster.now, effects)
      if generator.below(30) == 0 { recorder.endChunk() }
      if generator.below(rotateEvery) == 0 {
        recorder.end(.rotated)
        recorder.begin(after)
      }
    }
    life.go(rounds)
    for recorder in recorded.values { recorder.end(.closed) }
    return recorded.sorted { $0.key < $1.key }.map(\.value)
  }
}
