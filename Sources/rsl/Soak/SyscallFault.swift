import Foundation

/// What strace makes of a running process's system calls: the binary stays as it is.
struct SyscallFault {
  /// As strace names it after `inject=`.
  let injection: String

  /// A journal that is written past the page cache has no flush but the write.
  private static let flushes = "pwritev,fdatasync,fsync"

  static let flushFails = SyscallFault(injection: "\(flushes):error=EIO")
  /// Every way in which a segment to come or a snapshot asks for room. What is written into segments that exist (`pwritev`)
  /// needs none.
  static let diskIsFull = SyscallFault(injection: "pwrite64,fallocate:error=ENOSPC")

  static func flushTakes(milliseconds: Int) -> SyscallFault {
    SyscallFault(injection: "\(flushes):delay_exit=\(milliseconds * 1_000)")
  }

  /// The process is in this state until the result is ended.
  func strike(_ pid: Int32, with strace: Tool) throws -> Process {
    let calls = injection.prefix { $0 != ":" }
    return try strace.start([
      "-f", "-qq", "-o", "/dev/null", "-p", "\(pid)", "-e", "trace=\(calls)", "-e",
      "inject=\(injection)",
    ])
  }

  /// Lets go of the process, if it still runs.
  static func end(_ tracer: Process) {
    // Killed: children of a thread of the pool begin with every other signal blocked, and the kernel lets go of what a
    // dead tracer held.
    kill(tracer.processIdentifier, SIGKILL)
    tracer.waitUntilExit()
  }

  /// Nil when strace works here; else why not.
  static func obstacle(_ strace: Tool?) -> String? {
    guard let strace else { return "strace is missing (package strace)" }
    guard let result = try? strace.finish(["-qq", "-o", "/dev/null", "-e", "trace=none", "true"]),
      result.status == 0
    else { return "strace may not trace here (ptrace is not permitted)" }
    // Replicas are no children of strace.
    let scope = try? String(contentsOfFile: "/proc/sys/kernel/yama/ptrace_scope", encoding: .utf8)
    guard geteuid() == 0 || (scope ?? "0").hasPrefix("0") else {
      return "strace may not attach here (kernel.yama.ptrace_scope is not 0)"
    }
    return nil
  }
}
