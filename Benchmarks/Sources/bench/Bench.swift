import ArgumentParser
import Foundation
import Simulator

@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures the simulator and the protocol core.",
    subcommands: [Run.self, Digests.self], defaultSubcommand: Run.self)
}

/// All measurements, as a table or as JSON.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure, and print a table or JSON.",
    discussion: "Times are user CPU time, minima of several passes; one thread.")

  enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

  @Option(help: "What to measure; everything when left out.")
  var only: [Section] = []
  @Option(help: "How the figures are printed.")
  var format = Format.table
  @Option(help: "Figures of the other build (JSON): its columns and the ratios are added.")
  var against: String?
  @Option(help: "Seeds of the swarm: 1 to N.")
  var seeds: UInt64 = 300

  func validate() throws {
    guard (1...100_000).contains(seeds) else {
      throw ValidationError("--seeds must be between 1 and 100000")
    }
  }

  func run() throws {
    var other: [Figure] = []
    if let against {
      do {
        let data = try Data(contentsOf: URL(fileURLWithPath: against))
        other = try JSONDecoder().decode(Report.self, from: data).figures
      } catch {
        throw ValidationError("--against \(against): not a report of this command")
      }
    }
    var figures: [Figure] = []
    for section in only.isEmpty ? Section.allCases : only {
      figures += section.measure(seeds: seeds)
    }
    for i in figures.indices {
      guard let match = other.first(where: { $0.isSame(as: figures[i]) }) else { continue }
      figures[i].other = match.value
      figures[i].ratio = match.value == 0 ? nil : figures[i].value / match.value
    }
    let report = Report(figures: figures)
    switch format {
    case .table: print(report.table, terminator: "")
    case .json: print(try report.json)
    }
  }
}

enum Section: String, ExpressibleByArgument, CaseIterable {
  case swarm, scaling, loop, step, codec, recorder, stall

  func measure(seeds: UInt64) -> [Figure] {
    switch self {
    case .swarm: measureSwarm(seeds: seeds)
    case .scaling: measureScaling()
    case .loop: measureLoop()
    case .step: measureStep()
    case .codec: measureCodec()
    case .recorder: measureRecorder()
    case .stall: measureStall()
    }
  }
}

/// The digest of every seed of a range, one line each: what an optimisation must not change.
struct Digests: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print seed, digest, outcome, inputs and events of every run of a range.")

  @Argument var first: UInt64
  @Argument var last: UInt64

  func validate() throws {
    guard first <= last else { throw ValidationError("the first seed is behind the last") }
  }

  func run() {
    for seed in first...last {
      let result = PaxosSimulation.run(seed: seed)
      print(
        seed, String(result.digest.value, radix: 16), result.outcome.rawValue, result.steps,
        result.events)
    }
  }
}
