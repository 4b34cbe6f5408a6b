import Protocol
import Testing

@testable import Simulator

@Suite struct SimulatedDiskTests {
  private static func plan(
    writes: UInt64 = 2, torn: UInt64 = 0, granularity: UInt64 = 512, subset: UInt64 = 0
  ) -> FaultPlan {
    var plan = FaultPlan()
    plan.crashWrites = writes
    plan.tornWrite = torn
    plan.tornGranularity = granularity
    plan.tornAnySubset = subset
    return plan
  }

  private static func bytes(_ count: Int, from first: UInt8 = 1) -> [UInt8] {
    (0..<count).map { first &+ UInt8(truncatingIfNeeded: $0 % 200) }
  }

  @Test func readsSeeWritesAtOnceTheMediumOnlyAtTheFlush() {
    var disk = SimulatedDisk()
    Self.bytes(10).withUnsafeBytes { _ = disk.append("a", $0) }
    #expect(disk.contents(of: "a") == Self.bytes(10))
    #expect(disk.medium(of: "a")?.bytes == nil)
    #expect(disk.hasUnflushed)
    disk.complete(upTo: disk.mark)
    #expect(disk.medium(of: "a")?.bytes == Self.bytes(10))
    #expect(!disk.hasUnflushed)
    Self.bytes(4, from: 90).withUnsafeBytes { disk.write("a", at: 12, $0) }
    #expect(disk.contents(of: "a") == Self.bytes(10) + [0, 0] + Self.bytes(4, from: 90))
    #expect(disk.medium(of: "a")?.bytes == Self.bytes(10))
  }

  @Test func aFlushCoversWhatCameBeforeItAndNothingElse() {
    var disk = SimulatedDisk()
    [1, 2].withUnsafeBytes { _ = disk.append("a", $0) }
    disk.complete(upTo: disk.mark)
    [UInt8(3)].withUnsafeBytes { _ = disk.append("a", $0) }
    let mark = disk.mark
    [UInt8(4)].withUnsafeBytes { disk.write("a", at: 0, $0) }
    let before = disk.medium(of: "a")!.bytes
    disk.complete(upTo: mark)
    #expect(disk.medium(of: "a")?.bytes == before + [3])
    #expect(disk.contents(of: "a")!.first == 4)
  }

  /// Random programs against a model of what was flushed: nothing of it is ever lost, and nothing
  /// appears from nowhere.
  @Test(arguments: UInt64(0)..<24)
  func flushedDataAlwaysSurvives(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var streams = RandomStreams(seed: seed)
    let plan = Self.plan(
      writes: 1 + seed % 2, torn: 700_000, granularity: seed % 3 == 0 ? 8 : 512,
      subset: seed / 2 % 2)
    var disk = SimulatedDisk()
    var flushed: [UInt8] = []
    var written: [UInt8] = []
    for _ in 0..<300 {
      switch random.next(below: 6) {
      case 0...3:
        let more = Self.bytes(Int(random.next(below: 1_500)), from: UInt8(random.next(below: 250)))
        more.withUnsafeBytes { _ = disk.append("log", $0) }
        written += more
      case 4:
        disk.complete(upTo: disk.mark)
        flushed = written
      default:
        _ = disk.crash(plan, &streams)
        let left = disk.contents(of: "log") ?? []
        #expect(Array(left.prefix(flushed.count)) == flushed)
        #expect(left.count <= written.count)
        // Lost bytes of the middle read as zeros.
        let strange = left.indices.contains { index in
          left[index] != written[index] && (left[index] != 0 || index < flushed.count)
        }
        #expect(!strange)
        // What survived the crash is durable from now on.
        #expect(disk.medium(of: "log")?.bytes ?? [] == left)
        written = left
        flushed = left
      }
    }
  }

