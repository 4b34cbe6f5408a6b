import Protocol
import RSLClient
import Testing

extension OverSockets {
  @Suite struct ClientDriverTests {
    /// Everything that must hold of any run whatever happened: one report for each command, what was answered is in the log
    /// once and nothing that was said not to be performed is.
    static func check(_ report: DriverRun.Report, _ applied: [UInt64]) {
      #expect(report.late == 0)
      var times = Array(repeating: 0, count: report.endings.count)
      for number in applied { times[Int(number)] += 1 }
      for (tag, endings) in report.endings.enumerated() {
        #expect(endings.count == 1, "command \(tag) was reported \(endings)")
        guard let ending = endings.first else { continue }
        #expect(times[tag] <= 1, "command \(tag) was applied \(times[tag]) times")
        switch ending.outcome {
        case .applied:
          #expect(times[tag] == 1, "command \(tag)")
          #expect(
            ending.reply.count == 16 && ending.reply.number() == UInt64(tag), "command \(tag)")
          // The reply is the one it got when it was applied.
          let place = Int(ending.reply.number(at: 8)) - 1
          #expect(applied.indices.contains(place) && applied[place] == UInt64(tag))
        case .appliedWithoutReply: #expect(times[tag] == 1, "command \(tag)")
        case .overloaded, .unavailable, .tooLarge: #expect(times[tag] == 0, "command \(tag)")
        case .unknownOutcome: break
        case .read, .leasesDisabled, .noRoom:
          Issue.record("command \(tag) ended as \(ending.outcome)")
        }
      }
      #expect(report.counters.outstanding == 0)
      #expect(report.counters.completed == UInt64(report.endings.count))
    }

    @Test func everyCommandIsAppliedOnceAndAnswered() async throws {
      let cluster = try await FakeCluster.start()
      let report = try await DriverRun.commands(
        2000, outstanding: 100, try await cluster.configuration())
      Self.check(report, try await cluster.with { $0.app.machine.applied })
      #expect(report.counters.applied == 2000)
      try await cluster.stop()
    }

    /// All at once in one turn: a frame for each window at most, and the order of submission within a session.
    @Test func oneTurnIsOneFrame() async throws {
      let cluster = try await FakeCluster.start(1)
      var configuration = try await cluster.configuration()
      configuration.sessions = 1
      configuration.options = ClientOptions(
        replicas: configuration.replicas.map(\.id), windowMax: 32, retryMin: .seconds(60),
        retryMax: .seconds(60))
      let report = try await DriverRun.commands(320, outstanding: 320, configuration)
      let applied = try await cluster.with { $0.app.machine.applied }
      Self.check(report, applied)
      #expect(applied == Array(0..<320))
      // The registration, ten windows, and no resending.
      #expect(report.counters.framesSent <= 30, "\(report.counters.framesSent)")
      #expect(report.counters.resends == 0)
      #expect(report.counters.connectionsMade == 1)
      try await cluster.stop()
    }

    static let faults: [Treatment] = [
      .delay, .dropRequest, .dropReply, .answerTwice, .cut, .garbage, .foreign, .hangUp,
      .reject(.overloaded), .reject(.notLeader(leader: nil)),
      .reject(.notLeader(leader: ReplicaID(2))),
      .reject(.transferring(to: ReplicaID(3))), .reject(.notApplied(appliedUpTo: .zero)),
    ]

    /// One fault at a time, often.
    @Test(arguments: faults) func eachFaultIsSurvived(_ fault: Treatment) async throws {
      let cluster = try await FakeCluster.start()
      try await cluster.with { cluster in
        var random = SeededRandom(seed: 1)
        cluster.treat = { _, _ in random.next(below: 12) == 0 ? fault : .answer }
      }
      let report = try await DriverRun.commands(
        120, outstanding: 10, timeout: .seconds(60), try await cluster.configuration())
      Self.check(report, try await cluster.with { $0.app.machine.applied })
      #expect(report.counters.applied == 120, "\(report.counters)")
      switch fault {
      case .garbage, .foreign: #expect(report.counters.protocolErrors > 0)
      case .cut, .hangUp: #expect(report.counters.connectionsLost > 0)
      case .answerTwice, .delay: break
      default: #expect(report.counters.resends > 0)
      }
      try await cluster.stop()
    }

