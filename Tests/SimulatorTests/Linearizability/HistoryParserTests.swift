import Simulator
import Testing

@Suite struct JepsenLogParserTests {
  private func line(_ text: String) -> String {
    "INFO  jepsen.util - " + text.split(separator: " ", maxSplits: 3).joined(separator: "\t")
  }

  private func parse(_ lines: [String]) throws -> RegisterHistory {
    try JepsenLogParser().parse(lines.map(line).joined(separator: "\n"))
  }

  @Test func everyKindOfLine() throws {
    let history = try parse([
      "0 :invoke :read nil", "1 :invoke :write 3", "2 :invoke :cas [1 -2]", "0 :ok :read 3",
      "1 :info :write :timed-out", "2 :fail :cas [1 -2]", "0 :invoke :read nil",
      "2 :invoke :cas [3 4]", "0 :fail :read :timed-out", "2 :ok :cas [3 4]",
      "1 :invoke :write 5", "3 :invoke :cas [nil 0]", "1 :ok :write 5", "4 :invoke :read nil",
      "3 :info :cas :timed-out", "4 :ok :read nil",
    ])
    let outcomes = history.operations.map { $0.outcome }
    #expect(
      outcomes == [
        .returned(.value(3), at: 4), .pending, .returned(.swapped(false), at: 6), .failed(at: 9),
        .returned(.swapped(true), at: 10), .returned(.done, at: 13), .pending,
        .returned(.value(nil), at: 16),
      ])
    #expect(
      history.operations.map { $0.input } == [
        .read, .write(3), .compareAndSet(expected: 1, new: -2), .read,
        .compareAndSet(expected: 3, new: 4), .write(5), .compareAndSet(expected: nil, new: 0),
        .read,
      ])
    #expect(history.operations.map { $0.call } == [1, 2, 3, 7, 8, 11, 12, 14])
    #expect(history.operations.map { $0.process } == [0, 1, 2, 0, 2, 1, 3, 4])
  }

  @Test func noiseIsPassedOver() throws {
    let history = try JepsenLogParser().parse(
      """
      2014-09-23 18:03:10,111 INFO  jepsen.core - Worker 0 starting
      INFO  jepsen.util - :nemesis\t:info\t:start\tnil
      INFO  jepsen.util - :nemesis\t:info\t:start\t"Cut off {:n1 #{:n2 :n3}}"

      INFO [2018-05-05 10:00:00] jepsen worker 1 - jepsen.util 1\t:invoke\t:write\t2\r
      INFO  jepsen.core - tearing down {:invoke 3}
      INFO  jepsen.util - Rebinding
      INFO  jepsen.util - 1   :ok     :write  2
      """)
    #expect(history.operations.count == 1)
    #expect(history.operations.first?.outcome == .returned(.done, at: 8))
  }

  @Test func aCasThatFailedForAnotherReasonIsNoObservation() throws {
    let history = try parse(["0 :invoke :cas [1 2]", "0 :fail :cas :not-found"])
    #expect(history.operations.map { $0.outcome } == [.failed(at: 2)])
  }

  struct Bad: Sendable, CustomTestStringConvertible {
    var lines: [String]
    var line: Int
    /// What the message must say.
    var says: [String]
    var testDescription: String { lines.last ?? "" }
  }

  static let bad: [Bad] = [
    Bad(lines: ["0 :invoke :read 3"], line: 1, says: [":read nil", "0\t:invoke\t:read\t3"]),
    Bad(lines: ["0 :invoke :write"], line: 1, says: ["a number or nil", "end of line"]),
    Bad(lines: ["0 :invoke :write x"], line: 1, says: ["a number or nil", "'x'"]),
    Bad(lines: ["0 :invoke :write [1 2]"], line: 1, says: ["':write' with a number"]),
    Bad(lines: ["0 :invoke :cas 4"], line: 1, says: ["[expected new]"]),
    Bad(lines: ["0 :invoke :cas [1 2"], line: 1, says: ["']'", "end of line"]),
    Bad(lines: ["0 :invoke :cas [1]"], line: 1, says: ["a number or nil", "']'"]),
    Bad(lines: ["0 :invoke :cas [1 2 3]"], line: 1, says: ["']' after two values"]),
    Bad(lines: ["0 :invoke :write 99999999999999999999"], line: 1, says: ["a number or nil"]),
    Bad(lines: ["0 :invoke :delete nil"], line: 1, says: [":read, :write or :cas", ":delete"]),
    Bad(lines: ["0 :started :read nil"], line: 1, says: [":invoke, :ok, :fail or :info"]),
    Bad(lines: ["0 :invoke :write 3 4"], line: 1, says: ["end of line"]),
    Bad(lines: ["0"], line: 1, says: [":invoke, :ok, :fail or :info", "end of line"]),
    Bad(lines: ["0 :ok :read 3"], line: 1, says: ["process 0", "no operation under way"]),
    Bad(
      lines: ["0 :invoke :read nil", "0 :ok :read 1", "0 :ok :read 1"], line: 3,
      says: ["no operation under way"]),
    Bad(
      lines: ["0 :invoke :read nil", "1 :invoke :read nil", "0 :invoke :write 1"], line: 3,
      says: ["process 0", "of line 1 is pending"]),
    Bad(
      lines: ["0 :invoke :read nil", "0 :ok :write 1"], line: 2, says: ["began read", "line 1"]),
    Bad(lines: ["0 :invoke :write 1", "0 :ok :write 2"], line: 2, says: ["began write 1"]),
    Bad(
      lines: ["0 :invoke :cas [1 2]", "0 :ok :cas [2 1]"], line: 2, says: ["began cas [1 2]"]),
    Bad(
      lines: ["0 :invoke :write 1", "0 :ok :write :timed-out"], line: 2, says: ["began write 1"]),
    Bad(
      lines: ["0 :invoke :read nil", "0 :ok :read :timed-out"], line: 2, says: ["began read"]),
  ]

  @Test(arguments: bad)
  func badLinesAreNamed(_ bad: Bad) {
    do {
      _ = try parse(bad.lines)
      Issue.record("accepted")
    } catch let error as HistoryParseError {
      #expect(error.line == bad.line)
      for part in bad.says { #expect(error.description.contains(part), "\(error)") }
    } catch {
      Issue.record(error)
    }
  }

  @Test func reasonsAreTyped() {
    #expect(throws: HistoryParseError(line: 1, .returnWithoutInvoke(process: 7))) {
      try parse(["7 :ok :read 1"])
    }
    #expect(throws: HistoryParseError(line: 2, .invokeWhilePending(process: 7, since: 1))) {
      try parse(["7 :invoke :read nil", "7 :invoke :read nil"])
    }
  }
}

