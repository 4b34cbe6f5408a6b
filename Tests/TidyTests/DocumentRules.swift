import Foundation

extension Rule {
  static let documents: [Rule] = [links, specs, seeds, traces, mutants]

  // MARK: Links

  private static let links = Rule(name: "links") { tree in
    let link = Pattern(#"\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)"#)
    return tree.files.filter { $0.path.hasSuffix(".md") }.flatMap { file in
      link.matches(in: proseOnly(file.text)).compactMap { match in
        let target = match.groups[1].isEmpty ? match.groups[2] : match.groups[1]
        guard let problem = problem(of: target, from: file.path, in: tree) else { return nil }
        return Finding(
          path: file.path, line: match.line,
          message: "[links] `\(target)`: \(problem); correct the link or remove it")
      }
    }
  }

  private static func problem(of target: String, from path: String, in tree: SourceTree) -> String?
  {
    if Pattern(#"^[a-z][a-z+.-]*:"#).isFound(in: target) { return nil }
    let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    let folder = (path as NSString).deletingLastPathComponent
    let file = parts[0].isEmpty ? path : normalized(folder + "/" + parts[0])
    guard file.isEmpty || tree.paths.contains(file) else { return "there is no \(file)" }
    guard parts.count == 2, file.hasSuffix(".md"), let text = tree[file] else { return nil }
    return anchors(in: text).contains(String(parts[1]))
      ? nil : "\(file) has no heading for #\(parts[1])"
  }

  private static func normalized(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == "..", !parts.isEmpty, parts.last != ".." {
        parts.removeLast()
      } else {
        parts.append(part)
      }
    }
    return parts.joined(separator: "/")
  }

  /// The headings of a page, as the fragments under which they are linked to.
  private static func anchors(in markdown: String) -> [String] {
    Pattern(#"^#{1,6}\s+(.+?)\s*$"#).matches(in: markdown).map { match in
      String(
        match.groups[1].lowercased().compactMap { character in
          if character == " " { return "-" }
          return character.isLetter || character.isNumber || "-_".contains(character)
            ? character : nil
        })
    }
  }

  /// Markdown without its code, line numbers kept.
  private static func proseOnly(_ markdown: String) -> String {
    var isFenced = false
    let lines = markdown.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      if line.drop(while: { $0 == " " }).hasPrefix("```") {
        isFenced.toggle()
        return ""
      }
      return isFenced
        ? ""
        : String(line).replacingOccurrences(of: "`[^`]*`", with: "", options: .regularExpression)
    }
    return lines.joined(separator: "\n")
  }

  // MARK: Specs

