#if Runtime
  import Glibc
  import Protocol
  import RealRuntime

  /// How long the loop stands still because of a snapshot: a copy of the state shares everything with it, and what is changed
  /// afterwards is copied first. A million keys, and as many sessions as there may be.
  func measureStall() -> [Figure] {
    var state = StallState()
    var figures: [Figure] = []
    func note(_ name: String, _ value: Double, _ unit: String) {
      figures.append(Figure(.stall, name, value, unit))
    }
    let quiet = state.batches()
    note("a batch, median", quiet.median, "us")
    note("a batch, longest", quiet.longest, "us")
    let begin = wallSeconds()
    let source = state.application.snapshot()
    note("taking the snapshot", (wallSeconds() - begin) * 1e6, "us")
    let first = state.batch()
    let shared = state.batches()
    note("the first batch behind it", first, "us")
    note("a batch behind it, median", shared.median, "us")
    note("a batch behind it, longest", max(first, shared.longest), "us")
    withExtendedLifetime(source) {}
    return figures
  }

  /// Wall clock: what a client waits, page faults included.
  private func wallSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private struct StallState {
    static let keys: UInt64 = 1_000_000
    static let sessions = 4_096
    static let batchCommands = 256
    static let batches = 2_000

    var application = Application(machine: ByteStore(), limits: .init(sessionsMax: Self.sessions))
    private var slot = Slot.zero
    private var random = SeededRandom(seed: 1)
    private var replies = ReplyBuffer()
    private var sequences = [UInt64](repeating: 0, count: Self.sessions)
    private var session = 0
    private var bytes: [UInt8] = []

    init() {
      for nonce in 0..<Self.sessions {
        bytes.removeAll(keepingCapacity: true)
        Command.encodeRegistration(nonce: UInt64(nonce + 1), into: &bytes)
        apply()
      }
      var key: UInt64 = 0
      while key < Self.keys {
        bytes.removeAll(keepingCapacity: true)
        for _ in 0..<Self.batchCommands {
          put(key)
          key += 1
        }
        apply()
      }
    }

    private mutating func apply() {
      slot = slot.next
      replies.removeAll()
      do throws(CommandInvalid) { try perform() } catch { preconditionFailure("\(error)") }
    }

    private mutating func perform() throws(CommandInvalid) {
      let batch = bytes
      var replies = ReplyBuffer()
      swap(&replies, &self.replies)
      try application.apply(slot, batch.span.bytes, into: &replies)
      swap(&replies, &self.replies)
    }

    private mutating func put(_ key: UInt64) {
      var command: [UInt8] = []
      let value = [UInt8](repeating: UInt8(truncatingIfNeeded: key), count: 64)
      ByteStore.encodePut(key, value: value.span.bytes, into: &command)
      session = (session + 1) % Self.sessions
      sequences[session] += 1
      Command.encode(
        session: SessionID(UInt64(session + 1) << 16),
        sequence: SequenceNumber(sequences[session]),
        acknowledgedUpTo: SequenceNumber(sequences[session] - 1), payload: command.span.bytes,
        into: &bytes)
    }

    /// Applies a batch of puts of keys drawn at random; microseconds.
    mutating func batch() -> Double {
      bytes.removeAll(keepingCapacity: true)
      for _ in 0..<Self.batchCommands { put(random.next(below: Self.keys)) }
      let begin = wallSeconds()
      apply()
      return (wallSeconds() - begin) * 1e6
    }

    mutating func batches() -> (median: Double, longest: Double) {
      let times = (0..<Self.batches).map { _ in batch() }.sorted()
      return (times[times.count / 2], times.last!)
    }
  }
#else
  /// Without the trait Runtime there is no machine to measure.
  func measureStall() -> [Figure] { [] }
#endif