  /// One unflushed write over durable bytes, crashed many times: kept, lost, torn at the right
  /// grain.
  @Test(arguments: [8, 64, 512], [UInt64(0), 1])
  func aTornWriteKeepsWholeAlignedPieces(_ granularity: Int, _ subset: UInt64) {
    var kept = 0
    var lost = 0
    var torn = 0
    var holes = 0
    for seed in UInt64(0)..<300 {
      var streams = RandomStreams(seed: seed)
      var disk = SimulatedDisk()
      let old = Array(repeating: UInt8(255), count: granularity * 5)
      old.withUnsafeBytes { disk.write("f", at: 0, $0) }
      disk.complete(upTo: disk.mark)
      // Starts in the middle of a piece, so the first one is a part.
      let start = granularity / 2
      let new = Array(repeating: UInt8(7), count: granularity * 4)
      new.withUnsafeBytes { disk.write("f", at: start, $0) }
      let plan = Self.plan(
        torn: 800_000, granularity: UInt64(granularity), subset: subset)
      let outcome = disk.crash(plan, &streams)
      let left = disk.contents(of: "f")!
      #expect(left.count == old.count)
      var pieces: [Bool] = []
      for piece in 0..<5 {
        let range =
          max(start, piece * granularity)..<min(start + new.count, (piece + 1) * granularity)
        let survived = left[range.lowerBound] == 7
        pieces.append(survived)
        #expect(left[range].allSatisfy { $0 == (survived ? 7 : 255) })
      }
      #expect(left[..<start].allSatisfy { $0 == 255 })
      if pieces.allSatisfy({ $0 }) {
        kept += 1
      } else if pieces.contains(true) {
        torn += 1
        #expect(outcome.torn == 1 && outcome.lost == 0)
        if pieces != pieces.sorted(by: { $0 && !$1 }) { holes += 1 }
      } else {
        lost += 1
        #expect(outcome.lost == 1 && outcome.torn == 0)
      }
    }
    #expect(kept > 100 && lost > 5 && torn > 30)
    #expect((holes > 0) == (subset == 1))
  }

  @Test func anOrderedCrashKeepsAPrefixOfTheWrites() {
    var lengths: [Int] = []
    for seed in UInt64(0)..<200 {
      var streams = RandomStreams(seed: seed)
      var disk = SimulatedDisk()
      [UInt8(0)].withUnsafeBytes { _ = disk.append("f", $0) }
      disk.complete(upTo: disk.mark)
      for value in UInt8(1)...20 { [value].withUnsafeBytes { _ = disk.append("f", $0) } }
      _ = disk.crash(Self.plan(writes: 1), &streams)
      let left = disk.contents(of: "f")!
      #expect(left == (0..<UInt8(left.count)).map { $0 })
      lengths.append(left.count)
    }
    #expect(lengths.min()! < 5 && lengths.max()! == 21)
  }

  @Test func anUnorderedCrashCanKeepALaterWriteAndLoseAnEarlierOne() {
    var seen = false
    for seed in UInt64(0)..<50 {
      var streams = RandomStreams(seed: seed)
      var disk = SimulatedDisk()
      [UInt8(1)].withUnsafeBytes { disk.write("f", at: 0, $0) }
      disk.complete(upTo: disk.mark)
      [UInt8(2)].withUnsafeBytes { disk.write("f", at: 0, $0) }
      [UInt8(3)].withUnsafeBytes { disk.write("f", at: 1, $0) }
      _ = disk.crash(Self.plan(), &streams)
      if disk.contents(of: "f")! == [1, 3] { seen = true }
    }
    #expect(seen)
  }

  @Test func aRenameIsAtomicAndMaySurviveWithoutTheDataBeforeIt() {
    var outcomes: [String: Int] = [:]
    for seed in UInt64(0)..<400 {
      var streams = RandomStreams(seed: seed)
      var disk = SimulatedDisk()
      [UInt8(1)].withUnsafeBytes { disk.write("current", at: 0, $0) }
      disk.complete(upTo: disk.mark)
      [UInt8(2)].withUnsafeBytes { disk.write("next", at: 0, $0) }
      disk.rename("next", to: "current")
      #expect(disk.contents(of: "current")! == [2] && !disk.exists("next"))
      _ = disk.crash(Self.plan(), &streams)
      let left = disk.contents(of: "current")
      #expect(left != nil, "an atomic replacement leaves the old or the new file")
      outcomes["\(left ?? [9])", default: 0] += 1
    }
    // Old, new, and the classic: new name, no data.
    #expect(outcomes["[1]"] ?? 0 > 10 && outcomes["[2]"] ?? 0 > 10 && outcomes["[]"] ?? 0 > 10)
    #expect(outcomes.count == 3)
  }

