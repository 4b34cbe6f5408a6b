import Simulator
import Testing

/// Hand-made histories, each with the verdict a person arrives at.
@Suite struct LinearizabilityTableTests {
  struct RegisterCase: Sendable, CustomTestStringConvertible {
    var name: String
    var isLinearizable: Bool
    var operations: [RegisterStep]
    var testDescription: String { name }

    init(_ name: String, _ isLinearizable: Bool, _ operations: [RegisterStep]) {
      self.name = name
      self.isLinearizable = isLinearizable
      self.operations = operations
    }
  }

  static let sequentialCases: [RegisterCase] = [
    .init("nothing happened", true, []),
    .init("first read is absent", true, [.read(0...1, nil)]),
    .init("first read invents a value", false, [.read(0...1, 7)]),
    .init("read your write", true, [.write(1, 0...1), .read(2...3, 1)]),
    .init("write is not seen", false, [.write(1, 0...1), .read(2...3, nil)]),
    .init("stale read", false, [.write(1, 0...1), .write(2, 2...3), .read(4...5, 1)]),
    .init("removal is seen", true, [.write(1, 0...1), .write(nil, 2...3), .read(4...5, nil)]),
    .init(
      "value comes back", false,
      [.write(1, 0...1), .write(2, 2...3), .read(4...5, 2), .read(6...7, 1)]),
    .init(
      "cas chain", true,
      [.write(1, 0...1), .cas(1, 2, 2...3, true), .cas(2, 3, 4...5, true), .read(6...7, 3)]),
    .init(
      "cas succeeds against another value", false, [.write(1, 0...1), .cas(2, 3, 2...3, true)]),
    .init("cas fails against its own value", false, [.write(1, 0...1), .cas(1, 2, 2...3, false)]),
    .init(
      "failed cas has no effect", false,
      [.write(1, 0...1), .cas(5, 2, 2...3, false), .read(4...5, 2)]),
    .init("cas of an absent register", true, [.cas(nil, 4, 0...1, true), .read(2...3, 4)]),
    .init("cas expects a value of an absent register", false, [.cas(0, 4, 0...1, true)]),
    .init("cas to the same value", true, [.write(2, 0...1), .cas(2, 2, 2...3, true)]),
    .init(
      "conflict reports what it found", true,
      [
        .write(2, 0...1),
        .call(
          .compareAndSet(expected: 1, new: 3), 2...3, .returned(.conflict(found: 2), at: 3)),
      ]),
    .init(
      "conflict reports what was not there", false,
      [
        .write(2, 0...1),
        .call(
          .compareAndSet(expected: 1, new: 3), 2...3, .returned(.conflict(found: 4), at: 3)),
      ]),
    .init(
      "conflict with what it expected", false,
      [
        .write(1, 0...1),
        .call(
          .compareAndSet(expected: 1, new: 3), 2...3, .returned(.conflict(found: 1), at: 3)),
      ]),
    .init("fetch-add counts", true, [.add(1, 0...1, 0), .add(2, 2...3, 1), .read(4...5, 3)]),
    .init("fetch-add may call absent absent", true, [.add(1, 0...1, nil), .add(1, 2...3, 1)]),
    .init("fetch-add counted twice", false, [.add(1, 0...1, 0), .add(1, 2...3, 2)]),
    .init(
      "fetch-add wraps around", true,
      [.write(Int64.max, 0...1), .add(1, 2...3, Int64.max), .read(4...5, Int64.min)]),
    .init("answer of the wrong kind", false, [.call(.read, 0...1, .returned(.done, at: 1))]),
  ]

