import Glibc
import Protocol

/// The file that a peer's snapshot is received into. What a process that ended has received of it is at hand when the same
/// snapshot is offered again: every block that is whole, from the first on.
final class IncomingSnapshot {
  let head: SnapshotFileHead
  let path: String
  /// So many bytes, from the first on, need not come again.
  let atHand: Int
  private let file: Int32
  private let changes: FileChanges
  private var sums: SnapshotSums

  /// An empty one.
  init(_ info: SnapshotInfo, _ path: String, _ changes: FileChanges) throws(SystemError) {
    head = SnapshotFileHead(info)
    self.path = path
    self.changes = changes
    atHand = 0
    sums = SnapshotSums(blockLength: head.blockLength)
    file = try changes.create(path)
    var bytes: [UInt8] = []
    head.encode(into: &bytes)
    try changes.write(bytes.span.bytes, to: file, at: 0, path)
  }

  /// What an earlier life has left; nil when nothing of it can be used.
  init?(leftAt path: String, _ changes: FileChanges, _ reader: FileReader) {
    guard let file = try? changes.open(path) else { return nil }
    func read(_ offset: Int, _ count: Int) throws(SystemError) -> [UInt8] {
      try reader.bytes(file, path, at: offset, count: count)
    }
    // Where the table's place is not reached, no block came as a whole.
    guard let head = try? SnapshotFile.head(read), head.hasBlockChecksums,
      let length = try? FileReader.length(of: file, path), length > head.tableOffset,
      case let whole = Self.wholeBytes(head, read), whole > 0
    else {
      close(file)
      return nil
    }
    (self.file, self.head, self.path, self.changes) = (file, head, path, changes)
    atHand = whole
    sums = SnapshotSums(blockLength: head.blockLength)
  }

  deinit { close(file) }

  /// Up to the first block that does not match its checksum.
  private static func wholeBytes(_ head: SnapshotFileHead, _ read: SnapshotFile.Read) -> Int {
    let table = SnapshotFile.table(head, read)
    for number in 0..<head.blockCount {
      let bytes = head.bytes(of: number..<number + 1)
      guard let block = try? read(head.length + bytes.lowerBound, bytes.count),
        block.count == bytes.count,
        head.isWhole(block: number, sum: CRC32C.checksum(block), in: table)
      else { return bytes.lowerBound }
    }
    return Int(head.info.length)
  }

  /// Nothing was taken in in this life.
  var isUntouched: Bool { sums.length == 0 }

  /// What came is the snapshot that was announced.
  var isWhole: Bool { sums.length == head.info.length && sums.digest == head.info.digest }

  /// Bytes that are at hand; empty where there are none.
  func bytes(at offset: Int, lengthMax: Int, _ reader: FileReader) -> [UInt8] {
    let count = min(lengthMax, atHand - offset)
    guard count > 0 else { return [] }
    return (try? reader.bytes(file, path, at: head.length + offset, count: count)) ?? []
  }

  func append(_ bytes: RawSpan, at offset: Int) throws(SystemError) {
    precondition(offset == Int(sums.length), "a chunk out of order")
    let before = sums.blocks.count
    sums.take(bytes)
    if sums.length == head.info.length { sums.finish() }
    // It is there already.
    guard offset + bytes.byteCount > atHand else { return }
    try changes.write(bytes, to: file, at: head.length + offset, path)
    let table = head.table(sums.blocks, from: before)
    guard !table.isEmpty else { return }
    try changes.write(table.span.bytes, to: file, at: head.tableOffset + 4 * before, path)
  }

  /// Makes all of it durable.
  func finish() throws(SystemError) { try changes.flush(file, path) }
}
