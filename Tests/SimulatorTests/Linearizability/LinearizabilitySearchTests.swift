import Protocol
import Simulator
import Testing

/// Histories of many clients at work on correct registers.
struct Workload {
  var clients: Int
  var operations: Int
  var keys: UInt64 = 1
  /// Values written are below this.
  var values: UInt64 = 5
  /// One in so many operations never returns; 0 for none. Half of those take effect all the same.
  var lostOneIn: UInt64 = 0

  typealias MapHistory = History<RegisterMapModel.Input, RegisterOutcome>

  private enum Phase {
    case idle
    case called(index: Int, RegisterMapModel.Input)
    case applied(index: Int, RegisterOutcome)
  }

  /// A linearizable history: each operation takes effect at one moment between its call and its
  /// return.
  func run(seed: UInt64) -> MapHistory {
    var random = SeededRandom(seed: seed)
    var history = MapHistory()
    var registers = [Int64?](repeating: nil, count: Int(keys))
    var phases = [Phase](repeating: .idle, count: clients)
    var left = operations
    var busy = 0
    while left > 0 || busy > 0 {
      let client = Int(random.next(below: UInt64(clients)))
      switch phases[client] {
      case .idle:
        if left == 0 { continue }
        left -= 1
        busy += 1
        let input = RegisterMapModel.Input(
          key: random.next(below: keys), operation(&random))
        phases[client] = .called(index: history.invoke(process: client, input), input)
      case .called(let index, let input):
        if lostOneIn > 0 && random.next(below: lostOneIn) == 0 {
          if random.next(below: 2) == 0 { _ = apply(input, to: &registers) }
          phases[client] = .idle
          busy -= 1
        } else {
          phases[client] = .applied(index: index, apply(input, to: &registers))
        }
      case .applied(let index, let outcome):
        history.complete(index, outcome)
        phases[client] = .idle
        busy -= 1
      }
    }
    return history
  }

  private func operation(_ random: inout SeededRandom) -> RegisterOperation {
    let value = Int64(random.next(below: values))
    switch random.next(below: 4) {
    case 0: return .read
    case 1: return .write(value)
    case 2: return .compareAndSet(expected: value, new: Int64(random.next(below: values)))
    default: return values > 100 ? .fetchAdd(1) : .read
    }
  }

  private func apply(
    _ input: RegisterMapModel.Input, to registers: inout [Int64?]
  ) -> RegisterOutcome {
    let (outcome, after) = LinearizabilityOracleTests.answer(
      registers[Int(input.key)], input.operation)
    registers[Int(input.key)] = after
    return outcome
  }

  /// The same history with one late read of a value that was never written.
  func spoiled(seed: UInt64) -> MapHistory {
    var operations = run(seed: seed).operations
    let late = operations.indices.last { index in
      index < operations.count * 9 / 10 && operations[index].input.operation == .read
        && operations[index].output != nil
    }!
    operations[late].outcome = .returned(.value(-77), at: operations[late].end!)
    return MapHistory(operations)
  }
}

@Suite struct LinearizabilitySearchTests {
  private let search = LinearizabilitySearch(RegisterMapModel())

  @Test func tenThousandOperationsInSequenceCostOneStepEach() {
    let history = Workload(clients: 1, operations: 10_000, values: 1_000).run(seed: 1)
    let report = search.report(history)
    #expect(report.verdict == .linearizable)
    #expect(report.steps == 10_000)
    #expect(report.keys.first?.order.count == 10_000)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func thousandsOfConcurrentOperationsOnOneKey(seed: UInt64) {
    let work = Workload(clients: 10, operations: 4_000)
    let good = search.report(work.run(seed: seed))
    #expect(good.verdict == .linearizable)
    #expect(good.keys.first?.concurrency == 10)
    let bad = search.report(work.spoiled(seed: seed))
    #expect(bad.verdict.answer == false)
    // The search may have to look at everything between two returns, but never at the whole again.
    #expect(good.steps < 40 * 4_000, "\(good.steps)")
    #expect(bad.steps < 200 * 4_000, "\(bad.steps)")
  }