  static let concurrentCases: [RegisterCase] = [
    .init("read during a write, old value", true, [.write(1, 0...5), .read(1...2, nil)]),
    .init("read during a write, new value", true, [.write(1, 0...5), .read(1...2, 1)]),
    .init(
      "new then old during one write", false,
      [.write(1, 0...9), .read(1...2, 1), .read(3...4, nil)]),
    .init(
      "old then new during one write", true,
      [.write(1, 0...9), .read(1...2, nil), .read(3...4, 1)]),
    .init(
      "two readers disagree on the order of writes", false,
      [
        .write(1, 0...20), .write(2, 0...20), .read(1...2, 1), .read(3...4, 2), .read(5...6, 1),
      ]),
    .init(
      "writes overlap, either may be last", true,
      [.write(1, 0...3), .write(2, 1...4), .read(5...6, 1), .read(7...8, 1)]),
    .init(
      "writes overlap, last one flips", false,
      [.write(1, 0...3), .write(2, 1...4), .read(5...6, 1), .read(7...8, 2)]),
    .init(
      "one cas of two wins", true,
      [.write(0, 0...1), .cas(0, 1, 2...5, true), .cas(0, 2, 3...6, false), .read(7...8, 1)]),
    .init(
      "lost update: both cas win", false,
      [.write(0, 0...1), .cas(0, 1, 2...5, true), .cas(0, 2, 3...6, true)]),
    .init(
      "both cas lose with nobody else", false,
      [.write(0, 0...1), .cas(0, 1, 2...5, false), .cas(0, 2, 3...6, false)]),
    .init(
      "lost update: two increments see the same", false,
      [.write(5, 0...1), .add(1, 2...6, 5), .add(1, 3...7, 5)]),
    .init(
      "two increments, either order", true,
      [.write(5, 0...1), .add(1, 2...6, 6), .add(1, 3...7, 5), .read(8...9, 7)]),
    .init("touching ends are concurrent", true, [.write(1, 0...3), .read(3...4, nil)]),
    .init(
      "two ends and a beginning touch, and the state comes back", true,
      [
        .cas(nil, 5, 0...3, true), .cas(nil, 1, 0...3, true), .write(nil, 3...9),
        .read(10...11, 5),
      ]),
    .init("one apart is ordered", false, [.write(1, 0...3), .read(4...5, nil)]),
    .init(
      "a read must fit between two others", false,
      [
        .write(1, 0...1), .write(2, 2...12), .read(3...4, 2), .read(5...6, 2), .read(5...7, 1),
      ]),
    .init(
      "cas explains a value only with the write in between", true,
      [.write(1, 0...9), .cas(1, 2, 1...8, true), .read(2...3, 2), .write(3, 0...10)]),
  ]

