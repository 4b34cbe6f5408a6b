import Glibc

/// What the durability code needs of directories.
enum DirectoryListing {
  /// The names in a directory, in no particular order.
  static func names(_ path: String) throws(SystemError) -> [String] {
    guard let directory = opendir(path) else { throw SystemError("opendir", path) }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  /// Makes names that were added or changed durable.
  static func flush(_ path: String) throws(SystemError) {
    let directory = try check("open", path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    defer { close(directory) }
    try check("fsync", path) { fsync(directory) }
  }
}