  /// Two lengths of the same work: the cost follows the length.
  @Test func costGrowsWithLengthAndNotFaster() {
    let short = search.report(Workload(clients: 5, operations: 2_000).run(seed: 5))
    let long = search.report(Workload(clients: 5, operations: 20_000).run(seed: 5))
    #expect(long.verdict == .linearizable)
    #expect(long.steps < 13 * short.steps, "\(short.steps) -> \(long.steps)")
  }

  @Test func lostOperationsStayAffordable() {
    let work = Workload(clients: 6, operations: 1_500, keys: 8, lostOneIn: 25)
    let good = search.report(work.run(seed: 3))
    #expect(good.verdict == .linearizable)
    #expect(good.keys.map { $0.pending }.reduce(0, +) > 20)
    #expect(search.check(work.spoiled(seed: 3)).answer == false)
  }

  @Test func verdictsAndStepsRepeat() {
    let history = Workload(clients: 6, operations: 600, keys: 3, lostOneIn: 30).spoiled(seed: 11)
    let report = search.report(history)
    #expect(report == search.report(history))
    #expect(report.verdict.answer == false)
  }

  @Test func ordersOfLongHistoriesReplay() {
    let history = Workload(clients: 8, operations: 1_000, keys: 4, lostOneIn: 50).run(seed: 21)
    let report = search.report(history)
    #expect(report.verdict == .linearizable)
    for key in report.keys {
      #expect(!key.order.isEmpty)
      #expect(LinearizabilityOracleTests.replays(key.order, history, RegisterMapModel()))
    }
    let returned = history.operations.indices.filter { history.operations[$0].output != nil }
    let placed = report.keys.flatMap { $0.order }.sorted()
    #expect(returned.allSatisfy { placed.contains($0) })
    #expect(zip(placed, placed.dropFirst()).allSatisfy { $0 < $1 }, "an operation placed twice")
  }

  @Test func aSpentBudgetIsNotAVerdict() {
    let history = Workload(clients: 10, operations: 500).run(seed: 2)
    let verdict = LinearizabilitySearch(RegisterMapModel(), budget: 100).check(history)
    guard case .undecided(let steps) = verdict else {
      Issue.record("\(verdict)")
      return
    }
    // A read-only sweep may overshoot by the operations open at once.
    #expect(steps >= 100 && steps < 120)
    let none = LinearizabilitySearch(RegisterMapModel(), budget: 0).check(history)
    #expect(none.answer == nil)
  }

  /// One key too hard for its share does not hide the contradiction in another.
  @Test func aContradictionIsFoundBesideAKeyThatIsTooHard() {
    typealias Operation = Workload.MapHistory.Operation
    var operations = Workload(clients: 10, operations: 300).run(seed: 4).operations
    operations.append(
      Operation(
        process: 50, input: RegisterMapModel.Input(key: 7, .read), call: 0,
        outcome: .returned(.value(3), at: 1)))
    let verdict = LinearizabilitySearch(RegisterMapModel(), budget: 50).check(
      Workload.MapHistory(operations))
    #expect(verdict.witness?.key == "7")
  }

  @Test func theWitnessPointsAtTheContradiction() throws {
    let history = RegisterHistory([
      .write(1, 0...1), .pending(.write(9), from: 2), .write(2, 3...4), .read(5...6, 2),
      .read(7...8, 1), .read(9...10, 2),
    ])
    let verdict = LinearizabilitySearch(RegisterModel()).check(history)
    let witness = try #require(verdict.witness)
    #expect(witness.culprit == 4)
    #expect(witness.order == [0, 2, 3])
    #expect(witness.open == [1])
    #expect(witness.states == ["2", "9"])
    #expect(!witness.hasMoreStates)
    #expect(
      witness.explanation(history, model: RegisterModel(), tail: 2) == """
        cannot be placed:
          [7...8] process 0: read -> 1
        state before it, in every order that explains what returned earlier:
          2 | 9
        such an order, with the state after each step (first 1 left out):
          [3...4] process 0: write 2 -> ok  => 2
          [5...6] process 0: read -> 2  => 2
        open at the time, tried in every place and of no help:
          [2...never] process 0: write 9 -> ?
        """)
  }

  @Test func manyStatesAreCutShort() throws {
    var operations = (0..<20).map { RegisterStep.pending(.write(Int64($0)), from: 0) }
    operations.append(.read(1...2, 99))
    let report = LinearizabilitySearch(RegisterModel()).report(RegisterHistory(operations))
    let witness = try #require(report.verdict.witness)
    // Of twenty writes that never returned at most one at a time is worth a guess, not every
    // subset.
    #expect(report.steps < 1_000)
    #expect(witness.states.count == 8)
    #expect(witness.hasMoreStates)
    #expect(witness.open.count == 20)
  }
}

