import Glibc
public import Protocol

extension JournalIdentity {
  /// Of a replica of this runtime: one ring, and one life of its ID.
  init(cluster: ClusterID, replica: ReplicaID) {
    self.init(
      cluster: cluster, ring: RingID(0), replica: replica, incarnation: Incarnation(1))
  }
}

/// A replica's directory: whose it is, and that one process at a time uses it.
///
/// `identity` names cluster, replica and incarnation; a process that is configured otherwise refuses to start, because
/// votes of one replica under another's name break the cluster. `lock` is held while a process runs.
public enum DataDirectory {
  public enum Failure: Error, CustomStringConvertible {
    case notFormatted(String)
    case alreadyFormatted(String)
    case notEmpty(String, name: String)
    case foreign(String, found: String, expected: String)
    case inUse(String)
    case nobodyToLearnFrom(ReplicaID)
    case unreadable(String)
    case system(SystemError)

    public var description: String {
      switch self {
      case .notFormatted(let path):
        "\(path) is not a replica's directory; make it one with `format`"
      case .alreadyFormatted(let path): "\(path) is a replica's directory already"
      case .notEmpty(let path, let name):
        "\(path) is not empty (it holds \(name)); choose a directory of its own"
      case .foreign(let path, let found, let expected):
        "\(path) belongs to \(found), but the configuration says \(expected)"
      case .inUse(let path): "\(path) is in use by another process"
      case .nobodyToLearnFrom(let replica):
        "replica \(replica) is the only member, and nobody else knows what it acknowledged; restore a copy of its "
          + "directory, or begin an empty cluster with `format`"
      case .unreadable(let path):
        "\(path)/identity is damaged; restore it from a copy of this directory"
      case .system(let error): "\(error)"
      }
    }
  }

  private static func text(_ cluster: ClusterID, _ replica: ReplicaID) -> String {
    "rsl 1\ncluster \(String(cluster.rawValue, radix: 16))\nreplica \(replica.rawValue)\nincarnation 1\n"
  }

  /// Makes a directory one replica's, for ever. Refuses one that holds anything.
  public static func format(
    _ path: String, cluster: ClusterID, replica: ReplicaID
  ) throws(Failure) {
    try make(path, cluster, replica) { () throws(SystemError) in }
  }

  /// Makes a directory for a replica that had one and lost it: a journal that knows of nothing and says so. The replica starts
  /// as a suspect, without a voice, until its peers have told it enough (docs/protocol.md, "Suspects").
  ///
  /// Refuses a directory that holds anything, and a configuration of one member: nobody could tell it anything.
  public static func formatWiped(
    _ path: String, cluster: ClusterID, replica: ReplicaID, membership: Configuration
  ) throws(Failure) {
    guard membership.quorum.voters > 1 else { throw .nobodyToLearnFrom(replica) }
    var writer = JournalWriter(
      identity: JournalIdentity(cluster: cluster, replica: replica), after: .wiped,
      blockLength: FileJournal.blockLength)
    var bytes: [UInt8] = []
    let number = writer.beginSegment(under: membership.span, into: &bytes)
    writer.padToBlock(into: &bytes)
    // Before the directory is a replica's: one without this journal would be a new replica's, which may vote.
    try make(path, cluster, replica) { () throws(SystemError) in
      try create(SegmentFiles.path(path, number), bytes)
    }
  }

  /// Makes a directory one replica's when `prepare` has put into it what it is to begin with.
  private static func make(
    _ path: String, _ cluster: ClusterID, _ replica: ReplicaID,
    prepare: () throws(SystemError) -> Void
  ) throws(Failure) {
    do throws(SystemError) {
      if mkdir(path, 0o700) != 0, errno != EEXIST { throw SystemError("mkdir", path) }
    } catch {
      throw .system(error)
    }
    let names: [String]
    do throws(SystemError) { names = try DirectoryListing.names(path) } catch {
      throw .system(error)
    }
    if names.contains("identity") { throw .alreadyFormatted(path) }
    if let name = names.first { throw .notEmpty(path, name: name) }
    do throws(SystemError) {
      try prepare()
      try DirectoryListing.flush(path)
      let temporary = path + "/identity.tmp"
      try create(temporary, Array(text(cluster, replica).utf8))
      try check("rename", temporary) { rename(temporary, path + "/identity") }
      try DirectoryListing.flush(path)
    } catch {
      throw .system(error)
    }
  }

  /// A file with this content, durable but for its name.
  private static func create(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
    let file = try check("open", path) {
      Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    }
    defer { close(file) }
    try SnapshotFile.write(bytes.span.bytes, to: file, at: 0, path)
    try check("fsync", path) { fsync(file) }
  }

  /// Whether somebody made it a replica's directory, of whichever replica.
  public static func isFormatted(_ path: String) -> Bool { access(path + "/identity", F_OK) == 0 }

  /// Checks whose directory it is and takes it for this process; the lock ends with the returned value.
  static func open(
    _ path: String, cluster: ClusterID, replica: ReplicaID
  ) throws(Failure) -> Lock {
    guard let found = read(path + "/identity") else {
      if errno == ENOENT { throw .notFormatted(path) }
      throw .system(SystemError("open", path + "/identity"))
    }
    let expected = text(cluster, replica)
    guard found == expected else {
      guard found.hasPrefix("rsl 1\ncluster ") else { throw .unreadable(path) }
      throw .foreign(path, found: line(found), expected: line(expected))
    }
    let lock = Glibc.open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else { throw .system(SystemError("open", path + "/lock")) }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      Glibc.close(lock)
      throw .inUse(path)
    }
    return Lock(descriptor: lock)
  }

  /// Whose directory it is; changes nothing and takes no lock.
  static func owner(of path: String) throws(Failure) -> (cluster: ClusterID, replica: ReplicaID) {
    guard let found = read(path + "/identity") else {
      if errno == ENOENT { throw .notFormatted(path) }
      throw .system(SystemError("open", path + "/identity"))
    }
    let words = found.split(whereSeparator: \.isWhitespace)
    guard words.count == 8, let cluster = UInt64(words[3], radix: 16),
      let replica = UInt32(words[5]),
      text(ClusterID(cluster), ReplicaID(replica)) == found
    else { throw .unreadable(path) }
    return (ClusterID(cluster), ReplicaID(replica))
  }

  /// Whether a process runs that has taken the directory. Looks at a lock that is there, and makes none.
  static func isInUse(_ path: String) -> Bool {
    let lock = Glibc.open(path + "/lock", O_RDONLY | O_CLOEXEC)
    guard lock >= 0 else { return false }
    defer { close(lock) }
    return flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }

  /// Held for as long as it lives.
  final class Lock: Sendable {
    private let descriptor: Int32
    init(descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }
  }

  private static func line(_ text: String) -> String {
    text.split(separator: "\n").dropFirst().joined(separator: ", ")
  }

  private static func read(_ path: String) -> String? {
    let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 4_096)
    let count = Glibc.read(file, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }
}
