import Foundation
import RealRuntime

/// Memory of other processes, from `/proc`.
enum ProcessMemory {
  /// The most that any replica's process had resident since it was started, in bytes.
  static func highest(_ cluster: LocalCluster) -> Int {
    cluster.replicas.compactMap { $0.pid.flatMap(highest) }.max() ?? 0
  }

  private static func highest(_ pid: Int32) -> Int? {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }) else {
      return nil
    }
    return line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }.map { $0 << 10 }
  }
}
