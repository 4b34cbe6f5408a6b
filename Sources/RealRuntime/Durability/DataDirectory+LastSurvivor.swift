import Glibc
public import Protocol

// The way on when a majority is gone for good: docs/operations.md, "A lost majority".
extension DataDirectory {
  /// The steps of `found` after which a crash could come, in order.
  enum FoundingStep {
    case snapshotCopied, journalWritten, journalNamed
  }

  /// What a new cluster would be founded on: reads the directory of a stopped replica of the old one, and changes nothing in
  /// it.
  ///
  /// Throws `Failure` when no cluster can be founded on it, and says why.
  /// - Parameters:
  ///   - old: the surviving directory.
  ///   - cluster: the new cluster's number, another than the old one's.
  ///   - replica: whose directory it is; also its number in the new cluster.
  ///   - membership: the new cluster's members, with this replica among them.
  public static func survivor(
    of old: String, cluster: ClusterID, replica: ReplicaID, membership: Configuration
  ) throws(Failure) -> LastSurvivor {
    try withSurvivor(old, cluster, replica, membership) { found throws(Failure) in found.survivor }
  }

  /// Founds a new cluster on the directory of a stopped replica: makes another one, `path`, which is this replica's in the new
  /// cluster. It holds the same snapshot and a new journal, in which everything that the survivor can give is chosen.
  ///
  /// The old directory stays as it is. A crash leaves a directory that no replica starts from, or all of the new one.
  /// - Parameter acceptsDamage: the survivor's journal may be damaged, and more be missing than what the others knew.
  @discardableResult
  public static func found(
    _ path: String, on old: String, cluster: ClusterID, replica: ReplicaID,
    membership: Configuration, acceptsDamage: Bool = false
  ) throws(Failure) -> LastSurvivor {
    try found(path, on: old, cluster, replica, membership, acceptsDamage) { _ in }
  }

  /// - Parameter passed: called after each step; a test ends it there.
  static func found(
    _ path: String, on old: String, _ cluster: ClusterID, _ replica: ReplicaID,
    _ membership: Configuration, _ acceptsDamage: Bool,
    passed: (FoundingStep) throws(SystemError) -> Void
  ) throws(Failure) -> LastSurvivor {
    try withSurvivor(old, cluster, replica, membership) { found throws(Failure) in
      if let doubt = found.survivor.doubt, !acceptsDamage {
        throw .cannotFound(old, why: "its journal is damaged (\(doubt)), and that was not accepted")
      }
      let identity = JournalIdentity(cluster: cluster, replica: replica)
      let journal = found.survivor.journal(of: identity, under: membership.span) { found.bytes($0) }
      guard let journal else {
        throw .cannotFound(old, why: "its slots do not fit into a segment of the journal")
      }
      try make(path, cluster, replica) { () throws(SystemError) in
        if let file = found.snapshotFile {
          try copy(file, to: path + "/" + name(file), found.survivor.snapshot)
        }
        try DirectoryListing.flush(path)
        try passed(.snapshotCopied)
        // The journal makes the directory a replica's, so it gets its name when all of it is durable, and last.
        let segment = SegmentFiles.path(path, 1)
        let unfinished = segment + ".tmp"
        try create(unfinished, journal)
        try passed(.journalWritten)
        try check("rename", segment) { rename(unfinished, segment) }
        try DirectoryListing.flush(path)
        try passed(.journalNamed)
      }
      return found.survivor
    }
  }

  // MARK: Reading

  /// A survivor, and where its bytes are.
  private struct Found {
    var survivor: LastSurvivor
    /// The path of the newest whole snapshot.
    var snapshotFile: String?
    var segments: [JournalSegment]

    /// The bytes of a value.
    func bytes(_ value: BytesRef) -> UnsafeRawBufferPointer {
      let segment = segments.first { $0.number == value.position >> 32 }!
      let begin = Int(UInt32(truncatingIfNeeded: value.position))
      return UnsafeRawBufferPointer(
        rebasing: segment.bytes[begin..<begin + Int(value.length)])
    }
  }

