/// A table of text with aligned columns, for people.
public struct TextTable: Sendable {
  /// On which side of its column a cell stands.
  public enum Alignment: Sendable { case left, right }

  private let header: [String]
  private let alignments: [Alignment]
  private var rows: [[String]] = []

  /// Columns beyond `alignments` stand right.
  public init(header: [String], alignments: [Alignment] = [.left]) {
    self.header = header
    self.alignments = alignments
  }

  /// Adds a row; missing cells stay empty.
  public mutating func add(_ row: [String]) { rows.append(row) }

  /// The lines of the table, without spaces at their ends.
  public var lines: [String] {
    let all = header.isEmpty ? rows : [header] + rows
    let columns = all.map { $0.count }.max() ?? 0
    let widths = (0..<columns).map { column in
      all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return all.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        if column > 0 { line += "  " }
        let space = String(repeating: " ", count: widths[column] - cell.count)
        let isLeft = column < alignments.count && alignments[column] == .left
        line += isLeft ? cell + space : space + cell
      }
      while line.last == " " { line.removeLast() }
      return line
    }
  }

  /// The table as Markdown.
  public var markdown: [String] {
    func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
    let rules = header.indices.map { column in
      column < alignments.count && alignments[column] == .left ? "---" : "---:"
    }
    return [line(header), line(rules)]
      + rows.map { row in line(row.map { $0.split(separator: "|").joined(separator: "\\|") }) }
  }
}
