import Foundation
import Logging
import Synchronization
import Testing

@testable import RealRuntime

@Suite struct LogOutputTests {
  /// The lines of an output, without their times.
  private final class Lines: Sendable {
    let lines = Mutex<[String]>([])

    func output(_ level: Logger.Level, _ format: NodeConfiguration.LogFormat) -> LogOutput {
      LogOutput(level: level, format: format) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        self.lines.withLock { $0.append(text) }
      }
    }

    var all: [String] { lines.withLock { $0 } }
    var withoutTime: [String] { all.map { String($0.drop { $0 != " " }.dropFirst()) } }
  }

  @Test func aLineHasTimeLevelLabelAndMetadata() throws {
    let lines = Lines()
    var logger = lines.output(.info, .text).logger("rsl")
    logger[metadataKey: "replica"] = "r2"
    logger.warning("connection refused", metadata: ["source": "10.0.0.9", "detail": "no \"luck\""])
    #expect(
      lines.withoutTime == [
        "warning rsl connection refused detail=\"no \\\"luck\\\"\" replica=r2 source=10.0.0.9\n"
      ])
    let time = try #require(lines.all.first?.prefix { $0 != " " })
    #expect(time.wholeMatch(of: #/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/#) != nil, "\(time)")
  }

  @Test func strangersDoNotWriteLinesOfTheirOwn() {
    let lines = Lines()
    lines.output(.info, .text).logger("rsl").info(
      "a\nb", metadata: ["name": "x\r\n2026 critical rsl all is lost\u{1B}[2J"])
    #expect(
      lines.withoutTime == [
        "info rsl a\\u{a}b name=\"x\\u{d}\\u{a}2026 critical rsl all is lost\\u{1b}[2J\"\n"
      ])
  }

  @Test func linesAreJSONWhenAsked() throws {
    let lines = Lines()
    lines.output(.info, .json).logger("rsl").error("broken\nline", metadata: ["n": "5"])
    let line = try #require(lines.all.first)
    #expect(line.filter { $0 == "\n" }.count == 1)
    let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    #expect(object?["message"] as? String == "broken\nline")
    #expect(object?["level"] as? String == "error")
    #expect(object?["metadata"] as? [String: String] == ["n": "5"])
  }

  @Test func theLevelChangesWhileLoggersExist() {
    let lines = Lines()
    let output = lines.output(.warning, .text)
    let logger = output.logger("a")
    var own = output.logger("b")
    own.logLevel = .critical
    logger.info("one")
    output.level = .debug
    logger.debug("two")
    logger.trace("three")
    own.error("four")
    own.critical("five")
    #expect(output.level == .debug)
    #expect(lines.withoutTime == ["debug a two\n", "critical b five\n"])
  }
}
