import KeyValueMachine
import NIOCore
import RESP

/// What MULTI began.
struct Transaction {
  /// Encoded.
  var commands: [[UInt8]] = []
  var byteCount = 0
  var isReadOnly = true
  /// A command was refused: EXEC will refuse them all.
  var isAborted = false
}

extension GatewayConnection {
  /// Does with a command what it asks for: hands it on, keeps it for EXEC, or answers it here.
  func perform(_ words: CommandWords) {
    guard let word = CommandWord(words[0]) else { return refuseUnknown(words) }
    if transaction != nil {
      performInTransaction(word, words)
    } else if let verb = Verb.named(word), !verb.isAnsweredHere {
      guard verb.accepts(arguments: words.count - 1) else { return refuseCount(verb.traits.name) }
      encode(verb, words, into: &loop.scratch)
      submit(loop.scratch, isReadOnly: verb.isReadOnly)
    } else if let command = LocalCommand.named(word) {
      guard command.accepts(words: words.count) else { return refuseCount(command) }
      perform(command, words)
    } else {
      refuseUnknown(words)
    }
  }

  private func performInTransaction(_ word: CommandWord, _ words: CommandWords) {
    switch LocalCommand.named(word) {
    case let command? where !command.accepts(words: words.count):
      transaction?.isAborted = true
      refuseCount(command)
    case .exec: execute()
    case .discard:
      transaction = nil
      answer { $0.simple("OK") }
    case .multi: answer { $0.error("ERR MULTI calls can not be nested") }
    case .watch: answer { $0.error("ERR WATCH inside MULTI is not allowed") }
    case .quit: perform(.quit, words)
    case .reset: perform(.reset, words)
    default: queue(word, words)
    }
  }

  private func queue(_ word: CommandWord, _ words: CommandWords) {
    guard let verb = Verb.named(word), verb != .exec else {
      transaction?.isAborted = true
      if LocalCommand.named(word) == nil { return refuseUnknown(words) }
      return answer { $0.error("ERR Command not allowed inside a transaction") }
    }
    guard verb.accepts(arguments: words.count - 1) else {
      transaction?.isAborted = true
      return refuseCount(verb.traits.name)
    }
    var command: [UInt8] = []
    encode(verb, words, into: &command)
    let byteCount = (transaction?.byteCount ?? 0) + command.count
    guard byteCount <= loop.gateway.configuration.limits.commandLengthMax else {
      transaction?.isAborted = true
      return answer { $0.error("ERR The transaction is too long") }
    }
    transaction?.byteCount = byteCount
    if !verb.isReadOnly { transaction?.isReadOnly = false }
    transaction?.commands.append(command)
    answer { $0.simple("QUEUED") }
  }

  private func execute() {
    guard let transaction else { return }
    self.transaction = nil
    guard !transaction.isAborted else {
      return answer {
        $0.error("EXECABORT Transaction discarded because of previous errors.")
      }
    }
    guard !transaction.commands.isEmpty else { return answer { $0.array(0) } }
    loop.scratch.removeAll(keepingCapacity: true)
    CommandCoding.encodeTransaction(
      time: loop.clock, commands: transaction.commands, into: &loop.scratch)
    submit(loop.scratch, isReadOnly: transaction.isReadOnly)
  }

  private func encode(_ verb: Verb, _ words: CommandWords, into bytes: inout [UInt8]) {
    bytes.removeAll(keepingCapacity: true)
    CommandCoding.encode(
      verb, time: loop.clock, arguments: words.ranges[1...], of: words.bytes, into: &bytes)
  }

  private func refuseCount(_ command: LocalCommand) {
    guard command == .exec else { return refuseCount(command.traits.name) }
    // An EXEC that cannot be understood ends the transaction all the same.
    transaction = nil
    answer {
      $0.error(
        "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command")
    }
  }

  private func refuseCount(_ name: StaticString) {
    answer { $0.error("ERR wrong number of arguments for '\(name)' command") }
  }

  /// As Redis says it: at most 128 bytes of the name, and of the arguments together.
  private func refuseUnknown(_ words: CommandWords) {
    transaction?.isAborted = true
    var text = "ERR unknown command '"
    text += String(decoding: words[0].prefix(128), as: UTF8.self) + "', with args beginning with: "
    var shown = 0
    for i in 1..<max(1, words.count) where shown < 128 {
      let word = words[i].prefix(128 - shown)
      text += "'" + String(decoding: word, as: UTF8.self) + "' "
      shown += word.count + 3
    }
    answer { $0.error(text) }
  }
}

extension Verb {
  /// The state machine knows these for transactions; by themselves they need no cluster.
  fileprivate var isAnsweredHere: Bool { self == .ping || self == .echo || self == .exec }
}