  static let unknownCases: [RegisterCase] = [
    .init(
      "pending write becomes visible later", true, [.pending(.write(1), from: 0), .read(5...6, 1)]),
    .init(
      "pending write becomes visible after others", true,
      [.pending(.write(1), from: 0), .write(2, 1...2), .read(3...4, 2), .read(5...6, 1)]),
    .init(
      "pending write is never visible", true, [.pending(.write(1), from: 0), .read(5...6, nil)]),
    .init(
      "pending write takes effect once only", false,
      [
        .pending(.write(1), from: 0), .read(1...2, 1), .write(2, 3...4), .read(5...6, 1),
      ]),
    .init(
      "two equal pending writes take effect twice", true,
      [
        .pending(.write(1), from: 0), .pending(.write(1), from: 0), .read(1...2, 1),
        .write(2, 3...4),
        .read(5...6, 1),
      ]),
    .init(
      "two equal pending writes do not take effect three times", false,
      [
        .pending(.write(1), from: 0), .pending(.write(1), from: 0), .read(1...2, 1),
        .write(2, 3...4),
        .read(5...6, 1), .write(2, 7...8), .read(9...10, 1),
      ]),
    .init(
      "pending write is not visible before its call", false,
      [.read(0...1, 1), .pending(.write(1), from: 2)]),
    .init(
      "a later twin does not stand in for an early effect", false,
      [
        .pending(.write(1), from: 0), .read(1...2, 1), .write(2, 3...4), .read(5...6, 1),
        .pending(.write(1), from: 7),
      ]),
    .init(
      "pending cas explains the change", true,
      [.write(1, 0...1), .pending(.compareAndSet(expected: 1, new: 3), from: 2), .read(4...5, 3)]),
    .init(
      "pending cas cannot apply", false,
      [.write(1, 0...1), .pending(.compareAndSet(expected: 2, new: 3), from: 2), .read(4...5, 3)]),
    .init(
      "pending cas waits for its value", true,
      [
        .pending(.compareAndSet(expected: 2, new: 3), from: 0), .write(1, 1...2), .read(3...4, 1),
        .write(2, 5...6), .read(7...8, 3),
      ]),
    .init(
      "chain of pending operations", true,
      [
        .pending(.compareAndSet(expected: 2, new: 3), from: 0), .pending(.write(2), from: 1),
        .pending(.compareAndSet(expected: 3, new: 4), from: 2), .read(3...4, 4),
      ]),
    .init(
      "chain of pending operations misses a link", false,
      [
        .pending(.compareAndSet(expected: 2, new: 3), from: 0),
        .pending(.compareAndSet(expected: 3, new: 4), from: 2), .read(3...4, 4),
      ]),
    .init("pending read says nothing", true, [.write(1, 0...1), .pending(.read, from: 2)]),
    .init(
      "read without an answer says nothing", true,
      [.write(1, 0...1), .call(.read, 2...3, .returnedUnknown(at: 3)), .read(4...5, 1)]),
    .init(
      "acknowledged write without an answer happened", false,
      [.call(.write(1), 0...1, .returnedUnknown(at: 1)), .read(2...3, nil)]),
    .init(
      "cas of unknown outcome is over when it returned", false,
      [
        .call(.compareAndSet(expected: 2, new: 3), 0...1, .returnedUnknown(at: 1)),
        .write(2, 2...3), .read(4...5, 3),
      ]),
    .init(
      "cas of unknown outcome swapped", true,
      [
        .write(2, 0...1),
        .call(.compareAndSet(expected: 2, new: 3), 2...3, .returnedUnknown(at: 3)),
        .read(4...5, 3),
      ]),
    .init(
      "cas of unknown outcome had to swap", false,
      [
        .write(2, 0...1),
        .call(.compareAndSet(expected: 2, new: 3), 2...3, .returnedUnknown(at: 3)),
        .read(4...5, 2),
      ]),
    .init(
      "failed write is not seen", false,
      [.call(.write(1), 0...1, .failed(at: 1)), .read(2...3, 1)]),
    .init(
      "failed write changes nothing", true,
      [.call(.write(1), 0...1, .failed(at: 1)), .read(2...3, nil)]),
    .init(
      "failed write is not seen even while under way", false,
      [.call(.write(1), 0...9, .failed(at: 9)), .read(2...3, 1)]),
    .init(
      "only pending operations", true, [.pending(.write(1), from: 0), .pending(.read, from: 0)]),
  ]

  private typealias MapHistory = History<RegisterMapModel.Input, RegisterOutcome>

