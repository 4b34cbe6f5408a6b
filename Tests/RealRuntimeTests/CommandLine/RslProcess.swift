import Foundation
import RealRuntime

/// `rsl` as it was built beside the tests.
enum RslProcess {
  struct Result: Sendable {
    var status: Int32
    var output: String
    var errors: String

    var lines: [Substring] { output.split(separator: "\n", omittingEmptySubsequences: false) }
  }

  static let url = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appending(path: "rsl")

  /// Runs it to its end, with this environment and nothing else. Output goes through files, so that no pipe fills up.
  static func run(_ arguments: [String], environment: [String: String] = [:]) async throws -> Result
  {
    try await withFolder { folder in
      let output = folder.appending(path: "output")
      let errors = folder.appending(path: "errors")
      try Data().write(to: output)
      try Data().write(to: errors)
      let status = try await offPool {
        let process = Process()
        process.executableURL = url
        process.arguments = arguments
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
      }
      return Result(
        status: status, output: try String(contentsOf: output, encoding: .utf8),
        errors: try String(contentsOf: errors, encoding: .utf8))
    }
  }

  static func run(_ arguments: String...) async throws -> Result { try await run(arguments) }
}