  /// Screens what was asked for, takes the old directory, and reads it.
  private static func withSurvivor<R>(
    _ old: String, _ cluster: ClusterID, _ replica: ReplicaID, _ membership: Configuration,
    _ body: (Found) throws(Failure) -> R
  ) throws(Failure) -> R {
    let owner = try owner(of: old)
    guard owner.replica == replica else {
      throw .cannotFound(
        old, why: "it is replica \(owner.replica)'s, and the configuration is replica \(replica)'s")
    }
    guard owner.cluster != cluster else {
      throw .cannotFound(
        old,
        why:
          "the new cluster has the old one's number (\(cluster.hex)), so that lost members could come back into it; choose "
          + "another one")
    }
    guard membership.index(of: replica) != nil else {
      throw .cannotFound(old, why: "replica \(replica) is no member of the new cluster")
    }
    let lock = Lock(descriptor: try takeLock(old))
    defer { withExtendedLifetime(lock) {} }
    let identity = JournalIdentity(cluster: owner.cluster, replica: owner.replica)
    var result = Result<R, Failure>.failure(.cannotFound(old, why: "it was not read"))
    do {
      let snapshot = try newestSnapshot(in: old)
      try RecoveredFiles.withSegments(in: old) { segments in
        let recovered = try JournalRecovery.recover(
          segments, identity: identity, snapshot: snapshot?.info ?? .none)
        let survivor = LastSurvivor(recovered)
        result = Result { () throws(Failure) -> R in
          guard !survivor.isEmpty else {
            throw .cannotFound(
              old,
              why: survivor.dropped.isEmpty
                ? "nothing was ever chosen as far as it knows; begin an empty cluster with `format`"
                : "neither its snapshot nor the first slots of its log are there")
          }
          return try body(
            Found(survivor: survivor, snapshotFile: snapshot?.path, segments: segments))
        }
      }
    } catch let damage as JournalDamage {
      throw .cannotFound(old, why: "nothing can be concluded from its journal (\(damage))")
    } catch let error as SystemError {
      throw .system(error)
    } catch {
      throw .cannotFound(old, why: "\(error)")
    }
    return try result.get()
  }

  /// The newest snapshot that is whole.
  private static func newestSnapshot(
    in directory: String
  ) throws(SystemError) -> (path: String, info: SnapshotInfo)? {
    let slots = try DirectoryListing.names(directory).compactMap { name in
      name.hasPrefix("snapshot-") ? UInt64(name.dropFirst("snapshot-".count)) : nil
    }
    for slot in slots.sorted(by: >) {
      let path = "\(directory)/snapshot-\(slot)"
      let file = try check("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC) }
      defer { close(file) }
      // What cannot be read is not whole.
      let found = SnapshotFile.examine(try FileReader.length(of: file, path)) {
        (offset, count) throws(SystemError) in
        try FileReader.system.bytes(file, path, at: offset, count: count)
      }
      if let info = found.info, info.slot == Slot(slot) { return (path, info) }
    }
    return nil
  }

  private static func name(_ path: String) -> Substring {
    path[path.index(after: path.lastIndex(of: "/")!)...]
  }

  /// Copies a snapshot's file as it is, and looks at the copy.
  private static func copy(
    _ path: String, to target: String, _ info: SnapshotInfo
  ) throws(SystemError) {
    let source = try check("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC) }
    defer { close(source) }
    let changes = FileChanges.system
    let file = try changes.create(target)
    defer { close(file) }
    var offset = 0
    while true {
      let piece = try FileReader.system.bytes(source, path, at: offset, count: 1 << 20)
      guard !piece.isEmpty else { break }
      try changes.write(piece.span.bytes, to: file, at: offset, target)
      offset += piece.count
    }
    try changes.flush(file, target)
    guard SnapshotFile.problem(of: target, info, .system) == nil else {
      throw SystemError("read", target, code: EIO)
    }
  }
}
