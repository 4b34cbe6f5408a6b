/// Columns of text for people; the first stands left, the others right.
struct Columns {
  var rows: [[String]]

  /// Without spaces at the ends of lines.
  var lines: [String] {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      let cells = row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + space : space + cell
      }
      var line = cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}

/// What `rsl status` and `rsl top` show.
public enum StatusText {
  /// What one endpoint answered.
  public typealias Answer = (
    endpoint: SocketEndpoint, result: Result<NodeStatus, AdminClient.Failure>
  )

  /// One line for each node, then what they say about their peers.
  public static func overview(_ answers: [Answer]) -> [String] {
    var rows = [
      [
        "NODE", "ROLE", "LEADER", "BALLOT", "CHOSEN", "APPLIED", "SNAPSHOT", "JOURNAL", "CLIENTS",
        "UP",
      ]
    ]
    var remarks: [String] = []
    for answer in answers {
      switch answer.result {
      case .success(let node):
        rows.append([
          "\(node.id)", node.role, node.leader.map { "\($0)" } ?? "-",
          "\(node.ballot.round).\(node.ballot.proposer)", "\(node.chosenUpTo)",
          "\(node.appliedUpTo)", "\(node.snapshotSlot)", size(node.journal.bytes),
          "\(node.clientConnections)", time(node.uptimeSeconds),
        ])
        if let reason = node.noRoom { remarks.append("node \(node.id): \(reason)") }
        if let damage = node.damage {
          remarks.append("node \(node.id) is damaged at rest: \(damage)")
        }
        if node.digests.divergences > 0 {
          remarks.append("node \(node.id) had diverged, and no digest has confirmed its state yet")
        }
        if let reason = node.suspicion {
          remarks.append("node \(node.id) does not vote: \(reason)")
        }
      case .failure(let failure): remarks.append("unreachable: \(failure)")
      }
    }
    let peers = answers.flatMap { answer -> [[String]] in
      guard case .success(let node) = answer.result else { return [] }
      return node.peers.map { peer in
        [
          "\(node.id) to \(peer.id)",
          peer.isConnected ? peer.isShortOfRoom ? "no room" : "connected" : "lost",
          peer.lagSlots.map { "\($0)" } ?? "-", size(peer.unsentBytes), peer.address,
        ]
      }
    }
    var lines = rows.count > 1 ? Columns(rows: rows).lines : []
    if !peers.isEmpty {
      let header = ["PEER", "STATE", "LAG", "UNSENT", "ADDRESS"]
      lines += [""] + Columns(rows: [header] + peers).lines
    }
    return lines + remarks
  }

  /// The times of a node's stages, in microseconds, and commands per second since an earlier status.
  static func stages(_ node: NodeStatus, since earlier: NodeStatus?) -> [String] {
    let elapsed = earlier.map { node.uptimeSeconds - $0.uptimeSeconds } ?? 0
    let rates = node.stages.map { line in
      guard let before = earlier?.stages.first(where: { $0.stage == line.stage })?.count,
        elapsed > 0, line.count >= before
      else { return "-" }
      return "\(Int((Double(line.count - before) / elapsed).rounded()))"
    }
    return stages(node.stages, [("PER SECOND", rates)])
  }

  /// The times of stages, in microseconds, with more columns behind their counts.
  public static func stages(
    _ stages: [NodeStatus.StageTimes], _ more: [(title: String, cells: [String])] = []
  ) -> [String] {
    let header =
      ["STAGE", "COUNT"] + more.map(\.title) + ["P50 us", "P99 us", "P99.9 us", "MAX us"]
    let rows = stages.indices.map { i in
      [stages[i].stage.rawValue, "\(stages[i].count)"] + more.map { $0.cells[i] }
        + [stages[i].p50, stages[i].p99, stages[i].p999, stages[i].max].map { tenths($0) }
    }
    return Columns(rows: [header] + rows).lines
  }

  /// Everything about the nodes, for a screen: who leads, then the stages of the leader or of the only node.
  public static func screen(
    _ answers: [Answer], since earlier: [UInt32: NodeStatus] = [:]
  )
    -> [String]
  {
    let nodes = answers.compactMap { try? $0.result.get() }
    var lines = overview(answers)
    let shown = nodes.first { $0.role == "leader" } ?? nodes.first
    if let shown {
      lines += ["", "Replica \(shown.id): time from a command's arrival, latest minute or two"]
      lines += stages(shown, since: earlier[shown.id])
      let refused = shown.rejections.merging(shown.screened, uniquingKeysWith: +)
        .merging(shown.refusedConnections, uniquingKeysWith: +).filter { $0.value > 0 }
      if !refused.isEmpty {
        let words = refused.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        lines += ["", "Refused: " + words.joined(separator: ", ")]
      }
    }
    return lines
  }

  static func size(_ bytes: UInt64) -> String {
    var value = Double(bytes)
    for unit in ["B", "KiB", "MiB", "GiB"] {
      if value < 1_024 { return unit == "B" ? "\(bytes) B" : "\(tenths(value)) \(unit)" }
      value /= 1_024
    }
    return "\(tenths(value)) TiB"
  }

  static func time(_ seconds: Double) -> String {
    let whole = Int(seconds)
    if whole < 60 { return "\(whole)s" }
    if whole < 3_600 { return "\(whole / 60)m\(whole % 60)s" }
    if whole < 86_400 { return "\(whole / 3_600)h\(whole % 3_600 / 60)m" }
    return "\(whole / 86_400)d\(whole % 86_400 / 3_600)h"
  }

  private static func tenths(_ value: Double) -> String {
    let scaled = Int((value * 10).rounded())
    return "\(scaled / 10).\(scaled % 10)"
  }
}
