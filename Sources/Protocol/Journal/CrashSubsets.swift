/// Which pieces of what was written and not flushed a crash leaves: each survives by itself (the storage model of LeBlanc et
/// al., "PoWER Never Corrupts", OSDI 2025).
public enum CrashSubsets {
  /// Beyond so many pieces, 2 to the power of them, subsets are drawn rather than enumerated.
  public static let piecesMax = 12
  /// Of more pieces than this some are passed over where each would have its turn.
  private static let turnsMax = 128

  /// Calls `body` with the pieces that survive, in order: all subsets; of more than `piecesMax` pieces each beginning, each
  /// piece alone, all but each, and `drawn` others.
  ///
  /// - Parameters:
  ///   - isNew: for each piece, whether it was looked at before; subsets of old ones alone are left out where all are enumerated.
  ///   - keeps: drawn for each piece of a subset that is drawn.
  public static func forEach<E>(
    of isNew: [Bool], drawn: Int, keeps: () -> Bool, visit body: ([Int]) throws(E) -> Void
  ) throws(E) {
    guard isNew.contains(true) else { return }
    guard isNew.count > piecesMax else {
      for subset in 0..<1 << isNew.count {
        let kept = isNew.indices.filter { subset >> $0 & 1 == 1 }
        if kept.contains(where: { isNew[$0] }) { try body(kept) }
      }
      return
    }
    for i in stride(from: 0, to: isNew.count, by: (isNew.count + turnsMax - 1) / turnsMax) {
      try body(Array(0...i))
      try body([i])
      try body(isNew.indices.filter { $0 != i })
    }
    for _ in 0..<drawn { try body(isNew.indices.filter { _ in keeps() }) }
  }
}
