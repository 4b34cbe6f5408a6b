internal import Foundation
public import Logging
internal import Synchronization

/// Where the lines of the process's loggers go, in which format, and how severe they must be; the last can be changed
/// while the process runs.
///
/// A line is written by one system call and holds no control characters, whatever strangers put into it.
public final class LogOutput: Sendable {
  private let format: NodeConfiguration.LogFormat
  private let write: @Sendable ([UInt8]) -> Void
  private let threshold: Atomic<Int>

  /// Lines for standard error.
  public convenience init(_ configuration: NodeConfiguration.Logging) {
    self.init(level: configuration.level, format: configuration.format) { bytes in
      // What cannot be written is lost: there is nobody left to tell.
      _ = bytes.withUnsafeBytes { Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
  }

  init(
    level: Logger.Level, format: NodeConfiguration.LogFormat,
    write: @escaping @Sendable ([UInt8]) -> Void
  ) {
    self.format = format
    self.write = write
    threshold = Atomic(level.place)
  }

  /// The least severe level that is written, by every logger that was not given one of its own.
  public var level: Logger.Level {
    get { Logger.Level.allCases[threshold.load(ordering: .relaxed)] }
    set { threshold.store(newValue.place, ordering: .relaxed) }
  }

  public func logger(_ label: String) -> Logger {
    Logger(label: label) { LogOutputHandler(label: $0, output: self) }
  }

  fileprivate func put(
    _ level: Logger.Level, _ label: String, _ message: String, _ metadata: Logger.Metadata
  ) {
    let time = Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    let line =
      switch format {
      case .text: LogLine.text(time, level, label, message, metadata)
      case .json: LogLine.json(time, level, label, message, metadata)
      }
    write(Array((line + "\n").utf8))
  }
}

private struct LogOutputHandler: LogHandler {
  var label: String
  var output: LogOutput
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?
  /// Set on this logger alone.
  private var own: Logger.Level?

  init(label: String, output: LogOutput) {
    self.label = label
    self.output = output
  }

  var logLevel: Logger.Level {
    get { own ?? output.level }
    set { own = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var all = metadata
    if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
    if let given = event.metadata { all.merge(given) { $1 } }
    if let error = event.error { all["error"] = "\(error)" }
    output.put(event.level, label, "\(event.message)", all)
  }
}

/// One line of the log.
enum LogLine {
  /// `2026-05-01T12:00:00.000Z warning rsl connection refused reason=plaintext source=10.0.0.9`
  static func text(
    _ time: String, _ level: Logger.Level, _ label: String, _ message: String,
    _ metadata: Logger.Metadata
  ) -> String {
    let pairs = metadata.sorted { $0.key < $1.key }.map { key, value in
      " \(escaped(key))=\(quoted("\(value)"))"
    }
    return "\(time) \(level.rawValue) \(escaped(label)) \(escaped(message))\(pairs.joined())"
  }

  static func json(
    _ time: String, _ level: Logger.Level, _ label: String, _ message: String,
    _ metadata: Logger.Metadata
  ) -> String {
    struct Line: Encodable {
      var time, level, label, message: String
      var metadata: [String: String]?
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let values = metadata.isEmpty ? nil : metadata.mapValues { "\($0)" }
    let line = Line(
      time: time, level: level.rawValue, label: label, message: message, metadata: values)
    // Strings only: they always encode.
    return (try? encoder.encode(line)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  private static func quoted(_ value: String) -> String {
    let text = escaped(value)
    guard text.isEmpty || text.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" }) else {
      return text
    }
    return "\"\(text.replacing("\"", with: "\\\""))\""
  }

  /// Control characters as `\u{..}`, so that nobody can begin a line or move the cursor of whoever reads it.
  private static func escaped(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
      return text
    }
    return text.unicodeScalars.map { scalar in
      scalar.properties.generalCategory == .control
        ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }.joined()
  }
}

extension Logger.Level {
  fileprivate var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
