internal import Foundation

/// Traces of several replicas as one file for ui.perfetto.dev or chrome://tracing (the JSON trace event format).
///
/// Each replica is a process. A traced batch is a span on the tracks it occupies: what waits for the journal, for the members
/// and for the state machine at the same time lies on different ones. Arrows lead from the leader's sending to each
/// follower's journal, and from its vote back.
public enum PerfettoTrace {
  private enum Track: Int, CaseIterable {
    case batching = 1
    case journal, members, machine

    var name: String {
      switch self {
      case .batching: "batching"
      case .journal: "journal"
      case .members: "members"
      case .machine: "state machine and replies"
      }
    }
  }

  private struct Event: Encodable {
    var name: String
    var cat: String?
    var ph: String
    var pid: UInt32
    var tid: Int
    /// In microseconds.
    var ts: Double?
    var dur: Double?
    /// Of a flow.
    var id: UInt64?
    var bp: String?
    var args: [String: String]?
  }

  /// The marks of one slot on one replica, in nanoseconds since the earliest mark of all.
  private typealias Times = [TraceStep: UInt64]

  /// The bytes of the file. Marks whose other end was not remembered are left out.
  public static func json(_ traces: [ReplicaTrace]) throws -> [UInt8] {
    struct File: Encodable {
      var displayTimeUnit = "ns"
      var traceEvents: [Event]
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(File(traceEvents: events(traces))))
  }

  private static func events(_ traces: [ReplicaTrace]) -> [Event] {
    let traces = traces.sorted { $0.replica < $1.replica }
    let origin = traces.flatMap { trace in trace.marks.map { Int64($0.time) &+ trace.clockOffset } }
      .min()
    guard let origin else { return [] }
    var events: [Event] = []
    var ways: [[UInt64: (times: Times, commands: UInt64)]] = []
    for trace in traces {
      events.append(name("process_name", "replica \(trace.replica)", trace.replica, 0))
      for track in Track.allCases {
        events.append(name("thread_name", track.name, trace.replica, track.rawValue))
      }
      var way: [UInt64: (times: Times, commands: UInt64)] = [:]
      for mark in trace.marks {
        let time = UInt64(Int64(mark.time) &+ trace.clockOffset &- origin)
        way[mark.slot, default: ([:], 0)].times[mark.step] = time
        way[mark.slot]!.commands = max(way[mark.slot]!.commands, mark.commands)
      }
      ways.append(way)
    }
    for (trace, way) in zip(traces, ways) {
      for (slot, entry) in way.sorted(by: { $0.key < $1.key }) {
        events += spans(slot, entry.times, entry.commands, trace.replica)
      }
    }
    for (leader, way) in zip(traces, ways) {
      for (slot, entry) in way.sorted(by: { $0.key < $1.key }) {
        guard let sent = entry.times[.sent], let chosen = entry.times[.chosen] else { continue }
        for (follower, other) in zip(traces, ways) where follower.replica != leader.replica {
          guard let times = other[slot]?.times, let arrived = times[.arrived],
            let voted = times[.voted]
          else { continue }
          let id = slot << 8 | UInt64(follower.replica & 0x7F) << 1
          events += arrow(
            "accept", id, from: (leader.replica, .members, sent),
            to: (follower.replica, .journal, arrived))
          // The vote that came after the slot was chosen leads nowhere.
          if voted <= chosen {
            events += arrow(
              "accepted", id | 1, from: (follower.replica, .journal, voted),
              to: (leader.replica, .members, chosen))
          }
        }
      }
    }
    return events
  }

  private static func spans(
    _ slot: UInt64, _ times: Times, _ commands: UInt64, _ replica: UInt32
  ) -> [Event] {
    let parts: [(Track, String, TraceStep, TraceStep)] = [
      (.batching, "batch", .received, .batched), (.journal, "persist", .batched, .persisted),
      (.members, "replicate", .sent, .chosen), (.machine, "apply", .chosen, .applied),
      (.machine, "reply", .applied, .replied), (.journal, "vote", .arrived, .voted),
    ]
    return parts.compactMap { track, name, from, to in
      guard let begin = times[from], let end = times[to], end >= begin else { return nil }
      var args = ["slot": "\(slot)"]
      if commands > 0 { args["commands"] = "\(commands)" }
      return Event(
        name: "\(name) \(slot)", cat: name, ph: "X", pid: replica, tid: track.rawValue,
        ts: microseconds(begin), dur: microseconds(end - begin), args: args)
    }
  }

  private static func arrow(
    _ name: String, _ id: UInt64, from: (UInt32, Track, UInt64), to: (UInt32, Track, UInt64)
  ) -> [Event] {
    [
      Event(
        name: name, cat: "flow", ph: "s", pid: from.0, tid: from.1.rawValue,
        ts: microseconds(from.2), id: id),
      Event(
        name: name, cat: "flow", ph: "f", pid: to.0, tid: to.1.rawValue, ts: microseconds(to.2),
        id: id, bp: "e"),
    ]
  }

  private static func name(_ kind: String, _ name: String, _ pid: UInt32, _ tid: Int) -> Event {
    Event(name: kind, ph: "M", pid: pid, tid: tid, args: ["name": name])
  }

  private static func microseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1_000 }
}
