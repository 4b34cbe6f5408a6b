import Foundation
import Protocol
import RealRuntime

/// Makes faults, takes them back, and sees that the cluster is well again.
final class SoakNemesis {
  private let cluster: LocalCluster
  private let load: SoakLoad
  private let network: FaultyNetwork?
  private let strace: Tool?
  private let clockFile: String?
  private var random: SeededRandom

  /// How long a fault lasts: several leases and election timeouts.
  private static let span = Duration.seconds(3)
  /// A pause from a little longer than a lease, when the others have just elected, to much longer.
  private static let pauses = 350...3_000
  /// How long the cluster may take to be well again, on a machine that does other things as well.
  private static let patience = Duration.seconds(60)
  /// A flush then takes longer than an election.
  private static let slowFlushMilliseconds = 400

  /// - Parameter clockFile: what the wall clock of the last replica is read from, as libfaketime writes it.
  init(
    _ cluster: LocalCluster, _ load: SoakLoad, network: FaultyNetwork?, strace: Tool?,
    clockFile: String?, seed: UInt64
  ) {
    (self.cluster, self.load) = (cluster, load)
    (self.network, self.strace, self.clockFile) = (network, strace, clockFile)
    random = SeededRandom(seed: seed)
  }

  /// A round of these faults in a new order.
  func shuffled(_ faults: [SoakFault]) -> [SoakFault] {
    var rest = faults
    var order: [SoakFault] = []
    while !rest.isEmpty { order.append(rest.remove(at: draw(below: rest.count))) }
    return order
  }

  /// Performs one fault from beginning to end, and waits until the cluster is well.
  func perform(_ fault: SoakFault) async throws {
    let leader = try await leader()
    let followers = cluster.replicas.filter { $0.id != leader.id }
    let other = followers[draw(below: followers.count)]
    let victim = fault.isOfLeader ? leader : other
    switch fault {
    case .killLeader, .killFollower: try await kill([victim])
    case .killAll: try await kill(cluster.replicas)
    case .pauseLeader, .pauseFollower: try await pause(victim)
    case .cutLeader, .cutFollower:
      try await withNetwork { try cut(victim.id, $0) }
    case .isolateLeader: try await withNetwork { try $0.cut(victim.id, from: nil) }
    case .deafLeader:
      try await withNetwork { for peer in followers { try $0.deafen(victim.id, to: peer.id) } }
    case .muteLeader:
      try await withNetwork {
        for peer in followers { try $0.silence(victim.id, towards: peer.id) }
      }
    case .cutPair: try await withNetwork { try $0.cut(victim.id, from: other.id) }
    case .slowDisk:
      let tracer = try strike(
        .flushTakes(milliseconds: Self.slowFlushMilliseconds), victim)
      defer { SyscallFault.end(tracer) }
      try await hold(Self.span)
    case .flushError: try await end(victim, by: .flushFails)
    case .diskFull: try await fill(victim)
    case .clockJump: try await jump()
    case .garbage: try throwGarbage()
    }
    try await beWell()
  }

