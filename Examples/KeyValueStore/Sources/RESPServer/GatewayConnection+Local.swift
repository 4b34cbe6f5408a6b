import KeyValueMachine
import NIOCore
import RESP

// Commands about the connection and the server. Clients ask many of them when they connect, so they get an answer that
// lets them go on, though there is little to tell.

extension GatewayConnection {
  func perform(_ command: LocalCommand, _ words: CommandWords) {
    switch command {
    case .ping: ping(words)
    case .echo: answer { $0.bulk(words[1]) }
    case .hello: hello(words)
    case .client: client(words)
    case .command: describeCommands(words)
    case .config: config(words)
    case .info: info(words)
    case .select: select(words)
    case .quit:
      answer { $0.simple("OK") }
      finish()
    case .reset:
      (transaction, version, name) = (nil, .two, "")
      answer { $0.simple("RESET") }
    case .auth: authenticate(words)
    case .multi:
      transaction = Transaction()
      answer { $0.simple("OK") }
    case .exec: answer { $0.error("ERR EXEC without MULTI") }
    case .discard: answer { $0.error("ERR DISCARD without MULTI") }
    case .watch: answer { $0.error("ERR WATCH is not supported; use MULTI and EXEC alone") }
    case .unwatch: answer { $0.simple("OK") }
    case .time:
      answer {
        $0.array(2)
        $0.bulk(String(loop.clock / 1000))
        $0.bulk(String(loop.clock % 1000 * 1000))
      }
    case .readonly, .readwrite:
      answer { $0.error("ERR This instance has cluster support disabled") }
    }
  }

  private func ping(_ words: CommandWords) {
    switch words.count {
    case 1: answer { $0.simple("PONG") }
    case 2: answer { $0.bulk(words[1]) }
    default: answer { $0.error("ERR wrong number of arguments for 'ping' command") }
    }
  }

  private func select(_ words: CommandWords) {
    switch Int(words.text(1)) {
    case 0: answer { $0.simple("OK") }
    case nil: answer { $0.error("ERR value is not an integer or out of range") }
    default: answer { $0.error("ERR DB index is out of range") }
    }
  }

  /// As a Redis without passwords: the default user may come with any, and there is no other.
  private func authenticate(_ words: CommandWords) {
    switch words.count {
    case 2:
      answer {
        $0.error(
          "ERR AUTH <password> called without any password configured for the default user. "
            + "Are you sure your configuration is correct?")
      }
    case 3 where words.text(1) == "default": answer { $0.simple("OK") }
    case 3: answer { $0.error(Self.wrongPassword) }
    default: answer { $0.error("ERR syntax error") }
    }
  }

  private static let wrongPassword = "WRONGPASS invalid username-password pair or user is disabled."

  /// HELLO [version [AUTH user password] [SETNAME name]]
  private func hello(_ words: CommandWords) {
    var (chosen, chosenName) = (version, name)
    if words.count > 1 {
      guard let number = Int(words.text(1)) else {
        return answer { $0.error("ERR Protocol version is not an integer or out of range") }
      }
      guard let requested = RESPVersion(rawValue: number) else {
        return answer { $0.error("NOPROTO unsupported protocol version") }
      }
      chosen = requested
    }
    var i = 2
    while i < words.count {
      let option = words.text(i).uppercased()
      if option == "AUTH", i + 2 < words.count {
        guard words.text(i + 1) == "default" else {
          return answer { $0.error(Self.wrongPassword) }
        }
        i += 3
      } else if option == "SETNAME", i + 1 < words.count {
        chosenName = words.text(i + 1)
        guard Self.isName(chosenName) else { return answer { $0.error(Self.nameError) } }
        i += 2
      } else {
        return answer { $0.error("ERR Syntax error in HELLO option '\(words.text(i))'") }
      }
    }
    (version, name) = (chosen, chosenName)
    answer {
      $0.map(7)
      for (field, value) in [("server", "redis"), ("version", ServerInfo.redisVersion)] {
        $0.bulk(field)
        $0.bulk(value)
      }
      $0.bulk("proto")
      $0.integer(version.rawValue)
      $0.bulk("id")
      $0.integer(clientID)
      for (field, value) in [("mode", "standalone"), ("role", "master")] {
        $0.bulk(field)
        $0.bulk(value)
      }
      $0.bulk("modules")
      $0.array(0)
    }
  }

  static let nameError =
    "ERR Client names cannot contain spaces, newlines or special characters."

  static func isName(_ name: String) -> Bool { name.utf8.allSatisfy { (0x21...0x7E).contains($0) } }

  private func config(_ words: CommandWords) {
    switch words.text(1).uppercased() {
    case "GET" where words.count > 2:
      let found = ServerInfo.parameters(loop.gateway.configuration).filter { name, _ in
        (2..<words.count).contains { Glob.matches(Array(name.utf8), pattern: words[$0]) }
      }
      answer {
        $0.map(found.count)
        for (name, value) in found {
          $0.bulk(name)
          $0.bulk(value)
        }
      }
    case "GET": answer { $0.error("ERR wrong number of arguments for 'config|get' command") }
    case "SET", "REWRITE", "RESETSTAT":
      answer { $0.error("ERR CONFIG \(words.text(1)) is not supported: see the gateway's options") }
    default: answer { $0.error(Self.unknownSubcommand(words)) }
    }
  }

  static func unknownSubcommand(_ words: CommandWords) -> String {
    "ERR unknown subcommand '\(words.text(1))'. Try \(words.text(0).uppercased()) HELP."
  }

  private func info(_ words: CommandWords) {
    let sections = (1..<max(1, words.count)).map { words.text($0).lowercased() }
    let text = ServerInfo.text(of: loop, sections: sections)
    answer { $0.bulk(text) }
  }

  private func describeCommands(_ words: CommandWords) {
    guard words.count > 1 else {
      return answer { reply in
        reply.array(Verb.table.count)
        for traits in Verb.table { ServerInfo.describe(traits, in: &reply) }
      }
    }
    switch words.text(1).uppercased() {
    case "COUNT": answer { $0.integer(Verb.table.count) }
    case "DOCS": answer { $0.map(0) }
    case "LIST":
      answer {
        $0.array(Verb.table.count)
        for traits in Verb.table { $0.bulk("\(traits.name)") }
      }
    case "INFO":
      let verbs = (2..<max(2, words.count)).map { Verb.named(words[$0]) }
      answer { reply in
        reply.array(verbs.count)
        for verb in verbs {
          if let verb { ServerInfo.describe(verb.traits, in: &reply) } else { reply.null() }
        }
      }
    default: answer { $0.error(Self.unknownSubcommand(words)) }
    }
  }
}
