import Protocol
import Testing

@testable import Simulator

/// Runs in one process must not notice one another: the digest of a seed is the same whatever ran
/// before it.
@Suite struct LeakTests {
  static let seeds: [UInt64] = [3, 8, 21, 34, 55]

  private func digest(_ seed: UInt64, _ change: (inout PaxosOptions) -> Void = { _ in }) -> UInt64 {
    var options = RunSettings(commands: 40).options
    change(&options)
    return PaxosSimulation.run(seed: seed, options).digest.value
  }

  @Test func theOrderOfRunsDoesNotMatter() {
    let forward = Self.seeds.map { digest($0) }
    let backward = Self.seeds.reversed().map { digest($0) }
    #expect(forward == backward.reversed())
    var simulations = Self.seeds.map {
      PaxosSimulation.make(seed: $0, RunSettings(commands: 40).options)
    }
    // Interleaved, event by event.
    var running = true
    while running {
      running = false
      for i in simulations.indices where simulations[i].advance() { running = true }
    }
    #expect(simulations.map { $0.result.digest.value } == forward)
  }

  @Test(arguments: seeds)
  func watchingDoesNotChangeARun(_ seed: UInt64) {
    let plain = digest(seed)
    #expect(digest(seed) { $0.trace = TraceOptions(linesPerNode: 3) } == plain)
    #expect(digest(seed) { $0.trace = TraceOptions(full: true) } == plain)
    #expect(digest(seed) { $0.tape = .record } == plain)
    #expect(digest(seed) { $0.checkpoints = .every(7) } == plain)
  }

  @Test(arguments: seeds)
  func aTapeIsItsRun(_ seed: UInt64) throws {
    var options = RunSettings(commands: 40).options
    options.tape = .record
    let recorded = PaxosSimulation.run(seed: seed, options)
    let tape = try DecisionTape(text: try #require(recorded.tape).text)
    #expect(digest(seed) { $0.tape = .replay(tape, beyondEnd: .quiet) } == recorded.digest.value)
  }

  @Test func differentSeedsHaveDifferentDigests() {
    var digests: [UInt64] = []
    for seed in UInt64(1)...40 { digests.append(digest(seed)) }
    digests.sort()
    for (a, b) in zip(digests, digests.dropFirst()) { #expect(a != b) }
  }
}
