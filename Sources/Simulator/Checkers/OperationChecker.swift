internal import Protocol

/// Every operation of a client is performed at most once, under whatever session and name it travelled, and never when its
/// client was told that it was not.
///
/// The end-to-end half of exactly once: sessions make commands unique, and this one looks at what the user asked for. An
/// operation is known by the argument of its request, which no other operation of the run has.
struct OperationChecker: Sendable {
  private struct Operation: Sendable {
    var performedIn = Slot.zero
    var isRefused = false
  }

  private var operations: [Operation] = []

  private mutating func grow(_ argument: UInt64) -> Int {
    while operations.count <= Int(argument) { operations.append(Operation()) }
    return Int(argument)
  }

  /// The log performs the operation in `slot`.
  mutating func performed(_ argument: UInt64, _ slot: Slot) -> String? {
    let i = grow(argument)
    defer { operations[i].performedIn = slot }
    if operations[i].performedIn > .zero {
      return "operation \(argument) was performed in slot \(operations[i].performedIn) and again in"
        + " slot \(slot)"
    }
    return operations[i].isRefused
      ? "operation \(argument) was performed in slot \(slot) after its client was told that it was not"
      : nil
  }

  /// The operation's client was told that it was not performed.
  mutating func refused(_ argument: UInt64) -> String? {
    let i = grow(argument)
    operations[i].isRefused = true
    return operations[i].performedIn > .zero
      ? "operation \(argument) was performed in slot \(operations[i].performedIn), but its client was"
        + " told that it was not"
      : nil
  }
}