@Suite struct KeyValueHistoryParserTests {
  private func parse(_ text: String) throws -> KeyValueHistory {
    try KeyValueHistoryParser().parse(text)
  }

  @Test func everyKindOfLine() throws {
    let history = try parse(
      """
      ; a comment
      {:process 0, :type :invoke, :f :append, :key "0", :value "x 0 0 y"}

      {:type :invoke :process 1 :key "k\\"\\\\\\n\\u00e9" :f :get :value nil :x [1 {:a "]"}]}\r
      {:process 0, :type :ok, :f :append, :key "0", :value "x 0 0 y"}
      {:process :nemesis, :type :info, :f :start, :value {:n1 #{:n2}}}
      {:process 1, :type :ok, :f :get, :key "k\\"\\\\\\n\\u00e9", :value ""} ; seen
        {:process 2, :type :invoke, :f :put, :key "0", :value "z"}
      {:process 3, :type :invoke, :f :get, :key "0"}
      {:process 2, :type :info, :f :put, :key "0", :value :timed-out}
      {:process 3, :type :ok, :f :get, :key "0", :value nil}
      {:process 2, :type :invoke, :f :put, :key "0", :value "w"}
      {:process 2, :type :fail, :f :put, :key "0", :value "w"}
      """)
    #expect(
      history.operations.map { $0.outcome } == [
        .returned(.done, at: 5), .returned(.value(""), at: 7), .pending,
        .returned(.value(""), at: 11),
        .failed(at: 13),
      ])
    #expect(history.operations.map { $0.call } == [2, 4, 8, 9, 12])
    #expect(history.operations[1].input.key == "k\"\\\n\u{e9}")
    #expect(history.operations[0].input.operation == .append("x 0 0 y"))
  }

  static let bad: [JepsenLogParserTests.Bad] = [
    .init(lines: ["process 0"], line: 1, says: ["'{'", "process 0"]),
    .init(lines: ["{:process 0"], line: 1, says: ["a value", "end of line"]),
    .init(lines: ["{:process 0 :type"], line: 1, says: ["a value", "end of line"]),
    .init(lines: ["{\"process\" 0}"], line: 1, says: ["a keyword or '}'"]),
    .init(lines: ["{:process 0, :key \"a}"], line: 1, says: ["a closed string"]),
    .init(lines: ["{:process 0, :key \"\\q\"}"], line: 1, says: ["a known escape"]),
    .init(lines: ["{:process 0, :key \"\\u12g4\"}"], line: 1, says: ["four hexadecimal digits"]),
    .init(lines: ["{:process 0, :key \"\\ud800\"}"], line: 1, says: ["a Unicode scalar"]),
    .init(lines: ["{:process 0, :extra [1 2}"], line: 1, says: ["a closed collection"]),
    .init(lines: ["{:process 0, :extra [1 2"], line: 1, says: ["a closed collection"]),
    .init(lines: ["{:type :ok}"], line: 1, says: [":process"]),
    .init(lines: ["{:process 0}"], line: 1, says: [":type with a keyword"]),
    .init(lines: ["{:process 0, :type :begin}"], line: 1, says: [":invoke, :ok", ":begin"]),
    .init(lines: ["{:process 0, :type :invoke, :f :get}"], line: 1, says: [":key with a string"]),
    .init(
      lines: ["{:process 0, :type :invoke, :f :get, :key 7}"], line: 1, says: [":key with a string"]
    ),
    .init(
      lines: ["{:process 0, :type :invoke, :f :delete, :key \"a\"}"], line: 1,
      says: [":f :get with :value nil"]),
    .init(
      lines: ["{:process 0, :type :invoke, :f :put, :key \"a\", :value 3}"], line: 1,
      says: [":append with a string"]),
    .init(
      lines: ["{:process 0, :type :invoke, :f :get, :key \"a\"} x"], line: 1,
      says: ["end of line"]),
    .init(
      lines: ["{:process 0, :type :ok, :f :get, :key \"a\", :value \"\"}"], line: 1,
      says: ["no operation under way"]),
    .init(
      lines: [
        "{:process 0, :type :invoke, :f :get, :key \"a\"}",
        "{:process 0, :type :invoke, :f :get, :key \"b\"}",
      ], line: 2, says: ["of line 1 is pending"]),
    .init(
      lines: [
        "{:process 0, :type :invoke, :f :get, :key \"a\"}",
        "{:process 0, :type :ok, :f :get, :key \"b\", :value \"\"}",
      ], line: 2, says: ["key \"a\" get", "on line 1"]),
    .init(
      lines: [
        "{:process 0, :type :invoke, :f :put, :key \"a\", :value \"x\"}",
        "{:process 0, :type :ok, :f :put, :key \"a\", :value \"y\"}",
      ], line: 2, says: ["put \"x\""]),
    .init(
      lines: [
        "{:process 0, :type :invoke, :f :get, :key \"a\"}",
        "{:process 0, :type :ok, :f :get, :key \"a\", :value 5}",
      ], line: 2, says: ["a string or nil"]),
  ]

  @Test(arguments: bad)
  func badLinesAreNamed(_ bad: JepsenLogParserTests.Bad) {
    do {
      _ = try parse(bad.lines.joined(separator: "\n"))
      Issue.record("accepted")
    } catch let error as HistoryParseError {
      #expect(error.line == bad.line)
      for part in bad.says { #expect(error.description.contains(part), "\(error)") }
    } catch {
      Issue.record(error)
    }
  }

  @Test func nestingIsLimitedByTheLineOnly() throws {
    let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
    let history = try parse(
      "{:process 0, :extra \(deep), :type :invoke, :f :get, :key \"a\"}")
    #expect(history.operations.count == 1)
  }
}

