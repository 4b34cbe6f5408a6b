internal import Protocol

// What each command does.
extension ScenarioWorld {
  /// Runs one command line.
  mutating func run(_ command: ScenarioCommand) throws(ScenarioError) {
    var command = command
    switch command.name {
    case "cluster": return try cluster(&command)
    case "quiet": try quiet(&command)
    case "hide", "show": try hideOrShow(&command)
    default:
      if nodes.isEmpty {
        throw command.error("no cluster yet; begin with a line like: cluster 3")
      }
      try runInCluster(&command)
    }
    try command.finish()
  }

  private mutating func runInCluster(_ command: inout ScenarioCommand) throws(ScenarioError) {
    switch command.name {
    case "tick", "advance": try pass(&command)
    case "wake": try forEachReplica(&command) { world, node in world.wake(node) }
    case "stabilize": stabilize(try members(&command))
    case "deliver", "drop", "duplicate", "keep": try handle(&command)
    case "release": release()
    case "partition": try setLinks(&command, isCut: true)
    case "heal": try heal(&command)
    case "oneway":
      let link = try link(&command)
      setLink(from: link.from, to: link.to, isCut: true)
    case "flush": try flush(&command)
    case "hold", "unhold": try hold(&command)
    case "crash": try crash(&command)
    case "restart": try restart(&command)
    case "command": try sendCommand(&command)
    case "read": try sendRead(&command)
    case "transfer": try transfer(&command)
    case "permit": try permit(&command)
    case "snapshot": try completeSnapshot(&command)
    case "flip": try forEachReplica(&command) { $0.nodes[$1].state ^= 1 }
    case "damage": try forEachReplica(&command) { $0.nodes[$1].isTransferDamaged = true }
    case "forge": try forge(&command)
    case "status": for node in try members(&command) { printStatus(node) }
    case "log": try forEachReplica(&command) { $0.printLog($1) }
    case "journal": try forEachReplica(&command) { $0.printJournal($1) }
    case "network": printNetwork()
    default:
      throw command.error(
        "there is no command \"\(command.name)\"; docs/scenarios.md lists them")
    }
  }

  // MARK: Arguments

  private func oneReplica(_ command: inout ScenarioCommand) throws(ScenarioError) -> Int {
    try replica(try command.word("a replica, as in r1"), command)
  }

  /// The replicas named, all of them when none is.
  private func members(_ command: inout ScenarioCommand) throws(ScenarioError) -> [Int] {
    var members: [Int] = []
    while !command.isAtEnd { members.append(try oneReplica(&command)) }
    return members.isEmpty ? Array(nodes.indices) : members.sorted()
  }

  private mutating func forEachReplica(
    _ command: inout ScenarioCommand, _ body: (inout ScenarioWorld, Int) -> Void
  ) throws(ScenarioError) {
    repeat { body(&self, try oneReplica(&command)) } while !command.isAtEnd
  }

  // MARK: Output

  private mutating func quiet(_ command: inout ScenarioCommand) throws(ScenarioError) {
    switch try command.word("on or off") {
    case "on": isQuiet = true
    case "off": isQuiet = false
    default: throw command.error("write quiet on, or quiet off")
    }
  }

  private mutating func hideOrShow(_ command: inout ScenarioCommand) throws(ScenarioError) {
    repeat {
      let kind = try command.word("kinds of messages")
      guard PaxosText.kinds.contains(kind) else {
        throw command.error(
          "\"\(kind)\" is no kind of message; there are \(PaxosText.kinds.joined(separator: ", "))")
      }
      hidden.removeAll { $0 == kind }
      if command.name == "hide" { hidden.append(kind) }
    } while !command.isAtEnd
  }

  // MARK: Time and journal

  private mutating func pass(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let word = try command.word("a time, as in 500ms")
    guard let span = TimeSpan(scenario: word) else {
      throw command.error("\"\(word)\" is no time; write it like 500ms or 2s")
    }
    pass(span, at: try members(&command), settling: command.name == "advance")
  }

  private mutating func flush(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let node = try oneReplica(&command)
    if let limit = command.take({ Int($0) }) {
      guard limit > 0 else { throw command.error("flush at least 1 record") }
      return flush(node, limit: limit)
    }
    flush(node)
    while !command.isAtEnd { flush(try oneReplica(&command)) }
  }

