import Foundation

/// The files of the repository, or of an invented one in a rule's own test: path → text.
struct SourceTree {
  /// Text files by path relative to the root, in path order.
  let files: [(path: String, text: String)]
  /// Every file and folder, text or not.
  let paths: Set<String>

  init(_ texts: [String: String], otherPaths: [String] = []) {
    files = texts.sorted { $0.key < $1.key }.map { (path: $0.key, text: $0.value) }
    var paths = Set(otherPaths)
    for path in texts.keys {
      var prefix = path
      while !prefix.isEmpty {
        paths.insert(prefix)
        prefix = (prefix as NSString).deletingLastPathComponent
      }
    }
    self.paths = paths
  }

  /// The repository this file is part of: the nearest folder above it with a `Package.swift`.
  static let repository: SourceTree = {
    var root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    while root.path != "/",
      !FileManager.default.fileExists(atPath: root.appendingPathComponent("Package.swift").path)
    {
      root.deleteLastPathComponent()
    }
    return SourceTree(root: root)
  }()

  /// Build products and editors' folders are not part of the repository.
  static func isIgnored(_ name: String) -> Bool {
    name.hasPrefix(".build") || name.hasSuffix("~")
      || [
        ".git", ".swiftpm", ".vscode", ".idea", "artifacts", "Package.resolved", "__pycache__",
        ".DS_Store",
      ].contains(name)
  }

  init(root: URL) {
    var texts: [String: String] = [:]
    var others: [String] = []
    guard let enumerator = FileManager.default.enumerator(atPath: root.path) else {
      fatalError("cannot list \(root.path)")
    }
    while let path = enumerator.nextObject() as? String {
      if Self.isIgnored((path as NSString).lastPathComponent) {
        enumerator.skipDescendants()
        continue
      }
      others.append(path)
      let file = root.appendingPathComponent(path)
      guard (try? file.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile == true,
        let data = try? Data(contentsOf: file), data.count <= 1_000_000,
        let text = String(data: data, encoding: .utf8), !text.utf8.contains(0)
      else { continue }
      texts[path] = text
    }
    self.init(texts, otherPaths: others)
  }

  subscript(path: String) -> String? {
    files.first { $0.path == path }?.text
  }

  /// Text files inside one of the folders (each with its final slash), optionally of one extension.
  func files(
    in folders: [String], withExtension suffix: String? = nil
  )
    -> [(path: String, text: String)]
  {
    files.filter { file in
      folders.contains { file.path.hasPrefix($0) }
        && (suffix.map { file.path.hasSuffix("." + $0) } ?? true)
    }
  }
}

/// A regular expression over a whole text; `^` and `$` match at every line.
struct Pattern: @unchecked Sendable {  // NSRegularExpression is immutable
  private let expression: NSRegularExpression

  init(_ pattern: String, ignoringCase: Bool = false) {
    var options: NSRegularExpression.Options = [.anchorsMatchLines]
    if ignoringCase { options.insert(.caseInsensitive) }
    do {
      expression = try NSRegularExpression(pattern: pattern, options: options)
    } catch {
      fatalError("a tidy rule's pattern is malformed: \(pattern): \(error)")
    }
  }

  struct Match {
    /// The line, from 1, on which the match begins.
    let line: Int
    /// The whole match, then the groups; a group that took no part is empty.
    let groups: [String]
    /// Where the match ends, in UTF-16 units.
    let end: Int
  }

  func matches(in text: String) -> [Match] {
    let string = text as NSString
    var line = 1
    var counted = 0
    return expression.matches(in: text, range: NSRange(location: 0, length: string.length)).map {
      result in
      while counted < result.range.location {
        if string.character(at: counted) == 10 { line += 1 }
        counted += 1
      }
      let groups = (0..<result.numberOfRanges).map { index in
        let range = result.range(at: index)
        return range.location == NSNotFound ? "" : string.substring(with: range)
      }
      return Match(line: line, groups: groups, end: result.range.location + result.range.length)
    }
  }

  func isFound(in text: String) -> Bool {
    expression.firstMatch(in: text, range: NSRange(location: 0, length: text.utf16.count)) != nil
  }
}
