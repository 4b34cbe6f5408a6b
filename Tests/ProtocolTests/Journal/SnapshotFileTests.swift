import Testing

@testable import Protocol

/// A snapshot's file: what it says of its bytes, and that nothing else is taken for it.
@Suite struct SnapshotFileTests {
  private static let blockLength = 64

  /// A file with blocks that are short enough to have many.
  private func makeFile(
    _ content: [UInt8], slot: UInt64 = 9
  ) -> (head: SnapshotFileHead, bytes: [UInt8]) {
    var sums = SnapshotSums(blockLength: Self.blockLength)
    sums.take(content.span.bytes)
    sums.finish()
    let head = SnapshotFileHead(
      SnapshotInfo(slot: Slot(slot), length: sums.length, digest: sums.digest),
      blockLength: Self.blockLength)
    var bytes: [UInt8] = []
    head.encode(into: &bytes)
    return (head, bytes + content + head.table(sums.blocks))
  }

  private func isWhole(_ bytes: [UInt8], _ info: SnapshotInfo) -> Bool {
    guard let check = SnapshotFileHead.check(bytes) else { return false }
    return check.isWhole && check.head.info == info
  }

  @Test(arguments: [1, 63, 64, 65, 128, 1_000]) func isReadBack(length: Int) throws {
    var generator = Generator(seed: UInt64(length))
    let content = generator.bytes(length)
    let (head, bytes) = makeFile(content)
    #expect(bytes.count == head.fileLength && head.blockCount == (length + 63) / 64)
    #expect(head.info.digest == UInt64(CRC32C.checksum(content)))
    let read = try SnapshotFileHead(bytes.span.bytes)
    #expect(read == head && isWhole(bytes, head.info))
    #expect(Array(bytes[read.length..<read.tableOffset]) == content)
    #expect(head.blocks(of: 0..<length) == 0..<head.blockCount)
    #expect(head.bytes(of: 0..<head.blockCount) == 0..<length)
  }

  @Test func piecesOfAnyLengthHaveTheSameSums() {
    var generator = Generator(seed: 4)
    let content = generator.bytes(500)
    var whole = SnapshotSums(blockLength: Self.blockLength)
    whole.take(content.span.bytes)
    whole.finish()
    for _ in 0..<50 {
      var (sums, offset) = (SnapshotSums(blockLength: Self.blockLength), 0)
      while offset < content.count {
        let count = min(1 + generator.below(150), content.count - offset)
        sums.take(content.span.bytes.extracting(offset..<offset + count))
        offset += count
      }
      sums.finish()
      #expect(sums.blocks == whole.blocks && sums.digest == whole.digest)
    }
  }

  @Test func everyFlippedBitIsFoundInItsBlock() throws {
    var generator = Generator(seed: 5)
    let (head, bytes) = makeFile(generator.bytes(300))
    for place in bytes.indices {
      for bit in 0..<8 {
        var flipped = bytes
        flipped[place] ^= 1 << bit
        #expect(!isWhole(flipped, head.info), "byte \(place), bit \(bit)")
        guard place >= head.length else { continue }
        let block =
          place < head.tableOffset
          ? (place - head.length) / Self.blockLength : (place - head.tableOffset) / 4
        #expect(SnapshotFileHead.check(flipped)?.badBlocks == [block])
      }
    }
    for count in 0..<bytes.count { #expect(!isWhole(Array(bytes[..<count]), head.info)) }
  }

  /// Each of these blocks is whole, and has its checksum with it: of another place, or of another snapshot.
  @Test func blocksInTheWrongPlaceAndOfAnotherSnapshotAreFound() {
    var generator = Generator(seed: 6)
    let (head, bytes) = makeFile(generator.bytes(256))
    let (_, older) = makeFile(generator.bytes(256), slot: 8)
    func take(_ from: Int, of source: [UInt8], to: Int) -> [UInt8] {
      var changed = bytes
      for i in 0..<Self.blockLength {
        changed[head.length + to * Self.blockLength + i] =
          source[head.length + from * Self.blockLength + i]
      }
      for i in 0..<4 {
        changed[head.tableOffset + 4 * to + i] = source[head.tableOffset + 4 * from + i]
      }
      return changed
    }
    #expect(take(1, of: bytes, to: 1) == bytes)
    #expect(SnapshotFileHead.check(take(1, of: bytes, to: 2))?.badBlocks == [2])
    #expect(SnapshotFileHead.check(take(3, of: older, to: 3))?.badBlocks == [3])
  }

  @Test func whatIsMissedIsBad() throws {
    var generator = Generator(seed: 7)
    // The second block is zeroes: what is read in place of it would match.
    let content = generator.bytes(64) + [UInt8](repeating: 0, count: 64) + generator.bytes(20)
    let (head, bytes) = makeFile(content)
    var check = SnapshotFileCheck(head, table: Array(bytes[head.tableOffset...]))
    let (first, last) = (Array(content[..<64]), Array(content[128...]))
    check.take(first.span.bytes)
    check.miss()
    check.take(last.span.bytes)
    #expect(check.offset == content.count && check.badBlocks == [1] && !check.isWhole)
  }

  @Test func aHeadOfTheFutureIsNotMistakenForDamage() {
    var (head, bytes) = makeFile([1, 2, 3])
    bytes[4] = 3
    func reading(_ bytes: [UInt8]) -> DecodeError.What? {
      do throws(DecodeError) {
        _ = try SnapshotFileHead(bytes.span.bytes)
        return nil
      } catch {
        return error.what
      }
    }
    #expect(reading(bytes) == .checksum)
    bytes.set(CRC32C.checksum(Array(bytes[..<36])), at: 36)
    #expect(reading(bytes) == .version)
    head.info.length = .max
    bytes = []
    head.encode(into: &bytes)
    #expect(reading(bytes) == .length)
  }

  @Test func anyBytesAreAHeadOrATypedError() {
    var generator = Generator(seed: 8)
    for _ in 0..<2_000 {
      let bytes = generator.bytes(generator.below(60))
      #expect(SnapshotFileHead.check(bytes) == nil)
      var first = makeFile([1]).bytes
      first.set(generator.u64(), at: 8 + generator.below(28))
      first.set(CRC32C.checksum(Array(first[..<36])), at: 36)
      _ = SnapshotFileHead.check(first)
    }
  }
}
