/// The head of a snapshot's file: which snapshot it is, and how its bytes and their checksums lie behind it.
///
/// Version 2: the head, the snapshot's bytes, and a checksum of each block of them. A block's checksum is one of the snapshot
/// and of the block's number as well, so a block in another's place, or of another snapshot, has the wrong one. Version 1 has
/// only the digest of all bytes; it is read, and never written any more. docs/journal-format.md, "Snapshot", has the bytes.
public struct SnapshotFileHead: Hashable, Sendable {
  public var info: SnapshotInfo
  public let version: UInt8
  /// In bytes. In version 1 what is read at once, and no more.
  public let blockLength: Int

  public static let version: UInt8 = 2
  public static let blockLength = 64 << 10
  /// How many bytes of a file hold the head of any version.
  public static let lengthMax = 40

  private static let magic: UInt32 = 0x534C_5352  // "RSLS"
  private static let magic1: UInt64 = 0x504E_5349_4D52_534C  // "LSRMISNP"
  private static let blockLengths = 1...1 << 24

  public init(_ info: SnapshotInfo, blockLength: Int = Self.blockLength) {
    precondition(Self.blockLengths.contains(blockLength), "no length of a block")
    self.info = info
    self.blockLength = blockLength
    version = Self.version
  }

  /// The head at the beginning of a file, of which at least `lengthMax` bytes are given if it has as many. Whether the rest of
  /// the file matches is for `SnapshotFileCheck` to see.
  ///
  /// Throws `version` for a file that a later version of this code has written, which keeps magic, version and checksum where
  /// they are; anything else for what is no head, or no longer.
  public init(_ bytes: RawSpan) throws(DecodeError) {
    self = try bytes.withUnsafeBytes { bytes throws(DecodeError) in try Self.read(bytes) }
  }

  private init(version: UInt8, _ info: SnapshotInfo, _ blockLength: Int) {
    (self.version, self.info, self.blockLength) = (version, info, blockLength)
  }

  private static func read(_ bytes: UnsafeRawBufferPointer) throws(DecodeError) -> Self {
    var reader = ByteReader(bytes)
    let magic = try reader.u32()
    let next = try reader.u32()
    guard magic == Self.magic else {
      guard UInt64(magic) | UInt64(next) << 32 == magic1 else {
        throw DecodeError(.unknownTag, at: 0)
      }
      return Self(version: 1, try snapshot(&reader), blockLength)
    }
    guard bytes.count >= lengthMax else { throw DecodeError(.truncated, at: bytes.count) }
    let end = lengthMax - 4
    let checksum = bytes.loadUnaligned(fromByteOffset: end, as: UInt32.self).littleEndian
    guard CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<end])) == checksum else {
      throw DecodeError(.checksum, at: end)
    }
    guard next == UInt32(version) else { throw DecodeError(.version, at: 4) }
    let info = try snapshot(&reader)
    let length = Int(try reader.u32())
    guard blockLengths.contains(length) else { throw DecodeError(.length, at: 32) }
    return Self(version: version, info, length)
  }

  private static func snapshot(_ reader: inout ByteReader) throws(DecodeError) -> SnapshotInfo {
    let info = SnapshotInfo(
      slot: Slot(try reader.u64()), length: try reader.u64(), digest: try reader.u64())
    guard info.length <= SnapshotInfo.lengthMax else { throw DecodeError(.length, at: 16) }
    return info
  }

  /// Appends the head, as version 2.
  public func encode(into bytes: inout [UInt8]) {
    let begin = bytes.count
    bytes.extend(by: Self.lengthMax - 4) { bytes in
      bytes.put(Self.magic)
      bytes.put(UInt32(Self.version))
      bytes.put(info.slot.rawValue)
      bytes.put(info.length)
      bytes.put(info.digest)
      bytes.put(UInt32(blockLength))
    }
    bytes.put(bytes[begin...].withUnsafeBytes { CRC32C.checksum($0) })
  }

  // MARK: Where everything lies

  /// In bytes; the snapshot's follow.
  public var length: Int { version == 1 ? 32 : Self.lengthMax }
  /// Blocks have checksums of their own.
  public var hasBlockChecksums: Bool { version > 1 }
  public var blockCount: Int { (Int(info.length) + blockLength - 1) / blockLength }
  /// Where the checksums of blocks begin in the file, four bytes each.
  public var tableOffset: Int { length + Int(info.length) }
  public var tableLength: Int { hasBlockChecksums ? 4 * blockCount : 0 }
  /// Of the file.
  public var fileLength: Int { tableOffset + tableLength }

  /// The blocks in which these bytes of the snapshot are.
  public func blocks(of bytes: Range<Int>) -> Range<Int> {
    bytes.isEmpty
      ? 0..<0 : bytes.lowerBound / blockLength..<(bytes.upperBound - 1) / blockLength + 1
  }

  /// The bytes of the snapshot that these blocks hold.
  public func bytes(of blocks: Range<Int>) -> Range<Int> {
    blocks.lowerBound * blockLength..<min(blocks.upperBound * blockLength, Int(info.length))
  }

  // MARK: Checksums

  /// The checksum of a block, given that of its bytes.
  public func checksum(ofBlock number: Int, sum: UInt32) -> UInt32 {
    var words: [UInt8] = []
    words.extend(by: 36) { words in
      words.put(info.slot.rawValue)
      words.put(info.length)
      words.put(info.digest)
      words.put(UInt64(number))
      words.put(sum)
    }
    return CRC32C.checksum(words)
  }

  /// The checksums of blocks as the file holds them: of those from `first` on, given the sums of all.
  public func table(_ sums: [UInt32], from first: Int = 0) -> [UInt8] {
    var table: [UInt8] = []
    table.reserveCapacity(4 * (sums.count - first))
    for number in first..<sums.count { table.put(checksum(ofBlock: number, sum: sums[number])) }
    return table
  }

  /// Whether the bytes of a block are what they were, as its place in the table says. True in version 1, which cannot tell.
  public func isWhole(block number: Int, sum: UInt32, in table: [UInt8]) -> Bool {
    guard hasBlockChecksums else { return true }
    guard table.count >= 4 * number + 4 else { return false }
    let expected = table.withUnsafeBytes {
      $0.loadUnaligned(fromByteOffset: 4 * number, as: UInt32.self).littleEndian
    }
    return checksum(ofBlock: number, sum: sum) == expected
  }
}

