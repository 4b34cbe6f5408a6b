import Foundation
import Testing

@testable import RealRuntime

@Suite struct PowerCutCommandTests {
  /// In memory that stands for persistent memory where libpmem is, in files elsewhere.
  private static let settings =
    ["--journal-segment-bytes", "8MiB"]
    + (PmemSupport.unavailable == nil
      ? ["--journal-flush", "pmem", "--journal-pmem-accept-volatile"] : [])

  /// Runs `write` in `folder` until it has printed some acknowledgements, kills it and its replicas, and returns the file with
  /// what it printed.
  private func write(in folder: URL) async throws -> URL {
    let output = folder.appending(path: "output")
    try Data().write(to: output)
    let process = Process()
    // A session of its own, so that a signal to the group reaches the replicas too.
    process.executableURL = URL(filePath: "/usr/bin/setsid")
    process.arguments =
      ["--wait", RslProcess.url.path, "power-cut", "write", "--writers", "8", "--directory"]
      + [folder.appending(path: "cluster").path] + Self.settings
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: output)
    try process.run()
    defer { for pid in Self.processes(naming: folder.path) { kill(pid, SIGKILL) } }
    try await until("something is acknowledged") {
      let text = try String(contentsOf: output, encoding: .utf8)
      return text.contains(" 7:") && text.split(separator: "\n").count > 3
    }
    try await until("all of it is dead") {
      let left = Self.processes(naming: folder.path)
      for pid in left { kill(pid, SIGKILL) }
      return left.isEmpty
    }
    return output
  }

  private func until(_ what: String, _ condition: () throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while try !condition() {
      try #require(ContinuousClock.now < end, "not \(what)")
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// The processes whose command line names this folder.
  private static func processes(naming folder: String) -> [pid_t] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
      .filter { pid in
        guard pid != getpid(),
          let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")
        else { return false }
        return String(decoding: line, as: UTF8.self).contains(folder)
      }
  }

  private func verify(_ folder: URL, _ acknowledged: URL) async throws -> RslProcess.Result {
    try await RslProcess.run(
      ["power-cut", "verify", "--acknowledged", acknowledged.path, "--directory"]
        + [folder.appending(path: "cluster").path] + Self.settings)
  }

  @Test func whatWasAcknowledgedIsVerifiedAfterAKill() async throws {
    try await withFolder { folder async throws in
      let output = try await write(in: folder)
      let result = try await verify(folder, output)
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.output.contains(" records verified, 0 lost"), "\(result.output)")
    }
  }

  @Test func aLostWriteIsFound() async throws {
    try await withFolder { folder async throws in
      let output = try await write(in: folder)
      // As if another hundred had been acknowledged for a key that nobody wrote.
      let handle = try FileHandle(forWritingTo: output)
      try handle.seekToEnd()
      try handle.write(contentsOf: Data("\nacknowledged 99:100 .\nacknowledged 98:1".utf8))
      try handle.close()
      let result = try await verify(folder, output)
      #expect(result.status == 2, "\(result.output)")
      #expect(result.output.contains("100 lost"), "\(result.output)")
    }
  }

  @Test func nothingAcknowledgedIsNoProof() async throws {
    try await withFolder { folder async throws in
      let empty = folder.appending(path: "empty")
      try Data("acknowledged 1:5".utf8).write(to: empty)
      let result = try await verify(folder, empty)
      #expect(result.status == 1)
      #expect(result.errors.contains("names no acknowledged write"), "\(result.errors)")
    }
  }
}
