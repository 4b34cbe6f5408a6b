import Foundation
import Simulator

/// Runs one seed in this process.
struct SeedRunner {
  var seed: UInt64
  var settings: RunSettings
  var tape = TapeMode.off
  /// Keeps the last so many trace lines of each node.
  var linesPerNode = 0
  /// Writes every trace line to this file, as it comes: what a crash leaves behind is there.
  var traceFile: String?
  /// Stops at this simulated time, in nanoseconds.
  var until: UInt64?
  var checkpoints = TraceDigest.CheckpointRule.none

  /// The run as far as it went, and its record with the time it took.
  func run() throws -> (result: RunResult<PaxosReport>, record: RunRecord, hasEnded: Bool) {
    var options = settings.options
    options.tape = tape
    options.checkpoints = checkpoints
    options.trace = TraceOptions(linesPerNode: linesPerNode, full: traceFile != nil)
    let (wall, cpu) = (Stopwatch.wall, Stopwatch.cpu)
    var simulation = PaxosSimulation.make(seed: seed, options)
    if let traceFile {
      try follow(&simulation, traceFile)
    } else if let until {
      simulation.run(until: until)
    } else {
      while simulation.advance() {}
    }
    let result = simulation.result
    var record = RunRecord(result, settings)
    record.wallNanoseconds = Stopwatch.wall - wall
    record.cpuNanoseconds = Stopwatch.cpu - cpu
    return (result, record, simulation.outcome != nil)
  }

  private func follow(_ simulation: inout Simulation<PaxosSystem>, _ path: String) throws {
    try Files.write("", to: path)
    let descriptor = open(path, O_WRONLY | O_TRUNC)
    guard descriptor >= 0 else {
      throw CommandFailure("\(path): \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var written = 0
    func flush(_ lines: [String]) {
      guard lines.count > written else { return }
      Terminal.write(lines[written...].joined(separator: "\n") + "\n", to: descriptor)
      written = lines.count
    }
    flush(simulation.world.trace.lines)
    while simulation.advance(until: until ?? .max) { flush(simulation.world.trace.lines) }
    flush(simulation.world.trace.lines)
  }
}
