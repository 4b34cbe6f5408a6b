import Foundation
import Protocol
import Synchronization
import Testing

@testable import RealRuntime

/// A ring of one voter and its host: what is written is durable at once, commands are chosen at once.
struct LonelyHost {
  static let identity = JournalIdentity(
    cluster: ClusterID(0xF1), ring: RingID(4), replica: ReplicaID(1), incarnation: Incarnation(2))

  private(set) var replica: Replica
  let recorder: FlightRecorder
  var now = Instant.zero + .seconds(1_000)
  private(set) var steps: UInt64 = 0
  private var effects = EffectBuffer()
  private var position: UInt64 = 0
  private var sequence: UInt64 = 0

  init(_ recorder: FlightRecorder) throws {
    self.recorder = recorder
    var options = ReplicaOptions()
    options.windowSlots = 8
    options.logSlots = 256
    options.snapshotInterval = 64
    options.snapshotTailSlots = 8
    replica = try Replica(
      id: ReplicaID(1), configuration: try Configuration(voters: [Member(id: ReplicaID(1))]),
      options: options, seed: 7)
    recorder.begin(replica)
    step(.started)
    while replica.role != .leader {
      now = now + .seconds(2)
      step(.deadlineReached)
    }
    recorder.turnEnded(replica)
  }

  private mutating func step(_ event: Event) {
    var events = [event]
    while !events.isEmpty {
      let event = events.removeFirst()
      effects.removeAll()
      replica.step(event, now: now, into: &effects)
      recorder.record(event, now: now, effects)
      steps += 1
      let before = position
      for i in 0..<effects.count {
        switch effects[i] {
        case .persist: position += 1
        case .takeSnapshot(let slot):
          events.append(.snapshotTaken(SnapshotInfo(slot: slot, length: 10, digest: 1)))
        default: break
        }
      }
      if position > before { events.append(.persisted(upTo: JournalPosition(position))) }
    }
  }

  /// Turns of the loop, each with a few commands, 10 ms apart.
  /// - Parameter flushing: waits for the disk after each.
  mutating func turn(_ count: Int = 1, flushing: Bool = false) {
    for _ in 0..<count {
      for _ in 0..<5 {
        sequence += 1
        step(
          .commandReceived(
            CommandRef(
              session: SessionID(1), sequence: SequenceNumber(sequence),
              bytes: BytesRef(position: sequence * 64, length: 64), checksum: UInt32(sequence))))
      }
      now = now + .milliseconds(10)
      recorder.turnEnded(replica)
      if flushing { recorder.flush() }
    }
  }
}

@Suite struct FlightRecorderTests {
  /// So many buffers that none is missing however late the writer gets to run; fewer for what is about a slow one.
  static func options(buffers: Int = 1_000) -> FlightRecorderOptions {
    var options = FlightRecorderOptions()
    options.buffers = buffers
    options.bufferBytes = 4_096
    options.fileBytesMax = 16_384
    options.bytesMax = 1 << 20
    return options
  }

  private func withFolder<T>(_ body: (URL) throws -> T) throws -> T {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "rsl-recorder-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
  }

