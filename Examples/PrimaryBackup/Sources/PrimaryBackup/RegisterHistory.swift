/// What clients saw, checked as it happens.
///
/// Every put that was done has a version of its own, so linearizability needs no search: one value
/// per version, and no operation answers with an older version than one that was answered before it
/// began.
public struct RegisterHistory: Sendable {
  /// Value by version, as far as clients have seen it.
  private var values: [UInt64?] = [0]
  /// The highest version any client has seen in an answer.
  public private(set) var highest: UInt64 = 0
  public private(set) var answered = 0

  public init() {}

  /// Takes in an answer to an operation that began when `highest` was `floor`; a sentence when it
  /// cannot be right.
  public mutating func check(client: Int, version: UInt64, value: UInt64, floor: UInt64) -> String?
  {
    answered += 1
    if version < floor {
      return "client \(client) was answered version \(version), "
        + "but version \(floor) had been answered before it asked"
    }
    while values.count <= Int(version) { values.append(nil) }
    if let known = values[Int(version)], known != value {
      return "client \(client) was answered value \(value) for version \(version), "
        + "which another client was told is \(known)"
    }
    values[Int(version)] = value
    highest = max(highest, version)
    return nil
  }
}
