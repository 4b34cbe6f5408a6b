import Foundation
import Protocol
import RSLClient
import RealRuntime
import Synchronization

/// By key, how many of its writes were acknowledged: the cluster's own count of them may never be less.
struct AcknowledgedWrites {
  var puts: [UInt64: UInt64]

  init(_ puts: [UInt64: UInt64]) { self.puts = puts }

  /// From what `line` wrote, the highest count of each key; other lines, and one that is cut short, say nothing.
  init(text: String) {
    puts = [:]
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.split(separator: " ")
      guard words.first == Self.begin, words.last == Self.end else { continue }
      for word in words.dropFirst().dropLast() {
        let parts = word.split(separator: ":").compactMap { UInt64($0) }
        if parts.count == 2 { puts[parts[0]] = max(puts[parts[0]] ?? 0, parts[1]) }
      }
    }
  }

  private static let (begin, end): (Substring, Substring) = ("acknowledged", ".")

  /// All of it on one line, which shows where it ends.
  var line: String {
    let pairs = puts.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }
    return ([String(Self.begin)] + pairs + [String(Self.end)]).joined(separator: " ")
  }

  var count: UInt64 { puts.values.reduce(0, +) }

  /// How many of these writes cannot be read back.
  func lost(_ client: Client) async -> Int {
    var lost = 0
    for (key, count) in puts {
      var query: [UInt8] = []
      ByteStore.encodeGet(key, into: &query)
      guard let reply = try? await client.read(query), reply.bytes.count >= 8 else {
        lost += Int(count)
        continue
      }
      let found = reply.bytes.prefix(8).enumerated().reduce(UInt64(0)) {
        $0 | UInt64($1.element) << UInt64(8 * $1.offset)
      }
      if found < count { lost += Int(count - found) }
    }
    return lost
  }
}

/// What the cluster has acknowledged, and when.
final class Ledger: Sendable {
  private struct State {
    var count = 0
    var unknown = 0
    var highestSlot: UInt64 = 0
    /// By key: how many puts were acknowledged at least.
    var puts: [UInt64: UInt64] = [:]
    var lastAt = ContinuousClock.now
    var gap = Duration.zero
    var latencies: [Duration] = []
  }

  private static let latenciesMax = 1 << 18
  private let state = Mutex(State())

  var count: Int { state.withLock { $0.count } }
  var unknown: Int { state.withLock { $0.unknown } }
  var highestSlot: UInt64 { state.withLock { $0.highestSlot } }
  var acknowledged: [UInt64: UInt64] { state.withLock { $0.puts } }

  func acknowledge(_ key: UInt64, puts: UInt64, slot: Slot, took: Duration) {
    state.withLock { state in
      let now = ContinuousClock.now
      state.gap = max(state.gap, now - state.lastAt)
      state.lastAt = now
      state.count += 1
      state.highestSlot = max(state.highestSlot, slot.rawValue)
      state.puts[key] = max(state.puts[key] ?? 0, puts)
      if state.latencies.count < Self.latenciesMax { state.latencies.append(took) }
    }
  }

  func noteUnknown() { state.withLock { $0.unknown += 1 } }

  func beginOutage() { state.withLock { $0.gap = .zero } }

  /// The longest time without an acknowledgement since `beginOutage`, in seconds.
  func longestGap() -> Double { state.withLock { $0.gap / .seconds(1) } }

  /// In seconds.
  func latency(_ share: Double) -> Double {
    let sorted = state.withLock { $0.latencies }.sorted()
    return sorted.isEmpty ? 0 : sorted[Int(Double(sorted.count - 1) * share)] / .seconds(1)
  }
}

/// Writers of their own keys, each as fast as the cluster answers.
struct Writers: Sendable {
  let client: Client
  let ledger: Ledger

  init(_ client: Client, _ ledger: Ledger) {
    self.client = client
    self.ledger = ledger
  }

  func run(_ count: Int) async {
    await withTaskGroup { group in
      for writer in 0..<count {
        group.addTask {
          while !Task.isCancelled { await write(UInt64(writer)) }
        }
      }
    }
  }

  private func write(_ key: UInt64) async {
    var command: [UInt8] = []
    ByteStore.encodePut(key, value: [UInt8](repeating: 7, count: 48).span.bytes, into: &command)
    let begin = ContinuousClock.now
    do throws(ClientError) {
      let reply = try await client.execute(command)
      guard reply.bytes.count == 8 else { return ledger.noteUnknown() }
      let puts = reply.bytes.enumerated().reduce(UInt64(0)) {
        $0 | UInt64($1.element) << UInt64(8 * $1.offset)
      }
      ledger.acknowledge(key, puts: puts, slot: reply.slot, took: ContinuousClock.now - begin)
    } catch {
      if case .unknownOutcome = error { ledger.noteUnknown() }
    }
  }
}
