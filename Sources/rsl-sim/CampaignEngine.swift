import Foundation
import Simulator

/// Runs the seeds of a campaign on several threads, in child processes (a crash is then an outcome)
/// or in this one.
///
/// The threads share two things, each behind the same lock: which seeds are left, and the books.
final class CampaignEngine: @unchecked Sendable {
  enum Seeds {
    case range(ClosedRange<UInt64>)
    /// From the first on until the time is over.
    case duration(first: UInt64, nanoseconds: UInt64)

    var first: UInt64 {
      switch self {
      case .range(let range): range.lowerBound
      case .duration(let first, _): first
      }
    }
  }

  let seeds: Seeds
  let settings: RunSettings
  let jobs: Int
  var isIsolated = true
  var isFailFast = false
  /// Neither progress nor failures are shown.
  var isQuiet = false
  /// A seed without an end after so many milliseconds is a crash. Only in child processes.
  var seedTimeout: Int32 = 120_000

  private let lock = NSLock()
  private let started: UInt64
  private(set) var wallNanoseconds: UInt64 = 0
  // Behind the lock.
  private var next: UInt64?
  /// No seed above this one is begun any more.
  private var last: UInt64
  private var isOver = false
  private var books = CampaignTally()
  private var problem: (any Error)?
  private var shown: UInt64 = 0

  /// Seeds that one child runs; what is left of a chunk after a crash goes to another child.
  private static let chunk: UInt64 = 64
  private static let stackSize = 16 << 20

  init(seeds: Seeds, settings: RunSettings, jobs: Int) {
    self.seeds = seeds
    self.settings = settings
    self.jobs = max(1, jobs)
    next = seeds.first
    switch seeds {
    case .range(let range): last = range.upperBound
    case .duration: last = .max
    }
    started = Stopwatch.wall
  }

  /// The books so far.
  var tally: CampaignTally { lock.withLock { books } }

  /// Ended before all seeds were run.
  var isCutShort: Bool { isFailFast && tally.failures > 0 }

  /// Runs everything; returns when the last seed has ended.
  func run() throws {
    Self.parallel(jobs) { self.work() }
    wallNanoseconds = Stopwatch.wall - started
    if !isQuiet && Terminal.errorIsTerminal { Terminal.clearProgress() }
    if let problem { throw problem }
  }

  /// Runs `body` on `count` threads with large stacks, and waits for all of them.
  static func parallel(_ count: Int, _ body: @escaping @Sendable () -> Void) {
    let group = DispatchGroup()
    for _ in 0..<count {
      group.enter()
      let thread = Thread {
        body()
        group.leave()
      }
      thread.stackSize = stackSize
      thread.start()
    }
    group.wait()
  }

  // MARK: Work

  private var timeIsOver: Bool {
    guard case .duration(_, let limit) = seeds else { return false }
    return Stopwatch.wall - started >= limit
  }

  private func takeChunk() -> ClosedRange<UInt64>? {
    lock.withLock {
      guard !isOver, !timeIsOver, let first = next, first <= last else { return nil }
      // Small campaigns are dealt out evenly.
      var size = Self.chunk
      if case .range(let range) = seeds {
        let left = (range.upperBound - first) / UInt64(jobs * 2) + 1
        size = min(size, left)
      }
      let end = last - first < size ? last : first + size - 1
      next = end == .max ? nil : end + 1
      return first...end
    }
  }

  /// Whether a seed of a chunk in hand is still wanted.
  private func wants(_ seed: UInt64) -> Bool {
    lock.withLock { !isOver && seed <= last } && !timeIsOver
  }

  private func work() {
    while let chunk = takeChunk() {
      do {
        if isIsolated {
          try runInChildren(chunk)
        } else {
          for seed in chunk where wants(seed) {
            keep(try SeedRunner(seed: seed, settings: settings).run().record)
          }
        }
      } catch {
        lock.withLock {
          isOver = true
          if problem == nil { problem = error }
        }
      }
    }
  }

  private func runInChildren(_ chunk: ClosedRange<UInt64>) throws {
    var seeds = chunk
    while wants(seeds.lowerBound) {
      let end = try WorkerProcess(seeds, settings, timeout: seedTimeout).run { record in
        keep(record)
        return record.seed == seeds.upperBound || wants(record.seed + 1)
      }
      guard case .died(let seed, let sentence) = end else { return }
      // The time is over: it was us who ended it.
      keep(RunRecord(crashed: seed, settings, sentence: sentence))
      guard seed < seeds.upperBound else { return }
      seeds = seed + 1...seeds.upperBound
    }
  }

