import Protocol
import Testing

@testable import Simulator

/// States that a crash could leave, looked at without one.
@Suite struct CrashImageTests {
  /// Every 8-byte piece of what is pending comes and goes by itself; what was flushed stays.
  @Test func everySubsetOfPiecesIsAnImage() {
    var disk = SimulatedDisk()
    func put(_ bytes: [UInt8], at offset: Int) {
      bytes.withUnsafeBytes { disk.write("file", at: offset, $0) }
    }
    put([UInt8](repeating: 1, count: 16), at: 0)
    disk.complete(upTo: disk.mark)
    put([UInt8](repeating: 2, count: 24), at: 8)
    var images = Set<[UInt8]>()
    for seed in 0..<200 as Range<UInt64> {
      var image = disk
      image.crash(seed: seed)
      images.insert(image.contents(of: "file")!)
    }
    // Three pieces; where the last is missing the file ends before it, and a missing one before another is zeroes.
    let old = [UInt8](repeating: 1, count: 8)
    let (lost, kept) = ([UInt8](repeating: 0, count: 8), [UInt8](repeating: 2, count: 8))
    #expect(
      images == [
        old + old, old + kept, old + old + kept, old + kept + kept, old + old + lost + kept,
        old + old + kept + kept, old + kept + lost + kept, old + kept + kept + kept,
      ])
    #expect(disk.contents(of: "file") == old + kept + kept + kept, "the disk itself goes on")
    disk.losePending()
    #expect(disk.contents(of: "file") == old + old)
  }

  @Test func someAreLookedAtInAFewRuns() {
    var count: UInt64 = 0
    for seed in 1...10 as ClosedRange<UInt64> {
      let result = PaxosSimulation.run(seed: seed, PaxosOptions())
      #expect(result.outcome == .passed)
      count += result.report.crashImages
    }
    #expect(count > 0)
  }
}
