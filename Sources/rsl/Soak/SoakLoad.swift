import Foundation
import Protocol
import RSLClient
import RealRuntime
import Synchronization

/// Clients that put and get, each one operation at a time, as often in a second as they are told altogether, and write
/// down what they asked and what they were answered.
final class SoakLoad: Sendable {
  struct Counts {
    var acknowledged = 0
    var unknown = 0
    var refused = 0
    /// Answers that no put or get of this store has.
    var malformed = 0
    /// The longest time without an acknowledgement since it was last asked for.
    var gap = Duration.zero
    var lastAt = ContinuousClock.now
    var highestSlot: UInt64 = 0
  }

  /// So long that whatever is survived is answered, and what is not answered is worth a pending operation.
  private static let timeout = TimeSpan.seconds(30)
  private static let workersPerClient = 16

  private let folder: String
  private let clients: [Client]
  private let workers: Int
  private let rate: Double
  private let modes: [ReadMode]
  private let isEnding = Atomic<Bool>(false)
  private let counts = Mutex(Counts())
  private let parts: Mutex<[SoakHistory]>

  /// - Parameter modes: of reads, drawn evenly.
  init(
    _ configuration: ClientConfiguration, folder: String, workers: Int, rate: Double,
    modes: [ReadMode]
  ) throws {
    (self.folder, self.workers, self.rate, self.modes) = (folder, workers, rate, modes)
    let count = (workers + Self.workersPerClient - 1) / Self.workersPerClient
    clients = (0..<count).map { _ in Client(configuration, timeout: Self.timeout) }
    parts = Mutex([try SoakHistory(number: 1, folder: folder)])
  }

  var acknowledged: Int { counts.withLock { $0.acknowledged } }
  var totals: Counts { counts.withLock { $0 } }
  var histories: [SoakHistory] { parts.withLock { $0 } }

  /// The longest time without an acknowledgement since the last call, in seconds.
  func takeGap() -> Double {
    counts.withLock { counts in
      let gap = max(counts.gap, ContinuousClock.now - counts.lastAt)
      counts.gap = .zero
      return gap / .seconds(1)
    }
  }

  /// Operations that begin from now on go to keys and a file of their own.
  func beginPart() throws {
    let next = try SoakHistory(number: histories.count + 1, folder: folder)
    parts.withLock { $0.append(next) }
  }

  /// Until `end` is called; every operation has ended when this returns.
  func run() async {
    await withTaskGroup { group in
      for worker in 0..<workers {
        group.addTask { [self] in await work(worker) }
      }
    }
  }

  /// No operation begins any more.
  func end() { isEnding.store(true, ordering: .relaxed) }

  func close() async { for client in clients { await client.close() } }

  private func work(_ worker: Int) async {
    let interval = Duration.seconds(Double(workers) / rate)
    var process = worker
    var number = 0
    var next = ContinuousClock.now
    while !isEnding.load(ordering: .relaxed) {
      number += 1
      let part = parts.withLock { $0[$0.count - 1] }
      let place = Int.random(in: 0..<SoakHistory.keyCount)
      if Bool.random() {
        let isKnown = await put(part, place, "\(process).\(number)", process)
        // What is of unknown outcome stays under way for ever, and its process does nothing else.
        if !isKnown { process += workers }
      } else {
        await get(part, place, process, modes.randomElement() ?? .quorum)
      }
      next = max(next + interval, .now - interval)
      try? await Task.sleep(until: next, clock: .continuous)
    }
  }

  /// False when nobody knows whether it was performed.
  private func put(
    _ part: SoakHistory, _ place: Int, _ value: String, _ process: Int
  ) async -> Bool {
    var command: [UInt8] = []
    ByteStore.encodePut(part.key(place), value: Array(value.utf8).span.bytes, into: &command)
    part.invoke(process, .put, place, value)
    do throws(ClientError) {
      let reply = try await client(process).execute(command)
      let count = reply.bytes.count == 8 ? Self.word(reply.bytes) : nil
      part.end(process, .ok, .put, place, value)
      part.acknowledged(place, count: count)
      noteReply(reply.slot, isMalformed: count == nil)
    } catch {
      switch error {
      case .replyLost:
        part.end(process, .ok, .put, place, value)
        part.acknowledged(place, count: nil)
      case .unknownOutcome:
        part.end(process, .info, .put, place, value)
        part.unknown(place)
        counts.withLock { $0.unknown += 1 }
        return false
      case .overloaded, .unavailable, .tooLarge, .leasesDisabled, .noRoom, .cancelled,
        .closed:
        part.end(process, .fail, .put, place, value)
        counts.withLock { $0.refused += 1 }
      }
    }
    return true
  }

  /// The number of puts that the key has seen, and its value; nil when there was no answer.
  @discardableResult
  func get(
    _ part: SoakHistory, _ place: Int, _ process: Int, _ mode: ReadMode
  ) async -> UInt64? {
    var query: [UInt8] = []
    ByteStore.encodeGet(part.key(place), into: &query)
    part.invoke(process, .get, place, nil)
    do throws(ClientError) {
      let reply = try await client(process).read(query, mode: mode)
      // Empty for a key that was never put.
      let isMalformed = !reply.bytes.isEmpty && reply.bytes.count < 8
      let value =
        reply.bytes.count < 8 ? nil : String(decoding: reply.bytes[8...], as: UTF8.self)
      part.end(process, .ok, .get, place, value)
      noteReply(reply.slot, isMalformed: isMalformed)
      return reply.bytes.count < 8 ? 0 : Self.word(reply.bytes)
    } catch {
      part.end(process, .fail, .get, place, nil)
      counts.withLock { $0.refused += 1 }
      return nil
    }
  }

  private func client(_ process: Int) -> Client { clients[process % workers % clients.count] }

  private func noteReply(_ slot: Slot, isMalformed: Bool) {
    counts.withLock { counts in
      let now = ContinuousClock.now
      counts.gap = max(counts.gap, now - counts.lastAt)
      counts.lastAt = now
      counts.acknowledged += 1
      counts.highestSlot = max(counts.highestSlot, slot.rawValue)
      if isMalformed { counts.malformed += 1 }
    }
  }

  private static func word(_ bytes: [UInt8]) -> UInt64 {
    bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
  }
}

extension SoakLoad {
  /// What reading every key back has shown.
  struct Audit {
    var keys = 0
    var puts: UInt64 = 0
    /// Acknowledged puts that are not there, and keys that could not be read.
    var lost: UInt64 = 0
    var unread = 0
    /// Puts that are there and were neither acknowledged nor of unknown outcome.
    var unasked: UInt64 = 0
  }

  /// Reads every key of every part, into the histories as well: a get that finds what no order of the operations explains
  /// is for the checker to find; here the puts are counted.
  func audit() async -> Audit {
    var audit = Audit()
    // A process that never did anything else.
    let process = Int(Int32.max) / workers * workers
    for part in histories {
      for place in 0..<SoakHistory.keyCount {
        let tally = part.tally(place)
        audit.keys += 1
        audit.puts += tally.acknowledged
        guard let found = await get(part, place, process, .quorum) else {
          audit.unread += 1
          audit.lost += tally.acknowledged
          continue
        }
        let least = max(tally.acknowledged, tally.highest)
        if found < least { audit.lost += least - found }
        let most = tally.acknowledged + tally.unknown
        if found > most { audit.unasked += found - most }
      }
    }
    return audit
  }
}