  @Test(arguments: sequentialCases + concurrentCases + unknownCases)
  func register(_ one: RegisterCase) {
    let history = History(one.operations)
    let report = LinearizabilitySearch(RegisterModel()).report(history)
    #expect(report.verdict.answer == one.isLinearizable)

    // The same operations under one key of a map, beside a key that is always in order.
    let neighbour = RegisterMapModel.Input(key: 9, .write(1))
    var keyed: [MapHistory.Operation] = one.operations.map {
      let input = RegisterMapModel.Input(key: 4, $0.input)
      return MapHistory.Operation(
        process: $0.process, input: input, call: $0.call, outcome: Self.rekeyed($0.outcome))
    }
    keyed.append(
      MapHistory.Operation(
        process: 8, input: neighbour, call: 0, outcome: .returned(.done, at: 30)))
    let map = MapHistory(keyed)
    let verdict = LinearizabilitySearch(RegisterMapModel()).check(map)
    #expect(verdict.answer == one.isLinearizable)
    if !one.isLinearizable { #expect(verdict.witness?.key == "4") }
  }

  /// An outcome belongs to the type of its history, so another kind of input needs another outcome.
  private static func rekeyed(_ outcome: RegisterHistory.Outcome) -> MapHistory.Outcome {
    switch outcome {
    case .pending: .pending
    case .returned(let output, let end): .returned(output, at: end)
    case .returnedUnknown(let end): .returnedUnknown(at: end)
    case .failed(let end): .failed(at: end)
    }
  }

  @Test func namesAreUnique() {
    let names = (Self.sequentialCases + Self.concurrentCases + Self.unknownCases).map { $0.name }
    #expect(Set(names).count == names.count)
    #expect(names.count >= 60)
  }

  struct KeyValueCase: Sendable, CustomTestStringConvertible {
    var name: String
    var isLinearizable: Bool
    var operations: [KeyValueStep]
    var testDescription: String { name }

    init(_ name: String, _ isLinearizable: Bool, _ operations: [KeyValueStep]) {
      self.name = name
      self.isLinearizable = isLinearizable
      self.operations = operations
    }
  }

  static let keyValueCases: [KeyValueCase] = [
    .init("absent reads as empty", true, [.get("k", 0...1, "")]),
    .init("append to absent", true, [.append("k", "a", 0...1), .get("k", 2...3, "a")]),
    .init(
      "appends in order", true,
      [.append("k", "a", 0...1), .append("k", "b", 2...3), .get("k", 4...5, "ab")]),
    .init(
      "appends out of order", false,
      [.append("k", "a", 0...1), .append("k", "b", 2...3), .get("k", 4...5, "ba")]),
    .init(
      "concurrent appends in either order", true,
      [.append("k", "a", 0...3), .append("k", "b", 1...4), .get("k", 5...6, "ba")]),
    .init(
      "duplicated append", false,
      [.append("k", "a", 0...1), .get("k", 2...3, "aa")]),
    .init(
      "duplicated append after a timeout", false,
      [.pending("k", .append("a"), from: 0), .get("k", 2...3, "a"), .get("k", 4...5, "aa")]),
    .init(
      "two pending appends, both seen in time", true,
      [
        .pending("k", .append("a"), from: 0), .pending("k", .append("a"), from: 1),
        .get("k", 2...3, "a"), .get("k", 4...5, "aa"),
      ]),
    .init(
      "lost append", false,
      [.append("k", "a", 0...1), .append("k", "b", 2...3), .get("k", 4...5, "b")]),
    .init(
      "put replaces what was appended", true,
      [.append("k", "a", 0...1), .put("k", "z", 2...3), .get("k", 4...5, "z")]),
    .init(
      "put loses a concurrent append", true,
      [.put("k", "z", 0...5), .append("k", "a", 1...4), .get("k", 6...7, "z")]),
    .init(
      "two readers see different prefixes in order", true,
      [
        .append("k", "a", 0...9), .append("k", "b", 0...9), .get("k", 1...2, "b"),
        .get("k", 3...4, "ba"),
      ]),
    .init(
      "prefix changes under the readers", false,
      [
        .append("k", "a", 0...9), .append("k", "b", 0...9), .get("k", 1...2, "b"),
        .get("k", 3...4, "ab"),
      ]),
    .init(
      "keys are independent", true,
      [.put("k", "a", 0...1), .get("l", 2...3, ""), .put("l", "b", 4...5), .get("k", 6...7, "a")]),
    .init(
      "value shows up under another key", false,
      [.put("k", "a", 0...1), .get("l", 2...3, "a")]),
    .init(
      "bytes count, not canonical equivalence", false,
      [.put("k", "\u{e9}", 0...1), .get("k", 2...3, "e\u{301}")]),
    .init(
      "bytes of a key count too", true, [.put("\u{e9}", "a", 0...1), .get("e\u{301}", 2...3, "")]),
    .init(
      "appending nothing", true,
      [.append("k", "", 0...1), .append("k", "a", 2...3), .get("k", 4...5, "a")]),
    .init(
      "write answered like a read", false,
      [.call("k", .put("a"), 0...1, .returned(.value("a"), at: 1))]),
  ]

  @Test(arguments: keyValueCases)
  func keyValueStore(_ one: KeyValueCase) {
    let verdict = LinearizabilitySearch(KeyValueModel()).check(History(one.operations))
    #expect(verdict.answer == one.isLinearizable)
  }

  @Test func initialValueIsPartOfTheModel() {
    let history = RegisterHistory([.read(0...1, 3)])
    #expect(LinearizabilitySearch(RegisterModel(initial: 3)).check(history) == .linearizable)
    #expect(LinearizabilitySearch(RegisterModel(initial: 4)).check(history).answer == false)
  }
}
