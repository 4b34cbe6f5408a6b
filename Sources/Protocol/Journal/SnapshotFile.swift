/// The head of a snapshot's file, in front of the snapshot's bytes: magic, slot, length and digest, eight bytes each.
public struct SnapshotFileHeader: Hashable, Sendable {
  public var info: SnapshotInfo

  /// In bytes.
  public static let length = 32
  private static let magic: UInt64 = 0x504E_5349_4D52_534C  // "LSRMISNP"

  public init(_ info: SnapshotInfo) { self.info = info }

  public func encode(into bytes: inout [UInt8]) {
    bytes.extend(by: Self.length) { bytes in
      bytes.put(Self.magic)
      bytes.put(info.slot.rawValue)
      bytes.put(info.length)
      bytes.put(info.digest)
    }
  }

  /// The head at the beginning of a file; nil when there is none. Whether the rest of the file matches is for whoever
  /// reads it to see: `info` tells its length and its CRC32C.
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= Self.length else { return nil }
    func word(_ i: Int) -> UInt64 {
      UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: i * 8, as: UInt64.self))
    }
    guard word(0) == Self.magic else { return nil }
    info = SnapshotInfo(slot: Slot(word(1)), length: word(2), digest: word(3))
  }
}
