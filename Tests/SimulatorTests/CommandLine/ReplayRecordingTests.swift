import Foundation
import Protocol
import Testing

/// `rsl-sim replay --recording`.
@Suite struct ReplayRecordingTests {
  /// Three replicas without a world; each recorded, in files of a number of steps.
  struct Recording {
    var files: [[UInt8]] = []
    private var writer: RecordingWriter
    private let stepsPerFile: Int
    private var steps = 0
    private var bytes: [UInt8] = []

    init(_ replica: Replica, stepsPerFile: Int) {
      self.stepsPerFile = stepsPerFile
      writer = RecordingWriter(
        identity: JournalIdentity(
          cluster: ClusterID(0xAB), ring: RingID(0), replica: replica.id,
          incarnation: Incarnation(1)))
      writer.beginFile(replica, into: &bytes)
    }

    mutating func note(_ event: Event, now: Instant, _ effects: EffectBuffer, _ replica: Replica) {
      writer.note(event, now: now, effects, into: &bytes)
      steps += 1
      guard steps % stepsPerFile == 0 else { return }
      end(.rotated)
      writer.beginFile(replica, into: &bytes)
    }

    mutating func end(_ end: RecordingEnd) {
      writer.endFile(end, into: &bytes)
      var sealer = RecordingSealer()
      sealer.seal(&bytes)
      files.append(bytes)
      bytes = []
    }
  }

  /// Recordings of a cluster that elects a leader and chooses `commands`. `disturb` changes what is recorded.
  static func record(
    commands: UInt64 = 30, stepsPerFile: Int = .max,
    disturb: (Event, inout EffectBuffer) -> Void = { _, _ in }
  ) throws -> [Recording] {
    let members = (1...3).map { Member(id: ReplicaID($0)) }
    let configuration = try Configuration(voters: members)
    var replicas = try members.map {
      try Replica(
        id: $0.id, configuration: configuration, options: ReplicaOptions(),
        seed: UInt64($0.id.rawValue))
    }
    var recordings = replicas.map { Recording($0, stepsPerFile: stepsPerFile) }
    var inbox: [(Int, Event)] = (0..<3).map { ($0, .started) }
    var positions: [UInt64] = [0, 0, 0]
    var now = Instant.zero + .seconds(5)
    func send(_ message: Message, _ from: Int, _ to: ReplicaID) {
      let envelope = Envelope(from: members[from].id, to: to, epoch: Epoch(1), message: message)
      inbox.append((Int(to.rawValue) - 1, .messageReceived(envelope)))
    }
    func drain() {
      while !inbox.isEmpty {
        let (n, event) = inbox.removeFirst()
        var effects = EffectBuffer()
        replicas[n].step(event, now: now, into: &effects)
        let before = positions[n]
        for effect in effects.all {
          switch effect {
          case .persist: positions[n] += 1
          case .send(let to, let message): send(message, n, to)
          case .broadcast(let message):
            for other in 0..<3 where other != n { send(message, n, members[other].id) }
          default: break
          }
        }
        if positions[n] > before {
          inbox.append((n, .persisted(upTo: JournalPosition(positions[n]))))
        }
        disturb(event, &effects)
        recordings[n].note(event, now: now, effects, replicas[n])
        now = now + .microseconds(3)
      }
    }
    drain()
    while replicas[0].role != .leader {
      now = now + .milliseconds(300)
      inbox.append((0, .deadlineReached))
      drain()
    }
    for n in 1...commands {
      let bytes = BytesRef(position: n * 64, length: 64)
      inbox.append(
        (
          0,
          .commandReceived(
            CommandRef(
              session: SessionID(1), sequence: SequenceNumber(n), bytes: bytes,
              checksum: UInt32(n)))
        ))
      drain()
    }
    for i in recordings.indices { recordings[i].end(.closed) }
    return recordings
  }

  private func withFiles<T>(
    _ recordings: [Recording], _ body: ([String]) throws -> T
  ) throws -> T {
    try Executable.withFolder { folder in
      var paths: [String] = []
      for (i, recording) in recordings.enumerated() {
        for (j, bytes) in recording.files.enumerated() {
          let url = folder.appending(path: "r\(i + 1)-\(j).rslrec")
          try Data(bytes).write(to: url)
          paths.append(url.path)
        }
      }
      return try body(paths)
    }
  }

  private func run(_ arguments: [String]) throws -> Executable.Result {
    try Executable.run(["replay", "--recording"] + arguments)
  }

