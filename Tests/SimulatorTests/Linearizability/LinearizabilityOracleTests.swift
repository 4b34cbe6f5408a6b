import Protocol
import Simulator
import Testing

/// The search against the definition, on thousands of small random histories.
@Suite struct LinearizabilityOracleTests {
  /// Operations with true answers of some order, a few of which are then falsified.
  ///
  /// - Parameters:
  ///   - input: Draws what is asked.
  ///   - answer: What the object answers in a state, and the state after it.
  ///   - falsify: Draws another answer.
  static func history<Model: SequentialModel>(
    _ random: inout SeededRandom, model: Model,
    input: (inout SeededRandom) -> Model.Input,
    answer: (Model.State, Model.Input) -> (Model.Output, Model.State),
    falsify: (inout SeededRandom, Model.Input) -> Model.Output
  ) -> History<Model.Input, Model.Output> {
    let count = 2 + Int(random.next(below: 5))
    // Each operation gets three moments: call, effect, return; few positions, so that ties happen,
    // often or rarely.
    let span = 3 + random.next(below: 12)
    var drafts: [(call: Int, effect: Int, end: Int, input: Model.Input)] = []
    for _ in 0..<count {
      var moments = (0..<3).map { _ in Int(random.next(below: span)) }
      moments.sort()
      drafts.append((moments[0], moments[1], moments[2], input(&random)))
    }
    drafts.sort { $0.effect < $1.effect }
    var states: [(key: Model.Key, state: Model.State)] = []
    var operations: [History<Model.Input, Model.Output>.Operation] = []
    for (process, draft) in drafts.enumerated() {
      let key = model.key(of: draft.input)
      let place = states.firstIndex { $0.key == key }
      let (truth, after) = answer(place.map { states[$0].state } ?? model.initial, draft.input)
      let outcome: History<Model.Input, Model.Output>.Outcome
      var happened = true
      switch random.next(below: 20) {
      case 0: outcome = .returnedUnknown(at: draft.end)
      case 1: outcome = .failed(at: draft.end)
      case 2, 3, 4:
        outcome = .pending
        happened = random.next(below: 2) == 0
      case 5, 6, 7: outcome = .returned(falsify(&random, draft.input), at: draft.end)
      default: outcome = .returned(truth, at: draft.end)
      }
      if happened {
        if let place { states[place].state = after } else { states.append((key, after)) }
      }
      operations.append(
        .init(process: process, input: draft.input, call: draft.call, outcome: outcome))
    }
    return History(operations)
  }

  /// Runs both on many histories; both verdicts must be common, or the comparison would mean
  /// little.
  static func compare<Model: SequentialModel>(
    _ model: Model, rounds: Int, seed: UInt64,
    _ draw: (inout SeededRandom) -> History<Model.Input, Model.Output>
  ) {
    var random = SeededRandom(seed: seed)
    var counts = [0, 0]
    for round in 0..<rounds {
      let history = draw(&random)
      let expected = BruteForceOracle(model, history).isLinearizable()
      counts[expected ? 1 : 0] += 1
      let report = LinearizabilitySearch(model).report(history)
      guard report.verdict.answer == expected else {
        Issue.record("round \(round): \(report.verdict), oracle \(expected)\n\(history)")
        return
      }
      if let problem = flaw(in: report, history, model) {
        Issue.record("round \(round): \(problem)\n\(history)")
        return
      }
    }
    #expect(counts.allSatisfy { $0 * 8 > rounds }, "one-sided: \(counts)")
  }

  /// What is wrong with the evidence of a report, nil when it stands up.
  static func flaw<Model: SequentialModel>(
    in report: LinearizabilityReport, _ history: History<Model.Input, Model.Output>, _ model: Model
  ) -> String? {
    if let witness = report.verdict.witness {
      guard replays(witness.order, history, model) else { return "order of the witness is illegal" }
      guard let end = history.operations[witness.culprit].end else { return "culprit is pending" }
      if witness.order.contains(witness.culprit) { return "culprit is in the order" }
      if witness.states.isEmpty { return "no state before the culprit" }
      // The claim of the witness: fine without the culprit's return, contradictory with it.
      let states = oracle(history, model, before: end, witness, includesCulprit: false)
        .finalStates()
      if states.isEmpty { return "contradiction is earlier" }
      if oracle(history, model, before: end, witness, includesCulprit: true).isLinearizable() {
        return "contradiction is later"
      }
      if !witness.hasMoreStates && witness.states.sorted() != states {
        return "states \(witness.states), oracle \(states)"
      }
      return nil
    }
    for key in report.keys where !replays(key.order, history, model) {
      return "order of key \(key.key) is illegal"
    }
    // Everything that returned with an answer is in some order.
    let placed = report.keys.flatMap { $0.order }
    for (index, operation) in history.operations.enumerated()
    where operation.output != nil && !placed.contains(index) {
      return "operation \(index) is not in any order"
    }
    return nil
  }

