internal import Protocol

/// Every contract and every mark with its sentence, and how often a campaign met it.
public struct ContractReport: Sendable {
  private let tally: CampaignTally
  private let seeds: ClosedRange<UInt64>

  public init(_ tally: CampaignTally, seeds: ClosedRange<UInt64>) {
    self.tally = tally
    self.seeds = seeds
  }

  private typealias Row = (id: String, count: UInt64, sentence: String)

  private var contracts: [Row] {
    zip(Contract.allCases, tally.contracts).map { (String($0.id), $1, String($0.sentence)) }
  }
  private var marks: [Row] {
    zip(Mark.allCases, tally.marks).map { (String($0.id), $1, String($0.sentence)) }
  }

  /// For each mark the seed of the shortest run that reached it.
  private var examples: [UInt64?] { tally.examples.map { $0?.seed } }

  private func table(_ name: String, _ counted: String, _ rows: [Row]) -> TextTable {
    var table = TextTable(header: [name, counted, "sentence"], alignments: [.left, .right, .left])
    for row in rows { table.add([row.id, "\(row.count)", row.sentence]) }
    return table
  }

  private var campaign: String { "seeds \(seeds.lowerBound) to \(seeds.upperBound)" }

  /// For people.
  public var lines: [String] {
    var marked = TextTable(
      header: ["mark", "reached", "seed", "sentence"], alignments: [.left, .right, .right, .left])
    for (row, seed) in zip(marks, examples) {
      marked.add([row.id, "\(row.count)", seed.map { "\($0)" } ?? "-", row.sentence])
    }
    let evaluated = contracts.filter { $0.count > 0 }.count
    let reached = marks.filter { $0.count > 0 }.count
    return table("contract", "evaluations", contracts).lines + [""]
      + marked.lines
      + [
        "",
        "\(evaluated) of \(contracts.count) contracts evaluated, \(reached) of \(marks.count) marks "
          + "reached in \(campaign)",
      ]
  }

  /// For a page of the documentation.
  public var markdown: [String] {
    table("Contract", "Evaluations", contracts.map { ("`\($0.id)`", $0.count, $0.sentence) })
      .markdown + [""]
      + table("Mark", "Reached", marks.map { ("`\($0.id)`", $0.count, $0.sentence) }).markdown
  }

  public var json: JSONValue {
    func list(_ rows: [Row], _ counted: String) -> JSONValue {
      .array(
        rows.map { row in
          .object([
            .init("id", .string(row.id)), .init(counted, .integer(row.count)),
            .init("sentence", .string(row.sentence)),
          ])
        })
    }
    return .object([
      .init("seeds", .string("\(seeds.lowerBound)-\(seeds.upperBound)")),
      .init("contracts", list(contracts, "evaluations")),
      .init("marks", list(marks, "reached")),
    ])
  }
}

/// The verdict on a recorded history, as `rsl-sim check` tells it.
public enum HistoryReport {
  /// One word.
  public static func word(_ verdict: LinearizabilityVerdict) -> String {
    switch verdict {
    case .linearizable: "linearizable"
    case .notLinearizable: "not-linearizable"
    case .undecided: "undecided"
    }
  }

  public static func json(file: String, _ result: RecordedHistoryCheck.Result) -> JSONValue {
    .object([
      .init("file", .string(file)),
      .init("verdict", .string(word(result.verdict))),
      .init("model", .string(result.model.rawValue)),
      .init("operations", .count(result.operations)),
      .init("steps", .count(result.report.steps)),
      .init("explanation", .optional(result.explanation)),
    ])
  }
}
