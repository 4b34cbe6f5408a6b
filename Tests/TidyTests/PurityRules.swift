import Foundation

/// Where time, randomness and iteration order must come from the inputs alone: same seed, same run.
private let pureFolders = ["Sources/Protocol/", "Sources/Simulator/"]

extension Rule {
  static let purity: [Rule] =
    [imports, storedStaticVariable, globalVariable]
    + [
      forbidding(
        "dictionary", #"\b(Dictionary|TreeDictionary)\b"#,
        "its order differs from process to process; use a ring indexed by slot, a small sorted "
          + "array or an array indexed by replica"),
      forbidding(
        "dictionary-literal-type", #"\[\s*(?:\[\s*)?[A-Z][\w.<>?]*\]?\s*:(?!:)\s*[^\]\s]"#,
        "a dictionary's order differs from process to process; use a ring indexed by slot, a "
          + "small sorted array or an array indexed by replica"),
      forbidding(
        "set", #"\b(Set|TreeSet)\b"#,
        "its order differs from process to process; use a sorted array or a bit set"),
      forbidding(
        "unseeded-random",
        #"\.(random|randomElement|shuffled|shuffle)\s*\(\s*(\)|in\s*:|using\s*:)"#,
        "draw from a SeededRandom handed in: the standard library's algorithms may change with "
          + "the toolchain, which would change what a seed means"),
      forbidding(
        "system-random", #"\bSystemRandomNumberGenerator\b"#,
        "randomness is an input; draw from a SeededRandom handed in"),
      forbidding(
        "clock", #"\b(ContinuousClock|SuspendingClock|DispatchTime|clock_gettime)\b|\bDate\s*\("#,
        "time is an input; use the `now` that was passed in"),
      forbidding(
        "hash-value", #"\bhashValue\b|\bHasher\s*\(\s*\)"#,
        "hashes are seeded per process; use the digest or CRC32C of the module"),
      forbidding(
        "async", #"\b(async|await)\b|\bactor\s+[A-Z]|(?<!struct |class |enum )\bTask\s*(\{|\.|\()"#,
        "the core is a synchronous step; the host decides what runs where"),
      forbidding(
        "unsafe-global", #"\bnonisolated\s*\(\s*unsafe\s*\)"#,
        "no global mutable state: put it into the replica or the world that owns it"),
      forbidding(
        "print", #"(?<![\w.])(print|debugPrint|dump)\s*\("#,
        "return what happened (an effect, a trace event, a report) and let the command print it"),
    ]

  /// A rule against a token in the code, comments and strings aside, of the pure folders.
  private static func forbidding(_ name: String, _ pattern: String, _ advice: String) -> Rule {
    let pattern = Pattern(pattern)
    return Rule(name: name) { tree in
      tree.files(in: pureFolders, withExtension: "swift").flatMap { file in
        pattern.matches(in: codeOnly(file.text)).map { match in
          Finding(
            path: file.path, line: match.line,
            message:
              "[\(name)] `\(match.groups[0].trimmingCharacters(in: .whitespaces))`: \(advice)")
        }
      }
    }
  }

  private static let collections = [
    "BasicContainers", "BitCollections", "DequeModule", "HeapModule",
  ]

  private static let imports = Rule(name: "imports") { tree in
    let statement = Pattern(
      #"^[ \t]*(?:@\w+(?:\([^)]*\))?[ \t]+)*(?:(?:public|package|internal|fileprivate|private)[ \t]+)?"#
        + #"import[ \t]+(?:(?:struct|class|enum|protocol|func|var|let|typealias)[ \t]+)?(\w+)"#)
    return [
      ("Sources/Protocol/", ["CChecksum"] + collections),
      ("Sources/Simulator/", ["Protocol"] + collections),
    ].flatMap { folder, allowed in
      tree.files(in: [folder], withExtension: "swift").flatMap { file in
        statement.matches(in: codeOnly(file.text)).compactMap { match in
          let module = match.groups[1]
          guard !allowed.contains(module) else { return nil }
          return Finding(
            path: file.path, line: match.line,
            message: "[imports] `import \(module)`: only \(allowed.joined(separator: ", ")) may be "
              + "imported here; clocks, files and threads belong to the host")
        }
      }
    }
  }

  private static let storedStaticVariable = Rule(name: "stored-static-variable") { tree in
    let declaration = Pattern(#"\b(?:static|class)\s+var\s+(\w+)([^={\n]*)([={]?)"#)
    return tree.files(in: pureFolders, withExtension: "swift").flatMap { file in
      declaration.matches(in: codeOnly(file.text)).compactMap { match in
        guard match.groups[3] != "{" else { return nil }  // computed
        return Finding(
          path: file.path, line: match.line,
          message: "[stored-static-variable] `static var \(match.groups[1])`: runs would leak into "
            + "one another; make it a `let`, or a field of the world that owns it")
      }
    }
  }

  private static let globalVariable = Rule(name: "global-variable") { tree in
    tree.files(in: pureFolders, withExtension: "swift").flatMap { file in
      topLevelVariables(codeOnly(file.text)).map { line, name in
        Finding(
          path: file.path, line: line,
          message: "[global-variable] `var \(name)`: runs would leak into one another; make it a "
            + "`let`, or a field of the world that owns it")
      }
    }
  }

  /// Stored `var`s outside of every bracket: line and name.
  private static func topLevelVariables(_ code: String) -> [(line: Int, name: String)] {
    let declaration = Pattern(#"^[^{}\n]*?\bvar\s+(\w+)([^={\n]*)([={]?)"#)
    var depth = 0
    var found: [(line: Int, name: String)] = []
    for (index, line) in code.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      if depth == 0, let match = declaration.matches(in: String(line)).first,
        match.groups[3] != "{"
      {
        found.append((index + 1, match.groups[1]))
      }
      for character in line.utf8 {
        switch character {
        case UInt8(ascii: "{"), UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: ")"), UInt8(ascii: "]"): depth -= 1
        default: break
        }
      }
    }
    return found
  }
}