    /// All of them, at random, with the leader moving and deadlines that pass.
    @Test(arguments: 1...8) func anyMixtureOfFaultsIsSurvived(seed: UInt64) async throws {
      let cluster = try await FakeCluster.start(
        limits: .init(sessionsMax: seed % 2 == 0 ? 3 : 64, outstandingMax: 32, replyLengthMax: 256))
      try await cluster.with { cluster in
        var random = SeededRandom(seed: seed)
        let rate = 5 + random.next(below: 40)
        cluster.treat = { [unowned cluster] _, _ in
          if random.next(below: 200) == 0 {
            cluster.leader = ReplicaID(UInt32(1 + random.next(below: 3)))
          }
          guard random.next(below: rate) == 0 else { return .answer }
          return Self.faults[Int(random.next(below: UInt64(Self.faults.count)))]
        }
      }
      var configuration = try await cluster.configuration(seed: seed)
      configuration.sessions = 1 + Int(seed % 4)
      let report = try await DriverRun.commands(
        400, outstanding: 40, timeout: seed % 3 == 0 ? .milliseconds(150) : .seconds(60),
        configuration)
      Self.check(report, try await cluster.with { $0.app.machine.applied })
      if seed % 3 != 0 { #expect(report.counters.applied > 0) }
      try await cluster.stop()
    }

    @Test func onlyWhoIsAskedIsConnectedTo() async throws {
      let cluster = try await FakeCluster.start(3)
      try await cluster.with { $0.leader = ReplicaID(2) }
      var configuration = try await cluster.configuration()
      configuration.sessions = 1
      configuration.options.retryMin = .seconds(60)
      configuration.options.retryMax = .seconds(60)
      let report = try await DriverRun.commands(50, outstanding: 5, configuration)
      #expect(report.counters.applied == 50)
      let accepted = try await cluster.with { $0.accepted }
      #expect(accepted[ReplicaID(2)] == 1)
      #expect(accepted.count <= 2, "\(accepted)")
      #expect(accepted.values.allSatisfy { $0 == 1 })
      try await cluster.stop()
    }

    @Test func moreThanTheQueuesTakeIsOverloaded() async throws {
      let cluster = try await FakeCluster.start(1)
      var configuration = try await cluster.configuration()
      configuration.sessions = 2
      configuration.options = ClientOptions(
        replicas: configuration.replicas.map(\.id), windowMax: 4, queueMax: 8)
      let report = try await DriverRun.commands(100, outstanding: 100, configuration)
      Self.check(report, try await cluster.with { $0.app.machine.applied })
      // Before there is a session everything waits in the queues of the two.
      #expect(report.counters.applied == 16)
      #expect(report.counters.overloaded == 84)
      try await cluster.stop()
    }

    @Test func aClusterThatStaysOverloadedIsReportedAsThat() async throws {
      let cluster = try await FakeCluster.start(1)
      try await cluster.with { $0.treat = { _, _ in .reject(.overloaded) } }
      let report = try await DriverRun.commands(
        10, outstanding: 10, timeout: .seconds(3), try await cluster.configuration())
      // Not even a session was made: nothing was sent that could be performed.
      #expect(report.counters.overloaded == 10, "\(report.counters)")
      try await cluster.stop()
    }

    @Test func whereNobodyListensNothingIsPerformed() async throws {
      let cluster = try await FakeCluster.start(2)
      try await cluster.stop()
      let report = try await DriverRun.commands(
        20, outstanding: 20, timeout: .milliseconds(100), try await cluster.configuration())
      Self.check(report, [])
      #expect(report.counters.unavailable == 20)
      #expect(report.counters.connectionsMade == 0)
    }

    /// With a retry that is far away, only the end of the silent connection can help.
    @Test func aReplicaThatNeverSaysHelloIsLeft() async throws {
      let cluster = try await FakeCluster.start(1)
      try await cluster.with {
        $0.hello = { _, connections in connections == 1 ? nil : FakeCluster.hello }
      }
      var configuration = try await cluster.configuration()
      configuration.options.retryMin = .seconds(60)
      configuration.options.retryMax = .seconds(60)
      configuration.connectTimeout = .milliseconds(100)
      let report = try await DriverRun.commands(
        5, outstanding: 5, configuration)
      #expect(report.counters.applied == 5)
      #expect(report.counters.connectionsLost + report.counters.connectionsFailed >= 1)
      try await cluster.stop()
    }

    @Test func aReplicaThatStopsAnsweringIsLeft() async throws {
      let cluster = try await FakeCluster.start(1)
      try await cluster.with { $0.treat = { _, number in number == 3 ? .dropRequest : .answer } }
      var configuration = try await cluster.configuration()
      configuration.sessions = 1
      configuration.options.retryMin = .seconds(60)
      configuration.options.retryMax = .seconds(60)
      configuration.silenceMax = .milliseconds(50)
      let report = try await DriverRun.commands(
        9, outstanding: 1, configuration)
      #expect(report.counters.applied == 9)
      #expect(report.counters.connectionsLost >= 1)
      try await cluster.stop()
    }

    @Test func longerThanTheReplicasTakeIsTooLarge() async throws {
      let cluster = try await FakeCluster.start(1)
      try await cluster.with {
        $0.hello = { _, _ in Hello(oldestVersion: 1, newestVersion: 1, frameLengthMax: 4096) }
      }
      let configuration = try await cluster.configuration()
      let long = try await DriverRun.commands(
        4, outstanding: 1, timeout: .seconds(2), length: 5000, configuration)
      Self.check(long, try await cluster.with { $0.app.machine.applied })
      #expect(long.endings.contains { $0.first?.outcome != .unavailable }, "\(long.endings)")
      #expect(long.counters.refused > 0, "\(long.counters)")
      var other = configuration
      other.seed = 2
      let short = try await DriverRun.commands(40, outstanding: 40, length: 3000, other)
      #expect(short.counters.applied == 40)
      try await cluster.stop()
    }

    /// Deadlines are reckoned from it, also by who has submitted nothing for a while.
    @Test func betweenTwoTurnsTheTimeIsTheClocks() async throws {
      let configuration = ClientConfiguration(
        cluster: ClusterID(1),
        replicas: [ReplicaAddress(id: ReplicaID(1), host: "127.0.0.1", port: 1)])
      let isLate = try await DriverRun.loop.submit {
        let driver = ClientDriver(on: DriverRun.loop, configuration: configuration) { _, _, _ in }
        let made = ClientClock.now()
        while ClientClock.now() < made + .milliseconds(2) {}
        defer { driver.close() }
        return driver.now < made + .milliseconds(2)
      }.get()
      #expect(!isLate)
    }

    @Test func aReplicaOfAnotherVersionIsNotUsed() async throws {
      let cluster = try await FakeCluster.start(1)
      try await cluster.with {
        $0.hello = { _, connections in
          Hello(
            oldestVersion: connections == 1 ? 2 : 1, newestVersion: 3, frameLengthMax: 1 << 20)
        }
      }
      let report = try await DriverRun.commands(
        3, outstanding: 3, try await cluster.configuration())
      #expect(report.counters.applied == 3)
      #expect(report.counters.protocolErrors == 1)
      try await cluster.stop()
    }
  }
}
