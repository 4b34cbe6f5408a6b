import Foundation

extension Rule {
  static let hygiene: [Rule] = [fileSize, whitespace, unfinished, machinePath]

  static let largestFile = 600

  private static let fileSize = Rule(name: "file-size") { tree in
    tree.files(in: ["Sources/", "Tests/", "Examples/"], withExtension: "swift").compactMap { file in
      let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
      guard lines > largestFile else { return nil }
      return Finding(
        path: file.path, line: largestFile + 1,
        message: "[file-size] \(lines) lines, the limit is \(largestFile): split it by topic into "
          + "`Type+Topic.swift`")
    }
  }

  private static let whitespace = Rule(name: "whitespace") { tree in
    let trailing = Pattern(#"[ \t]+$"#)
    let tab = Pattern(#"\t"#)
    return tree.files.filter { isProse($0.path) }.flatMap { file in
      trailing.matches(in: file.text).map {
        Finding(
          path: file.path, line: $0.line,
          message: "[whitespace] trailing whitespace: remove it (`make format` does in Swift)")
      }
        + (file.path.hasSuffix("Makefile") ? [] : tab.matches(in: file.text)).map {
          Finding(path: file.path, line: $0.line, message: "[whitespace] tab: indent with spaces")
        }
    }
  }

  /// Text that people write. Scenario expectations and traces are a program's output, kept as it came.
  private static func isProse(_ path: String) -> Bool {
    ["swift", "md", "yml", "yaml", "mutant", "h", "c"].contains((path as NSString).pathExtension)
      || path.hasPrefix("scripts/") || path.hasPrefix(".ci/") || path.hasSuffix("Makefile")
  }

  private static let unfinished = Rule(name: "unfinished") { tree in
    // In pieces, because this file is under the rule as well.
    let words = ["TO" + "DO", "FIX" + "ME", "XX" + "X"].joined(separator: "|")
    let phrases = ["not" + " implemented", "place" + "holder"].joined(separator: "|")
    let marks = Pattern("\\b(\(words))\\b")
    let excuses = Pattern("\\b(\(phrases))", ignoringCase: true)
    return tree.files(in: ["Sources/", "Tests/", "Examples/", "scripts/", "docs/", "specs/"])
      .flatMap { file in
        (marks.matches(in: file.text) + excuses.matches(in: file.text)).map { match in
          Finding(
            path: file.path, line: match.line,
            message: "[unfinished] `\(match.groups[0])`: finish it, or leave it out and say in the "
              + "README's table that it is planned")
        }
      }
  }

  private static let machinePath = Rule(name: "machine-path") { tree in
    let folders = ["work", "home", "Users", "root", "opt"].joined(separator: "|")
    let pattern = Pattern("(?<![\\w./~})-])/(\(folders))/[\\w.-]+")
    return tree.files.flatMap { file in
      pattern.matches(in: file.text).map { match in
        Finding(
          path: file.path, line: match.line,
          message: "[machine-path] `\(match.groups[0])` exists on one machine only: use a path "
            + "relative to the repository, or a variable")
      }
    }
  }
}
