import KeyValueMachine

/// The commands a gateway answers itself.
enum LocalCommand: CaseIterable {
  case ping, echo, hello, client, command, config, info, select, quit, reset, auth
  case multi, exec, discard, watch, unwatch, time, readonly, readwrite

  struct Traits {
    var name: StaticString
    /// As `Verb.Traits.arity`.
    var arity: Int
  }

  var traits: Traits {
    switch self {
    case .ping: Traits(name: "ping", arity: -1)
    case .echo: Traits(name: "echo", arity: 2)
    case .hello: Traits(name: "hello", arity: -1)
    case .client: Traits(name: "client", arity: -2)
    case .command: Traits(name: "command", arity: -1)
    case .config: Traits(name: "config", arity: -2)
    case .info: Traits(name: "info", arity: -1)
    case .select: Traits(name: "select", arity: 2)
    case .quit: Traits(name: "quit", arity: -1)
    case .reset: Traits(name: "reset", arity: 1)
    case .auth: Traits(name: "auth", arity: -2)
    case .multi: Traits(name: "multi", arity: 1)
    case .exec: Traits(name: "exec", arity: 1)
    case .discard: Traits(name: "discard", arity: 1)
    case .watch: Traits(name: "watch", arity: -2)
    case .unwatch: Traits(name: "unwatch", arity: 1)
    case .time: Traits(name: "time", arity: 1)
    case .readonly: Traits(name: "readonly", arity: 1)
    case .readwrite: Traits(name: "readwrite", arity: 1)
    }
  }

  func accepts(words: Int) -> Bool {
    let arity = traits.arity
    return arity > 0 ? words == arity : words >= -arity
  }

  static func named(_ word: CommandWord) -> LocalCommand? { names[word] }

  private static let names = WordTable(allCases.map { ($0.traits.name, $0) })
}
