import Foundation
import Protocol
import RealRuntime

/// Has histories and recordings judged by `rsl-sim`, whose checkers no process of a cluster shares any code with beside the
/// core.
struct SoakJudge {
  private let rslSim: Tool
  private let budget: Int

  init(rslSim path: String?, budget: Int) throws {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let path =
      path ?? URL(fileURLWithPath: own).deletingLastPathComponent().appending(path: "rsl-sim").path
    guard FileManager.default.isExecutableFile(atPath: path) else {
      throw CommandFailure(
        .usage,
        "\(path) is missing: build it (swift build --product rsl-sim) or name it by --rsl-sim")
    }
    rslSim = Tool(path: path)
    self.budget = budget
  }

  func judge(
    _ histories: [SoakHistory], _ cluster: LocalCluster, _ report: inout SoakReport
  ) throws {
    for history in histories {
      try history.flush()
      let result = try rslSim.finish([
        "check", "--explain", "--budget", "\(budget)", history.path,
      ])
      switch result.status {
      case 0: report.partsLinearizable += 1
      case 2:
        report.failures.append(
          CommandFailure(.safety, "the history is not linearizable: \(result.output)"))
      default:
        report.failures.append(CommandFailure(.usage, "not judged: \(result.output)"))
      }
    }
    for replica in cluster.replicas { try replay(replica, &report) }
  }

  private func replay(_ replica: LocalCluster.Replica, _ report: inout SoakReport) throws {
    let folder = "\(replica.folder)/recordings"
    let numbers = try FileManager.default.contentsOfDirectory(atPath: folder).compactMap { name in
      name.hasPrefix("recording-") && name.hasSuffix(".rslrec")
        ? Int(name.dropFirst("recording-".count).dropLast(".rslrec".count)) : nil
    }
    let files = numbers.sorted().map { "\(folder)/recording-\($0).rslrec" }
    guard !files.isEmpty else {
      return report.failures.append(CommandFailure(.usage, "\(folder) has no recordings"))
    }
    let result = try rslSim.finish(["replay", "--recording", "--quiet"] + files)
    let steps = Self.steps(result.output)
    report.stepsReplayed += steps
    guard result.status != 0 else { return }
    let code = CommandFailure.Code(rawValue: result.status) ?? .usage
    report.failures.append(
      CommandFailure(code, "replica \(replica.id)'s recordings: \(result.output.suffix(2_000))"))
  }

  /// A line for each file: its name, the verdict, the number of steps.
  private static func steps(_ output: String) -> Int {
    var steps = 0
    for line in output.split(separator: "\n") {
      let fields = line.split(separator: "\t")
      if fields.count == 3, let count = Int(fields[2]) { steps += count }
    }
    return steps
  }
}
