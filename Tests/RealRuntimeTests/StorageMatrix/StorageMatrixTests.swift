import Foundation
import Testing

@testable import RealRuntime

/// Every file × every field × {flip, zero, EIO, cut}, one at a time, in the directory of a real replica: it is found, and with two
/// sound peers it is repaired, and nothing acknowledged is lost.
@Suite(.serialized, .timeLimit(.minutes(60))) struct StorageMatrixTests {
  /// Where the table of all cells goes. `make storage-matrix` asks for it; otherwise a few of each kind are run.
  private static let table = ProcessInfo.processInfo.environment["RSL_STORAGE_MATRIX"]

  private static let cellsMax = 40

  @Test func oneFaultAtATime() async throws {
    let matrix = try await StorageMatrix.make()
    #expect(matrix.imageProblem == nil)
    var cells = matrix.fields.all.flatMap { field in StorageFault.allCases.map { (field, $0) } }
    if Self.table == nil {
      // Others at every place of the list, and all faults: the step has no factor in common with their number.
      let step = cells.count / Self.cellsMax | 1
      let first = Int.random(in: 0..<step)
      cells = stride(from: first, to: cells.count, by: step).map { cells[$0] }
    }
    var rows: [StorageMatrix.Row] = []
    for (field, fault) in cells {
      guard let row = try await matrix.run(field, fault) else { continue }
      rows.append(row)
      if Self.table != nil { print(row.line) }
      #expect(row.isRight, "\(row.line)")
    }
    #expect(try await matrix.countsEverything())
    try await matrix.close()
    if let table = Self.table { try StorageTable.append(rows, to: table) }
  }
}

/// The rows in columns, and what they add up to.
enum StorageTable {
  static func append(_ rows: [StorageMatrix.Row], to path: String) throws {
    var columns = [["file", "field", "fault", "detected", "repaired"]]
    columns += rows.map {
      [$0.field.file, $0.field.name, $0.fault.rawValue, $0.detected, $0.outcome]
    }
    let widths = (0..<4).map { column in columns.map { $0[column].count }.max() ?? 0 }
    let lines = columns.map { cells in
      zip(cells, widths + [0]).map { cell, width in
        cell + String(repeating: " ", count: max(0, width - cell.count))
      }.joined(separator: "  ")
    }
    let harmless = rows.count { $0.isHarmless }
    let times = rows.compactMap(\.milliseconds).sorted()
    let total =
      "\(rows.count) cells: \(rows.count { $0.isRight }) right, \(rows.count { !$0.isRight }) wrong; "
      + "\(rows.count - harmless) faults, \(harmless) in bytes that nothing rests on; sound again after "
      + "\(Int(times.isEmpty ? 0 : times[times.count / 2])) ms (median), \(Int(times.last ?? 0)) ms (longest)"
    let text = (lines + [total]).joined(separator: "\n") + "\n"
    var data = (try? Data(contentsOf: URL(filePath: path))) ?? Data()
    data.append(Data(text.utf8))
    try data.write(to: URL(filePath: path))
  }
}
