import Foundation

/// A file system in memory with little room, mounted for as long as this lives.
final class SmallFileSystem {
  private let folder = TemporaryDirectory("small")

  /// Mounting is root's.
  static let isPossible = (try? SmallFileSystem(bytes: 64 << 10)) != nil

  var path: String { folder.path }

  init(bytes: Int) throws {
    try Self.run("mount", ["-t", "tmpfs", "-o", "size=\(bytes)", "tmpfs", folder.path])
  }

  // Lazily: what still has files open there keeps them.
  deinit { try? Self.run("umount", ["-l", folder.path]) }

  private static func run(_ command: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [command] + arguments
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CocoaError(.fileReadNoPermission) }
  }
}
