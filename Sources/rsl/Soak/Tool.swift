import Foundation

/// Programs of the system that a soak uses.
struct Tool {
  let path: String

  /// Nil when it is not installed.
  init?(_ name: String) {
    let folders =
      (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
      + ["/usr/sbin", "/sbin", "/usr/bin"]
    let found = folders.map { "\($0)/\(name)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
    guard let found else { return nil }
    path = found
  }

  init(path: String) { self.path = path }

  /// Runs it to its end; throws with what it said when it fails.
  @discardableResult
  func run(_ arguments: [String], input: String = "") throws -> String {
    let result = try finish(arguments, input: input)
    guard result.status == 0 else {
      let said = result.output.trimmingCharacters(in: .whitespacesAndNewlines)
      throw CommandFailure(
        .usage, "\(path) \(arguments.joined(separator: " ")): status \(result.status): \(said)")
    }
    return result.output
  }

  /// Runs it to its end; the output is what it wrote to either stream.
  func finish(_ arguments: [String], input: String = "") throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    let (given, said) = (Pipe(), Pipe())
    process.standardInput = given
    process.standardOutput = said
    process.standardError = said
    try process.run()
    given.fileHandleForWriting.write(Data(input.utf8))
    try given.fileHandleForWriting.close()
    let output = said.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }

  /// Starts it and lets it run, with nothing to read and nobody who listens.
  func start(_ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }
}
