import NIOCore
import RESP

extension GatewayConnection {
  /// CLIENT and its subcommands.
  func client(_ words: CommandWords) {
    let subcommand = words.text(1).uppercased()
    switch (subcommand, words.count) {
    case ("ID", 2): answer { $0.integer(clientID) }
    case ("GETNAME", 2): answer { if name.isEmpty { $0.null() } else { $0.bulk(name) } }
    case ("SETNAME", 3):
      guard Self.isName(words.text(2)) else { return answer { $0.error(Self.nameError) } }
      name = words.text(2)
      answer { $0.simple("OK") }
    case ("SETINFO", 4): setInfo(words)
    case ("INFO", 2): answer { $0.bulk(clientLine + "\n") }
    case ("LIST", _):
      // Those of this event loop: the others' state is theirs.
      answer { $0.bulk(loop.clientLines.map { $0 + "\n" }.joined()) }
    case ("NO-EVICT", 3), ("NO-TOUCH", 3):
      switch words.text(2).uppercased() {
      case "ON", "OFF": answer { $0.simple("OK") }
      default: answer { $0.error("ERR syntax error") }
      }
    case ("REPLY", 3) where words.text(2).uppercased() == "ON": answer { $0.simple("OK") }
    case ("ID", _), ("GETNAME", _), ("SETNAME", _), ("SETINFO", _), ("INFO", _), ("NO-EVICT", _),
      ("NO-TOUCH", _):
      let name = words.text(1).lowercased()
      answer { $0.error("ERR wrong number of arguments for 'client|\(name)' command") }
    default: answer { $0.error(Self.unknownSubcommand(words)) }
    }
  }

  private func setInfo(_ words: CommandWords) {
    let value = words.text(3)
    guard Self.isName(value) else {
      return answer {
        $0.error(
          "ERR \(words.text(2)) cannot contain spaces, newlines or special characters.")
      }
    }
    switch words.text(2).uppercased() {
    case "LIB-NAME": libraryName = value
    case "LIB-VER": libraryVersion = value
    default: return answer { $0.error("ERR Unrecognized option '\(words.text(2))'") }
    }
    answer { $0.simple("OK") }
  }

  /// As CLIENT INFO shows it.
  var clientLine: String {
    "id=\(clientID) addr=\(remoteAddress) laddr=\(localAddress) name=\(name) db=0 "
      + "multi=\(transaction.map { $0.commands.count } ?? -1) resp=\(version.rawValue) "
      + "lib-name=\(libraryName) lib-ver=\(libraryVersion)"
  }
}
