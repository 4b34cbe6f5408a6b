import Protocol
import Testing

@testable import Simulator

/// Conformance of simulated persistent memory: what is fenced survives, what is not may vanish word by word, and caches that survive
/// keep everything.
@Suite struct SimulatedMemoryTests {
  private static func memory(_ medium: StorageMedium = .memory) -> SimulatedDisk {
    var disk = SimulatedDisk(medium, keepsReplaced: false)
    store([UInt8](repeating: 1, count: 16), at: 0, &disk)
    disk.flushNames()
    disk.fence()
    return disk
  }

  private static func store(_ bytes: [UInt8], at offset: Int, _ disk: inout SimulatedDisk) {
    bytes.withUnsafeBytes { disk.store("file", at: offset, $0) }
  }

  /// What crashes leave, one for each seed.
  private static func images(
    _ disk: SimulatedDisk, isAtFence: Bool, seeds: Range<UInt64> = 0..<400
  ) -> Set<[UInt8]> {
    var images = Set<[UInt8]>()
    for seed in seeds {
      var image = disk
      var streams = RandomStreams(seed: seed)
      _ = image.crash(FaultPlan(), isAtFence: isAtFence, &streams)
      images.insert(image.contents(of: "file")!)
    }
    return images
  }

  private static func words(_ values: UInt8...) -> [UInt8] {
    values.flatMap { [UInt8](repeating: $0, count: GroupCommit.wordLength) }
  }

  @Test func storesAreVisibleAtOnceAndDurableAfterAFence() {
    var disk = Self.memory()
    Self.store(Self.words(2, 3), at: 8, &disk)
    #expect(disk.contents(of: "file") == Self.words(1, 2, 3))
    #expect(disk.medium(of: "file")?.bytes == Self.words(1, 1))
    #expect(disk.hasUnflushed)
    // A flush of files is none of stores.
    disk.complete(upTo: disk.mark)
    #expect(disk.medium(of: "file")?.bytes == Self.words(1, 1))
    disk.fence()
    #expect(disk.medium(of: "file")?.bytes == Self.words(1, 2, 3))
    #expect(!disk.hasUnflushed)
    #expect(Self.images(disk, isAtFence: true) == [Self.words(1, 2, 3)])
  }

  /// Caches write back what they like: every subset of the words, whether a crash comes right before the fence or anywhere.
  @Test(arguments: [false, true])
  func whatIsNotFencedVanishesWordByWord(_ isAtFence: Bool) {
    var disk = Self.memory()
    Self.store(Self.words(2, 3), at: 0, &disk)
    Self.store(Self.words(4), at: 8, &disk)
    // The second word was stored twice, and either may have been written back last.
    #expect(
      Self.images(disk, isAtFence: isAtFence) == [
        Self.words(1, 1), Self.words(2, 1), Self.words(1, 3), Self.words(2, 3), Self.words(1, 4),
        Self.words(2, 4),
      ])
    #expect(disk.contents(of: "file") == Self.words(2, 4), "the memory itself goes on")
    disk.losePending()
    #expect(disk.contents(of: "file") == Self.words(1, 1))
  }

  @Test func cachesThatSurviveKeepEveryStore() {
    var disk = Self.memory(.memoryWithCaches)
    Self.store(Self.words(2, 3), at: 0, &disk)
    Self.store(Self.words(4), at: 8, &disk)
    #expect(Self.images(disk, isAtFence: false) == [Self.words(2, 4)])
    // In the midst of them, only those that were made, in the order of the program.
    #expect(
      Self.images(disk, isAtFence: true)
        == [Self.words(1, 1), Self.words(2, 1), Self.words(2, 3), Self.words(2, 4)])
  }

  @Test func namesAreFlushedWithoutWhatIsWritten() {
    var disk = Self.memory()
    Self.words(7).withUnsafeBytes { disk.write("written", at: 0, $0) }
    Self.words(8).withUnsafeBytes { disk.store("stored", at: 0, $0) }
    disk.fence()
    #expect(disk.medium(of: "stored")?.bytes == nil)
    disk.flushNames()
    #expect(disk.medium(of: "stored")?.bytes == Self.words(8))
    #expect(disk.medium(of: "written")?.bytes == [])
    disk.delete("file")
    disk.rename("stored", to: "file")
    #expect(disk.medium(of: "file")?.bytes == Self.words(1, 1))
    disk.flushNames()
    #expect(disk.medium(of: "file")?.bytes == Self.words(8))
    #expect(disk.hasUnflushed, "what was written waits for its own flush")
    disk.complete(upTo: disk.mark)
    #expect(disk.medium(of: "written")?.bytes == Self.words(7))
    #expect(!disk.hasUnflushed)
  }

  /// A line that was never written back is lost in a crash, if something else vouches for it; whatever the fence said.
  @Test(arguments: [StorageMedium.memory, .memoryWithCaches])
  func aForgottenLineIsLostInACrash(_ medium: StorageMedium) {
    var lost: UInt64 = 0
    for seed in UInt64(0)..<40 {
      var streams = RandomStreams(seed: seed)
      var disk = Self.memory(medium)
      Self.store([UInt8](repeating: 9, count: 240), at: 16, &disk)
      disk.forgetLine(&streams)
      disk.fence()
      let before = disk.contents(of: "file")!
      let all = VouchedFile(name: "file", count: before.count, isWhole: true)
      let here = disk.loseLies([all], &streams)
      #expect(here.writes == 0 && here.lines <= 1)
      lost += here.lines
      let after = disk.contents(of: "file")!
      let gone = before.indices.filter { after[$0] != before[$0] }
      #expect(gone.isEmpty == (here.lines == 0))
      guard let first = gone.first, let last = gone.last else { continue }
      #expect(first >= 16 && first / 64 == last / 64, "of one line, and only what was stored")
    }
    #expect(medium == .memory ? lost > 8 && lost < 32 : lost == 0)
  }

  /// What is poisoned, garbled or misdirected is lines of 64 bytes, and the 256 that such memory corrects errors in.
  @Test func memoryIsDamagedByLines() {
    var lengths = Set<Int>()
    for seed in UInt64(0)..<40 {
      var streams = RandomStreams(seed: seed)
      var disk = Self.memory()
      Self.store([UInt8](repeating: 9, count: 4_096), at: 0, &disk)
      disk.fence()
      let file = VouchedFile(name: "file", count: 4_096, isWhole: true)
      #expect(disk.damage(.sectorUnreadable, file, &streams) != nil)
      let range = disk.unreadable("file")[0]
      #expect(range.lowerBound % range.count == 0)
      lengths.insert(range.count)
      // Until it is stored again.
      Self.store([7], at: range.lowerBound, &disk)
      disk.fence()
      #expect(disk.unreadable("file").isEmpty)
    }
    #expect(lengths == [64, 256])
  }
}
