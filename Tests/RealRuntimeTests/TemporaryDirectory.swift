import Foundation

/// A directory that goes with its owner.
final class TemporaryDirectory: Sendable {
  let path: String

  init(_ name: String = #function, in root: String = NSTemporaryDirectory()) {
    let safe = name.filter { $0.isLetter || $0.isNumber }
    path = (root.hasSuffix("/") ? root : root + "/") + "rsl-\(safe)-\(UUID().uuidString.prefix(8))"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var names: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
  }
}
