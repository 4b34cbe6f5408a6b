import Foundation
import Simulator

/// A child that runs a few seeds, and what it says on its way.
final class WorkerProcess {
  enum End {
    case finished
    /// The caller wanted no more.
    case stopped
    /// It died, or was ended because nothing came any more, while it ran this seed.
    case died(seed: UInt64, sentence: String)
  }

  /// Milliseconds.
  private static let startTimeout: Int32 = 60_000

  private let seeds: ClosedRange<UInt64>
  private let settings: RunSettings
  private let timeout: Int32
  private let child: ChildProcess
  private let errorFile: URL
  private var pending: [UInt8] = []
  private var running: UInt64?
  private var hasBegun = false
  /// Of the last seed, when asked for.
  private(set) var checkpoints: [TraceDigest.Checkpoint] = []

  /// - Parameter timeout: milliseconds without a word after which a seed counts as hanging.
  init(
    _ seeds: ClosedRange<UInt64>, _ settings: RunSettings, timeout: Int32,
    checkpointEvery: UInt64? = nil, range: ClosedRange<UInt64>? = nil
  ) throws {
    self.seeds = seeds
    self.settings = settings
    self.timeout = timeout
    errorFile = FileManager.default.temporaryDirectory.appending(
      path: "rsl-sim-\(UUID().uuidString).err")
    var arguments = WorkerCommand.arguments(seeds, settings)
    if let checkpointEvery {
      arguments += ["--checkpoint-every", "\(checkpointEvery)"]
      if let range {
        arguments += ["--checkpoint-range", "\(range.lowerBound)-\(range.upperBound)"]
      }
    }
    child = try ChildProcess(arguments, output: .piped, errorFile: errorFile.path)
  }

  deinit { try? FileManager.default.removeItem(at: errorFile) }

  /// Reads records until the end. `take` gets each of them and answers whether to go on.
  func run(_ take: (RunRecord) -> Bool) throws -> End {
    while true {
      // A process may take a while to begin on a busy machine; that is no fault of its first seed.
      switch child.read(timeout: hasBegun ? timeout : max(timeout, Self.startTimeout)) {
      case .bytes(let bytes):
        for line in lines(bytes) {
          guard let record = try understand(line) else { continue }
          running = nil
          if !take(record) {
            child.kill()
            _ = child.wait()
            return .stopped
          }
        }
      case .timeout:
        child.kill()
        _ = child.wait()
        guard let running else { throw CommandFailure("a worker says nothing") }
        return .died(seed: running, sentence: "no end within \(timeout / 1_000) s of wall time")
      case .end:
        let termination = child.wait()
        if termination == .exited(0) { return .finished }
        guard let running else {
          throw CommandFailure("a worker could not run: \(termination.description)\(complaint)")
        }
        return .died(seed: running, sentence: termination.description + complaint)
      }
    }
  }

  /// The complete lines of what came so far.
  private func lines(_ bytes: [UInt8]) -> [String] {
    pending += bytes
    guard let end = pending.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
    let text = String(decoding: pending[...end], as: UTF8.self)
    pending.removeSubrange(...end)
    return text.split(separator: "\n").map(String.init)
  }

  private func understand(_ line: String) throws -> RunRecord? {
    if line.hasPrefix("start ") {
      running = UInt64(line.dropFirst(6))
      hasBegun = true
      return nil
    }
    if line.hasPrefix("checkpoint ") {
      let words = line.split(separator: " ").dropFirst().compactMap { UInt64($0) }
      if words.count == 2 {
        checkpoints.append(TraceDigest.Checkpoint(event: words[0], digest: words[1]))
      }
      return nil
    }
    guard let record = RunRecord(wireLine: line, settings) else {
      throw CommandFailure("a worker wrote what is not a record: \(line.prefix(80))")
    }
    return record
  }

  /// What a trap said before it ended the process, in one line.
  private var complaint: String {
    guard let text = try? String(contentsOf: errorFile, encoding: .utf8) else { return "" }
    let lines = text.split(whereSeparator: \.isNewline)
    let line = lines.first { $0.contains("atal error") || $0.contains("failed") } ?? lines.first
    return line.map { ": " + $0.prefix(300) } ?? ""
  }
}
