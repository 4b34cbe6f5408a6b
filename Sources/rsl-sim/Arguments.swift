public import ArgumentParser
import Foundation
public import Simulator

/// How results are printed.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
  case table, json
}

extension FaultProfile: ExpressibleByArgument {}

/// A range of seeds as an argument.
struct SeedsArgument: ExpressibleByArgument {
  var range: ClosedRange<UInt64>

  init?(argument: String) {
    guard let range = SeedRange.parse(argument) else { return nil }
    self.range = range
  }
}

/// A time as an argument.
struct DurationArgument: ExpressibleByArgument {
  var nanoseconds: UInt64

  init?(argument: String) {
    guard let nanoseconds = DurationText.parse(argument) else { return nil }
    self.nanoseconds = nanoseconds
  }
}

/// What decides a run besides its seed.
struct SettingsArguments: ParsableArguments {
  @Option(help: "Faults: swarm (drawn per seed), calm (none), unlimited (safety only).")
  var profile: FaultProfile?

  @Option(help: "Replicas, 1 to 15 (default: drawn per seed).")
  var replicas: Int?

  @Option(help: "Commands and reads of all clients together (default: drawn per seed).")
  var commands: Int?

  func validate() throws {
    if let problem = settings.problem { throw ValidationError(problem) }
  }

  var settings: RunSettings {
    RunSettings(profile: profile ?? .swarm, replicas: replicas, commands: commands)
  }

  /// `base` with what was said on the command line in place of its own.
  func overriding(_ base: RunSettings) -> RunSettings {
    RunSettings(
      profile: profile ?? base.profile, replicas: replicas ?? base.replicas,
      commands: commands ?? base.commands)
  }
}

/// Files, with errors that say which one and why in one line.
enum Files {
  static func read(_ path: String) throws -> String {
    let data = try data(of: path)
    guard let text = String(validating: data, as: UTF8.self) else {
      throw CommandFailure("\(path): not a text in UTF-8")
    }
    return text
  }

  static func bytes(of path: String) throws -> [UInt8] { Array(try data(of: path)) }

  private static func data(of path: String) throws -> Data {
    do {
      return try Data(contentsOf: URL(filePath: path))
    } catch {
      throw CommandFailure("\(path): \(reason(error))")
    }
  }

  static func write(_ text: String, to path: String) throws {
    do {
      let url = URL(filePath: path)
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    } catch {
      throw CommandFailure("\(path): cannot be written: \(reason(error))")
    }
  }

  private static func reason(_ error: any Error) -> String {
    switch (error as? CocoaError)?.code {
    case .fileReadNoSuchFile, .fileNoSuchFile: "no such file"
    case .fileReadNoPermission, .fileWriteNoPermission: "no permission"
    default: isDirectory(error) ? "is a directory" : "\(error.localizedDescription)"
    }
  }

  private static func isDirectory(_ error: any Error) -> Bool {
    guard let path = (error as? CocoaError)?.filePath else { return false }
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
      && isDirectory.boolValue
  }

  /// A fresh folder for files that only this process needs.
  static func temporaryFolder() throws -> URL {
    let url = FileManager.default.temporaryDirectory.appending(path: "rsl-sim-\(UUID().uuidString)")
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      throw CommandFailure("\(url.path): \(error.localizedDescription)")
    }
    return url
  }
}

extension String {
  fileprivate init?(validating data: Data, as encoding: UTF8.Type) {
    guard let text = String(data: data, encoding: .utf8) else { return nil }
    self = text
  }
}
