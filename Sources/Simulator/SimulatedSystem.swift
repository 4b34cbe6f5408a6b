internal import Protocol

/// What can happen to one node, besides its start.
public enum SimulatedInput<Message> {
  case message(from: NodeIndex, Message)
  case timer(token: UInt64)
  /// The flush with this ticket is complete, and all before it.
  case diskCompleted(ticket: UInt64)
}

/// A broken property.
public struct Violation: Equatable, Sendable {
  public enum Kind: String, Sendable { case safety, liveness }
  public var kind: Kind
  /// The stable name of the checker or contract that found it.
  public var checker: String
  /// What was violated and by what, in one sentence.
  public var sentence: String
  public var nodes: [NodeIndex]

  public init(kind: Kind, checker: String, sentence: String, nodes: [NodeIndex] = []) {
    self.kind = kind
    self.checker = checker
    self.sentence = sentence
    self.nodes = nodes
  }
}

/// Why a healed core could not make progress, and who shows it.
public struct LivenessExcuse: Equatable, Sendable {
  /// The stable name of the excuse.
  public var name: String
  /// The fact that makes progress impossible, checkable from the run: which node has or lacks what.
  public var witness: String
  public var nodes: [NodeIndex]

  public init(name: String, witness: String, nodes: [NodeIndex]) {
    self.name = name
    self.witness = witness
    self.nodes = nodes
  }
}

/// A system under test: the state of all its nodes, its clients and its checkers.
///
/// The framework owns time, faults and the order of events, and calls the tenant; the tenant acts
/// on the world only through the `World` it is handed. One input goes in at a time, and all its
/// effects are performed before the next, unless the node crashes among them.
public protocol SimulatedSystem {
  /// What travels between endpoints; a trivial type is fastest.
  associatedtype Message
  /// What the tenant adds to the result of a run: acknowledged commands, marks reached, contracts
  /// evaluated.
  associatedtype Report

  /// Names of the protocol's phases, for the fault × phase table.
  static var phaseNames: [String] { get }

  /// First boot or restart of a process: rebuild volatile state from its disk. Answers how many
  /// effects wait. Also called once for each client, at the beginning.
  mutating func start(_ node: NodeIndex, _ world: inout World<Message>) -> Int
  /// The process is gone, and all its volatile state and waiting effects with it; its disk holds
  /// what survived.
  mutating func crash(_ node: NodeIndex, _ world: inout World<Message>)
  /// One input into one endpoint: the pure step. Answers how many effects wait. Processes may not
  /// act on the world here.
  mutating func step(
    _ node: NodeIndex, _ input: SimulatedInput<Message>, _ world: inout World<Message>
  ) -> Int
  /// Performs waiting effect number `effect` of the last step or start of `node`.
  mutating func perform(effect: Int, _ node: NodeIndex, _ world: inout World<Message>)
  /// An event of no node, asked for by `World.schedule`.
  mutating func external(_ token: UInt64, _ world: inout World<Message>)

  /// The message as bytes, as it would travel.
  mutating func encode(_ message: Message, into bytes: inout [UInt8])
  /// The message in these bytes as `node` would read them; nil when it refuses them.
  mutating func decode(_ bytes: [UInt8], for node: NodeIndex) -> Message?

  /// The current protocol phase of an endpoint: an index into `phaseNames`. Asked after every
  /// input.
  mutating func phase(of node: NodeIndex) -> Int
  /// The current phase of the whole, for faults that belong to no single node.
  func clusterPhase(_ world: borrowing World<Message>) -> Int

  /// A word that differs for different messages, for the trace digest.
  mutating func digestWord(of message: Message) -> UInt64
  /// A word that differs for different effects, for the trace digest.
  mutating func digestWord(ofEffect effect: Int, _ node: NodeIndex) -> UInt64

