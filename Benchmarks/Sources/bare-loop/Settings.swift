import ArgumentParser
import Glibc

/// What all four processes must agree on.
struct Settings: ParsableArguments {
  @Option(help: "Connections of the client.") var connections = 1
  @Option(help: "Operations under way on each connection.") var outstanding = 1_024
  @Option(help: "Bytes of an operation.") var payload = 64
  @Option(help: "Bytes of operations in one frame, at most.") var batch = 1 << 20
  @Option(
    name: .customLong("journal"), help: "Where the journals lie: a folder on a disk, or /dev/shm.")
  var directory = "."
  @Option(
    help: "How a write becomes durable: fdatasync, dsync (O_DSYNC), direct (and O_DIRECT), none.")
  var flush = Flush.fdatasync

  var frameMax: Int { Frame.length(operations: batch, block: flush.block) }

  func validate() throws {
    guard (1...1_024).contains(connections) else {
      throw ValidationError("--connections must be 1 to 1024")
    }
    guard (1...1 << 20).contains(outstanding) else {
      throw ValidationError("--outstanding must be 1 to 1048576")
    }
    guard (Operation.lengthMin...1 << 20).contains(payload), payload % 8 == 0 else {
      throw ValidationError("--payload must be 16 to 1048576 bytes, a multiple of 8")
    }
    guard (payload...16 << 20).contains(batch) else {
      throw ValidationError("--batch must be at least --payload, and 16777216 at most")
    }
    guard connections * outstanding * payload <= 1 << 28 else {
      throw ValidationError(
        "--connections x --outstanding x --payload must be at most 268435456 bytes")
    }
    var isFolder = stat()
    guard stat(directory, &isFolder) == 0, isFolder.st_mode & S_IFMT == S_IFDIR else {
      throw ValidationError("--journal \(directory): no such folder")
    }
  }

  /// The same settings as a command line.
  var arguments: [String] {
    [
      "--connections", "\(connections)", "--outstanding", "\(outstanding)", "--payload",
      "\(payload)", "--batch", "\(batch)", "--journal", directory, "--flush", flush.rawValue,
    ]
  }
}

/// Processor time of this process, in seconds.
struct ProcessorTime: Codable {
  var user = 0.0
  var system = 0.0

  static func now() -> ProcessorTime {
    var usage = rusage()
    getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return ProcessorTime(user: seconds(usage.ru_utime), system: seconds(usage.ru_stime))
  }

  static func - (a: ProcessorTime, b: ProcessorTime) -> ProcessorTime {
    ProcessorTime(user: a.user - b.user, system: a.system - b.system)
  }
}

/// What a replica's process says when it ends.
struct RoleReport: Codable {
  var used: ProcessorTime
  var operations: UInt64
  var digest: UInt64
  var bytesWritten: UInt64
  var flushes: UInt64

  init(used: ProcessorTime, _ state: AppliedState, bytesWritten: UInt64, flushes: UInt64) {
    self.used = used
    operations = state.count
    digest = state.digest
    self.bytesWritten = bytesWritten
    self.flushes = flushes
  }
}