  private mutating func hold(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let isHeld = command.name == "hold"
    try forEachReplica(&command) { $0.nodes[$1].isFlushHeld = isHeld }
  }

  private mutating func crash(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let surviving = try command.number("surviving") ?? 0
    let node = try oneReplica(&command)
    guard nodes[node].replica != nil else {
      throw command.error("\(name(node)) is down already; restart it first")
    }
    crash(node, surviving: Int(clamping: surviving))
  }

  private mutating func restart(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let node = try oneReplica(&command)
    guard nodes[node].replica == nil else {
      throw command.error("\(name(node)) is running; crash it first")
    }
    guard !nodes[node].isSnapshotGone else {
      throw command.error(
        "\(name(node)) has diverged and lost its snapshot; a scenario has no suspects")
    }
    try restart(node, command)
  }

  // MARK: Network

  private mutating func handle(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let selection = try selection(&command)
    if command.name == "duplicate" {
      let copies = selection.indices(in: flights).map { flights[$0] }
      if copies.isEmpty { say("no such message") }
      for copy in copies { say("duplicated \(describe(copy))") }
      flights += copies
      return
    }
    let taken = take(selection)
    if taken.isEmpty { say("no such message") }
    for flight in taken {
      switch command.name {
      case "deliver":
        deliver(flight)
      case "drop":
        say("dropped \(describe(flight))")
      default:
        say("kept \(describe(flight))")
        kept.append(flight)
      }
    }
  }

  private mutating func release() {
    if kept.isEmpty { say("nothing is kept") }
    for flight in kept { say("released \(describe(flight))") }
    flights += kept
    kept = []
  }

  private mutating func setLinks(
    _ command: inout ScenarioCommand, isCut: Bool
  ) throws(ScenarioError) {
    let groups = try groups(&command)
    for (i, group) in groups.enumerated() {
      for (j, other) in groups.enumerated() where i != j {
        for from in group {
          for to in other { setLink(from: from, to: to, isCut: isCut) }
        }
      }
    }
  }

  private mutating func heal(_ command: inout ScenarioCommand) throws(ScenarioError) {
    if !command.isAtEnd { return try setLinks(&command, isCut: false) }
    for from in nodes.indices {
      for to in nodes.indices { cut[from][to] = false }
    }
  }

  // MARK: Clients and operators

  private mutating func sendCommand(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let session = try command.number("s") ?? 1
    var given = try command.number("n")
    let length = UInt32(clamping: try command.number("bytes") ?? 0)
    let node = try oneReplica(&command)
    repeat {
      let name = try command.word("the name of a command")
      let sequence = nextSequence(session, given: given)
      if given != nil { given = sequence + 1 }
      let event = Protocol.Event.commandReceived(
        makeCommand(name, session: session, sequence: sequence, length: length))
      step(node, event, header: "\(self.name(node)) \(text.describe(event))")
    } while !command.isAtEnd
  }

  /// A command with its bytes at the end of the log buffer. The same name, session and number give the same checksum.
  mutating func makeCommand(
    _ name: String, session: UInt64, sequence: UInt64, length: UInt32 = 0
  ) -> CommandRef {
    var checksum: UInt32 = 0x811C_9DC5
    for byte in "\(session)/\(sequence)/\(name)".utf8 {
      checksum = (checksum ^ UInt32(byte)) &* 0x0100_0193
    }
    let bytes = BytesRef(
      position: bufferEnd, length: length > 0 ? length : UInt32(name.utf8.count))
    bufferEnd = bytes.end
    let made = CommandRef(
      session: SessionID(session), sequence: SequenceNumber(sequence), bytes: bytes,
      checksum: checksum)
    text.name(made, name)
    commands.append((name, made))
    return made
  }

  private mutating func nextSequence(_ session: UInt64, given: UInt64?) -> UInt64 {
    if let i = sequences.firstIndex(where: { $0.session == session }) {
      let sequence = given ?? sequences[i].last + 1
      sequences[i].last = max(sequences[i].last, sequence)
      return sequence
    }
    sequences.append((session, given ?? 1))
    return given ?? 1
  }

