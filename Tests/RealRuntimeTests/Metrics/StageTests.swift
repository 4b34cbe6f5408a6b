import Foundation
import Protocol
import Synchronization
import Testing

@testable import RealRuntime

@Suite struct StageTests {
  @Test func quantilesAreWithinOnePercent() {
    var stages = StageHistograms()
    for value: UInt64 in 1...10_000 { stages.record(.chosen, nanoseconds: value * 1_000) }
    stages.record(.applied, nanoseconds: 7_000, count: 3)
    #expect(stages.count(of: .chosen) == 10_000)
    #expect(stages.count(of: .applied) == 3)
    #expect(stages.sum(of: .applied) == 21_000)
    for (share, exact) in [(0.5, 5_000_000.0), (0.99, 9_900_000), (0.999, 9_990_000)] {
      #expect(abs(Double(stages.quantile(share, of: .chosen)) / exact - 1) < 0.01)
    }
    #expect(stages.quantile(0.5, of: .replied) == 0)
  }

  @Test func whatIsLongerThanAMinuteCountsAsAMinute() {
    var stages = StageHistograms()
    stages.record(.replied, nanoseconds: .max, count: 2)
    #expect(stages.count(of: .replied) == 2)
    #expect(stages.longest(of: .replied) >= StageHistograms.longest)
    #expect(stages.sum(of: .replied) == 2 * StageHistograms.longest)
  }

  /// A loop in a thread of its own that records all the time; `wake` lets it turn.
  private final class Loop: Sendable {
    let board = StageBoard()
    private let turns = DispatchSemaphore(value: 0)
    private let isStopped = Atomic<Bool>(false)

    init(perTurn: UInt64) {
      Thread.detachNewThread { [board, turns, self] in
        var stages = StageHistograms()
        while true {
          turns.wait()
          if isStopped.load(ordering: .relaxed) { return }
          for _ in 0..<perTurn { stages.record(.received, nanoseconds: 1_000) }
          board.publishIfAsked(&stages)
        }
      }
    }

    @Sendable func wake() { turns.signal() }

    func stop() {
      isStopped.store(true, ordering: .relaxed)
      turns.signal()
    }
  }

  @Test func everythingRecordedIsReadOnce() async {
    let loop = Loop(perTurn: 100)
    defer { loop.stop() }
    for turn: UInt64 in 1...50 {
      let reading = await loop.board.reading(now: .zero, wake: loop.wake)
      #expect(reading.counts[Stage.received.place] == turn * 100)
      #expect(reading.recent.count(of: .received) == turn * 100)
    }
  }

  @Test func manyReadersLoseNothing() async {
    let loop = Loop(perTurn: 1)
    defer { loop.stop() }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<100 {
        group.addTask { _ = await loop.board.reading(now: .zero, wake: loop.wake) }
      }
    }
    // One turn for each call that had to wait, and no call waits for another one's turn for ever.
    let before = await loop.board.reading(now: .zero, wake: loop.wake)
    let after = await loop.board.reading(now: .zero, wake: loop.wake)
    let place = Stage.received.place
    #expect(after.counts[place] > before.counts[place] && after.counts[place] <= 102)
  }

  @Test func quantilesForgetWhatIsOlderThanTwoWindows() async {
    let loop = Loop(perTurn: 10)
    defer { loop.stop() }
    let window = StageBoard.window
    let times: [(at: Instant, recent: UInt64)] = [
      (.zero, 10), (.zero + window, 20), (.zero + window * 2, 20), (.zero + window * 9, 10),
    ]
    for (turn, time) in times.enumerated() {
      let reading = await loop.board.reading(now: time.at, wake: loop.wake)
      #expect(reading.recent.count(of: .received) == time.recent)
      #expect(reading.counts[Stage.received.place] == UInt64(turn + 1) * 10)
    }
  }

  @Test func theSummaryIsWritten() async {
    let board = StageBoard()
    var stages = StageHistograms()
    stages.record(.persisted, nanoseconds: 2_000_000, count: 4)
    let reading = await withTaskGroup(of: StageBoard.Reading.self) { group in
      let (asked, ask) = AsyncStream.makeStream(of: Void.self)
      group.addTask { await board.reading { ask.yield() } }
      for await _ in asked {
        board.publishIfAsked(&stages)
        ask.finish()
      }
      return await group.next()!
    }
    var text = PrometheusText()
    reading.write(into: &text)
    let lines = text.text.split(separator: "\n")
    #expect(lines.contains("# TYPE rsl_stage_latency_seconds summary"))
    #expect(lines.contains("rsl_stage_latency_seconds_sum{stage=\"persisted\"} 0.008"))
    #expect(lines.contains("rsl_stage_latency_seconds_count{stage=\"persisted\"} 4"))
    #expect(lines.contains("rsl_stage_latency_seconds_count{stage=\"replied\"} 0"))
    let median = lines.first { $0.contains("persisted\",quantile=\"0.5\"") }
    let value = Double(median?.split(separator: " ").last ?? "")
    #expect(value.map { abs($0 / 0.002 - 1) < 0.01 } == true)
    #expect(!lines.contains { $0.contains("replied\",quantile") })
  }
}
