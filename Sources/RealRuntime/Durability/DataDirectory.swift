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
    case unreadable(String, why: String)
    /// No new cluster can be founded on this directory.
    case cannotFound(String, why: String)
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
      case .unreadable(let path, let why):
        "\(path)/identity is damaged (\(why)), and no segment of the journal says whose directory it is; restore it from a "
          + "copy of this directory"
      case .cannotFound(let path, let why): "no cluster can be founded on \(path): \(why)"
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
    try make(path, cluster, replica, membership, after: .wiped)
  }

  /// Makes a directory for a new member of a cluster that was founded on a last survivor's log up to `slot` (`found`). Like
  /// a replica that has lost its directory it has no voice, until it holds that log: members without it could choose something
  /// else in its place.
  ///
  /// Refuses a directory that holds anything, and a configuration of one member.
  public static func formatJoining(
    _ path: String, cluster: ClusterID, replica: ReplicaID, membership: Configuration,
    foundedUpTo slot: Slot
  ) throws(Failure) {
    guard membership.quorum.voters > 1 else { throw .nobodyToLearnFrom(replica) }
    try make(path, cluster, replica, membership, after: .joining(upTo: slot))
  }

  /// With a journal of one header.
  private static func make(
    _ path: String, _ cluster: ClusterID, _ replica: ReplicaID, _ membership: Configuration,
    after journal: RecoveredJournal
  ) throws(Failure) {
    var writer = JournalWriter(
      identity: JournalIdentity(cluster: cluster, replica: replica), after: journal,
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
  static func make(
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
      try writeIdentity(path, cluster, replica)
    } catch {
      throw .system(error)
    }
  }

  private static func writeIdentity(
    _ path: String, _ cluster: ClusterID, _ replica: ReplicaID
  ) throws(SystemError) {
    let temporary = path + "/identity.tmp"
    try create(temporary, Array(text(cluster, replica).utf8))
    try check("rename", temporary) { rename(temporary, path + "/identity") }
    try DirectoryListing.flush(path)
  }

  /// A file with this content, durable but for its name.
  static func create(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
    let file = try check("open", path) {
      Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    }
    defer { close(file) }
    try FileChanges.system.write(bytes.span.bytes, to: file, at: 0, path)
    try check("fsync", path) { fsync(file) }
  }

  /// Whether somebody made it a replica's directory, of whichever replica.
  public static func isFormatted(_ path: String) -> Bool {
    if access(path + "/identity", F_OK) == 0 { return true }
    return !((try? SegmentFiles.numbers(in: path)) ?? []).isEmpty
  }

  /// Checks whose directory it is and takes it for this process; the lock ends with the returned value.
  ///
  /// Where `identity` is damaged or gone, the journal says whose directory it is, and `identity` is written anew.
  static func open(
    _ path: String, cluster: ClusterID, replica: ReplicaID, reader: FileReader = .system
  ) throws(Failure) -> Lock {
    let owner = try owner(of: path, reader)
    guard owner.cluster == cluster, owner.replica == replica else {
      throw .foreign(
        path, found: line(text(owner.cluster, owner.replica)),
        expected: line(text(cluster, replica)))
    }
    let lock = try takeLock(path)
    let held = Lock(descriptor: lock, repaired: owner.flaw)
    guard owner.flaw != nil else { return held }
    do throws(SystemError) { try writeIdentity(path, cluster, replica) } catch {
      throw .system(error)
    }
    return held
  }

  /// Takes the directory for this process, as long as the descriptor is open.
  static func takeLock(_ path: String) throws(Failure) -> Int32 {
    let lock = Glibc.open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else { throw .system(SystemError("open", path + "/lock")) }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      Glibc.close(lock)
      throw .inUse(path)
    }
    return lock
  }

  /// Whose directory it is, and what is wrong with the file that says so; changes nothing and takes no lock.
  ///
  /// Every header of the journal says it as well, with a checksum, which the file has not: where they agree with each other
  /// and not with the file, the file is damaged.
  static func owner(
    of path: String, _ reader: FileReader = .system
  ) throws(Failure) -> (cluster: ClusterID, replica: ReplicaID, flaw: IdentityFlaw?) {
    let written: Result<(ClusterID, ReplicaID), Failure> = Result { () throws(Failure) in
      try identity(of: path, reader)
    }
    guard let journal = journalOwner(of: path, reader) else {
      let (cluster, replica) = try written.get()
      return (cluster, replica, nil)
    }
    switch written {
    case .success((journal.cluster, journal.replica)):
      return (journal.cluster, journal.replica, nil)
    case .success((let cluster, let replica)):
      return (
        journal.cluster, journal.replica,
        IdentityFlaw(why: "it says \(line(text(cluster, replica)))")
      )
    case .failure(.notFormatted):
      return (journal.cluster, journal.replica, IdentityFlaw(why: "it is gone"))
    case .failure(.unreadable(_, let why)):
      return (journal.cluster, journal.replica, IdentityFlaw(why: why))
    case .failure(let failure): throw failure
    }
  }

  /// Of a directory whose journal says whose it is.
  struct IdentityFlaw: Error, CustomStringConvertible {
    var why: String
    var description: String { "identity: damaged, \(why); the journal says whose directory it is" }
  }

  /// What `identity` says.
  private static func identity(
    of path: String, _ reader: FileReader
  ) throws(Failure) -> (ClusterID, ReplicaID) {
    let found: String
    do throws(SystemError) {
      found = String(
        decoding: try reader.contents(path + "/identity", max: 4_096), as: UTF8.self)
    } catch {
      if error.code == ENOENT { throw .notFormatted(path) }
      if error.call == "open" { throw .system(error) }
      throw .unreadable(path, why: "it cannot be read: \(error.reason)")
    }
    let words = found.split(whereSeparator: \.isWhitespace)
    guard words.count == 8, let cluster = UInt64(words[3], radix: 16),
      let replica = UInt32(words[5]),
      text(ClusterID(cluster), ReplicaID(replica)) == found
    else { throw .unreadable(path, why: "it is not what `format` writes") }
    return (ClusterID(cluster), ReplicaID(replica))
  }

  /// Whose journal is in a directory; nil where no header is whole, or they disagree.
  private static func journalOwner(
    of path: String, _ reader: FileReader
  ) -> (cluster: ClusterID, replica: ReplicaID)? {
    var owner: JournalIdentity?
    for number in (try? SegmentFiles.numbers(in: path)) ?? [] {
      let file = SegmentFiles.path(path, number)
      guard let bytes = try? reader.contents(file, max: SegmentHeader.length),
        let header = try? bytes.withUnsafeBytes({ try SegmentHeader.read($0) }),
        header.number == number
      else { continue }
      if let owner, owner != header.identity { return nil }
      owner = header.identity
    }
    // Another ring or life is nothing that `identity` could say.
    guard let owner, owner == JournalIdentity(cluster: owner.cluster, replica: owner.replica) else {
      return nil
    }
    return (owner.cluster, owner.replica)
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
    /// What was wrong with the file that says whose directory it is, and was put right.
    let repaired: IdentityFlaw?

    init(descriptor: Int32, repaired: IdentityFlaw? = nil) {
      (self.descriptor, self.repaired) = (descriptor, repaired)
    }
    deinit { close(descriptor) }
  }

  private static func line(_ text: String) -> String {
    text.split(separator: "\n").dropFirst().joined(separator: ", ")
  }
}
