import Protocol

/// The file that says how often in a row a replica's state had diverged: `diverged`, a number in decimal digits. It goes when
/// a majority agrees with the state again.
enum DivergenceNote {
  static let file = NoteFile(name: "diverged")

  /// 0 where there is none. One that cannot be understood counts as one time: somebody wrote that it happened.
  static func read(in directory: String) throws(SystemError) -> Int {
    guard let bytes = try file.read(in: directory) else { return 0 }
    var times = 0
    for byte in bytes {
      guard (0x30...0x39).contains(byte) else { break }
      times = min(times * 10 + Int(byte - 0x30), 1_000)
    }
    return max(1, times)
  }

  static func write(
    _ times: Int, in directory: String, _ changes: FileChanges = .system
  ) throws(SystemError) {
    try file.write("\(times)", in: directory, changes)
  }
}
