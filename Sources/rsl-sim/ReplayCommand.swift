import ArgumentParser
import Foundation
import Simulator

struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Runs a seed, a seed file or a tape again, or what a real replica recorded.",
    discussion: """
      With --recording the files are a flight recorder's. Every step is taken again from the file's \
      checkpoint, and every effect compared: 0 when all are the same, 4 at the first that is not, \
      2 when a contract is violated on the way, 1 for a damaged file.

      Otherwise it runs seeds. \
      Ends with the class of the outcome: 0 passed, 2 safety, 3 liveness, 5 crash; with 4 when a \
      seed file claims another outcome, checker or digest. With --as-expected a seed file that \
      fails exactly as it claims ends with 0.
      """)

  @Argument(
    help: ArgumentHelp("Seeds, seed files or tapes; or recordings.", valueName: "seed-or-file"))
  var targets: [String]

  @OptionGroup var settings: SettingsArguments

  @Flag(help: "The files are recordings of real replicas.")
  var recording = false

  @Flag(help: "Prints every step of a recording and its effects.")
  var show = false

  @Option(
    name: .customLong("until"),
    help: ArgumentHelp(
      "Stops at this simulated time, for instance 1.5s; or behind this step of a recording.",
      valueName: "time-or-step"))
  var untilText: String?

  @Option(help: ArgumentHelp("Writes every step of the run as text.", valueName: "file"))
  var trace: String?

  @Option(name: .customLong("lines"), help: "The last so many events of each node are shown.")
  var lineCount = 24

  @Flag(help: "A seed file that fails exactly as it claims is fine.")
  var asExpected = false

  @Flag(help: "Writes what came of the runs into the seed files; review the difference.")
  var rewrite = false

  @Flag(name: .shortAndLong, help: "One line per run. Also taken for several targets.")
  var quiet = false

  @Option(help: "table or json.")
  var format = OutputFormat.table

  @Flag(help: ArgumentHelp("Runs in this process: a trap ends it.", visibility: .hidden))
  var inProcess = false

  func validate() throws {
    if lineCount < 0 { throw ValidationError("--lines must not be negative") }
    if targets.count > 1 && trace != nil {
      throw ValidationError("--trace goes with one seed or file")
    }
    if rewrite && untilText != nil { throw ValidationError("--rewrite needs the whole run") }
    if recording {
      if let untilText, UInt64(untilText) == nil {
        throw ValidationError("--until \(untilText): a recording is stopped at a step's number")
      }
      if rewrite || asExpected || trace != nil {
        throw ValidationError("--rewrite, --as-expected and --trace are for seeds")
      }
    } else {
      if let untilText, until == nil {
        throw ValidationError("--until \(untilText): a time is 1.5s, 300ms, 2m")
      }
      if show { throw ValidationError("--show is for recordings") }
    }
  }

  private var until: DurationArgument? { untilText.flatMap { DurationArgument(argument: $0) } }

  func run() throws {
    if recording {
      var replayer = RecordingReplayer(
        until: untilText.flatMap { UInt64($0) }, isShowing: show, isQuiet: quiet, format: format)
      let status = replayer.replay(targets)
      if status != .passed { throw CommandFailure.ending(with: status) }
      return
    }
    if inProcess { return try replay(targets[0]) }
    var statuses: [ExitClass] = []
    for target in targets { statuses.append(try supervise(target)) }
    let status = ExitClass.gravest(statuses)
    if status != .passed { throw CommandFailure.ending(with: status) }
  }

  // MARK: What to run

  private struct Source {
    var seed: UInt64
    var settings: RunSettings
    var tape = TapeMode.off
    var file: SeedFile?
  }

  private func source(_ target: String) throws -> Source {
    if let seed = UInt64(target) {
      guard !rewrite else {
        throw CommandFailure("--rewrite needs seed files, not the seed \(seed)")
      }
      return Source(seed: seed, settings: settings.settings)
    }
    let text = try Files.read(target)
    if SeedFile.isTape(text) {
      guard !rewrite else { throw CommandFailure("\(target): a tape claims nothing to rewrite") }
      do {
        let tape = try DecisionTape(text: text)
        return Source(
          seed: tape.seed, settings: settings.settings, tape: .replay(tape, beyondEnd: .quiet))
      } catch {
        throw CommandFailure("\(target): \(error)")
      }
    }
    do {
      let file = try SeedFile(parsing: text)
      return Source(seed: file.seed, settings: settings.overriding(file.settings), file: file)
    } catch {
      throw CommandFailure("\(target): \(error)")
    }
  }

  // MARK: In this process

  private func replay(_ target: String) throws {
    let source = try source(target)
    var runner = SeedRunner(seed: source.seed, settings: source.settings)
    runner.tape = source.tape
    runner.traceFile = trace
    runner.until = until?.nanoseconds
    runner.linesPerNode = quiet ? 0 : lineCount
    let (result, record, hasEnded) = try runner.run()
    if rewrite, let file = source.file {
      let rewritten = file.rewritten(for: record)
      if rewritten != file { try Files.write(rewritten.text, to: target) }
      Terminal.write([(rewritten == file ? "unchanged " : "rewritten ") + target])
      // What it no longer reaches cannot be rewritten: the file needs another seed.
      return try compare(rewritten.differences(from: record), target)
    }
    let text = ReplayText(result, record, hasEnded: hasEnded)
    if format == .json {
      Terminal.write([text.json.text])
    } else if !quiet {
      Terminal.write(text.lines)
    }
    guard hasEnded else { return }
    try judge(record, source.file, target)
  }

  /// Compares with what the file claims, and ends the command accordingly.
  private func judge(_ record: RunRecord, _ file: SeedFile?, _ target: String) throws {
    let isChanged = file.map { $0.settings != record.settings } ?? false
    let differences = isChanged ? [] : file?.differences(from: record) ?? []
    if quiet && format == .table {
      let verdict = differences.isEmpty ? record.outcome.rawValue : "not as recorded"
      Terminal.write(["\(target)\t\(verdict)\t\(record.digestText)"])
    }
    try compare(differences, target)
    let isExpected = asExpected && file != nil && !isChanged
    if record.failed && !isExpected {
      throw CommandFailure.ending(with: ExitClass(record.outcome))
    }
  }

  private func compare(_ differences: [String], _ target: String) throws {
    guard !differences.isEmpty else { return }
    Terminal.complain("\(target): not as recorded: \(differences.joined(separator: "; "))")
    throw CommandFailure.ending(with: .determinism)
  }

  // MARK: In a child

  /// Replays a target in a child, so that a trap is an outcome too.
  private func supervise(_ target: String) throws -> ExitClass {
    let source: Source
    do {
      source = try self.source(target)
    } catch let failure as CommandFailure where targets.count > 1 {
      Terminal.complain(failure.message)
      return failure.status
    }
    let child = try ChildProcess(arguments(target), output: .inherited)
    switch child.wait() {
    case .exited(let code): return ExitClass(rawValue: code) ?? .crash
    case .killed(let signal):
      let sentence = ChildProcess.Termination.killed(signal: signal).description
      let record = RunRecord(crashed: source.seed, source.settings, sentence: sentence)
      try tellCrash(record, target)
      do {
        try judge(record, source.file, target)
      } catch let failure as CommandFailure {
        return failure.status
      }
      return .passed
    }
  }

  private func arguments(_ target: String) -> [String] {
    var arguments = [
      "replay", "--in-process", "--format", format.rawValue, "--lines", "\(lineCount)",
    ]
    arguments += settings.overriding(RunSettings()).arguments
    if settings.profile == .swarm { arguments += ["--profile", "swarm"] }
    if let until { arguments += ["--until", "\(until.nanoseconds)ns"] }
    if let trace { arguments += ["--trace", trace] }
    if asExpected { arguments.append("--as-expected") }
    if rewrite { arguments.append("--rewrite") }
    if quiet || targets.count > 1 { arguments.append("--quiet") }
    return arguments + ["--", target]
  }

  /// What can be said about a run whose process died: the last of what it traced, in a second
  /// attempt if need be.
  private func tellCrash(_ record: RunRecord, _ target: String) throws {
    if format == .json { return Terminal.write([record.json.text]) }
    guard !quiet, targets.count == 1 else { return }
    let folder = try Files.temporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    var path = trace
    if path == nil {
      let file = folder.appending(path: "trace").path
      let child = try ChildProcess(
        arguments(target).dropLast(2) + ["--trace", file, "--", target], output: .discarded,
        errorFile: "/dev/null")
      _ = child.wait()
      path = file
    }
    let lines = path.flatMap { try? String(contentsOfFile: $0, encoding: .utf8) } ?? ""
    let last = lines.split(separator: "\n").suffix(lineCount)
    Terminal.write(
      ["CRASH seed \(record.seed): \(record.violation?.sentence ?? "")", "", "last events"]
        + last.map { "  \($0)" } + ["", "outcome crash", record.replayCommand])
  }
}
