import Foundation
import Protocol
import Simulator
import Testing

@testable import SimulationTesting

/// A tenant of a few lines: three processes tick; one of them breaks its word at a tick that
/// depends on the seed.
private struct Ticker: SimulatedSystem {
  struct Message {}
  struct Report {}

  var ticks = 0
  var breaksAt: Int
  /// Mixed into the digest: not part of the seed.
  var noise: UInt64 = 0

  mutating func start(_ node: NodeIndex, _ world: inout World<Message>) -> Int { 1 }
  mutating func crash(_ node: NodeIndex, _ world: inout World<Message>) {}
  mutating func step(
    _ node: NodeIndex, _ input: SimulatedInput<Message>, _ world: inout World<Message>
  ) -> Int { 1 }
  mutating func perform(effect: Int, _ node: NodeIndex, _ world: inout World<Message>) {
    ticks += 1
    world.mixDigest(noise)
    world.note("tick \(ticks)", node)
    if ticks == breaksAt {
      world.report(
        Violation(
          kind: .safety, checker: "ticker.word", sentence: "tick \(ticks) should not be",
          nodes: [node]))
    }
    world.setTimer(node, at: world.localTime(node) + .milliseconds(5), token: 1)
  }
  func encode(_ message: Message, into bytes: inout [UInt8]) {}
  mutating func decode(_ bytes: [UInt8], for node: NodeIndex) -> Message? { Message() }
  func digestWord(of message: Message) -> UInt64 { 0 }
  func digestWord(ofEffect effect: Int, _ node: NodeIndex) -> UInt64 { UInt64(effect) }
  func isDone(_ world: inout World<Message>) -> Bool { ticks >= 40 }
  func report(_ world: borrowing World<Message>) -> Report { Report() }
}

/// Seeds above 5 break.
private func ticker(_ seed: UInt64, _ trace: TraceOptions) -> Simulation<Ticker> {
  Simulation(seed: seed, SimulationConfiguration(nodes: 3, profile: .calm, trace: trace)) { _ in
    Ticker(breaksAt: seed > 5 ? Int(seed) : .max)
  }
}

@Suite struct ExpectSimulationsTests {
  @Test(.simulated(seeds: 1...5)) func passingSeedsPass() {
    expectSimulations(ticker)
  }

  @Test func aFailingSeedIsReportedWithItsReplayCommand() {
    withKnownIssue {
      expectSimulations(seeds: 4...6, ticker)
    } matching: { issue in
      let text = issue.description
      return text.contains("seed 6 of 4...6: safety") && text.contains("ticker.word: tick 6")
        && text.contains("last events of n2:") && text.contains("timer 1")
        && text.contains("SIMULATION_SEED=6 swift test --filter")
        && text.contains("aFailingSeedIsReportedWithItsReplayCommand")
    }
  }

  @Test func theReplayCommandCanBeOnesOwn() {
    withKnownIssue {
      expectSimulations(seeds: 7...7, replay: { "my-tool replay \($0)" }, ticker)
    } matching: {
      $0.description.contains("replay: my-tool replay 7")
    }
  }

  @Test func reportsEndAfterAFew() {
    let issues = Counter()
    withKnownIssue {
      expectSimulations(seeds: 1...100, failuresMax: 2, ticker)
    } matching: { issue in
      issues.add(issue.description)
      return true
    }
    #expect(issues.texts.count == 3)
    #expect(issues.texts.contains { $0.contains("the other 93 were not run") })
  }

  @Test func aRunThatDependsOnMoreThanItsSeedIsReported() {
    var calls: UInt64 = 0
    withKnownIssue {
      expectSimulations(seeds: 1...1) { seed, trace in
        calls += 1
        var simulation = ticker(seed, trace)
        simulation = Simulation(
          seed: seed, SimulationConfiguration(nodes: 3, profile: .calm, trace: trace)
        ) { _ in Ticker(breaksAt: .max, noise: calls) }
        return simulation
      }
    } matching: {
      $0.description.contains("seed 1 is not deterministic")
    }
  }

  @Suite(.simulated(seeds: 9...9)) struct Inherited {
    @Test func theSeedsOfTheSuiteCount() {
      var seeds: [UInt64] = []
      withKnownIssue {
        expectSimulations { seed, trace in
          seeds.append(seed)
          return ticker(seed, trace)
        }
      }
      #expect(seeds == [9, 9], "once without and once with a trace")
    }
  }

  // MARK: Which seeds

  @Test func theEnvironmentComesFirst() throws {
    let one = ["SIMULATION_SEED": "7", "SIMULATION_SEEDS": "1-3"]
    #expect(try SeedSelection.choose(asked: 1...2, trait: 3...4, environment: one) == 7...7)
    let many = ["SIMULATION_SEEDS": "1-3"]
    #expect(try SeedSelection.choose(asked: 1...2, trait: 3...4, environment: many) == 1...3)
    #expect(try SeedSelection.choose(asked: 1...2, trait: 3...4, environment: [:]) == 1...2)
    #expect(try SeedSelection.choose(asked: nil, trait: 3...4, environment: [:]) == 3...4)
    #expect(try SeedSelection.choose(asked: nil, trait: nil, environment: [:]) == 1...100)
  }

  @Test(arguments: [
    ("SIMULATION_SEED", "x"), ("SIMULATION_SEEDS", "9-1"), ("SIMULATION_SEEDS", ""),
  ])
  func anEnvironmentThatMakesNoSenseIsAnError(_ variable: String, _ value: String) {
    #expect(throws: SeedSelection.EnvironmentError.self) {
      try SeedSelection.choose(asked: nil, trait: nil, environment: [variable: value])
    }
  }
}

/// Collects texts from a closure that may be called from anywhere.
private final class Counter: @unchecked Sendable {
  private let lock = NSLock()
  private var collected: [String] = []

  func add(_ text: String) { lock.withLock { collected.append(text) } }
  var texts: [String] { lock.withLock { collected } }
}
