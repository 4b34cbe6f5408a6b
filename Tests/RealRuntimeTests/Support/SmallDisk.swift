import Foundation
import Testing

/// A file system in memory with little space, which goes with its owner. Mounting needs root.
final class SmallDisk: Sendable {
  let path: String
  private var ballast: String { path + "/ballast" }

  /// Nil when one can be mounted here; else why not. Tests skip with it.
  static let obstacle: String? = {
    guard geteuid() == 0 else { return "mounting a tmpfs needs root" }
    let folder = TemporaryDirectory("mount")
    do { _ = try SmallDisk(at: folder.path, bytes: 1 << 20) } catch {
      return "a tmpfs cannot be mounted here: \(error)"
    }
    return nil
  }()

  static var isPossible: Bool { obstacle == nil }

  init(at path: String, bytes: Int) throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(bytes)") == 0 else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EPERM)
    }
  }

  deinit { umount2(path, Int32(MNT_DETACH)) }

  /// Takes all the space there is.
  func fill() throws {
    let file = open(ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    try #require(file >= 0)
    defer { close(file) }
    let bytes = [UInt8](repeating: 7, count: 64 << 10)
    // The last pages by small steps.
    for length in [bytes.count, 4_096, 1] {
      while write(file, bytes, length) > 0 {}
      try #require(errno == ENOSPC, "\(String(cString: strerror(errno)))")
    }
  }

  /// Has so much space from now on.
  func resize(bytes: Int) throws {
    guard mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(bytes)") == 0 else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EPERM)
    }
  }

  /// Gives it back.
  func free() { unlink(ballast) }
}