  /// Waits, and sees meanwhile that nobody ends who has no reason to.
  func hold(_ span: Duration, besides victims: [LocalCluster.Replica] = []) async throws {
    let end = ContinuousClock.now + span
    while ContinuousClock.now < end {
      try seeThatAllRun(besides: victims)
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  // MARK: Processes

  private func kill(_ victims: [LocalCluster.Replica]) async throws {
    for victim in victims { cluster.kill(victim) }
    // Followers come back at once now and then, and late now and then.
    try await hold(.milliseconds(Int(random.next(below: 3_000))), besides: victims)
    for victim in victims { try cluster.start(victim) }
  }

  private func pause(_ victim: LocalCluster.Replica) async throws {
    guard let pid = victim.pid else { throw crash(victim, nil) }
    Foundation.kill(pid, SIGSTOP)
    defer { Foundation.kill(pid, SIGCONT) }
    try await hold(.milliseconds(Self.pauses.lowerBound + draw(below: Self.pauses.count)))
  }

  // MARK: Network

  private func cut(_ id: ReplicaID, _ network: FaultyNetwork) throws {
    for peer in cluster.replicas where peer.id != id { try network.cut(id, from: peer.id) }
  }

  private func withNetwork(_ fault: (FaultyNetwork) throws -> Void) async throws {
    guard let network else { return }
    do {
      try fault(network)
      try await hold(Self.span)
    } catch {
      try? network.heal()
      throw error
    }
    try network.heal()
  }

  // MARK: Disks

  private func strike(
    _ fault: SyscallFault, _ victim: LocalCluster.Replica
  ) throws -> Process {
    guard let strace, let pid = victim.pid else { throw crash(victim, nil) }
    return try fault.strike(pid, with: strace)
  }

  /// Makes system calls fail until the replica ends, which it must, and says why; then starts it again.
  private func end(_ victim: LocalCluster.Replica, by fault: SyscallFault) async throws {
    let tracer = try strike(fault, victim)
    defer { SyscallFault.end(tracer) }
    try await until("\(victim.id) ends by \(fault.injection)") {
      _ = try? await AdminClient(endpoint: victim.admin).takeSnapshot()
      return victim.pid == nil
    }
    let status = cluster.ended(victim)
    guard status == CommandFailure.Code.crash.rawValue, victim.lastLine.hasPrefix("rsl: ") else {
      throw crash(victim, status)
    }
    SyscallFault.end(tracer)
    try cluster.start(victim)
  }

  /// Lets a replica find no space until it has said so, and for a while longer; it must live through it.
  private func fill(_ victim: LocalCluster.Replica) async throws {
    let tracer = try strike(.diskIsFull, victim)
    defer { SyscallFault.end(tracer) }
    // Space is asked for when a segment or a snapshot is due.
    let endpoint = victim.admin
    let asking = Task {
      while !Task.isCancelled {
        _ = try? await AdminClient(endpoint: endpoint).takeSnapshot()
        try? await Task.sleep(for: .milliseconds(50))
      }
    }
    defer { asking.cancel() }
    try await until("\(victim.id) says that there is no room") {
      try self.seeThatAllRun()
      return await self.status(victim)?.noRoom != nil
    }
    try await hold(Self.span)
  }

  // MARK: Clocks, strangers

  private func jump() async throws {
    guard let clockFile else { return }
    for days in ["+30d", "-400d", "+0d"] {
      try Data("\(days)\n".utf8).write(to: URL(fileURLWithPath: clockFile))
      // libfaketime looks once a second.
      try await hold(.milliseconds(1_500))
    }
  }

  private func throwGarbage() throws {
    for replica in cluster.replicas {
      for port in [replica.address.peerPort, replica.address.clientPort, replica.admin.port] {
        var bytes = [UInt8]()
        for _ in 0..<512 { withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) } }
        if random.next(below: 2) == 0 { bytes.replaceSubrange(0..<4, with: "RSLF".utf8) }
        try Stranger.send(bytes, to: replica.address.host, port)
      }
    }
  }

  // MARK: Being well

  private func leader() async throws -> LocalCluster.Replica {
    var found: LocalCluster.Replica?
    try await until("a replica leads") {
      for replica in self.cluster.replicas where found == nil {
        if await self.status(replica)?.role == "leader" { found = replica }
      }
      return found != nil
    }
    return found!
  }

  /// Everybody runs, follows the same leader and knows nearly everything; and clients are answered.
  func beWell() async throws {
    let before = load.acknowledged
    let reached = load.totals.highestSlot
    try await until("every replica has caught up, and clients are answered") {
      try self.seeThatAllRun()
      var leaders: Set<UInt32> = []
      for replica in self.cluster.replicas {
        guard let status = await self.status(replica), let leader = status.leader,
          status.appliedUpTo >= reached
        else { return false }
        leaders.insert(leader)
      }
      return leaders.count == 1 && self.load.acknowledged > before
    }
  }

  private func seeThatAllRun(besides victims: [LocalCluster.Replica] = []) throws {
    for replica in cluster.replicas where !victims.contains(where: { $0 === replica }) {
      if let status = cluster.ended(replica) { throw crash(replica, status) }
    }
  }

  private func crash(_ replica: LocalCluster.Replica, _ status: Int32?) -> CommandFailure {
    CommandFailure(
      .crash,
      "replica \(replica.id) ended unasked (status \(status.map(String.init) ?? "unknown")): "
        + replica.lastLine)
  }

  private func status(_ replica: LocalCluster.Replica) async -> NodeStatus? {
    var client = AdminClient(endpoint: replica.admin)
    client.deadline = .seconds(2)
    return try? await client.status()
  }

  private func until(_ what: String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + Self.patience
    while ContinuousClock.now < end {
      if try await condition() { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw CommandFailure(.liveness, "in \(Self.patience): not \(what)")
  }

  private func draw(below bound: Int) -> Int { Int(random.next(below: UInt64(bound))) }
}

/// Somebody who connects and says what nobody asked for.
enum Stranger {
  static func send(_ bytes: [UInt8], to host: String, _ port: UInt16) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw CommandFailure(.usage, "no socket: errno \(errno)") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, host, &address.sin_addr)
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isThere = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, length) == 0 }
    }
    // Cut off in the middle of it is as good.
    if isThere { _ = Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
  }
}
