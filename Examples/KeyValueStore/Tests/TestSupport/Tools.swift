public import Foundation

/// Programs of Redis and of its users, where they are installed.
public enum Tools {
  public static let hasRedisTools = isThere("redis-cli") && isThere("redis-benchmark")
  /// Debian's redis-tools holds the server under another name: which of its programs it is, is decided by argument zero.
  public static let hasRedisServer = isThere("redis-server") || isThere("redis-check-rdb")
  public static var hasRedisPy: Bool { pythonWithRedis != nil }
  /// The system's Python has what Debian's packages bring, also where another one comes first.
  static let pythonWithRedis = ["python3", "/usr/bin/python3"].first {
    (try? run($0, ["-c", "import redis"]).status) == 0
  }

  public static let missingRedisTools =
    "redis-tools is not installed (scripts/bootstrap installs it)"
  public static let missingRedisPy =
    "python3-redis is not installed (scripts/bootstrap installs it)"

  private static func isThere(_ name: String) -> Bool {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
      FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
    }
  }

  public static func process(_ name: String, _ arguments: [String]) -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [name] + arguments
    return process
  }

  /// Runs a program to its end, and returns what it wrote.
  public static func run(
    _ name: String, _ arguments: [String], input: String = ""
  ) throws -> (status: Int32, output: String, errors: String) {
    let process = process(name, arguments)
    let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
    process.standardInput = stdin
    process.standardOutput = stdout
    process.standardError = stderr
    try process.run()
    stdin.fileHandleForWriting.write(Data(input.utf8))
    try stdin.fileHandleForWriting.close()
    // The output first: a pipe that nobody reads would stop the program. Errors are short.
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    let errors = stderr.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (
      process.terminationStatus, String(decoding: output, as: UTF8.self),
      String(decoding: errors, as: UTF8.self)
    )
  }
}

/// Does what blocks in a thread of its own: Swift's pool has as many threads as there are cores.
public func offPool<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}
