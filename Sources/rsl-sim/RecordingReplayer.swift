import Foundation
import Protocol
import Simulator

/// Replays recordings of real replicas, one file after the other.
struct RecordingReplayer {
  /// The last step to replay.
  var until: UInt64?
  /// Every step is printed.
  var isShowing = false
  var isQuiet = false
  var format = OutputFormat.table

  private let text = RecordingText()
  private var rows: [JSONValue] = []
  /// What the last file of each replica led to.
  private var ends: [(identity: JournalIdentity, nextStep: UInt64, replica: Replica)] = []

  init(until: UInt64?, isShowing: Bool, isQuiet: Bool, format: OutputFormat) {
    self.until = until
    self.isShowing = isShowing
    self.isQuiet = isQuiet
    self.format = format
  }

  /// Replays every file and answers with the gravest outcome.
  mutating func replay(_ files: [String]) -> ExitClass {
    var statuses: [ExitClass] = []
    for file in files {
      do {
        statuses.append(try replay(file))
      } catch let failure as CommandFailure {
        Terminal.complain(failure.message)
        statuses.append(failure.status)
      } catch {
        Terminal.complain("\(file): \(error)")
        statuses.append(.usage)
      }
    }
    if format == .json { Terminal.write([JSONValue.array(rows).text]) }
    return ExitClass.gravest(statuses)
  }

  private mutating func replay(_ file: String) throws -> ExitClass {
    let reader = try RecordingReader(try Files.bytes(of: file))
    var replay = try RecordingReplay(reader)
    let goesOn = followsTheLast(reader, replay.replica)
    var invalid: RecordingInvalid?
    let start = Stopwatch.wall
    do throws(RecordingInvalid) {
      while until.map({ replay.reader.nextStep <= $0 }) ?? true, let step = try replay.next() {
        if isShowing { Terminal.write(text.lines(step, replay.actual)) }
      }
    } catch {
      // What came before the damage has been replayed, and counts.
      invalid = error
    }
    let seconds = Double(Stopwatch.wall - start) / 1e9
    report(file, replay, seconds)
    if let violation = replay.replica.contracts.violation {
      Terminal.complain("\(file): step \(replay.reader.nextStep - 1) violates \(violation.id)")
      return .safety
    }
    if replay.difference != nil { return .determinism }
    if !goesOn {
      Terminal.complain("\(file): its checkpoint is not the state the file before leads to")
      return .determinism
    }
    if let invalid { throw CommandFailure("\(file): \(invalid)") }
    ends.removeAll { $0.identity == reader.header.identity }
    if replay.reader.end == .rotated {
      ends.append((reader.header.identity, replay.reader.nextStep, replay.replica))
    }
    return .passed
  }

  /// False when the file goes on where the last one of this replica ended, but in another state.
  private func followsTheLast(_ reader: RecordingReader, _ replica: Replica) -> Bool {
    guard
      let last = ends.first(where: {
        $0.identity == reader.header.identity && $0.nextStep == reader.header.firstStep
      })
    else { return true }
    return reader.begins(with: last.replica)
  }

  private mutating func report(_ file: String, _ replay: RecordingReplay, _ seconds: Double) {
    if format == .json {
      rows.append(text.json(file: file, replay, seconds: seconds))
      return
    }
    let verdict = text.verdict(replay)
    if isQuiet { return Terminal.write(["\(file)\t\(verdict)\t\(replay.steps)"]) }
    let rate = seconds > 0 ? Double(replay.steps) / seconds : 0
    let differences = replay.difference == nil ? 0 : 1
    Terminal.write(
      ["\(file): " + text.head(replay.reader.header)] + text.difference(replay) + [
        "  \(replay.steps) steps, \(replay.effects) effects, \(differences) differences;"
          + " \(Int(rate)) steps/s; " + ending(replay.reader)
      ])
  }

  private func ending(_ reader: RecordingReader) -> String {
    if let until, reader.nextStep > until { return "stopped behind step \(until)" }
    return text.end(reader)
  }
}
