import Glibc
import Protocol

/// A snapshot's file that is open, to restore from it and to read from it for peers; also when another has taken its place and
/// its name is gone.
final class OpenSnapshot {
  let head: SnapshotFileHead
  let path: String
  /// When a peer last asked for some of it.
  var servedAt = Instant.zero
  private let file: Int32
  private let reader: FileReader
  private let worker: WorkerThread
  /// The checksums of its blocks.
  private let table: [UInt8]

  /// Takes the descriptor over, to be closed by `worker`.
  init(
    _ file: Int32, _ head: SnapshotFileHead, _ path: String, _ reader: FileReader,
    _ worker: WorkerThread
  ) {
    (self.file, self.head, self.path, self.reader, self.worker) = (file, head, path, reader, worker)
    table = SnapshotFile.table(head) { (offset, count) throws(SystemError) in
      try reader.bytes(file, path, at: offset, count: count)
    }
  }

  // Who closes a file last that has no name any more frees its blocks, which takes its time.
  deinit { worker.run { [file] in close(file) } }

  /// Hands all of its bytes to `body`, piece by piece.
  func read(_ body: (RawSpan) -> Void) throws(SystemError) {
    let (file, path, reader) = (file, path, reader)
    func read(_ offset: Int, _ count: Int) throws(SystemError) -> [UInt8] {
      try reader.bytes(file, path, at: offset, count: count)
    }
    try SnapshotFile.read(head, path, read, body)
  }

  /// Appends a piece, when every block of it is what it was; otherwise says what is wrong, and appends nothing.
  func chunk(_ offset: UInt64, lengthMax: Int, into bytes: inout [UInt8]) -> String? {
    let begin = Int(min(offset, head.info.length))
    let end = min(begin + lengthMax, Int(head.info.length))
    let blocks = head.blocks(of: begin..<end)
    let whole = head.bytes(of: blocks)
    let piece: [UInt8]
    do throws(SystemError) {
      piece = try reader.bytes(
        file, path, at: head.length + whole.lowerBound, count: whole.count)
    } catch {
      return "\(error)"
    }
    guard piece.count == whole.count else { return "it ends in block \(blocks.lowerBound)" }
    for number in blocks {
      let block = head.bytes(of: number..<number + 1)
      let sum = CRC32C.checksum(
        piece.span.bytes.extracting(
          block.lowerBound - whole.lowerBound..<block.upperBound - whole.lowerBound))
      guard head.isWhole(block: number, sum: sum, in: table) else {
        return "damaged in block \(number) of \(head.blockCount)"
      }
    }
    bytes += piece[begin - whole.lowerBound..<end - whole.lowerBound]
    return nil
  }
}