  private mutating func sendRead(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let session = try command.number("s") ?? 9
    let sequence = nextSequence(session, given: try command.number("n"))
    let node = try oneReplica(&command)
    let word = try command.word("quorum, lease or local@SLOT")
    let mode: ReadMode
    if word == "quorum" {
      mode = .quorum
    } else if word == "lease" {
      mode = .lease
    } else if word.hasPrefix("local@"), let slot = UInt64(word.dropFirst(6)) {
      mode = .local(atLeast: Slot(slot))
    } else {
      throw command.error("\"\(word)\" is no way to read; write quorum, lease or local@5")
    }
    let id = RequestID(session: SessionID(session), sequence: SequenceNumber(sequence))
    if case .local(let slot) = mode {
      reads.append((id, slot))
    } else {
      reads.append((id, chosen.reduce(.zero) { max($0, $1.slot) }))
    }
    let event = Protocol.Event.readReceived(id, mode)
    step(node, event, header: "\(name(node)) \(text.describe(event))")
  }

  private mutating func transfer(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let node = try oneReplica(&command)
    let event = Protocol.Event.transferRequested(to: nodes[try oneReplica(&command)].id)
    step(node, event, header: "\(name(node)) \(text.describe(event))")
  }

  private mutating func permit(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let node = try oneReplica(&command)
    let word = try command.word("yes or no")
    guard word == "yes" || word == "no" else {
      throw command.error("write permit \(name(node)) yes, or permit \(name(node)) no")
    }
    let event = Protocol.Event.leadershipPermitted(word == "yes")
    step(node, event, header: "\(name(node)) \(text.describe(event))")
  }

  private mutating func completeSnapshot(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let length = try command.number("length") ?? 200
    let node = try oneReplica(&command)
    guard let taken = nodes[node].snapshotBeingTaken else {
      throw command.error("\(name(node)) was not asked for a snapshot, or has completed it")
    }
    nodes[node].snapshotBeingTaken = nil
    let info = SnapshotInfo(slot: taken.slot, length: length, digest: taken.state)
    if info.slot > nodes[node].snapshot.slot { nodes[node].snapshot = info }
    let event = Protocol.Event.snapshotTaken(info)
    step(node, event, header: "\(name(node)) \(text.describe(event))")
  }

  // MARK: Forged messages

  /// `forge r1->r2 KIND BALLOT [slot=N] [value=NAME] [chosen=N] [released=BALLOT]`: what no correct replica would send at this point.
  private mutating func forge(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let slot = Slot(try command.number("slot") ?? 1)
    let chosen = Slot(try command.number("chosen") ?? 0)
    let value = try forgedValue(&command)
    let link = try link(&command)
    let kind = try command.word("a kind of message")
    let ballot = try ballot(try command.word("a ballot, as in 2.1"), command)
    var released = Ballot.zero
    if let word = command.setting("released") { released = try self.ballot(word, command) }
    let message: Message
    switch kind {
    case "prepare":
      message = .prepare(Prepare(ballot: ballot, firstSlot: slot, releasedLease: released))
    case "accept":
      message = .accept(Accept(ballot: ballot, slot: slot, value: value, chosenUpTo: chosen))
    case "accepted":
      message = .accepted(Accepted(ballot: ballot, firstSlot: slot, lastSlot: slot))
    case "heartbeat":
      message = .heartbeat(Heartbeat(ballot: ballot, round: 1, chosenUpTo: chosen))
    default:
      throw command.error("\"\(kind)\" cannot be forged; prepare, accept, accepted, heartbeat can")
    }
    let flight = Flight(from: link.from, to: link.to, message: message)
    flights.append(flight)
    say("forged \(describe(flight))")
  }

  private func ballot(_ word: String, _ command: ScenarioCommand) throws(ScenarioError) -> Ballot {
    guard let ballot = Ballot(scenario: word) else {
      throw command.error("\"\(word)\" is no ballot; write round and proposer, as in 2.1")
    }
    return ballot
  }

  private mutating func forgedValue(_ command: inout ScenarioCommand) throws(ScenarioError) -> Value
  {
    guard let name = command.setting("value") else { return .noop }
    let made =
      commands.first { $0.name == name }?.command ?? makeCommand(name, session: 0, sequence: 0)
    return Value(
      bytes: made.bytes, count: 1,
      digest: Value.digest(0, adding: made.checksum, length: made.bytes.length))
  }
}
