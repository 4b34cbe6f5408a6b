import Protocol
import RESP
import TestSupport

@testable import KeyValueMachine

/// A store as a replica holds it, with one client whose session and clock are looked after.
struct SingleStore {
  static let beginning: UInt64 = 1_700_000_000_000

  private(set) var application = Application(machine: KeyValueStore())
  private var replies = ReplyBuffer()
  private var session = SessionID(0)
  private var sequence: UInt64 = 0
  private var transaction: [[UInt8]]?
  /// What the gateway's clock shows.
  var time = Self.beginning

  var machine: KeyValueStore { application.machine }

  init() {
    var batch: [UInt8] = []
    Command.encodeRegistration(nonce: 7, into: &batch)
    apply(batch)
    guard case .registered(let session)? = replies.replies.first?.outcome else {
      fatalError("a registration is answered with a session")
    }
    self.session = session
  }

  /// Goes on from a snapshot of this application.
  mutating func restore(from snapshot: [UInt8]) throws {
    var restorer = application.restorer()
    try restorer.take(snapshot.span.bytes)
    application = try restorer.finish()
  }

  /// Goes on with another one's state, which is this one's by way of a snapshot.
  mutating func replaceApplication(by other: SingleStore) { application = other.application }

  /// The reply to these words, as the machine wrote it.
  mutating func raw(_ words: [[UInt8]]) -> [UInt8] {
    guard let verb = words[0].withUnsafeBytes({ Verb.named($0) }) else {
      return Array("-ERR unknown command\r\n".utf8)
    }
    return raw(payload: encode(verb, Array(words.dropFirst())))
  }

  /// The reply to an encoded command. If it changes nothing, a query must give the same one.
  mutating func raw(payload: [UInt8]) -> [UInt8] {
    let asked = query(payload: payload)
    sequence += 1
    var batch: [UInt8] = []
    Command.encode(
      session: session, sequence: SequenceNumber(sequence),
      acknowledgedUpTo: SequenceNumber(sequence - 1), payload: payload.span.bytes, into: &batch)
    apply(batch)
    let reply = Array(replies.bytes[replies.replies[0].bytes])
    let isReadOnly =
      payload.withUnsafeBytes { Request($0) }.map { $0.verb.isReadOnly && $0.verb != .exec }
    if isReadOnly == true { precondition(asked == reply, "a query is answered otherwise") }
    return reply
  }

  func query(payload: [UInt8]) -> [UInt8] {
    var replies = ReplyBuffer()
    let place = application.query(payload.span.bytes, into: &replies)
    return Array(replies.bytes[place])
  }

  func encode(_ verb: Verb, _ arguments: [[UInt8]]) -> [UInt8] {
    var payload: [UInt8] = []
    CommandCoding.encode(verb, time: time, arguments: arguments, into: &payload)
    return payload
  }

  /// The reply as a client of RESP2 sees it. MULTI and EXEC work as they do at a gateway.
  mutating func perform(_ words: [[UInt8]]) -> RESPValue {
    let name = String(decoding: words[0], as: UTF8.self).uppercased()
    switch (name, transaction) {
    case ("MULTI", nil):
      transaction = []
      return .simple("OK")
    case ("EXEC", let commands?):
      transaction = nil
      var payload: [UInt8] = []
      CommandCoding.encodeTransaction(time: time, commands: commands, into: &payload)
      return value(raw(payload: payload))
    case (_, .some):
      guard let verb = words[0].withUnsafeBytes({ Verb.named($0) }) else {
        return .error("ERR unknown command")
      }
      let command = encode(verb, Array(words.dropFirst()))
      transaction?.append(command)
      return .simple("QUEUED")
    default:
      return value(raw(words))
    }
  }

  mutating func perform(_ line: String) -> RESPValue {
    perform(Words.of(line))
  }

  func snapshot(chunk: Int = 1 << 16) -> [UInt8] {
    var source = application.snapshot()
    var bytes: [UInt8] = []
    while source.chunk(limit: chunk, into: &bytes) {}
    return bytes
  }

  private func value(_ reply: [UInt8]) -> RESPValue {
    var converted: [UInt8] = []
    reply.withUnsafeBytes { RESPReply.convert($0, to: .two, into: &converted) }
    guard let (value, length) = RESPValue.parse(converted[...]), length == converted.count else {
      fatalError("not a reply: \(String(decoding: reply, as: UTF8.self))")
    }
    return value
  }

  private mutating func apply(_ batch: [UInt8]) {
    replies.removeAll()
    do {
      try application.apply(application.appliedUpTo.next, batch.span.bytes, into: &replies)
    } catch {
      fatalError("the batch is well formed: \(error)")
    }
  }
}