@Suite struct RecordedHistoryCheckTests {
  static let jepsen =
    "noise\nINFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO  jepsen.util - 0\t:ok\t:read\t4\n"
  static let keyValue = "\n {:process 0, :type :invoke, :f :get, :key \"a\"}\n"

  @Test func formatsAreRecognised() {
    #expect(HistoryFormat.detect(Self.jepsen) == .jepsenLog)
    #expect(HistoryFormat.detect(Self.keyValue) == .keyValue)
    #expect(HistoryFormat.detect("") == nil)
    #expect(HistoryFormat.detect("nothing\nof the kind\n") == nil)
  }

  @Test func theResultSaysWhatHappened() throws {
    let bad = try RecordedHistoryCheck().check(Self.jepsen)
    #expect(bad.model == .register)
    #expect(bad.operations == 1)
    #expect(bad.summary == "not linearizable (1 operation, 1 step)")
    let explanation = try #require(bad.explanation)
    #expect(explanation.contains("[2...3] process 0: read -> 4"))
    #expect(explanation.contains("state before it"))

    let good = try RecordedHistoryCheck().check(Self.keyValue, model: .keyValue)
    #expect(good.verdict == .linearizable)
    #expect(good.explanation == nil)
    #expect(good.summary == "linearizable (1 operation, 1 key searched, 0 steps)")
  }

  @Test func whatCannotBeCheckedIsRefused() {
    #expect(throws: HistoryParseError(line: 1, .unknownFormat)) {
      try RecordedHistoryCheck().check("hello")
    }
    #expect(throws: HistoryParseError.self) {
      try RecordedHistoryCheck().check(Self.jepsen, model: .keyValue)
    }
  }
}