  @Test func severalReplicasInSeveralFilesAreEqual() throws {
    try withFiles(try Self.record(stepsPerFile: 40)) { paths in
      #expect(paths.count > 5)
      let result = try run(paths)
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.errors == "")
      #expect(result.output.components(separatedBy: " 0 differences; ").count == paths.count + 1)
      #expect(result.output.contains("r3 incarnation 1 ring 0 of cluster ab, epoch 1 (r1 r2 r3)"))
      #expect(result.output.contains("40 steps, "))
      #expect(result.output.contains("goes on in the next file"))
      #expect(result.output.contains("closed by its host"))
      let quiet = try run(["-q"] + paths)
      #expect(quiet.output.split(separator: "\n").allSatisfy { $0.contains("\tequal\t") })
    }
  }

  @Test func theFirstDifferenceIsNamed() throws {
    let recordings = try Self.record { event, effects in
      guard case .messageReceived(let envelope) = event, envelope.to == ReplicaID(2),
        case .accept(let accept) = envelope.message, accept.slot == Slot(7)
      else { return }
      let before = effects.all
      effects.removeAll()
      for effect in before {
        if case .persist(let record) = effect,
          case .accepted(let slot, let ballot, var value) = record.fact
        {
          value.bytes.position += 1
          effects.append(
            .persist(JournalRecord(.accepted(slot, ballot, value), epoch: record.epoch)))
        } else {
          effects.append(effect)
        }
      }
      effects.append(.truncate(upTo: Slot(3)))
    }
    try withFiles(recordings) { paths in
      let result = try run(paths)
      #expect(result.status == 4)
      #expect(result.output.contains("DIFFERENCE in step "))
      #expect(result.output.contains(": received r1 -> r2 accept 1.1 slot 7 [1 command "))
      // The short text hides where bytes lie; here that is the difference.
      #expect(
        result.output.contains("effect 1, expected: persist(Protocol.JournalRecord("))
      #expect(result.output.contains("position: 449") && result.output.contains("position: 448"))
      #expect(result.output.contains("    truncate up to 3"))
      #expect(result.output.contains("1 differences"))
      let json = try run(["--format", "json", paths[1]])
      #expect(json.status == 4)
      let rows = try #require(
        try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]])
      #expect(rows[0]["verdict"] as? String == "different")
      let difference = try #require(rows[0]["difference"] as? [String: Any])
      #expect((difference["event"] as? String)?.contains("slot 7") == true)
      // What comes before it is as recorded.
      let step = try #require(difference["step"] as? UInt64)
      #expect(try run(["--until", "\(step - 1)", paths[1]]).status == 0)
      #expect(try run(["--until", "\(step)", paths[1]]).status == 4)
    }
  }

  @Test func stepsAreShown() throws {
    try withFiles(try Self.record(commands: 2)) { paths in
      let result = try run(["--show", "--until", "1", paths[0]])
      #expect(result.status == 0)
      let lines = result.output.split(separator: "\n")
      #expect(lines[0] == "step 0 at 5000ms: started")
      #expect(lines[1].hasPrefix("  wake at "))
      #expect(lines.contains { $0.hasPrefix("step 1 at ") })
      #expect(!lines.contains { $0.hasPrefix("step 2 at ") })
      #expect(lines.last?.contains("2 steps") == true)
      #expect(lines.last?.hasSuffix("stopped behind step 1") == true)
    }
  }

  @Test func damagedAndMissingFilesAreStatusOne() throws {
    var recordings = try Self.record()
    recordings[1].files[0][recordings[1].files[0].count / 2] ^= 1
    try withFiles(recordings) { paths in
      let result = try run([paths[0], paths[1], "no-such-file", paths[2]])
      #expect(result.status == 1)
      #expect(result.complaints.count == 2)
      #expect(result.complaints[0].contains(": damaged at byte "))
      #expect(result.complaints[1].contains("no-such-file: no such file"))
      #expect(result.output.contains("r3 incarnation"), "the others are replayed all the same")
      let seed = Executable.package.appending(path: "README.md").path
      #expect(try run([seed]).errors.contains("README.md: not a recording"))
    }
  }

  @Test func aTornFileReplaysUpToWhereItIsTorn() throws {
    var recordings = try Self.record()
    recordings[0].files[0].removeLast(40)
    try withFiles([recordings[0]]) { paths in
      let result = try run(paths)
      #expect(result.status == 0)
      #expect(result.output.contains("torn: "))
    }
  }

  @Test func aStateThatDoesNotGoOnIsADifference() throws {
    var mixed = try Self.record(stepsPerFile: 40)[0]
    mixed.files = [mixed.files[0], try Self.forged(mixed.files[1])]
    try withFiles([mixed]) { paths in
      let result = try run(paths)
      #expect(result.status == 4)
      #expect(result.errors.contains("its checkpoint is not the state the file before leads to"))
    }
  }

  /// The same file, but for a checkpoint of a replica that will draw other numbers; without steps that could tell.
  private static func forged(_ bytes: [UInt8]) throws -> [UInt8] {
    let reader = try RecordingReader(bytes)
    let header = reader.header
    let replica = try Replica(
      id: header.identity.replica, configuration: header.configuration, options: header.options,
      seed: 99)
    var writer = RecordingWriter(identity: header.identity)
    for _ in 0..<header.firstStep { writer.skip() }
    var forged: [UInt8] = []
    writer.beginFile(replica, into: &forged)
    writer.endFile(.closed, into: &forged)
    var sealer = RecordingSealer()
    sealer.seal(&forged)
    return forged
  }

  @Test func optionsThatDoNotGoTogetherAreRefused() throws {
    for arguments in [
      ["--recording", "--until", "1.5s", "x"], ["--recording", "--trace", "t", "x"],
      ["--show", "4"], ["--until", "soon", "4"],
    ] {
      let result = try Executable.run(["replay"] + arguments)
      #expect(result.status == 1)
      #expect(result.complaints.count == 1)
    }
  }
}
