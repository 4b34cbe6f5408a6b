/// What of a run is kept as text. Everything off costs one test of a Boolean per event.
public struct TraceOptions: Equatable, Sendable {
  /// The last so many lines of each node are kept, for the report of a violation.
  public var linesPerNode: Int
  /// Every line is kept.
  public var full: Bool

  public init(linesPerNode: Int = 0, full: Bool = false) {
    self.linesPerNode = linesPerNode
    self.full = full
  }

  public static var off: Self { Self() }
}

/// Trace lines of a run: a ring per node, or all of them, or none.
public struct TraceLog: Sendable {
  public let isOn: Bool
  private let options: TraceOptions
  /// Every line in order, when asked for.
  public private(set) var lines: [String] = []
  private var rings: [[(order: UInt64, line: String)]]
  private var order: UInt64 = 0

  init(_ options: TraceOptions, endpoints: Int) {
    self.options = options
    isOn = options.full || options.linesPerNode > 0
    rings = Array(repeating: [], count: isOn ? endpoints : 0)
  }

  /// Adds a line about `node` (nil: about the world) at simulated time `time` in nanoseconds.
  mutating func add(_ text: String, node: NodeIndex?, time: UInt64) {
    let line = Self.stamp(time) + " " + (node.map { $0.description } ?? "--") + " " + text
    if options.full { lines.append(line) }
    guard options.linesPerNode > 0, let node else { return }
    let entry = (order: order, line: line)
    if rings[node.index].count < options.linesPerNode {
      rings[node.index].append(entry)
    } else {
      rings[node.index].removeFirst()
      rings[node.index].append(entry)
    }
    order += 1
  }

  /// The last lines of `nodes` together, in the order they happened.
  public func lastLines(of nodes: [NodeIndex]) -> [String] {
    var entries: [(order: UInt64, line: String)] = []
    for node in nodes where node.index < rings.count { entries += rings[node.index] }
    return entries.sorted { $0.order < $1.order }.map { $0.line }
  }

  /// Simulated nanoseconds as seconds with six decimals, right-aligned.
  static func stamp(_ nanoseconds: UInt64) -> String {
    let micros = nanoseconds / 1_000
    let fraction = String(micros % 1_000_000)
    let seconds = String(micros / 1_000_000)
    return String(repeating: " ", count: max(0, 4 - seconds.count)) + seconds + "."
      + String(repeating: "0", count: 6 - fraction.count) + fraction
  }
}
