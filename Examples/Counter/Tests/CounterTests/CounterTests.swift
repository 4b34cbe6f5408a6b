import Foundation
import Testing

@Suite(.timeLimit(.minutes(2))) struct CounterTests {
  /// The example as it was built beside the tests, run to its end in an empty folder.
  private func run(in folder: URL) async throws -> [Substring] {
    let url = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
      .appending(path: "counter")
    let output = folder.appending(path: "output")
    try Data().write(to: output)
    return try await withCheckedThrowingContinuation { continuation in
      // Not in Swift's pool, which has as many threads as there are cores.
      Thread.detachNewThread {
        continuation.resume(
          with: Result {
            let process = Process()
            process.executableURL = url
            process.arguments = [folder.appending(path: "data").path]
            process.standardOutput = try FileHandle(forWritingTo: output)
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return try String(contentsOf: output, encoding: .utf8).split(separator: "\n")
          })
      }
    }
  }

  @Test func itCountsAndGoesOnWhereItStopped() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "counter-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(try await run(in: folder).contains("count 3"))
    #expect(try await run(in: folder).contains("count 6"))
  }
}
