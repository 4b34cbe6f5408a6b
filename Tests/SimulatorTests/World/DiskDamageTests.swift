import Protocol
import Testing

@testable import Simulator

@Suite struct DiskDamageTests {
  private static func disk(keepsReplaced: Bool = false) -> SimulatedDisk {
    var disk = SimulatedDisk(keepsReplaced: keepsReplaced)
    let bytes = (0..<9_000).map { UInt8(truncatingIfNeeded: $0 % 251 + 1) }
    bytes.withUnsafeBytes { _ = disk.append("log", $0) }
    Array(bytes.reversed()).withUnsafeBytes { _ = disk.append("old", $0) }
    disk.complete(upTo: disk.mark)
    return disk
  }

  private static let whole = VouchedFile(name: "old", count: 9_000, isWhole: true)
  private static let begun = VouchedFile(name: "log", count: 5_000, isWhole: false)

  /// Every kind damages something, and nothing that nobody vouches for.
  @Test(arguments: MediumFault.allCases)
  func onlyWhatIsVouchedForIsDamaged(_ fault: MediumFault) {
    guard fault != .diskWiped, fault != .sectorStale else { return }
    var happened = 0
    for seed in UInt64(0)..<200 {
      var streams = RandomStreams(seed: seed)
      for file in [Self.whole, Self.begun] {
        var disk = Self.disk()
        let before = disk
        guard disk.damage(fault, file, &streams) != nil else { continue }
        happened += 1
        let other = file.name == "log" ? "old" : "log"
        #expect(disk.contents(of: other) == before.contents(of: other))
        #expect(disk.contents(of: file.name) != before.contents(of: file.name))
        #expect(disk.contents(of: file.name) == disk.medium(of: file.name)?.bytes)
        if !file.isWhole {
          #expect(
            disk.contents(of: "log")?[5_000...] == before.contents(of: "log")?[5_000...],
            "\(fault) seed \(seed)")
        }
      }
    }
    // What needs a whole file leaves the other one alone.
    #expect(happened > 150, "\(fault): \(happened)")
  }

  /// What a running process reads comes from its cache; a crash leaves it with what is on the medium.
  @Test(arguments: MediumFault.allCases.filter { $0.mayBeLatent })
  func damageUnderARunningProcessShowsAfterACrash(_ fault: MediumFault) {
    var happened = 0
    for seed in UInt64(0)..<50 {
      var streams = RandomStreams(seed: seed)
      var disk = Self.disk(keepsReplaced: true)
      [UInt8](repeating: 9, count: 9_000).withUnsafeBytes { disk.write("old", at: 0, $0) }
      disk.complete(upTo: disk.mark)
      [UInt8(7)].withUnsafeBytes { _ = disk.append("old", $0) }
      let seen = disk.contents(of: "old")
      guard disk.damageAtRest(fault, Self.whole, &streams) != nil else { continue }
      happened += 1
      #expect(disk.contents(of: "old") == seen)
      #expect(disk.medium(of: "old")?.bytes != seen?.dropLast())
      disk.complete(upTo: disk.mark)
      disk.losePending()
      #expect(disk.contents(of: "old") == disk.medium(of: "old")?.bytes)
      #expect(disk.contents(of: "old") != seen)
      #expect(disk.contents(of: "old")?.last == 7)
    }
    #expect(happened > 10, "\(fault): \(happened)")
  }

  @Test func anUnreadableSectorIsToldUntilItIsWrittenAgain() throws {
    var streams = RandomStreams(seed: 3)
    var disk = Self.disk()
    #expect(disk.damage(.sectorUnreadable, Self.whole, &streams) != nil)
    let sector = try #require(disk.unreadable("old").first)
    #expect(disk.contents(of: "old")![sector].allSatisfy { $0 == 0 })
    [UInt8(7)].withUnsafeBytes { disk.write("old", at: sector.lowerBound, $0) }
    disk.complete(upTo: disk.mark)
    #expect(disk.unreadable("old").isEmpty)
  }

  @Test func aStaleSectorHoldsWhatItHeldBefore() throws {
    var streams = RandomStreams(seed: 4)
    var disk = Self.disk(keepsReplaced: true)
    let before = try #require(disk.contents(of: "old"))
    [UInt8](repeating: 0xFF, count: 100).withUnsafeBytes { disk.write("old", at: 4_100, $0) }
    disk.complete(upTo: disk.mark)
    #expect(disk.contents(of: "old") != before)
    #expect(disk.damage(.sectorStale, Self.whole, &streams) != nil)
    #expect(disk.contents(of: "old") == before)
    // One that was never written again has no past.
    #expect(disk.damage(.sectorStale, Self.begun, &streams) == nil)
  }

  /// A flush that lied loses its writes in a crash, if something else vouches for them; else they are kept.
  @Test func aLyingFlushLosesOnlyWhatIsVouchedFor() {
    var lost: UInt64 = 0
    for seed in UInt64(0)..<20 {
      var streams = RandomStreams(seed: seed)
      var disk = Self.disk()
      let before = disk.contents(of: "log")!
      [UInt8](repeating: 9, count: 512).withUnsafeBytes { _ = disk.append("log", $0) }
      disk.complete(upTo: disk.mark, lies: true)
      let after = disk.contents(of: "log")!
      var unvouched = disk
      #expect(unvouched.loseLies([Self.begun], &streams).writes == 0)
      #expect(unvouched.contents(of: "log") == after)
      let all = VouchedFile(name: "log", count: after.count, isWhole: true)
      let here = disk.loseLies([all], &streams).writes
      #expect(
        disk.contents(of: "log") == (here == 0 ? after : before + [UInt8](repeating: 0, count: 512))
      )
      // Once is enough: what is kept is kept for good.
      #expect(disk.loseLies([all], &streams).writes == 0)
      lost += here
    }
    #expect(lost > 3 && lost < 17)
  }
}