  @Test func aFlushBetweenDataAndRenameForbidsTheEmptyFile() {
    for seed in UInt64(0)..<200 {
      var streams = RandomStreams(seed: seed)
      var disk = SimulatedDisk()
      [UInt8(1)].withUnsafeBytes { disk.write("current", at: 0, $0) }
      [UInt8(2)].withUnsafeBytes { disk.write("next", at: 0, $0) }
      disk.complete(upTo: disk.mark)
      disk.rename("next", to: "current")
      _ = disk.crash(Self.plan(), &streams)
      #expect([[1], [2]].contains(disk.contents(of: "current")!))
    }
  }

  @Test func deletedAndTruncatedFilesComeBackOnlyUntilTheFlush() {
    var cameBack = false
    for seed in UInt64(0)..<50 {
      var streams = RandomStreams(seed: seed)
      var disk = SimulatedDisk()
      Self.bytes(100).withUnsafeBytes { disk.write("a", at: 0, $0) }
      Self.bytes(100).withUnsafeBytes { disk.write("b", at: 0, $0) }
      disk.complete(upTo: disk.mark)
      disk.delete("a")
      disk.truncate("b", to: 10)
      #expect(!disk.exists("a") && disk.size(of: "b") == 10)
      var flushed = disk
      flushed.complete(upTo: flushed.mark)
      _ = flushed.crash(Self.plan(), &streams)
      #expect(flushed.names == ["b"] && flushed.contents(of: "b") == Self.bytes(10))
      _ = disk.crash(Self.plan(), &streams)
      if disk.exists("a") {
        cameBack = true
        #expect(disk.contents(of: "a") == Self.bytes(100))
        // Changes of names and sizes are ordered: a later one cannot survive an earlier one.
        #expect(disk.size(of: "b") == 100)
      }
    }
    #expect(cameBack)
  }

  @Test func placesOfDeletedFilesAreUsedAgain() {
    var disk = SimulatedDisk()
    for round in 0..<100 {
      [UInt8(round)].withUnsafeBytes { disk.write("segment \(round)", at: 0, $0) }
      disk.complete(upTo: disk.mark)
      #expect(disk.contents(of: "segment \(round)") == [UInt8(round)])
      disk.delete("segment \(round)")
      disk.complete(upTo: disk.mark)
    }
    #expect(disk.names.isEmpty)
  }

  @Test func spaceIsTakenWholeOrNotAtAll() {
    var disk = SimulatedDisk()
    #expect(disk.free == .max)
    [UInt8](repeating: 1, count: 100).withUnsafeBytes { disk.write("old", at: 0, $0) }
    disk.fill(leaving: 1_000)
    let fits = [disk.reserve("a", 600), disk.reserve("b", 600), disk.reserve("a", 700)]
    #expect(fits == [true, false, true] && disk.free == 300)
    #expect(disk.size(of: "a") == 0 && !disk.exists("b"))
    // What is written into what was taken takes nothing more.
    [UInt8](repeating: 2, count: 500).withUnsafeBytes { disk.write("a", at: 0, $0) }
    disk.rename("a", to: "c")
    #expect(disk.free == 300)
    disk.delete("old")
    #expect(disk.free == 400)
    disk.complete(upTo: disk.mark)
    let more = disk.reserve("d", 400)
    #expect(more && disk.free == 0)
    // Its name is lost in a crash, and its space with it.
    disk.losePending()
    #expect(disk.free == 400 && disk.names == ["c"])
    disk.freeSpace()
    #expect(disk.free == .max)
  }
}
