#if CONTRACTS
  import Foundation
  import Protocol
  import Synchronization
  import Testing

  @testable import RealRuntime

  /// Every state that a crash could leave of a real journal's files, at every flush of a scripted life, on everything that a
  /// journal can be kept on. A journal that does one of the classic mistakes must be caught.
  @Suite struct CheckedRegionTests {
    typealias Event = CheckedRegion.Event

    static let devices = JournalDevice.all.filter { $0.flush != .none }

    /// A journal in files, and the region that is told what it does.
    private struct Watched {
      let region: WriteRegion
      let rig: JournalRig
      var generator = SeededRandom(seed: 7)
      var slot: UInt64 = 0
      var snapshot = SnapshotInfo.none
      var sequence: UInt64 = 0

      init(
        _ device: JournalDevice,
        transform: @escaping @Sendable (Event) -> [Event] = { [$0] }
      ) throws {
        let isMemory = device.flush == .pmem
        region = WriteRegion(
          CheckedRegion(
            identity: JournalIdentity(cluster: ClusterID(9), replica: ReplicaID(1)),
            tornBlockLength: isMemory ? nil : FileJournal.blockLength, publishesLast: isMemory,
            drawn: 16, seed: 1),
          transform: transform)
        rig = try JournalRig(
          segmentBytes: 12 << 10, flush: device.flush, in: device.folder,
          acceptsVolatileMemory: device.acceptsVolatileMemory, probe: WriteProbe(region))
      }

      private mutating func append(_ fact: JournalFact) throws {
        try rig.journal.append(JournalRecord(fact, epoch: Epoch(1)), rig.log)
      }

      private mutating func vote(_ length: Int) throws {
        slot += 1
        sequence += 1
        let payload = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) | 1 }
        let value = try rig.value(payload, sequence: sequence)
        try append(
          .accepted(Slot(slot), Ballot(round: slot / 5 + 1, proposer: ReplicaID(1)), value))
      }

      /// What a replica writes between two flushes.
      private mutating func appendSomething(_ step: Int) throws {
        try vote(20 + Int(generator.next(below: 400)))
        if step % 3 == 1 { try append(.chosenUpTo(Slot(slot - 1))) }
        if step % 5 == 2 { try vote(1) }
        if step % 7 == 3 {
          try append(.promised(Ballot(round: slot / 5 + 2, proposer: ReplicaID(2))))
        }
      }

      private func flush() throws {
        _ = try rig.flush()
        rig.log.release(upTo: rig.log.end)
      }

      private mutating func takeSnapshot() throws {
        snapshot = SnapshotInfo(slot: Slot(slot - 2), length: 1, digest: slot)
        try append(.snapshot(snapshot))
        try flush()
        rig.journal.drop(upTo: snapshot.slot)
        rig.settle()
      }

      /// Three starts: appended, flushed, rolled over, vouched for, dropped, files used again, and ended with records on their
      /// way.
      mutating func live() throws {
        for start in 0..<3 {
          if start > 0 {
            rig.settle()
            let recovered = try rig.recover(
              into: LogBuffer(capacity: 1 << 20), snapshot: snapshot)
            slot = recovered.highestSlot.rawValue
            try rig.reopen(snapshot: snapshot)
          }
          for step in 0..<24 where region.violation == nil {
            try appendSomething(step)
            // Little is flushed by the loop, much by another thread.
            if step == 13 { try vote(FileJournal.inlineMax + 200) }
            try flush()
            if step % 8 == 5 { try rig.journal.vouch(isLast: true) }
            if step % 12 == 11 { try takeSnapshot() }
          }
          try appendSomething(1)
        }
      }
    }

    @Test(arguments: devices) func everyImageRecovers(_ device: JournalDevice) throws {
      var watched = try Watched(device)
      let duration = try ContinuousClock().measure { try watched.live() }
      #expect(watched.region.violation == nil, "\(watched.region.violation?.description ?? "")")
      // Files were used again, and segments followed one another.
      #expect(try #require(watched.rig.journal.descriptors.last).number > 8)
      #expect(watched.region.images > 2_500)
      print("\(device.name): \(watched.region.images) crash images in \(duration)")
    }

    // MARK: Mistakes

    /// What a journal could do wrong, as what it would have told the region.
    enum Flaw: CaseIterable {
      /// A flush of bytes is left out.
      case missingFlush
      /// A new segment's name is not made durable.
      case missingFlushOfNames
      /// Of a flush that goes on in a new segment, only the new one is flushed.
      case flushOfTheLastFileOnly
      /// The first word of a record is stored in memory before the rest is durable.
      case wordBeforeTheRest
      /// A flush begins in the block that the one before ended in, and writes it again.
      case blockWrittenAgain

      var isOfMemory: Bool { self == .wordBeforeTheRest }

      func transform() -> @Sendable (Event) -> [Event] {
        let memory = Memory()
        switch self {
        case .missingFlush:
          return { if case .flushed(.segment) = $0 { [] } else { [$0] } }
        case .missingFlushOfNames:
          return { if case .namesFlushed = $0 { [] } else { [$0] } }
        case .flushOfTheLastFileOnly: return { memory.lastFileOnly($0) }
        case .wordBeforeTheRest: return { memory.wordFirst($0) }
        case .blockWrittenAgain: return { memory.blockAgain($0) }
        }
      }
    }

    /// What was told before, for flaws that change the order.
    private final class Memory: Sendable {
      private struct State {
        var held: [Event] = []
        var isLate = false
        var written: [CheckedRegion.Name: [UInt8]] = [:]
      }

      private let state = Mutex(State())

      /// A flush that is followed by the beginning of a segment did not happen.
      func lastFileOnly(_ event: Event) -> [Event] {
        state.withLock { state in
          var before = state.held
          state.held = []
          switch event {
          case .wrote(.segment, at: 0, _): before = []
          case .flushed(.segment):
            state.held = [event]
            return before
          default: break
          }
          return before + [event]
        }
      }

      /// Without the first of the two fences.
      func wordFirst(_ event: Event) -> [Event] {
        state.withLock { state in
          guard !state.held.isEmpty else {
            if case .wrote(.segment, _, let bytes) = event, bytes.count > 8 {
              state.held = [event]
              return []
            }
            return [event]
          }
          switch event {
          case .flushed where !state.isLate:
            state.isLate = true
            return []
          default:
            defer { (state.held, state.isLate) = ([], false) }
            return [event] + state.held
          }
        }
      }

      func blockAgain(_ event: Event) -> [Event] {
        state.withLock { state in
          guard case .wrote(let name, let offset, let bytes) = event, case .segment = name else {
            return [event]
          }
          let length = FileJournal.blockLength
          let before = state.written[name]?.suffix(length) ?? []
          state.written[name] = bytes
          guard offset >= length, before.count == length else { return [event] }
          return [.wrote(name, at: offset - length, before + bytes)]
        }
      }
    }

    /// On one of the things that the flaw is of.
    private static func device(_ flaw: Flaw) -> JournalDevice? {
      devices.first { ($0.flush == .pmem) == flaw.isOfMemory }
    }

    @Test(arguments: Flaw.allCases.filter { device($0) != nil })
    func everyFlawIsCaught(_ flaw: Flaw) throws {
      let device = try #require(Self.device(flaw))
      var watched = try Watched(device, transform: flaw.transform())
      try watched.live()
      let violation = try #require(watched.region.violation, "\(flaw) was not caught")
      #expect(violation.description.hasPrefix("a crash here could leave"), "\(violation)")
    }
  }
#endif