@Suite struct VisitedTableTests {
  /// Equal hashes throughout: only the comparison of words and state tells entries apart.
  @Test func collidingEntriesStayApart() {
    var table = VisitedTable<Int>(width: 2)
    var fresh = 0
    for word in 0..<20 as Range<UInt64> {
      for state in 0..<5 {
        for key in [[7, word], [word + 100, 7], [7, word]] {
          if table.insert(key, state, hash: 1) { fresh += 1 }
        }
      }
    }
    #expect(fresh == 200)
    #expect(table.count == 200)
  }

  /// A larger set is covered by a smaller one; other sets are not, and neither is a smaller by a
  /// larger.
  @Test func setsCoverTheirSupersets() {
    var table = VisitedTable<Int>(width: 1, setWidth: 2)
    let inserts: [(key: [UInt64], state: Int, isNew: Bool)] = [
      ([5, 0b0110, 0], 1, true), ([5, 0b0110, 0], 1, false), ([5, 0b1110, 0], 1, false),
      ([5, 0b0110, 1], 1, false), ([5, 0b0101, 0], 1, true), ([5, 0b0100, 0], 1, true),
      ([5, 0b1101, 8], 1, false), ([5, 0, 8], 1, true), ([5, 0b0011, 8], 1, false),
      ([5, 0b0110, 0], 2, true), ([6, 0b0110, 0], 1, true), ([5, 0, 0], 1, true),
      ([5, 0b0001, 0], 1, false),
    ]
    for (number, insert) in inserts.enumerated() {
      let isNew = table.insert(insert.key, insert.state, hash: 3)
      #expect(isNew == insert.isNew, "insert \(number)")
    }
  }

  @Test func entriesAreFoundAfterGrowth() {
    var table = VisitedTable<UInt64>(width: 1)
    var random = SeededRandom(seed: 5)
    let words = (0..<5_000).map { _ in random.next() }
    // New, known, and the same words with other states.
    let counts = [1, 1, 0].map { offset in
      words.filter { table.insert([$0], $0 &+ offset, hash: $0) }.count
    }
    #expect(counts == [5_000, 0, 5_000])
    #expect(table.count == 10_000)
  }
}

@Suite struct HistoryTests {
  @Test func eventsNumberThemselves() {
    var history = RegisterHistory()
    let a = history.invoke(process: 1, .write(4))
    let b = history.invoke(process: 2, .read)
    let c = history.invoke(process: 3, .write(6))
    let d = history.invoke(process: 4, .read)
    history.complete(b, .value(4))
    history.completeUnknown(a)
    history.fail(c)
    #expect(history.operations.map { $0.call } == [0, 1, 2, 3])
    #expect(history.operations.map { $0.end } == [5, 4, 6, nil])
    #expect(history.operations.map { $0.output } == [nil, .value(4), nil, nil])
    #expect(history.operations[d].outcome == .pending)
    #expect(history.latest == 6)
    #expect(LinearizabilitySearch(RegisterModel()).check(history) == .linearizable)
  }

  @Test func positionsMayBeGivenAndMayTie() {
    var history = RegisterHistory()
    let a = history.invoke(process: 1, .write(4), at: 100)
    history.complete(a, .done, at: 250)
    let b = history.invoke(process: 2, .read, at: 250)
    history.complete(b, .value(nil))
    #expect(history.operations.map { $0.end } == [250, 251])
    #expect(LinearizabilitySearch(RegisterModel()).check(history) == .linearizable)
  }

  @Test func intervalsAreSortedByTheirCalls() {
    let history = RegisterHistory([.read(4...5, 1), .write(1, 0...9), .read(0...3, nil)])
    #expect(history.operations.map { $0.call } == [0, 0, 4])
    #expect(history.operations[0].input == .write(1))
    #expect(history.latest == 9)
  }
}
