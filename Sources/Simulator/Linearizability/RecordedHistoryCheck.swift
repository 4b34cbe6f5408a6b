/// Checks a recorded history from its text: what `rsl-sim check` does with each file.
public struct RecordedHistoryCheck: Sendable {
  /// The sequential models a recorded history can be checked against.
  public enum Model: String, Sendable, CaseIterable {
    case register
    case keyValue = "kv"

    /// The model that goes with a format.
    public init(_ format: HistoryFormat) {
      switch format {
      case .jepsenLog: self = .register
      case .keyValue: self = .keyValue
      }
    }
  }

  /// The verdict on one content.
  public struct Result: Equatable, Sendable {
    public var model: Model
    public var report: LinearizabilityReport
    /// Operations in the content, failed ones included.
    public var operations: Int
    /// Several lines that explain a negative verdict, with line numbers of the content; nil
    /// otherwise.
    public var explanation: String?

    public var verdict: LinearizabilityVerdict { report.verdict }

    /// One line: the verdict, and the size of what was searched.
    public var summary: String {
      let word =
        switch verdict {
        case .linearizable: "linearizable"
        case .notLinearizable(let witness):
          witness.key.isEmpty ? "not linearizable" : "not linearizable at key \(witness.key)"
        case .undecided(let steps): "undecided after \(Self.count(steps, "step"))"
        }
      let keys = model == .keyValue ? ", \(Self.count(report.keys.count, "key")) searched" : ""
      let size = "\(Self.count(operations, "operation"))\(keys)"
      return "\(word) (\(size), \(Self.count(report.steps, "step")))"
    }

    private static func count(_ number: Int, _ noun: String) -> String {
      "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
  }

  /// Most steps to spend on one content.
  public var budget: Int

  public init(budget: Int = 5_000_000) { self.budget = budget }

  /// Parses and checks `content`.
  ///
  /// - Parameter model: nil takes the one that goes with the content's format.
  /// - Throws: What is wrong with the content: its format, or a line. A content that is not in the
  ///   format of the model asked for is refused.
  public func check(
    _ content: String, model: Model? = nil
  ) throws(HistoryParseError) -> Result {
    let detected = HistoryFormat.detect(content)
    guard let detected else {
      throw HistoryParseError(line: 1, .unknownFormat)
    }
    let model = model ?? Model(detected)
    if model != Model(detected) {
      throw HistoryParseError(
        line: 1,
        .malformed(
          expected: "a history for the model \(model.rawValue)", found: detected.rawValue))
    }
    switch model {
    case .register:
      return check(try JepsenLogParser().parse(content), RegisterModel(), model)
    case .keyValue:
      return check(try KeyValueHistoryParser().parse(content), KeyValueModel(), model)
    }
  }

  private func check<M: SequentialModel>(
    _ history: History<M.Input, M.Output>, _ rules: M, _ model: Model
  ) -> Result {
    let report = LinearizabilitySearch(rules, budget: budget).report(history)
    var explanation: String?
    if case .notLinearizable(let witness) = report.verdict {
      explanation = witness.explanation(history, model: rules)
    }
    return Result(
      model: model, report: report, operations: history.operations.count, explanation: explanation)
  }
}
