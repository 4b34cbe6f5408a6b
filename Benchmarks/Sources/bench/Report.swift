import Foundation
import Protocol

/// One measured figure.
struct Figure: Codable {
  var section: String
  var name: String
  var value: Double
  var unit: String
  /// The same figure of the build without contracts, and the ratio to it.
  var other: Double?
  var ratio: Double?

  init(_ section: Section, _ name: String, _ value: Double, _ unit: String) {
    self.section = section.rawValue
    self.name = name
    self.value = value
    self.unit = unit
  }

  func isSame(as other: Figure) -> Bool { section == other.section && name == other.name }
}

/// All figures of one build.
struct Report: Codable {
  var contracts = ContractRecorder.isEnabled
  var figures: [Figure]

  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
  }

  var table: String {
    var lines = "contracts: \(contracts ? "on" : "off")\n"
    var section = ""
    for figure in figures {
      if figure.section != section {
        section = figure.section
        lines += "\n" + Self.columns(section, "", "", "other build", "ratio")
      }
      lines += Self.columns(
        "  " + figure.name, Self.number(figure.value), figure.unit,
        figure.other.map(Self.number) ?? "", figure.ratio.map(Self.number) ?? "")
    }
    return lines
  }

  private static func columns(
    _ name: String, _ value: String, _ unit: String, _ other: String, _ ratio: String
  ) -> String {
    let line =
      name.padding(toLength: 42, withPad: " ", startingAt: 0) + left(value, 12) + " "
      + unit.padding(toLength: 14, withPad: " ", startingAt: 0) + left(other, 12) + left(ratio, 8)
    return line.replacing(/\ +$/, with: "") + "\n"
  }

  private static func left(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  private static func number(_ value: Double) -> String {
    String(format: value == 0 ? "%.0f" : value < 100 ? "%.2f" : "%.0f", value)
  }
}