/// Checksums of a snapshot's blocks and of all of it, taken while its bytes pass in pieces of any length.
public struct SnapshotSums: Sendable {
  /// Of the bytes of each block that is complete.
  public private(set) var blocks: [UInt32] = []
  /// How many bytes have passed.
  public private(set) var length: UInt64 = 0
  /// Of all of them: a snapshot's digest.
  public var digest: UInt64 { UInt64(whole) }
  private var whole: UInt32 = 0
  private var sum: UInt32 = 0
  private var filled = 0
  private let blockLength: Int

  public init(blockLength: Int = SnapshotFileHead.blockLength) { self.blockLength = blockLength }

  public mutating func take(_ piece: RawSpan) {
    var offset = 0
    while offset < piece.byteCount {
      let count = min(blockLength - filled, piece.byteCount - offset)
      let part = piece.extracting(offset..<offset + count)
      sum = CRC32C.checksum(part, seed: sum)
      filled += count
      offset += count
      if filled == blockLength { endBlock() }
    }
    whole = CRC32C.checksum(piece, seed: whole)
    length += UInt64(piece.byteCount)
  }

  /// Nothing comes any more: the last block is complete as it is.
  public mutating func finish() { if filled > 0 { endBlock() } }

  private mutating func endBlock() {
    blocks.append(sum)
    (sum, filled) = (0, 0)
  }
}

/// Holds a snapshot's bytes, first to last, against what their file says of them.
public struct SnapshotFileCheck: Sendable {
  public let head: SnapshotFileHead
  /// The blocks that do not match their checksums, or could not be read; in order.
  public private(set) var badBlocks: [Int] = []
  private let table: [UInt8]
  private var sums: SnapshotSums
  private var hasGap = false

  /// - Parameter table: the checksums of blocks, as the file holds them; what is missing of them matches nothing.
  public init(_ head: SnapshotFileHead, table: [UInt8]) {
    self.head = head
    self.table = table
    sums = SnapshotSums(blockLength: head.blockLength)
  }

  /// How many of the snapshot's bytes were given, missing ones included.
  public var offset: Int { Int(sums.length) }

  /// The next bytes, at most as many as the snapshot has.
  public mutating func take(_ piece: RawSpan) {
    let before = sums.blocks.count
    sums.take(piece)
    if offset == Int(head.info.length) { sums.finish() }
    for number in before..<sums.blocks.count
    where !head.isWhole(block: number, sum: sums.blocks[number], in: table) {
      badBlocks.append(number)
    }
  }

  /// The next block could not be read.
  public mutating func miss() {
    let number = sums.blocks.count
    hasGap = true
    let count = head.bytes(of: number..<number + 1).count
    let zeroes = [UInt8](repeating: 0, count: count)
    take(zeroes.span.bytes)
    if badBlocks.last != number { badBlocks.append(number) }
  }

  /// Every block is what it was, and so is the whole.
  public var isWhole: Bool {
    !hasGap && badBlocks.isEmpty && offset == Int(head.info.length)
      && sums.digest == head.info.digest
  }
}

extension SnapshotFileHead {
  /// A whole file in memory, for simulated disks: of a snapshot whose length and digest are those of `content`.
  public static func file(_ info: SnapshotInfo, _ content: [UInt8]) -> [UInt8] {
    var sums = SnapshotSums()
    sums.take(content.span.bytes)
    sums.finish()
    let head = SnapshotFileHead(info)
    var file: [UInt8] = []
    file.reserveCapacity(head.fileLength)
    head.encode(into: &file)
    file += content
    file += head.table(sums.blocks)
    return file
  }

  /// What a file in memory holds, and which of its blocks are bad; nil where it has no head, or is not as long as that says.
  public static func check(_ file: [UInt8]) -> SnapshotFileCheck? {
    guard let head = try? SnapshotFileHead(file.span.bytes), file.count == head.fileLength else {
      return nil
    }
    var check = SnapshotFileCheck(head, table: Array(file[head.tableOffset...]))
    check.take(file.span.bytes.extracting(head.length..<head.tableOffset))
    return check
  }
}
