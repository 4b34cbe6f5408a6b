// What the host's log buffer must keep.
extension Replica {
  /// The lowest position of the log buffer that this replica may still ask for; `end` when it asks for nothing below.
  ///
  /// Looks at everything it holds, so ask after a `truncate` effect, not after every step.
  /// - Parameter end: where the next bytes will be received.
  public func lowestPosition(end: UInt64) -> UInt64 {
    var lowest = end
    func note(_ value: Value) {
      if value.bytes.length > 0 { lowest = min(lowest, value.bytes.position) }
    }
    var slot = window.truncatedUpTo.next
    while slot <= window.highestUsed {
      note(window[slot].value)
      slot = slot.next
    }
    batcher.forEach(note)
    proposer.phase1?.forEachValue(note)
    return lowest
  }
}
