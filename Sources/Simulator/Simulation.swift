internal import Protocol

/// One seeded run of a system under test in a simulated world.
///
/// Pops events in the order of virtual time and hands them to the tenant: one input, all its
/// effects, next event. A value: a copy made between two events is a snapshot that can be run on
/// independently.
public struct Simulation<System: SimulatedSystem> {
  public internal(set) var system: System
  public internal(set) var world: World<System.Message>

  public internal(set) var steps: UInt64 = 0
  public internal(set) var effects: UInt64 = 0
  public internal(set) var events: UInt64 = 0
  /// How the run ended; nil while it goes on.
  public internal(set) var outcome: RunOutcome?
  public internal(set) var excuse: LivenessExcuse?
  var safetyNanoseconds: UInt64 = 0
  let eventLimit: UInt64
  /// Reused for every message that goes through the codec.
  var codecBytes: [UInt8] = []

  /// Prepares a run. `makeSystem` can draw what the tenant needs and look at the plan.
  public init(
    seed: UInt64, _ configuration: SimulationConfiguration,
    makeSystem: (inout World<System.Message>) -> System
  ) {
    world = World(configuration, seed: seed, phaseNames: System.phaseNames)
    system = makeSystem(&world)
    eventLimit = configuration.eventLimit == 0 ? .max : configuration.eventLimit
    for n in 0..<world.endpointCount {
      let node = NodeIndex(n)
      let delay = world.draw(.schedule, below: 1_000_000)
      world.queue.push(Event(.boot, node: node), at: world.now + delay)
      if world.clocks[n].rate != 0 { world.count(.clockDrifted, node) }
    }
    world.queue.push(Event(.endOfSafety), at: world.now + world.plan.safetyDuration * 1_000)
    for kind in NemesisKind.allCases { scheduleNemesis(kind) }
  }

  /// Runs to the end.
  public mutating func run() -> RunResult<System.Report> {
    while advance() {}
    return result
  }

  /// Runs until simulated time is `time` (nanoseconds) and all events up to then are handled, or to
  /// the end.
  public mutating func run(until time: UInt64) {
    while let next = world.queue.nextTime, next <= time, advance() {}
    if outcome == nil { world.now = max(world.now, time) }
  }

  /// What there is to say about the run so far.
  public var result: RunResult<System.Report> {
    RunResult(
      seed: world.seed, profile: world.profile, plan: world.plan, outcome: outcome ?? .passed,
      violation: world.violation, excuse: excuse, digest: world.digest, steps: steps,
      effects: effects, events: events, simulatedNanoseconds: world.now,
      safetyNanoseconds: world.runPhase == .safety ? world.now : safetyNanoseconds,
      core: world.core, faults: world.faults, packets: world.packets, tape: world.streams.tape,
      trace: world.trace, report: system.report(world))
  }

  /// Handles one event; false when the run is over.
  public mutating func advance() -> Bool {
    guard outcome == nil else { return false }
    guard let (time, event) = world.queue.pop() else {
      // The end of the current phase is always pending, so the queue cannot run dry before it.
      preconditionFailure("no event pending in a run that has not ended")
    }
    world.now = time
    events &+= 1
    handle(event)
    world.digest.endEvent()
    settle()
    return outcome == nil
  }

  private mutating func handle(_ event: Event) {
    switch event.kind {
    case .message: deliverMessage(event)
    case .timer:
      if world.isUp(event.node) {
        guard world.timerIsDue(event) else { return }
        input(event, .timer(token: event.word), word: event.word)
      } else {
        hold(event)
      }
    case .diskCompleted:
      // The device does its work whether or not the process is paused; only the news of it waits.
      if event.flags == 0 {
        guard world.endsFlush(event) else { return }
        if flushFails(event.node) { return }
        world.completeFlush(event.node)
      }
      guard world.isUp(event.node) else {
        var told = event
        told.flags = 1
        return hold(told)
      }
      input(event, .diskCompleted(ticket: event.word), word: event.word)
    case .external:
      mixHead(event)
      world.digest.mix(event.word)
      if world.trace.isOn { world.note(system.describe(external: event.word)) }
      world.activity = .performing
      system.external(event.word, &world)
      world.activity = .idle
      if !world.quitting.isEmpty { endProcesses() }
    case .boot: boot(event.node)
    case .nemesis: nemesis(event)
    case .restart: restart(event)
    case .resume: resume(event)
    case .heal: if world.runPhase == .safety { world.heal(event.generation) }
    case .thaw: if world.runPhase == .safety { thaw(event.node) }
    case .spaceFreed: if world.runPhase == .safety { freeSpace(event.node) }
    case .endOfSafety: if world.runPhase == .safety { endSafety() }
    case .endOfLiveness: endLiveness()
    }
  }

  // MARK: Inputs