  /// What of a process that is down may be damaged, because other bytes of its disk, which are not among it, prove that it
  /// was durable.
  func vouched(_ node: NodeIndex, _ world: borrowing World<Message>) -> [VouchedFile]
  /// The process is down and its disk lost: begin it anew, by `World.replaceDisk`. Only asked for where something was vouched
  /// for.
  mutating func replaceDisk(_ node: NodeIndex, _ world: inout World<Message>)
  /// Corrupts the state that a running process keeps in memory, in a way that its own checks can find later. False when there
  /// is nothing to corrupt, or nothing would find it.
  mutating func corruptState(_ node: NodeIndex, _ world: inout World<Message>) -> Bool
  /// The process runs and is over whatever damage its disk or its state had. Until then it counts as disturbed.
  func isSound(_ node: NodeIndex) -> Bool

  /// A majority, or another set of processes that must be able to make progress alone once healed.
  func chooseCore(_ world: inout World<Message>) -> NodeSet
  /// The core is healed; everything else stays as broken as it is.
  mutating func beginLiveness(_ world: inout World<Message>, core: NodeSet)
  /// Whether the workload is finished and the core has converged. Asked after every event: keep it
  /// cheap.
  mutating func isDone(_ world: inout World<Message>) -> Bool
  /// Why no progress is right although a core is healed; nil when there is no excuse.
  func livenessExcuse(_ world: borrowing World<Message>) -> LivenessExcuse?
  /// The last checks of a run that has not failed.
  mutating func finish(_ world: inout World<Message>)
  func report(_ world: borrowing World<Message>) -> Report

  /// For the trace; called only when one is kept.
  func describe(_ message: Message) -> String
  func describe(effect: Int, _ node: NodeIndex) -> String
  func describe(timer token: UInt64) -> String
  func describe(external token: UInt64) -> String
}

extension SimulatedSystem {
  public static var phaseNames: [String] { ["run"] }
  public mutating func phase(of node: NodeIndex) -> Int { 0 }
  public func clusterPhase(_ world: borrowing World<Message>) -> Int { 0 }
  public mutating func external(_ token: UInt64, _ world: inout World<Message>) {}
  public mutating func beginLiveness(_ world: inout World<Message>, core: NodeSet) {}
  public func livenessExcuse(_ world: borrowing World<Message>) -> LivenessExcuse? { nil }
  public mutating func finish(_ world: inout World<Message>) {}

  public func vouched(_ node: NodeIndex, _ world: borrowing World<Message>) -> [VouchedFile] { [] }
  public mutating func replaceDisk(_ node: NodeIndex, _ world: inout World<Message>) {}
  public mutating func corruptState(_ node: NodeIndex, _ world: inout World<Message>) -> Bool {
    false
  }
  public func isSound(_ node: NodeIndex) -> Bool { true }

  /// A random majority of those whose medium is sound, at times with more members; or everybody, since whoever is damaged may
  /// need them all.
  public func chooseCore(_ world: inout World<Message>) -> NodeSet {
    let majority = world.nodeCount / 2 + 1
    let sound = world.nodes.subtracting(world.damaged)
    let extra = Int(world.draw(.core, below: UInt64(world.nodeCount - majority + 1)))
    if !world.damaged.isEmpty, majority + extra > sound.count || world.draw(.core, below: 2) == 1 {
      return world.nodes
    }
    return world.drawNodes(majority + extra, of: sound, from: .core)
  }

  public func describe(_ message: Message) -> String { String(describing: message) }
  public func describe(effect: Int, _ node: NodeIndex) -> String { "effect \(effect)" }
  public func describe(timer token: UInt64) -> String { "timer \(token)" }
  public func describe(external token: UInt64) -> String { "external \(token)" }
}

extension World {
  /// `count` members of `set`, drawn without replacement.
  public mutating func drawNodes(
    _ count: Int, of set: NodeSet, from stream: RandomStream
  )
    -> NodeSet
  {
    var rest = set
    var chosen = NodeSet()
    while chosen.count < count && !rest.isEmpty {
      let node = rest.element(at: Int(streams.draw(stream, below: UInt64(rest.count))))
      chosen.insert(node)
      rest.remove(node)
    }
    return chosen
  }
}