  /// The culprit's key as it stood at a position: what returned before is required, what was open
  /// then may be used.
  private static func oracle<Model: SequentialModel>(
    _ history: History<Model.Input, Model.Output>, _ model: Model, before position: Int,
    _ witness: LinearizabilityWitness, includesCulprit: Bool
  ) -> BruteForceOracle<Model> {
    let culprit = history.operations[witness.culprit]
    let key = model.key(of: culprit.input)
    let called = history.operations.enumerated().filter {
      $0.element.call <= position && model.key(of: $0.element.input) == key
    }
    // Among returns at the same position the search takes the earlier operation first.
    let required = called.filter { index, operation in
      guard let end = operation.end else { return false }
      if index == witness.culprit { return includesCulprit }
      return end < position || (end == position && index < witness.culprit)
    }
    return BruteForceOracle(model, called.map { $0.element }) { operation in
      required.contains { $0.element.process == operation.process }
    }
  }

  /// Whether an order is legal for the model and never puts an operation before one that ended
  /// before it began.
  static func replays<Model: SequentialModel>(
    _ order: [Int], _ history: History<Model.Input, Model.Output>, _ model: Model
  ) -> Bool {
    var state = model.initial
    var latestCall = Int.min
    for index in order {
      let operation = history.operations[index]
      if let end = operation.end, end < latestCall { return false }
      latestCall = max(latestCall, operation.call)
      guard let after = model.step(state, operation.input, operation.output) else { return false }
      state = after
    }
    return true
  }

  static func operation(_ random: inout SeededRandom) -> RegisterOperation {
    let a = Int64(random.next(below: 3))
    let b = Int64(random.next(below: 3))
    switch random.next(below: 10) {
    case 0...3: return .read
    case 4...6: return .write(a)
    case 7: return .fetchAdd(a + 1)
    default: return .compareAndSet(expected: b == 0 ? nil : b, new: a)
    }
  }

  static func answer(
    _ state: Int64?, _ operation: RegisterOperation
  ) -> (RegisterOutcome, Int64?) {
    switch operation {
    case .read: (.value(state), state)
    case .write(let value): (.done, value)
    case .compareAndSet(let expected, let new):
      state == expected ? (.swapped(true), new) : (.swapped(false), state)
    case .fetchAdd(let delta): (.value(state), (state ?? 0) &+ delta)
    }
  }

  static func falsify(
    _ random: inout SeededRandom, _ operation: RegisterOperation
  ) -> RegisterOutcome {
    let value = Int64(random.next(below: 4))
    switch operation {
    case .read, .fetchAdd: return .value(value == 3 ? nil : value)
    case .write: return .done
    case .compareAndSet:
      return value == 3 ? .conflict(found: 1) : .swapped(random.next(below: 2) == 0)
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func registerAgreesWithTheDefinition(seed: UInt64) {
    Self.compare(RegisterModel(), rounds: 2_000, seed: seed) { random in
      Self.history(
        &random, model: RegisterModel(), input: Self.operation, answer: Self.answer,
        falsify: Self.falsify)
    }
  }

  @Test(arguments: [4, 5] as [UInt64])
  func registerMapAgreesWithTheDefinition(seed: UInt64) {
    Self.compare(RegisterMapModel(), rounds: 2_000, seed: seed) { random in
      Self.history(
        &random, model: RegisterMapModel(),
        input: { random in
          let key = random.next(below: 2)
          return RegisterMapModel.Input(key: key, Self.operation(&random))
        },
        answer: { Self.answer($0, $1.operation) },
        falsify: { Self.falsify(&$0, $1.operation) })
    }
  }

  @Test(arguments: [6, 7] as [UInt64])
  func keyValueStoreAgreesWithTheDefinition(seed: UInt64) {
    let words: [ByteString] = ["", "a", "b", "ab", "ba"]
    Self.compare(KeyValueModel(), rounds: 2_000, seed: seed) { random in
      Self.history(
        &random, model: KeyValueModel(),
        input: { random in
          let key: ByteString = random.next(below: 3) == 0 ? "l" : "k"
          let word = words[Int(random.next(below: 3))]
          switch random.next(below: 5) {
          case 0, 1: return KeyValueModel.Input(key: key, .get)
          case 2: return KeyValueModel.Input(key: key, .put(word))
          default: return KeyValueModel.Input(key: key, .append(word))
          }
        },
        answer: { state, input in
          switch input.operation {
          case .get: (.value(state), state)
          case .put(let value): (.done, value)
          case .append(let suffix): (.done, state + suffix)
          }
        },
        falsify: { random, input in
          input.operation == .get ? .value(words[Int(random.next(below: 5))]) : .done
        })
    }
  }

  /// A register whose states all hash alike: every lookup collides, so only exact comparison gives
  /// right answers.
  private struct CollidingRegister: SequentialModel {
    let initial: Int64? = nil
    func step(_ state: Int64?, _ input: RegisterOperation, _ output: RegisterOutcome?) -> Int64?? {
      RegisterModel().step(state, input, output)
    }
    func hash(of state: Int64?) -> UInt64 { 0 }
  }

  /// Also without the read-only shortcut, which this model does not declare.
  @Test func hashCollisionsDoNotChangeVerdicts() {
    Self.compare(CollidingRegister(), rounds: 2_000, seed: 8) { random in
      Self.history(
        &random, model: CollidingRegister(), input: Self.operation, answer: Self.answer,
        falsify: Self.falsify)
    }
  }
}
