import Foundation
import Testing

@testable import Simulator

@Suite struct JSONValueTests {
  static let document = JSONValue.object([
    .init("zulu", .integer(.max)),
    .init("alpha", .array([.bool(true), .null, .number(0.5), .string("a \"quoted\" \\ line\n")])),
    .init("empty", .object([])),
    .init("none", .array([])),
    .init("nested", .array([.object([.init("x", .count(1))]), .array([.count(2)])])),
    .init("long", .array((0..<60).map { .count($0) })),
  ])

  @Test(arguments: [document.text, document.line])
  func readersOfJSONUnderstandIt(_ text: String) throws {
    let parsed = try JSONSerialization.jsonObject(with: Data(text.utf8))
    let object = try #require(parsed as? [String: Any])
    #expect(object.count == 6)
    #expect((object["zulu"] as? NSNumber)?.uint64Value == .max)
    let alpha = try #require(object["alpha"] as? [Any])
    #expect(alpha[3] as? String == "a \"quoted\" \\ line\n")
    #expect((alpha[2] as? NSNumber)?.doubleValue == 0.5)
    #expect((object["long"] as? [Int]) == Array(0..<60))
  }

  @Test func membersKeepTheirOrder() throws {
    let text = Self.document.line
    let zulu = try #require(text.range(of: "zulu"))
    let alpha = try #require(text.range(of: "alpha"))
    #expect(zulu.lowerBound < alpha.lowerBound)
  }

  @Test func theLineIsOneLine() { #expect(!Self.document.line.contains("\n")) }

  @Test func everyControlCharacterIsEscaped() throws {
    for code in UInt8(0)..<0x20 {
      let text = "a" + String(UnicodeScalar(code)) + "b"
      let json = JSONValue.array([.string(text)]).line
      #expect(json.utf8.allSatisfy { $0 >= 0x20 }, "character \(code)")
      let parsed = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String]
      #expect(parsed == [text], "character \(code)")
    }
  }

  @Test(
    arguments: [
      (0, "0"), (1, "1"), (-1.5, "-1.5"), (0.1, "0.1"), (1234.5678905, "1234.567891"),
      (.infinity, "null"), (.nan, "null"), (0.0000001, "0"), (-0.0000001, "0"),
      (999_999_999, "999999999"),
    ] as [(Double, String)])
  func numbersAreShortAndPlain(_ value: Double, _ text: String) {
    #expect(JSONValue.number(value).line == text)
  }

  @Test(
    arguments: [
      (0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"),
      (.max, "18,446,744,073,709,551,615"),
    ] as [(UInt64, String)])
  func thousandsAreGrouped(_ value: UInt64, _ text: String) {
    #expect(Decimals.grouped(value) == text)
  }

  @Test(
    arguments: [
      (0, "0"), (999, "999"), (1_000, "1.0k"), (12_345, "12.3k"), (123_456, "123k"),
      (4_500_000, "4.5M"), (120_000_000_000, "120G"), (7_000_000_000_000, "7.0T"),
    ] as [(UInt64, String)])
  func shortCountsFitTheirCells(_ value: UInt64, _ text: String) {
    #expect(Decimals.short(value) == text)
    #expect(Decimals.short(value).count <= 5)
  }

  @Test func hexadecimalRoundTrips() {
    for value in [0, 1, 0xDEAD_BEEF, UInt64.max] {
      #expect(Hex.value(Hex.text(value)) == value)
      #expect(Hex.text(value).count == 16)
    }
    for text in ["", "1", "+123456789abcdef", "-00000000000000f", "000000000000000g"] {
      #expect(Hex.value(text) == nil, "\(text)")
    }
  }

  @Test func tablesAlignTheirColumns() {
    var table = TextTable(header: ["name", "count"])
    table.add(["a", "1"])
    table.add(["longer", "10000"])
    #expect(table.lines == ["name    count", "a           1", "longer  10000"])
    #expect(
      table.markdown == ["| name | count |", "| --- | ---: |", "| a | 1 |", "| longer | 10000 |"])
  }
}
