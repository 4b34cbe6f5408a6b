import Foundation
import Testing

/// `rsl-sim` as it was built beside the tests.
enum Executable {
  struct Result {
    var status: Int32
    var output: String
    var errors: String

    /// The lines of standard error.
    var complaints: [Substring] { errors.split(separator: "\n") }
  }

  static let url = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appending(path: "rsl-sim")

  /// The root of the checkout.
  static let package = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// Runs it to its end. Output goes through files, so that no pipe can fill up.
  static func run(_ arguments: String...) throws -> Result { try run(arguments) }

  static func run(_ arguments: [String]) throws -> Result {
    try start(url.path, arguments)
  }

  /// Runs it in a shell, for limits: `$0` is the program, `$@` its arguments.
  static func shell(_ script: String, _ arguments: String...) throws -> Result {
    try start("/bin/sh", ["-c", script, url.path] + arguments)
  }

  private static func start(_ program: String, _ arguments: [String]) throws -> Result {
    try withFolder { folder in
      let output = folder.appending(path: "output")
      let errors = folder.appending(path: "errors")
      for file in [output, errors] {
        try #require(FileManager.default.createFile(atPath: file.path, contents: nil))
      }
      let process = Process()
      process.executableURL = URL(filePath: program)
      process.arguments = arguments
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = try FileHandle(forWritingTo: output)
      process.standardError = try FileHandle(forWritingTo: errors)
      try process.run()
      process.waitUntilExit()
      return Result(
        status: process.terminationStatus,
        output: try String(contentsOf: output, encoding: .utf8),
        errors: try String(contentsOf: errors, encoding: .utf8))
    }
  }

  /// A folder that is gone afterwards.
  static func withFolder<T>(_ body: (URL) throws -> T) throws -> T {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "rsl-sim-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
  }

  static func object(_ json: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
  }
}

extension URL {
  func write(_ text: String) throws { try text.write(to: self, atomically: true, encoding: .utf8) }
  var text: String { get throws { try String(contentsOf: self, encoding: .utf8) } }
}
