import Foundation
import Protocol
import Testing

@testable import RealRuntime

@Suite struct TracingTests {
  private struct File: Decodable {
    struct Event: Decodable {
      var name: String
      var ph: String
      var pid: UInt32
      var tid: Int
      var ts: Double?
      var dur: Double?
      var id: UInt64?
    }
    var traceEvents: [Event]
  }

  private func events(_ traces: [ReplicaTrace]) throws -> [File.Event] {
    let bytes = try PerfettoTrace.json(traces)
    return try JSONDecoder().decode(File.self, from: Data(bytes)).traceEvents
  }

  @Test func allReplicasPickTheSameSlotsInTheShareThatIsAskedFor() {
    let tracer = SlotTracer(rate: 0.1)
    let picked = (1...10_000).filter { tracer.traces(Slot(UInt64($0))) }
    #expect((900...1_100).contains(picked.count))
    #expect(picked == (1...10_000).filter { SlotTracer(rate: 0.1).traces(Slot(UInt64($0))) })
    #expect(!SlotTracer(rate: 0).traces(Slot(1)) && !SlotTracer(rate: 0).isOn)
    #expect((1...1_000).allSatisfy { SlotTracer(rate: 1).traces(Slot(UInt64($0))) })
  }

  @Test func theOldestMarksMakeRoom() {
    var tracer = SlotTracer(rate: 1)
    let count = SlotTracer.capacity + 10
    for i in 0..<count {
      tracer.note(.batched, Slot(UInt64(i)), at: Instant(nanoseconds: UInt64(i)))
    }
    #expect(tracer.remembered.map(\.slot) == (10..<UInt64(count)).map { $0 })
  }

  @Test func spansAndArrowsHaveBothEnds() throws {
    func marks(_ steps: [(TraceStep, UInt64)]) -> [TraceMark] {
      steps.map { TraceMark(slot: 5, step: $0.0, time: $0.1, commands: 0) }
    }
    // The second replica's clock is 1,000 ns behind.
    let leader = ReplicaTrace(
      replica: 1, clockOffset: 0,
      marks: marks([
        (.received, 10_000), (.batched, 11_000), (.sent, 12_000), (.persisted, 90_000),
        (.chosen, 80_000), (.applied, 81_000), (.replied, 85_000),
      ]))
    let follower = ReplicaTrace(
      replica: 2, clockOffset: 1_000, marks: marks([(.arrived, 29_000), (.voted, 69_000)]))
    // Its vote came too late to count, and it does not remember when the Accept came.
    let late = ReplicaTrace(replica: 3, clockOffset: 0, marks: marks([(.voted, 99_000)]))
    let events = try events([follower, late, leader])
    let spans = events.filter { $0.ph == "X" }
    #expect(
      Set(spans.map { "\($0.pid) \($0.name) \($0.ts!) \($0.dur!)" }) == [
        "1 batch 5 0.0 1.0", "1 persist 5 1.0 79.0", "1 replicate 5 2.0 68.0",
        "1 apply 5 70.0 1.0", "1 reply 5 71.0 4.0", "2 vote 5 20.0 40.0",
      ])
    let begins = events.filter { $0.ph == "s" }
    let ends = events.filter { $0.ph == "f" }
    #expect(begins.map { "\($0.name) \($0.pid) \($0.ts!)" } == ["accept 1 2.0", "accepted 2 60.0"])
    #expect(ends.map { "\($0.name) \($0.pid) \($0.ts!)" } == ["accept 2 20.0", "accepted 1 70.0"])
    #expect(begins.map(\.id) == ends.map(\.id) && Set(begins.map(\.id)).count == 2)
    #expect(try self.events([]).isEmpty)
  }

  @Test func aCommandsWayIsSeenOnAllReplicas() async throws {
    // Twenty commands that one leader saw from their beginning to their end. On a busy machine it may change in between:
    // then that is no trace of one leader's commands, and another cluster's is taken.
    var (leader, ballots) = (UInt32(0), Set<Ballot>())
    var cluster: RealCluster
    repeat {
      cluster = try RealCluster { $0.traceRate = 1 }
      try cluster.startAll()
      let client = cluster.client
      for i in 1...20 as ClosedRange<UInt64> { _ = try await client.put(i, [UInt8(i)]) }
      await client.close()
      leader = try await cluster.leader()
      ballots = []
      for number in 1...3 as ClosedRange<UInt32> {
        ballots.insert(try #require(try await cluster.status(number)).ballot)
      }
      if ballots.map(\.round) != [1] { try await cluster.stopAll() }
    } while ballots.map(\.round) != [1]
    var traces: [ReplicaTrace] = []
    for number in 1...3 as ClosedRange<UInt32> {
      traces.append(try await cluster.node(number).trace())
    }
    let spans = try events(traces).filter { $0.ph == "X" }
    for part in ["batch", "persist", "replicate", "apply", "reply"] {
      #expect(spans.filter { $0.pid == leader && $0.name.hasPrefix(part) }.count >= 20, "\(part)")
    }
    // One of the two may have been slow, but somebody voted for each command.
    #expect(spans.filter { $0.pid != leader && $0.name.hasPrefix("vote") }.count >= 20)
    let arrows = try events(traces).filter { $0.ph == "s" && $0.name == "accept" }
    #expect(arrows.count >= 20 && arrows.allSatisfy { $0.pid == leader })
    try await cluster.stopAll()
  }

  @Test func whoDoesNotTraceSaysSo() async throws {
    let cluster = try RealCluster(1)
    try cluster.startAll()
    let node = try cluster.node(1)
    await #expect(throws: AdminRefusal.self) { try await node.trace() }
    try await cluster.stopAll()
  }
}
