import Protocol
import Testing

@testable import Simulator

/// What arrived, in order, noted by a tenant's probe.
final class Arrivals {
  struct Arrival: Equatable {
    var from: Int
    var to: Int
    var number: UInt64
    var time: UInt64
  }
  var all: [Arrival] = []

  func count(_ from: Int, _ to: Int, after time: UInt64 = 0) -> Int {
    all.filter { $0.from == from && $0.to == to && $0.time > time }.count
  }
}

extension Chatter {
  /// A calm run with `change` on the plan, all arrivals noted.
  static func watched(
    nodes: Int = 3, seed: UInt64 = 1, arrivals: Arrivals, tape: TapeMode = .off,
    change: @escaping @Sendable (inout FaultPlan) -> Void = { _ in }
  ) -> Simulation<Chatter> {
    let configuration = SimulationConfiguration(
      nodes: nodes, profile: .calm, tape: tape,
      adjustPlan: {
        $0.safetyDuration = 1_000_000_000
        change(&$0)
      })
    return simulation(seed: seed, configuration) {
      $0.goal = .max / 10
      $0.probe = { node, input, world in
        if case .message(let from, let message) = input {
          arrivals.all.append(
            .init(
              from: from.index, to: node.index, number: message.number,
              time: world.simulatedTime.nanoseconds))
        }
      }
    }
  }
}

@Suite struct NetworkTests {
  private let second: UInt64 = 1_000_000_000

  @Test func aCalmNetworkDeliversEverythingOnceAndSoon() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals)
    simulation.run(until: second)
    // About 200 ticks a second, each told to both others.
    for a in 0..<3 {
      for b in 0..<3 where a != b {
        let numbers = arrivals.all.filter { $0.from == a && $0.to == b }.map { $0.number }
        #expect(numbers.count > 190)
        #expect(numbers == numbers.indices.map { UInt64($0) + 1 })
      }
    }
    #expect(simulation.world.packets.sent - simulation.world.packets.delivered < 12)
  }

  @Test func lossDuplicationAndReorderingComeAboutAsOftenAsPlanned() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals) {
      $0.packetLoss = 100_000
      $0.packetDuplication = 200_000
      $0.packetReorder = 200_000
      $0.reorderDelay = 50_000
    }
    simulation.run(until: 10 * second)
    let faults = simulation.world.faults
    let sent = Double(simulation.world.packets.sent)
    #expect(abs(Double(faults[.packetLost]) / sent - 0.1) < 0.01)
    #expect(abs(Double(faults[.packetDuplicated]) / sent - 0.18) < 0.02)
    let line = arrivals.all.filter { $0.from == 0 && $0.to == 1 }.map { $0.number }
    #expect(Set(line).count < line.count, "some arrive twice")
    #expect(line != line.sorted(), "some overtake others")
    #expect(Set(line).count < Int(line.max()!), "some never arrive")
    let delivered = simulation.world.packets.delivered
    let expected = simulation.world.packets.sent - faults[.packetLost] + faults[.packetDuplicated]
    #expect(delivered <= expected && expected - delivered < 60)
  }

  @Test func aOneWayCutDropsOneDirectionOnly() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals)
    simulation.run(until: second)
    var cuts = LinkCuts(endpoints: 3)
    cuts.cut(from: NodeIndex(0), to: NodeIndex(1))
    let number = simulation.cutLinks(cuts)
    simulation.run(until: 2 * second)
    // Packets in flight at the time of the cut are lost with it.
    #expect(arrivals.count(0, 1, after: second) == 0)
    for (a, b) in [(1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
      #expect(arrivals.count(a, b, after: second) > 190)
    }
    #expect(simulation.world.faults[.packetCut] > 190)
    simulation.restoreLinks(number)
    simulation.run(until: 3 * second)
    #expect(arrivals.count(0, 1, after: 2 * second) > 190)
  }

  @Test func overlappingCutsHealIndependently() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals)
    var one = LinkCuts(endpoints: 3)
    one.cut(from: NodeIndex(0), to: NodeIndex(1))
    var both = one
    both.cut(from: NodeIndex(1), to: NodeIndex(0))
    let first = simulation.cutLinks(one)
    let second = simulation.cutLinks(both)
    simulation.restoreLinks(second)
    simulation.run(until: self.second)
    #expect(arrivals.count(0, 1) == 0 && arrivals.count(1, 0) > 190)
    simulation.restoreLinks(first)
    simulation.run(until: 2 * self.second)
    #expect(arrivals.count(0, 1) > 190)
  }

  @Test func aSlowLinkIsSlowInItsDirectionOnly() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals)
    _ = simulation.slowLink(from: NodeIndex(0), to: NodeIndex(1), by: .milliseconds(300))
    simulation.run(until: second)
    // 200 ticks a second, the last 300 ms of them still under way.
    #expect((130...141).contains(arrivals.count(0, 1)))
    #expect(arrivals.count(1, 0) > 190)
  }

  @Test func corruptedPacketsGoThroughTheCodecAndAreRefused() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals) { $0.packetCorruption = 200_000 }
    simulation.run(until: 5 * second)
    let corrupted = simulation.world.faults[.packetCorrupted]
    #expect(corrupted > 500)
    // Two flips of the same bit leave a packet whole; anything else the checksum of this tenant
    // notices.
    #expect(simulation.world.packets.rejected <= corrupted)
    #expect(simulation.world.packets.rejected > corrupted * 95 / 100)
    let known = arrivals.all.allSatisfy { $0.number <= 1_100 }
    #expect(known, "no damaged number got through")
  }

  @Test func everyMessageCanGoThroughTheCodec() {
    let plain = Arrivals()
    let coded = Arrivals()
    var one = Chatter.watched(arrivals: plain)
    var other = Chatter.watched(arrivals: coded) { $0.everythingThroughCodec = 1 }
    one.run(until: second)
    other.run(until: second)
    #expect(plain.all == coded.all && one.world.digest == other.world.digest)
  }

  @Test func oldPacketsComeBackLongAfterTheirTime() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals) { $0.packetReplay = 20_000 }
    simulation.run(until: 5 * second)
    #expect(simulation.world.faults[.packetReplayed] > 50)
    let line = arrivals.all.filter { $0.from == 0 && $0.to == 1 }.map { $0.number }
    var highest: UInt64 = 0
    var oldest: UInt64 = 0
    for number in line {
      if number < highest { oldest = max(oldest, highest - number) }
      highest = max(highest, number)
    }
    #expect(oldest > 20, "a replay is much older than what reordering leaves behind")
  }

  @Test func biggerPacketsTakeLonger() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals) {
      // 16 bytes at this rate are 156 ms.
      $0.transferTime = 10_000_000_000
    }
    simulation.run(until: second)
    #expect((160...172).contains(arrivals.count(0, 1)))
  }
}
