import Foundation
import Testing

@testable import RealRuntime

/// Something a journal can be kept on: a way to flush, and a folder on it.
struct JournalDevice: Sendable, CustomTestStringConvertible {
  var name: String
  var flush: NodeConfiguration.FlushMode
  var folder: String
  var acceptsVolatileMemory = false

  var testDescription: String { name }

  static let files = NodeConfiguration.FlushMode.allCases.filter { $0 != .pmem }.map {
    JournalDevice(name: "file, \($0)", flush: $0, folder: NSTemporaryDirectory())
  }
  /// Stores and fences as in persistent memory, into memory that is not.
  static let memory = JournalDevice(
    name: "pmem on /dev/shm", flush: .pmem, folder: "/dev/shm", acceptsVolatileMemory: true)
  /// A folder on a file system with DAX; `scripts/guest` has one.
  static let persistentMemory = ProcessInfo.processInfo.environment["RSL_TEST_DAX"].map {
    JournalDevice(name: "pmem on DAX", flush: .pmem, folder: $0)
  }

  /// All that this machine has; where there is persistent memory, that alone, for the rest was tried elsewhere. The imitation needs
  /// libpmem; a test says so where it is missing.
  static let all =
    persistentMemory.map { [$0] } ?? files + (PmemSupport.unavailable == nil ? [memory] : [])

  func rig(segmentBytes: Int = 1 << 16) throws -> JournalRig {
    try JournalRig(
      segmentBytes: segmentBytes, flush: flush, in: folder,
      acceptsVolatileMemory: acceptsVolatileMemory)
  }
}
