import Foundation

/// Has the kernel refuse system calls of an unmodified process.
enum Strace {
  static let path = ["/usr/bin/strace", "/bin/strace"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  /// Whether it is here and may trace.
  static let isAllowed: Bool = {
    guard let path else { return false }
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = ["-qq", "-o", "/dev/null", "true"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  /// Asks what it traces to end, and it ends as well: with a file for its output it heeds no signal itself.
  static func endTraced(by pid: Int32) throws {
    let children = try String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
    for child in children.split(separator: " ") {
      if let child = Int32(child) { kill(child, SIGTERM) }
    }
  }

  /// The beginning of a command line whose process fails some calls.
  /// - Parameters:
  ///   - inject: `CALL:error=NAME:when=NUMBERS`.
  ///   - files: only calls on these.
  static func launcher(_ inject: String, files: [String] = []) -> [String] {
    let call = inject.prefix { $0 != ":" }
    return [path ?? "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)"]
      + files.flatMap { ["-P", $0] } + ["-e", "inject=\(inject)"]
  }
}