  /// The files of a folder in the order of their numbers.
  private func files(_ folder: URL) throws -> [(number: Int, bytes: [UInt8])] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).compactMap { name in
      guard name.hasPrefix("recording-"), name.hasSuffix(".rslrec"),
        let number = Int(name.dropFirst(10).dropLast(7))
      else { return nil }
      return (number, Array(try Data(contentsOf: folder.appending(path: name))))
    }.sorted { $0.number < $1.number }
  }

  private func replay(_ bytes: [UInt8]) throws -> RecordingReplay {
    var replay = try RecordingReplay(try RecordingReader(bytes))
    while try replay.next() != nil {}
    #expect(replay.difference == nil)
    #expect(replay.reader.tornBytes == 0)
    return replay
  }

  private func recorder(
    _ folder: URL, _ options: FlightRecorderOptions, write: RecordingDisk.Write? = nil
  ) throws -> FlightRecorder {
    guard let write else {
      return try FlightRecorder(
        directory: folder.path, identity: LonelyHost.identity, options: options)
    }
    return try FlightRecorder(
      disk: RecordingDisk(directory: folder.path, options, write: write),
      identity: LonelyHost.identity, options: options)
  }

  @Test func aLifeInManyFilesReplaysFromBeginningToEnd() throws {
    try withFolder { folder in
      let recorder = try recorder(folder, Self.options())
      var host = try LonelyHost(recorder)
      host.turn(600)
      recorder.close()
      let counters = recorder.counters
      #expect(counters.stepsRecorded == host.steps && counters.stepsDropped == 0)

      let files = try files(folder)
      #expect(files.count > 5 && files.count == Int(counters.filesBegun))
      #expect(files.reduce(0) { $0 + $1.bytes.count } == Int(counters.bytesWritten))
      var steps: UInt64 = 0
      var before: RecordingReplay?
      for (_, bytes) in files {
        #expect(bytes.count < 16_384 + 2 * 8_192)
        let replay = try replay(bytes)
        #expect(replay.reader.header.firstStep == steps)
        #expect(replay.reader.header.recordedAt > 1_700_000_000_000_000_000)
        if let before {
          let goesOn = replay.reader.begins(with: before.replica)
          #expect(before.reader.end == .rotated && goesOn)
        }
        steps += replay.steps
        before = replay
      }
      #expect(steps == host.steps && before?.reader.end == .closed)
      // The last file leads to the replica as it is.
      let isTheSame = before?.replica.window == host.replica.window
      #expect(isTheSame)
    }
  }

  @Test func theOldestFilesAreDeletedAndNumbersGoOn() throws {
    try withFolder { folder in
      var options = Self.options()
      options.bytesMax = 65_536
      var last = 0
      for _ in 0..<2 {
        let recorder = try recorder(folder, options)
        var host = try LonelyHost(recorder)
        host.turn(900)
        recorder.close()
        let files = try files(folder)
        #expect(files.reduce(0) { $0 + $1.bytes.count } <= options.bytesMax + 8_192)
        #expect(recorder.counters.filesDeleted > 0 && files.count > 2)
        #expect(files.map(\.number) == Array(files[0].number...files[files.count - 1].number))
        #expect(files[files.count - 1].number > last)
        last = files[files.count - 1].number
        for file in files { _ = try replay(file.bytes) }
      }
    }
  }

  /// A disk that stands still until it is released.
  private final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let isOpen = Atomic<Bool>(true)

    func close() { isOpen.store(false, ordering: .sequentiallyConsistent) }
    func open() {
      isOpen.store(true, ordering: .sequentiallyConsistent)
      semaphore.signal()
    }
    func pass() {
      if !isOpen.load(ordering: .sequentiallyConsistent) { semaphore.wait() }
    }
  }

  @Test func aSlowDiskLosesStepsAndNeverHoldsTheLoop() throws {
    try withFolder { folder in
      let gate = Gate()
      let recorder = try recorder(folder, Self.options(buffers: 8)) { descriptor, bytes in
        gate.pass()
        return write(descriptor, bytes.baseAddress, bytes.count)
      }
      var host = try LonelyHost(recorder)
      host.turn(20, flushing: true)
      gate.close()
      // Far more than all buffers hold: were the loop to wait, it would wait for ever.
      host.turn(2_000)
      #expect(recorder.counters.gaps == 1)
      #expect(recorder.counters.stepsDropped > 1_000)
      gate.open()
      recorder.flush()
      let dropped = recorder.counters.stepsDropped
      host.turn(200, flushing: true)
      recorder.close()
      // Those of the turn at whose end the new file began.
      #expect(recorder.counters.stepsDropped - dropped < 30)
      #expect(recorder.counters.stepsRecorded + recorder.counters.stepsDropped == host.steps)

      var steps: UInt64 = 0
      var ends: [RecordingEnd?] = []
      for (_, bytes) in try files(folder) {
        let replay = try replay(bytes)
        steps += replay.steps
        ends.append(replay.reader.end)
      }
      #expect(steps == recorder.counters.stepsRecorded)
      #expect(ends.filter { $0 == .gap }.count == 1 && ends.last == .closed)
    }
  }

  @Test func aFullDiskEndsTheFileAndIsTriedAgain() throws {
    try withFolder { folder in
      let room = Atomic<Int>(20_000)
      let recorder = try recorder(folder, Self.options()) { descriptor, bytes in
        guard room.subtract(bytes.count, ordering: .relaxed).newValue > 0 else {
          errno = ENOSPC
          return -1
        }
        return write(descriptor, bytes.baseAddress, bytes.count)
      }
      var host = try LonelyHost(recorder)
      host.turn(300)
      recorder.flush()
      host.turn(5)
      #expect(recorder.counters.lastError == ENOSPC)
      #expect(recorder.counters.writesFailed > 0 && recorder.counters.gaps > 0)
      room.store(1 << 30, ordering: .relaxed)
      // Not at once: a full disk is not made better by asking.
      host.now = host.now + .seconds(2)
      host.turn(200)
      recorder.close()
      let files = try files(folder)
      #expect(try replay(try #require(files.last).bytes).reader.end == .closed)
      #expect(try replay(try #require(files.first).bytes).steps > 0)
    }
  }

  @Test func stepsReachTheirFileSoonAndOnlyTheirTurn() throws {
    try withFolder { folder in
      let recorder = try recorder(folder, Self.options())
      var host = try LonelyHost(recorder)
      host.turn(3)
      let early = recorder.counters.bytesWritten
      host.turn(12)
      recorder.flush()
      #expect(recorder.counters.bytesWritten > early)
      // The process dies here: nothing is closed, and what was flushed is all there.
      let steps = host.steps
      let file = try #require(try files(folder).first)
      let replay = try replay(file.bytes)
      #expect(replay.steps == steps && replay.reader.end == nil)
      host.turn(11)
      recorder.disk.waitUntilIdle()
      let later = try self.replay(try #require(try files(folder).first).bytes)
      #expect(later.steps > steps, "a tenth of a second is enough")
      recorder.close()
    }
  }

  @Test func closingTwiceAndRecordingBehindIt() throws {
    try withFolder { folder in
      let recorder = try recorder(folder, Self.options())
      var host = try LonelyHost(recorder)
      recorder.close()
      recorder.close()
      let steps = host.steps
      host.turn(4)
      #expect(recorder.counters.stepsDropped == host.steps - steps)
      #expect(try files(folder).count == 1)
    }
  }

  @Test func whatCannotBeIsRefused() throws {
    var options = FlightRecorderOptions()
    #expect(throws: Never.self) { try options.validate() }
    options.buffers = 3
    #expect(throws: FlightRecorderOptions.Invalid.self) { try options.validate() }
    options = FlightRecorderOptions()
    options.bytesMax = options.fileBytesMax * 2 - 1
    #expect(throws: FlightRecorderOptions.Invalid.self) { try options.validate() }
    options = FlightRecorderOptions()
    options.fileBytesMax = options.bufferBytes - 1
    #expect(throws: FlightRecorderOptions.Invalid.self) { try options.validate() }
    options = FlightRecorderOptions()
    options.bufferBytes = 100
    #expect(throws: FlightRecorderOptions.Invalid.self) { try options.validate() }
    #expect(throws: RecordingDisk.Failure.self) {
      try FlightRecorder(directory: "/dev/null/recordings", identity: LonelyHost.identity)
    }
  }
}
