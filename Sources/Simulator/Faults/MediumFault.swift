/// What becomes of durable bytes: what was written, flushed and acknowledged comes back different.
public enum MediumFault: UInt8, CaseIterable, Sendable {
  /// One to four bits close to each other.
  case bitRot
  /// A sector of zeroes, or of anything.
  case sectorGarbled
  /// A sector that cannot be read until it is written again. What is read in its place are zeroes, and the host is told.
  case sectorUnreadable
  /// A sector holds what belongs into another one, of this or of another file.
  case sectorMisdirected
  /// A sector holds what it held before it was last written.
  case sectorStale
  case fileCut
  case fileLost
  /// The whole disk is gone, and the operator begins the process anew on an empty one.
  case diskWiped

  /// A running process may not notice: no file changes its length or its name.
  public var mayBeLatent: Bool {
    switch self {
    case .bitRot, .sectorGarbled, .sectorUnreadable, .sectorMisdirected, .sectorStale: true
    case .fileCut, .fileLost, .diskWiped: false
    }
  }

  /// Under which name it is counted.
  public var kind: FaultKind {
    switch self {
    case .bitRot: .bitsFlipped
    case .sectorGarbled: .sectorGarbled
    case .sectorUnreadable: .sectorUnreadable
    case .sectorMisdirected: .sectorMisdirected
    case .sectorStale: .sectorStale
    case .fileCut: .fileCut
    case .fileLost: .fileLost
    case .diskWiped: .diskWiped
    }
  }
}

/// A file, or its beginning, that is known to have been durable from other durable bytes, which stay sound.
///
/// Only such bytes are ever damaged. Those that nothing vouches for are the same picture as a write that a crash has torn,
/// for anybody: no system can tell, so none is asked to.
public struct VouchedFile: Sendable {
  public var name: String
  /// How many bytes of it, from the beginning.
  public var count: Int
  /// All of it, so it may also be cut or vanish.
  public var isWhole: Bool
  /// It stands for what other files no longer hold: a snapshot, for instance.
  public var isCheckpoint: Bool

  public init(name: String, count: Int, isWhole: Bool, isCheckpoint: Bool = false) {
    self.name = name
    self.count = count
    self.isWhole = isWhole
    self.isCheckpoint = isCheckpoint
  }
}
