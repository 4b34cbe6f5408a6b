internal import Protocol

extension Simulation {
  /// Handles one event that is due by `time` (nanoseconds); false when there is none, or the run is
  /// over.
  public mutating func advance(until time: UInt64) -> Bool {
    guard outcome == nil else { return false }
    guard let next = world.queue.nextTime, next <= time else {
      if world.now < time && time != .max { world.now = time }
      return false
    }
    return advance()
  }
}

/// What `rsl-sim replay` says about a run: what broke, and what the nodes involved did last.
public struct ReplayText: Sendable {
  private let record: RunRecord
  private let trace: TraceLog
  private let hasEnded: Bool
  private let nodes: [NodeIndex]

  /// - Parameter hasEnded: false when the replay was stopped before the run's end.
  public init(_ result: RunResult<PaxosReport>, _ record: RunRecord, hasEnded: Bool) {
    self.record = record
    self.hasEnded = hasEnded
    trace = result.trace
    let involved = result.violation?.nodes ?? []
    let all = (0..<result.report.replicas).map { NodeIndex($0) }
    nodes = involved.isEmpty ? all : involved
  }

  /// The last events of the nodes involved, in order.
  public var lastEvents: [String] { trace.lastLines(of: nodes) }

  /// What the checker or contract that fired stands for, when it is more than the violation says.
  private var rule: String? {
    guard let checker = record.violation?.checker else { return nil }
    return Contract.allCases.contains { $0.id == checker } ? "contract" : "checker"
  }

  public var lines: [String] {
    var lines = [
      "seed \(record.seed), profile \(record.settings.profile.rawValue): "
        + "\(record.report.replicas) replicas, \(record.report.clients) clients",
      "plan \(record.plan)",
    ]
    let time = DurationText.text(record.simulatedNanoseconds)
    if let violation = record.violation, let rule {
      lines += [
        "", "VIOLATION after \(record.events) events, at \(time)",
        "  \(rule) \(violation.checker)", "  \(violation.sentence)",
      ]
      if !violation.nodes.isEmpty {
        lines.append("  nodes \(violation.nodes.map { $0.description }.joined(separator: ", "))")
      }
    }
    if record.violation != nil || !hasEnded {
      lines += ["", "last events of \(nodes.map { $0.description }.joined(separator: ", "))"]
      lines += lastEvents.map { "  \($0)" }
    }
    if let excuse = record.excuse {
      lines += ["", "excused: \(excuse.name), \(excuse.witness)"]
    }
    lines.append("")
    lines.append(
      hasEnded
        ? "outcome \(record.outcome.rawValue), digest \(record.digestText), "
          + "\(record.report.protocolSteps) steps, \(record.events) events, \(time) simulated"
        : "stopped at \(time) after \(record.events) events, digest \(record.digestText)")
    return lines
  }

  public var json: JSONValue {
    guard case .object(let members) = record.json else { return record.json }
    return .object(
      members + [
        .init("ended", .bool(hasEnded)),
        .init("lastEvents", .array(lastEvents.map { .string($0) })),
      ])
  }
}