  private static let specs = Rule(name: "specs") { tree in
    let testLine = Pattern(#"^- Test: (.*)$"#)
    let quoted = Pattern("`([^`]+)`")
    return tree.files(in: ["specs/"], withExtension: "md")
      .filter { !$0.path.hasSuffix("/README.md") }
      .flatMap { file -> [Finding] in
        let lines = testLine.matches(in: file.text)
        if lines.isEmpty {
          return [
            Finding(
              path: file.path, line: 1,
              message: "[specs] no line `- Test: …`: name the tests that show it (specs/README.md)")
          ]
        }
        return lines.flatMap { match -> [Finding] in
          let names = quoted.matches(in: match.groups[1]).map { $0.groups[1] }
          let problems =
            names.isEmpty ? ["names nothing in backticks"] : problems(ofTests: names, in: tree)
          return problems.map {
            Finding(path: file.path, line: match.line, message: "[specs] \($0) (specs/README.md)")
          }
        }
      }
  }

  private static func problems(ofTests names: [String], in tree: SourceTree) -> [String] {
    var current: [(path: String, text: String)]?
    return names.compactMap { name in
      let words = name.split(separator: " ").map(String.init)
      if name.hasSuffix(".swift"), !name.contains("/") {
        let files = tree.files(in: ["Tests/", "Examples/"]).filter { $0.path.hasSuffix("/" + name) }
        current = files
        return files.isEmpty ? "no file \(name) under Tests or Examples" : nil
      }
      if Pattern(#"^[A-Za-z_]\w*(\(.*\))?$"#).isFound(in: name) {
        guard let current else { return "`\(name)`: name its file first, as `File.swift`" }
        if current.isEmpty { return nil }  // its file is the finding
        let function = name.prefix { $0 != "(" }
        let declaration = Pattern("\\bfunc \(function)\\b")
        return current.contains { declaration.isFound(in: $0.text) }
          ? nil : "\(current[0].path) has no `func \(function)`"
      }
      if words[0] == "make", words.count > 1 {
        return Pattern("^\(words[1]):").isFound(in: tree["Makefile"] ?? "")
          ? nil : "the Makefile has no target \(words[1])"
      }
      if words[0] == "rsl-sim", words.count > 1 {
        let command = Pattern("struct \\w*\(words[1])|\"\(words[1])\"", ignoringCase: true)
        return tree.files(in: ["Sources/rsl-sim/"]).contains { command.isFound(in: $0.text) }
          ? nil : "rsl-sim has no command \(words[1])"
      }
      if words[0].contains("/") {
        return tree.paths.contains(words[0]) ? nil : "there is no \(words[0])"
      }
      return "`\(name)` is neither a test, a path nor a command"
    }
  }

  // MARK: Seeds, traces, mutants

  private static let seeds = Rule(name: "seeds") { tree in
    let key = Pattern(#"^seed:\s*\S+"#)
    return tree.files(in: ["seeds/"]).filter { !$0.path.hasSuffix("/README.md") }.compactMap {
      file in
      guard !key.isFound(in: file.text) else { return nil }
      return Finding(
        path: file.path, line: 1,
        message: "[seeds] no line `seed: NUMBER`: it cannot be replayed; let `rsl-sim fuzz --keep` "
          + "write the file")
    }
  }

  private static let traces = Rule(name: "traces") { tree in
    let traces = tree.paths.filter {
      $0.hasPrefix("traces/") && !$0.hasSuffix("/README.md")
    }.sorted()
    let readers =
      tree.files(in: ["Tests/", "docs/", "scripts/", "specs/"])
      + tree.files.filter { $0.path == "traces/README.md" }
    return traces.compactMap { path in
      let stem = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
      guard !readers.contains(where: { $0.text.contains(stem) }) else { return nil }
      return Finding(
        path: path, line: 1,
        message: "[traces] nothing under Tests, docs, scripts, specs or traces/README.md names "
          + "\(stem): compare with it in a test, or delete it")
    }
  }

  private static let mutants = Rule(name: "mutants") { tree in
    tree.files(in: ["Tests/Mutants/"], withExtension: "mutant").flatMap { file -> [Finding] in
      var findings: [Finding] = []
      func report(_ line: Int, _ message: String) {
        findings.append(Finding(path: file.path, line: line, message: "[mutants] " + message))
      }
      for key in ["id", "title", "source", "story"]
      where !Pattern("^\(key):\\s*\\S").isFound(in: file.text) {
        report(1, "no line `\(key): …` in the header")
      }
      let name = ((file.path as NSString).lastPathComponent as NSString).deletingPathExtension
      if !Pattern("^id:\\s*\(name)$").isFound(in: file.text) {
        report(1, "its id is not its file's name: that keeps ids unique")
      }
      let edits = edits(in: file.text)
      if edits.isEmpty {
        report(1, "an edit is a line `file: PATH`, then `<<<<`, text, `====`, text, `>>>>`")
      }
      for edit in edits {
        guard let source = tree[edit.path] else {
          report(edit.line, "there is no file \(edit.path)")
          continue
        }
        let count = source.components(separatedBy: edit.find).count - 1
        if edit.find.isEmpty || count != 1 {
          report(
            edit.line,
            "its text occurs \(count) times in \(edit.path), not once: bring it up to date")
        }
        if edit.find == edit.replacement { report(edit.line, "it replaces the text by itself") }
      }
      return findings
    }
  }

  /// The edits of a mutant; an unfinished block yields none.
  private static func edits(
    in text: String
  )
    -> [(line: Int, path: String, find: String, replacement: String)]
  {
    var edits: [(line: Int, path: String, find: String, replacement: String)] = []
    var path = ""
    var start = 0
    var find: [Substring]?
    var replacement: [Substring]?
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      if line == "<<<<" {
        (start, find, replacement) = (index + 1, [], nil)
      } else if line == "====", find != nil {
        replacement = []
      } else if line == ">>>>", let find, let new = replacement {
        edits.append(
          (start, path, find.joined(separator: "\n"), new.joined(separator: "\n")))
        replacement = nil
      } else if replacement != nil {
        replacement?.append(line)
      } else if find != nil, edits.last?.line != start {
        find?.append(line)
      } else if line.hasPrefix("file:") {
        path = line.dropFirst(5).trimmingCharacters(in: .whitespaces)
      }
    }
    return edits
  }
}
