import Protocol

/// A replica and what happens to it, a microsecond apart: a million steps a second.
struct Life {
  var before: Replica
  var events: [Event]
  var start: Instant
  static let pace = TimeSpan(nanoseconds: 1_000)
}

/// Steps with a recorder, or without one, as a host's loop takes them.
private struct Host {
  var replica: Replica
  var writer: RecordingWriter
  var effects = EffectBuffer()
  var bytes: [UInt8] = []
  var written = 0
  private static let chunk = 256 << 10

  init(_ replica: Replica) {
    self.replica = replica
    writer = RecordingWriter(
      identity: JournalIdentity(
        cluster: ClusterID(1), ring: RingID(0), replica: replica.id, incarnation: Incarnation(1)))
    bytes.reserveCapacity(Self.chunk * 2)
    writer.beginFile(replica, into: &bytes)
    bytes.removeAll(keepingCapacity: true)
  }

  mutating func run(_ life: Life, isRecording: Bool) {
    var now = life.start
    life.events.withUnsafeBufferPointer { events in
      for i in events.indices {
        effects.removeAll()
        replica.step(events[i], now: now, into: &effects)
        if isRecording {
          writer.note(events[i], now: now, effects, into: &bytes)
          if bytes.count >= Self.chunk { flush() }
        }
        now = now + Life.pace
      }
    }
    flush()
  }

  /// Only the recorder's part, of steps without effects.
  mutating func note(_ life: Life) {
    var now = life.start
    effects.removeAll()
    life.events.withUnsafeBufferPointer { events in
      for i in events.indices {
        writer.note(events[i], now: now, effects, into: &bytes)
        if bytes.count >= Self.chunk { flush() }
        now = now + Life.pace
      }
    }
    flush()
  }

  private mutating func flush() {
    writer.endChunk(into: &bytes)
    written += bytes.count
    bytes.removeAll(keepingCapacity: true)
  }
}

/// The flight recorder: what a step costs to write and how long it is, checkpoints, and reading back.
func measureRecorder() -> [Figure] {
  var cluster = Cluster()
  for _ in 0..<8_000 { cluster.submit(16) }
  let before = cluster.replicas
  let leader = cluster.leader
  cluster.isRecording = true
  for _ in 0..<8_000 { cluster.submit(16) }
  var figures: [Figure] = []
  for (name, n) in [("leader", leader), ("follower", (leader + 1) % 3)] {
    let life = Life(before: before[n], events: cluster.recorded[n], start: cluster.time)
    figures += measureWriting(name, life)
    if n == leader { figures += measureCheckpoint(life.before) + measureReplay(life) }
  }
  return measureCommands(before[leader], cluster.time) + figures
}

/// A step with the recorder and without it; the difference is what the recorder costs.
private func measureWriting(_ name: String, _ life: Life) -> [Figure] {
  let warm = Host(life.before)
  func seconds(isRecording: Bool) -> Double {
    var best = Double.infinity
    for _ in 0..<9 {
      var host = warm
      let start = userSeconds()
      host.run(life, isRecording: isRecording)
      best = min(best, userSeconds() - start)
      sink &+= UInt64(host.written)
    }
    return best
  }
  let count = Double(life.events.count)
  let (with, without) = (seconds(isRecording: true), seconds(isRecording: false))
  var host = warm
  host.run(life, isRecording: true)
  return [
    Figure(.recorder, "\(name): write a step", (with - without) * 1e9 / count, "ns"),
    Figure(.recorder, "\(name): step and write", with * 1e9 / count, "ns"),
    Figure(.recorder, "\(name): bytes per step", Double(host.written) / count, ""),
  ]
}

/// Commands alone, from 64 sessions in turn: the event that comes most often when batches are large.
private func measureCommands(_ replica: Replica, _ start: Instant) -> [Figure] {
  let events = (0..<100_000 as Range<UInt64>).map { i in
    Event.commandReceived(
      CommandRef(
        session: SessionID(10_000 + i % 64), sequence: SequenceNumber(1_000_000 + i / 64),
        bytes: BytesRef(position: i * 64, length: 64),
        checksum: UInt32(truncatingIfNeeded: i &* 0x9E37_79B9)))
  }
  let life = Life(before: replica, events: events, start: start)
  var host = Host(replica)
  host.note(life)
  let bytes = Double(host.written) / Double(events.count)
  let each = least(15) { host.note(life) } * 1e9 / Double(events.count)
  return [
    Figure(.recorder, "command, no effects: write", each, "ns"),
    Figure(.recorder, "command, no effects: bytes", bytes, ""),
  ] + measureFiles(replica, life)
}

private func writer(for replica: Replica) -> RecordingWriter { Host(replica).writer }

private func measureCheckpoint(_ replica: Replica) -> [Figure] {
  var recorder = writer(for: replica)
  var bytes: [UInt8] = []
  recorder.beginFile(replica, into: &bytes)
  let size = bytes.count
  let each = nanoseconds(200) { count in
    for _ in 0..<count {
      bytes.removeAll(keepingCapacity: true)
      recorder.beginFile(replica, into: &bytes)
    }
  }
  let slots = replica.window.highestUsed - replica.window.truncatedUpTo
  return [
    Figure(.recorder, "checkpoint: slots in the log", Double(slots), ""),
    Figure(.recorder, "checkpoint: bytes", Double(size), ""),
    Figure(.recorder, "checkpoint: write", each / 1_000, "us"),
  ]
}

private func measureReplay(_ life: Life) -> [Figure] {
  var recorder = writer(for: life.before)
  var (replica, effects) = (life.before, EffectBuffer())
  var bytes: [UInt8] = []
  recorder.beginFile(life.before, into: &bytes)
  var now = life.start
  for event in life.events {
    effects.removeAll()
    replica.step(event, now: now, into: &effects)
    recorder.note(event, now: now, effects, into: &bytes)
    now = now + Life.pace
  }
  recorder.endFile(.closed, into: &bytes)
  let sealing = least(5) {
    var sealer = RecordingSealer()
    sealer.seal(&bytes)
  }
  let seconds = least(3) {
    do {
      var replay = try RecordingReplay(try RecordingReader(bytes))
      while try replay.next() != nil {}
      precondition(
        replay.difference == nil && replay.steps == UInt64(life.events.count),
        "a replay is the same")
    } catch {
      preconditionFailure("what was written is read: \(error)")
    }
  }
  return [
    Figure(.recorder, "seal", Double(bytes.count) / sealing / 1e9, "bytes/ns"),
    Figure(.recorder, "replay", Double(life.events.count) / seconds, "steps/s"),
  ]
}
