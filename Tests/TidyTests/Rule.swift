import Testing

/// One breach of a rule, in the form compilers use, so that editors can jump to it.
struct Finding: Equatable, CustomStringConvertible {
  let path: String
  let line: Int
  let message: String

  var description: String { "\(path):\(line): \(message)" }
}

/// A rule of the house that the compiler does not know.
struct Rule: Sendable, CustomTestStringConvertible {
  let name: String
  let check: @Sendable (SourceTree) -> [Finding]

  var testDescription: String { name }

  static let all: [Rule] = purity + hygiene + documents

  static func named(_ name: String) -> Rule {
    guard let rule = all.first(where: { $0.name == name }) else {
      fatalError("no tidy rule is named \(name)")
    }
    return rule
  }
}