  private mutating func deliverMessage(_ event: Event) {
    let node = event.node
    if node.index < world.nodeCount {
      switch world.states[node.index] {
      case .up: break
      case .paused: return hold(event)
      case .down:
        world.packets.undeliverable &+= 1
        _ = world.store.take(event.word)
        return
      }
    }
    var message = world.store.take(event.word)
    guard world.isReachable(from: event.peer, to: node) else {
      world.count(.packetCut, event.peer)
      return
    }
    if event.flags != 0 {
      guard let decoded = throughCodec(message, event) else { return }
      message = decoded
    }
    world.packets.delivered &+= 1
    if world.trace.isOn {
      world.note("<- \(event.peer) " + system.describe(message), node)
    }
    input(event, .message(from: event.peer, message), word: system.digestWord(of: message))
  }

  /// One input into a running endpoint, and all effects of it.
  @inline(__always)
  private mutating func input(
    _ event: Event, _ input: SimulatedInput<System.Message>, word: UInt64
  ) {
    mixHead(event)
    world.digest.mix(word)
    if world.trace.isOn { noteInput(input, event.node) }
    world.activity = .stepping
    let count = system.step(event.node, input, &world)
    world.activity = .idle
    steps &+= 1
    drain(event.node, count)
  }

  private func describe(_ input: SimulatedInput<System.Message>) -> String? {
    switch input {
    case .message: nil
    case .timer(let token): system.describe(timer: token)
    case .diskCompleted(let ticket): "flush \(ticket) completed"
    }
  }

  private mutating func noteInput(_ input: SimulatedInput<System.Message>, _ node: NodeIndex) {
    if let text = describe(input) { world.note(text, node) }
  }

  /// Performs all effects of a step, or those before an armed crash.
  @inline(__always)
  mutating func drain(_ node: NodeIndex, _ count: Int) {
    var crashBefore = Int.max
    if !world.armed.isEmpty && count > 0 && world.armed.contains(node) {
      crashBefore = Int(world.draw(.process, below: UInt64(count) + 1))
    }
    world.activity = .performing
    var effect = 0
    while effect < count && effect != crashBefore && world.violation == nil
      && world.quitting.isEmpty
    {
      world.digest.mix(system.digestWord(ofEffect: effect, node))
      if world.trace.isOn { world.note("   " + system.describe(effect: effect, node), node) }
      system.perform(effect: effect, node, &world)
      effect += 1
    }
    effects &+= UInt64(effect)
    world.activity = .idle
    let phase = system.phase(of: node)
    if phase != world.phases[node.index] { phaseChanged(node, to: phase) }
    if !world.damaged.isEmpty && world.damaged.contains(node) && !world.latent.contains(node)
      && !world.fallen.contains(node) && system.isSound(node)
    {
      world.damaged.remove(node)
      world.note("sound again", node)
    }
    if !world.quitting.isEmpty {
      endProcesses()
    } else if crashBefore != .max && world.violation == nil {
      precondition(effect == crashBefore, "an armed crash lets exactly the drawn effects out")
      world.count(.crashBetweenEffects, node)
      world.note("crash after effect \(effect) of \(count)", node)
      crash(node)
    } else if !world.drowsy.isEmpty && count > 0 && world.drowsy.contains(node) {
      pause(node)
    }
  }

  @inline(__always)
  func headWord(_ event: Event) -> UInt64 {
    UInt64(event.kind.rawValue) << 32 | UInt64(event.node.rawValue) << 16
      | UInt64(event.peer.rawValue)
  }

  @inline(__always)
  mutating func mixHead(_ event: Event) {
    world.digest.mix(world.now)
    world.digest.mix(headWord(event))
  }

  // MARK: Codec

  private mutating func throughCodec(_ message: System.Message, _ event: Event) -> System.Message? {
    codecBytes.removeAll(keepingCapacity: true)
    system.encode(message, into: &codecBytes)
    let corrupted = event.flags & PacketFlags.corrupted != 0 && !codecBytes.isEmpty
    if corrupted {
      corrupt()
      world.count(.packetCorrupted, event.peer)
    }
    let decoded = system.decode(codecBytes, for: event.node)
    if decoded == nil {
      precondition(corrupted, "the codec refused what it had encoded: \(system.describe(message))")
      world.packets.rejected &+= 1
    }
    return decoded
  }

  /// Flips one to eight bits, or cuts the tail off.
  private mutating func corrupt() {
    if world.draw(.corruption, below: 8) == 7 {
      let cut = 1 + Int(world.draw(.corruption, below: UInt64(codecBytes.count)))
      codecBytes.removeLast(cut)
      return
    }
    for _ in 0...world.draw(.corruption, below: 8) {
      let bit = world.draw(.corruption, below: UInt64(codecBytes.count) * 8)
      codecBytes[Int(bit / 8)] ^= 1 << UInt8(bit % 8)
    }
  }
}