  private func keep(_ record: RunRecord) {
    lock.withLock {
      books.add(record)
      // Seeds below it are still run, so that the lowest failing seed is the same with any number
      // of jobs.
      if isFailFast && record.failed { last = min(last, record.seed) }
      if !isQuiet { show(record) }
    }
  }

  // MARK: What a person sees meanwhile

  private func show(_ record: RunRecord) {
    if record.failed && books.failures <= 10 {
      if Terminal.errorIsTerminal { Terminal.clearProgress() }
      Terminal.writeError(
        CampaignReport.failure(record).joined(separator: "\n") + "\n"
          + (books.failures == 10 ? "further failures are in the summary only\n" : ""))
    }
    guard Terminal.errorIsTerminal else { return }
    let now = Stopwatch.wall
    guard now - shown > 100_000_000 else { return }
    shown = now
    var line = ProgressLine(
      done: books.runs, total: nil, limitNanoseconds: nil, failures: books.failures,
      elapsedNanoseconds: now - started)
    switch seeds {
    case .range(let range): line.total = range.upperBound - range.lowerBound + 1
    case .duration(_, let limit): line.limitNanoseconds = limit
    }
    Terminal.showProgress(line.text(width: Terminal.width - 1))
  }

  // MARK: Determinism

  /// Runs some of the seeds once more, each in a process of its own, and compares the digests.
  func checkDeterminism() throws -> [DeterminismCheck] {
    let entries = tally.entries.filter { $0.outcome != .crash }
    let chosen = DeterminismCheck.selection(entries.map { $0.seed })
    let work = entries.filter { chosen.contains($0.seed) }
    let results = CheckResults(work.count)
    Self.parallel(min(jobs, max(1, work.count))) {
      while let i = results.take() { results.put(i, self.check(work[i])) }
    }
    return results.all
  }

  private func check(_ entry: CampaignTally.Entry) -> DeterminismCheck {
    var check = DeterminismCheck(seed: entry.seed, campaign: entry.digest, fresh: nil)
    do {
      let worker = try WorkerProcess(entry.seed...entry.seed, settings, timeout: seedTimeout)
      _ = try worker.run { record in
        check.fresh = record.digest
        return true
      }
      if !check.passed { check.divergence = try divergence(entry.seed) }
    } catch {
      check.divergence = "\(error)"
    }
    return check
  }

  /// Where two runs of a seed part: one alone in its process, one behind the seeds before it.
  private func divergence(_ seed: UInt64) throws -> String {
    let before = seed - min(seed - min(seed, seeds.first), Self.chunk - 1)
    func checkpoints(
      _ first: UInt64, _ every: UInt64, _ range: ClosedRange<UInt64>
    ) throws
      -> [TraceDigest.Checkpoint]
    {
      let worker = try WorkerProcess(
        first...seed, settings, timeout: seedTimeout, checkpointEvery: every, range: range)
      _ = try worker.run { _ in true }
      return worker.checkpoints
    }
    let coarse: UInt64 = 1_024
    let all: ClosedRange<UInt64> = 1...UInt64.max
    guard
      let window = DeterminismCheck.window(
        try checkpoints(seed, coarse, all), try checkpoints(before, coarse, all), every: coarse),
      let event = DeterminismCheck.window(
        try checkpoints(seed, 1, window), try checkpoints(before, 1, window), every: 1,
        agreed: window.lowerBound - 1)
    else {
      return "two further runs, alone and behind seeds \(before) to \(seed), are alike"
    }
    var simulation = PaxosSimulation.make(seed: seed, settings.options)
    while simulation.events < event.lowerBound, simulation.advance() {}
    let time = DurationText.text(simulation.world.simulatedTime.nanoseconds)
    return "alone, and behind seeds \(before) to \(seed), it parts at event \(event.lowerBound) "
      + "(at \(time)): replay \(seed) --until \(simulation.world.simulatedTime.nanoseconds)ns"
  }
}

/// Checks in the order of their seeds, filled in by several threads.
private final class CheckResults: @unchecked Sendable {
  private let lock = NSLock()
  private var next = 0
  private var results: [DeterminismCheck?]

  init(_ count: Int) { results = Array(repeating: nil, count: count) }

  func take() -> Int? {
    lock.withLock {
      guard next < results.count else { return nil }
      next += 1
      return next - 1
    }
  }

  func put(_ index: Int, _ check: DeterminismCheck) {
    lock.withLock { results[index] = check }
  }

  var all: [DeterminismCheck] { lock.withLock { results.compactMap { $0 } } }
}
