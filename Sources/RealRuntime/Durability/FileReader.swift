import Glibc
import Protocol

/// Reads a replica's files at its start, and for `rsl inspect`. Never by mapping them: a disk that does not give a block of a
/// mapping back ends the process.
struct FileReader: Sendable {
  /// As `pread`: how many bytes came, 0 behind the end of the file. The path is for words.
  typealias Read =
    @Sendable (
      _ file: Int32, _ path: String, _ into: UnsafeMutableRawBufferPointer, _ offset: Int
    ) throws(SystemError) -> Int

  let read: Read

  static let system = FileReader { (file, path, buffer, offset) throws(SystemError) in
    try check("pread", path) { pread(file, buffer.baseAddress, buffer.count, off_t(offset)) }
  }

  /// What is read at once, and what is given up at once where that fails, in bytes: a page.
  private static let pieceLength = 1 << 20
  private static let blockLength = 4_096

  /// Reads a file from its beginning into a mapping of nothing, and says what it could not read: that stays zero.
  func fill(
    _ buffer: UnsafeMutableRawBufferPointer, _ file: Int32, _ path: String
  )
    -> [UnreadableBytes]
  {
    var unreadable: [UnreadableBytes] = []
    func miss(_ range: Range<Int>, _ why: String) {
      if let last = unreadable.last, last.range.upperBound == range.lowerBound, last.why == why {
        unreadable[unreadable.count - 1].range = last.range.lowerBound..<range.upperBound
      } else {
        unreadable.append(UnreadableBytes(range, why: why))
      }
    }
    var (offset, length) = (0, Self.pieceLength)
    while offset < buffer.count {
      let end = min(offset + length, buffer.count)
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<end])
      do throws(SystemError) {
        let count = try read(file, path, piece, offset)
        guard count > 0 else {
          miss(offset..<buffer.count, "the file is shorter than every other segment")
          break
        }
        if length == Self.pieceLength, count == piece.count { giveBackZeroes(piece) }
        offset += count
        if offset.isMultiple(of: Self.pieceLength) { length = Self.pieceLength }
      } catch {
        // Block by block, until the next piece begins.
        guard length == Self.blockLength else {
          length = Self.blockLength
          continue
        }
        let end = min((offset / Self.blockLength + 1) * Self.blockLength, buffer.count)
        UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<end])
          .initializeMemory(as: UInt8.self, repeating: 0)
        miss(offset..<end, error.reason)
        offset = end
        if offset.isMultiple(of: Self.pieceLength) { length = Self.pieceLength }
      }
    }
    return unreadable
  }

  /// Most of a segment was written beforehand and is zero still: no memory is wanted for that.
  private func giveBackZeroes(_ piece: UnsafeMutableRawBufferPointer) {
    guard let base = piece.baseAddress, piece.count == Self.pieceLength, piece[0] == 0,
      memcmp(base, base + 1, piece.count - 1) == 0
    else { return }
    // The mapping's own pages, which are zero again when they are read.
    madvise(base, piece.count, MADV_DONTNEED)
  }

  /// Of an open file, in bytes.
  static func length(of file: Int32, _ path: String) throws(SystemError) -> Int {
    var status = stat()
    try check("fstat", path) { fstat(file, &status) }
    return Int(status.st_size)
  }

  /// All of a small file, at most so many bytes.
  func contents(_ path: String, max: Int) throws(SystemError) -> [UInt8] {
    let file = try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
    defer { close(file) }
    return try bytes(file, path, at: 0, count: max)
  }

  /// As many bytes as there are from this place on, at most `count`.
  func bytes(
    _ file: Int32, _ path: String, at offset: Int, count: Int
  ) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      var result = Result<Int, SystemError>.success(0)
      bytes.withUnsafeMutableBytes { buffer in
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        result = Result { () throws(SystemError) in
          try self.read(file, path, rest, offset + done)
        }
      }
      let got = try result.get()
      guard got > 0 else { break }
      done += got
    }
    bytes.removeSubrange(done...)
    return bytes
  }
}
