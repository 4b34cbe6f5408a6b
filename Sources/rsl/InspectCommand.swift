import ArgumentParser
import Foundation
import RealRuntime

/// What lies in a replica's directory, for whoever has to decide what to do with it.
struct Inspect: ParsableCommand {
  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  static let configuration = CommandConfiguration(
    abstract: "Say what a stopped replica's directory holds, and whether it is whole.",
    discussion:
      "Reads only. Exit status 2 when something is damaged, 1 when there is nothing to inspect.")

  @Argument(help: "The data directory.") var directory: String
  @Option(help: "text or json.") var format = Format.text

  func run() throws {
    let found: DirectoryInspection
    do { found = try DirectoryInspection(directory: directory) } catch {
      throw CommandFailure(.usage, "\(error)")
    }
    switch format {
    case .text: print(InspectText.lines(found).joined(separator: "\n"))
    case .json:
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(found), as: UTF8.self))
    }
    guard found.problems.isEmpty else {
      throw CommandFailure(.safety, "damaged: \(found.problems.joined(separator: "; "))")
    }
  }
}

enum InspectText {
  static func lines(_ found: DirectoryInspection) -> [String] {
    var lines = ["\(found.directory): cluster \(found.cluster), replica \(found.replica)"]
    for segment in found.segments {
      lines.append("journal \(segment.number): \(segment.bytes) bytes, " + contents(segment))
    }
    if let journal = found.journal {
      lines.append(
        "journal ends at segment \(journal.endSegment), byte \(journal.endOffset), record \(journal.lastRecord): "
          + "promised \(journal.promised), chosen up to \(journal.chosenUpTo), highest slot \(journal.highestSlot), "
          + "\(journal.slots) slots above the snapshot")
      lines.append(
        journal.tornBytes == 0
          ? "nothing behind the end"
          : "torn tail: \(journal.tornBytes) bytes behind the end that were never acknowledged")
    }
    if let doubt = found.doubt {
      lines.append("a replica that starts from this does not vote at first: \(doubt)")
    }
    for snapshot in found.snapshots {
      let head =
        snapshot.slot.map {
          "version \(snapshot.version ?? 0), slot \($0), \(snapshot.contentBytes ?? 0) bytes"
            + (snapshot.blocks.map { " in \($0) blocks" } ?? "")
            + ", CRC32C \(snapshot.checksum ?? "-")"
        } ?? "no head"
      let state = snapshot.problem.map { "not whole, \($0)" } ?? "whole"
      lines.append("\(snapshot.file): \(head), \(state)")
    }
    for recording in found.recordings {
      lines.append("recordings/\(recording.name): \(recording.bytes) bytes")
    }
    return lines
  }

  private static func contents(_ segment: DirectoryInspection.Segment) -> String {
    if let problem = segment.headerProblem { return "no header (\(problem))" }
    let records: String
    switch (segment.firstRecord, segment.lastRecord) {
    case (let first?, let last?): records = "records \(first) to \(last)"
    case (let first?, nil): records = "records from \(first)"
    default: records = "no records"
    }
    return records
      + "; begun in epoch \(segment.epoch ?? 0), promised \(segment.promised ?? "-"), chosen up to "
      + "\(segment.chosenUpTo ?? 0), snapshot \(segment.snapshotSlot ?? 0), highest slot before \(segment.highestSlotBefore ?? 0)"
  }
}
