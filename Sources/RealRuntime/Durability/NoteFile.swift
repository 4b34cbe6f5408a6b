import Glibc
import Protocol

/// A small file in a replica's directory that says something to the next start. It is there whole or not at all.
struct NoteFile {
  let name: String

  func path(_ directory: String) -> String { "\(directory)/\(name)" }

  /// Its first bytes; nil where there is none.
  func read(in directory: String) throws(SystemError) -> [UInt8]? {
    let path = path(directory)
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw SystemError("open", path)
    }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
    guard count >= 0 else { throw SystemError("read", path) }
    return Array(bytes[..<count])
  }

  /// Durable when it returns.
  func write(
    _ text: String, in directory: String, _ changes: FileChanges = .system
  ) throws(SystemError) {
    let (path, temporary) = (path(directory), "\(directory)/\(name).tmp")
    let file = try check("open", temporary) {
      open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    }
    defer { close(file) }
    let text = Array("\(text)\n".utf8)
    let written = text.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    guard written == text.count else { throw SystemError("write", temporary) }
    try changes.flush(file, temporary)
    try changes.rename(temporary, path)
    try changes.flushDirectory(directory)
  }

  func remove(in directory: String, _ changes: FileChanges = .system) {
    changes.remove(path(directory))
  }
}
