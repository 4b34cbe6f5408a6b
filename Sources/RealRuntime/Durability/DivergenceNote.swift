import Glibc
import Protocol

/// The file that says how often in a row a replica's state had diverged: `diverged`, a number in decimal digits. It goes when
/// a majority agrees with the state again.
enum DivergenceNote {
  static func path(_ directory: String) -> String { "\(directory)/diverged" }

  /// 0 where there is none. One that cannot be understood counts as one time: somebody wrote that it happened.
  static func read(in directory: String) throws(SystemError) -> Int {
    let path = path(directory)
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return 0 }
      throw SystemError("open", path)
    }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
    guard count >= 0 else { throw SystemError("read", path) }
    var times = 0
    for byte in bytes[..<count] {
      guard (0x30...0x39).contains(byte) else { break }
      times = min(times * 10 + Int(byte - 0x30), 1_000)
    }
    return max(1, times)
  }

  /// Durable when it returns.
  static func write(
    _ times: Int, in directory: String, _ changes: FileChanges = .system
  ) throws(SystemError) {
    let (path, temporary) = (path(directory), "\(directory)/diverged.tmp")
    let file = try check("open", temporary) {
      open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    }
    defer { close(file) }
    let text = Array("\(times)\n".utf8)
    let written = text.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    guard written == text.count else { throw SystemError("write", temporary) }
    try changes.flush(file, temporary)
    try changes.rename(temporary, path)
    try changes.flushDirectory(directory)
  }

  static func remove(in directory: String, _ changes: FileChanges = .system) {
    changes.remove(path(directory))
  }
}
