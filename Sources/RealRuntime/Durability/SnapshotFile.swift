import Glibc
import Protocol

/// One snapshot's file, read.
enum SnapshotFile {
  /// Bytes of the file from a place on, fewer only at its end.
  typealias Read = (_ offset: Int, _ count: Int) throws(SystemError) -> [UInt8]

  /// What is read at once, in bytes; a multiple of a block.
  static let pieceLength = 1 << 20

  /// What a file turned out to be.
  struct Examination {
    var head: SnapshotFileHead?
    var badBlocks: [Int] = []
    /// What is wrong with it, in words; nil for a whole snapshot.
    var problem: String?
    /// Written by a later version of this program: not damaged, and not readable.
    var isNewer = false

    /// The snapshot, when it is whole.
    var info: SnapshotInfo? { problem == nil ? head?.info : nil }
  }

  /// Reads all of a file, and holds it against its checksums. What cannot be read is damage, too.
  static func examine(_ length: Int, _ read: Read) -> Examination {
    var found = Examination()
    let head: SnapshotFileHead
    do {
      head = try self.head(read)
    } catch let error as DecodeError {
      found.isNewer = error.what == .version
      found.problem = found.isNewer ? "of a later version" : "no head (\(error))"
      return found
    } catch {
      found.problem = "its head cannot be read: \(error)"
      return found
    }
    found.head = head
    guard length == head.fileLength else {
      found.problem = "\(length) bytes long, and should be \(head.fileLength)"
      return found
    }
    var check = SnapshotFileCheck(head, table: table(head, read))
    while check.offset < Int(head.info.length) { take(&check, read) }
    found.badBlocks = check.badBlocks
    found.problem = problem(check)
    return found
  }

  /// Throws `DecodeError` or `SystemError`.
  static func head(_ read: Read) throws -> SnapshotFileHead {
    let bytes = try read(0, SnapshotFileHead.lengthMax)
    return try SnapshotFileHead(bytes.span.bytes)
  }

  /// The checksums of blocks; empty when they cannot be read, so that no block has the right one.
  static func table(_ head: SnapshotFileHead, _ read: Read) -> [UInt8] {
    (try? read(head.tableOffset, head.tableLength)) ?? []
  }

  /// The next piece; block by block where not all of it can be read. Returns how many bytes that were.
  @discardableResult
  static func take(_ check: inout SnapshotFileCheck, _ read: Read) -> Int {
    let begin = check.offset
    let (head, first) = (check.head, begin / check.head.blockLength)
    let blocks = head.blocks(of: begin..<min(begin + pieceLength, Int(head.info.length)))
    let bytes = head.bytes(of: first..<max(blocks.upperBound, first + 1))
    if let piece = try? read(head.length + begin, bytes.upperBound - begin),
      piece.count == bytes.upperBound - begin
    {
      check.take(piece.span.bytes)
      return piece.count
    }
    for number in blocks {
      let bytes = head.bytes(of: number..<number + 1)
      if let block = try? read(head.length + bytes.lowerBound, bytes.count),
        block.count == bytes.count
      {
        check.take(block.span.bytes)
      } else {
        check.miss()
      }
    }
    return check.offset - begin
  }

  /// What a check has found when it is through; nil for a whole snapshot.
  static func problem(_ check: SnapshotFileCheck) -> String? {
    guard !check.isWhole else { return nil }
    guard !check.badBlocks.isEmpty else { return "the whole does not match its digest" }
    let shown = check.badBlocks.prefix(8).map { "\($0)" }.joined(separator: ", ")
    let more = check.badBlocks.count > 8 ? " and \(check.badBlocks.count - 8) more" : ""
    return "damaged in block \(shown)\(more) of \(check.head.blockCount)"
  }

  /// Hands all of a snapshot's bytes to `body`, piece by piece.
  static func read(
    _ head: SnapshotFileHead, _ path: String, _ read: Read, _ body: (RawSpan) -> Void
  ) throws(SystemError) {
    var offset = 0
    while offset < Int(head.info.length) {
      let piece = try read(
        head.length + offset, min(pieceLength, Int(head.info.length) - offset))
      guard !piece.isEmpty else { throw SystemError("pread", path, code: EIO) }
      body(piece.span.bytes)
      offset += piece.count
    }
  }

  /// Writes all of `source`, flushes it, and returns what it is. The head comes last: a file without one is none.
  static func write(
    _ source: any SnapshotReading, to path: String, _ changes: FileChanges
  ) throws(SystemError) -> SnapshotInfo {
    var source = source
    let file = try changes.create(path)
    defer { close(file) }
    var info = SnapshotInfo(slot: source.slot, length: 0, digest: 0)
    let content = SnapshotFileHead(info).length
    var sums = SnapshotSums()
    var piece: [UInt8] = []
    while source.chunk(limit: pieceLength, into: &piece) {
      let place = content + Int(sums.length)
      try changes.write(piece.span.bytes, to: file, at: place, path)
      try changes.writeBack(file, path, place..<place + piece.count)
      sums.take(piece.span.bytes)
      piece.removeAll(keepingCapacity: true)
    }
    sums.finish()
    (info.length, info.digest) = (sums.length, sums.digest)
    let head = SnapshotFileHead(info)
    try changes.write(head.table(sums.blocks).span.bytes, to: file, at: head.tableOffset, path)
    var bytes: [UInt8] = []
    head.encode(into: &bytes)
    try changes.write(bytes.span.bytes, to: file, at: 0, path)
    try changes.flush(file, path)
    return info
  }

  /// Reads back what was written and flushed, past the page cache; what is wrong with it, nil when it is this snapshot.
  static func problem(of path: String, _ info: SnapshotInfo, _ reader: FileReader) -> String? {
    do throws(SystemError) {
      let file = try UncachedFile(path, reader)
      let found = examine(file.length) { (offset, count) throws(SystemError) in
        try file.bytes(at: offset, count: count)
      }
      guard found.problem == nil, found.info != info else { return found.problem }
      return "it says that it is another snapshot"
    } catch {
      return "\(error)"
    }
  }
}
