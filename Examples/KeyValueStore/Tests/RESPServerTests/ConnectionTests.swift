import KeyValueMachine
import NIOCore
import NIOEmbedded
import RESP
import Testing

@testable import RESPServer

/// Keeps what was submitted until the test says how it ended.
private final class HeldSubmitter: CommandSubmitting {
  struct Request: Equatable {
    var tag: UInt64
    var isRead: Bool
    var verb: Verb?
  }

  private(set) var requests: [Request] = []
  let completed: SubmissionCompletion

  init(_ completed: @escaping SubmissionCompletion) { self.completed = completed }

  func submit(_ command: RawSpan, tag: UInt64) { note(command, tag, isRead: false) }
  func read(_ query: RawSpan, tag: UInt64) { note(query, tag, isRead: true) }
  func close() {}

  private func note(_ bytes: RawSpan, _ tag: UInt64, isRead: Bool) {
    let verb = bytes.withUnsafeBytes { Verb(rawValue: $0[0]) }
    requests.append(Request(tag: tag, isRead: isRead, verb: verb))
  }

  /// Ends the request at this place of those that are under way.
  func end(_ place: Int, _ outcome: SubmissionOutcome = .answered, _ reply: String = "") {
    let request = requests.remove(at: place)
    let bytes = Array(reply.utf8)
    completed(request.tag, outcome, bytes.span.bytes)
  }

  var kinds: [String] { requests.map { ($0.isRead ? "read " : "write ") + "\($0.verb!)" } }
}

/// A connection whose event loop and submitter the test drives.
private struct Held {
  let loop: GatewayLoop
  let eventLoop: EmbeddedEventLoop
  let channel: EmbeddedChannel
  var submitter: HeldSubmitter { loop.submitter as! HeldSubmitter }

  init(pendingMax: Int = 1024, sharing other: Held? = nil) throws {
    eventLoop = other?.eventLoop ?? EmbeddedEventLoop()
    loop =
      other?.loop
      ?? GatewayLoop(
        gateway: GatewayShared(GatewayConfiguration(pendingMax: pendingMax)), eventLoop: eventLoop
      ) { HeldSubmitter($1) }
    #expect(loop.gateway.admit())
    channel = EmbeddedChannel(loop: eventLoop)
    try channel.pipeline.syncOperations.addHandler(GatewayConnection(channel, on: loop))
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
  }

  func send(_ text: String) throws {
    try channel.writeInbound(ByteBuffer(string: text))
    eventLoop.run()
  }

  /// What was written since the last time.
  func replies() throws -> String {
    eventLoop.run()
    var text = ""
    while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
      text += String(buffer: buffer)
    }
    return text
  }
}

@Suite struct ConnectionTests {
  @Test func repliesComeInTheOrderOfTheCommands() throws {
    let held = try Held()
    try held.send("SET a 1\r\nSET b 2\r\nPING\r\nSET c 3\r\n")
    #expect(held.submitter.kinds == ["write set", "write set", "write set"])
    held.submitter.end(2, .answered, "+third\r\n")
    held.submitter.end(1, .answered, "+second\r\n")
    #expect(try held.replies() == "")
    held.submitter.end(0, .answered, "+first\r\n")
    #expect(try held.replies() == "+first\r\n+second\r\n+PONG\r\n+third\r\n")
  }

  @Test func aReadBehindAWriteGoesThroughTheLogAndOneAloneDoesNot() throws {
    let held = try Held()
    try held.send("GET a\r\nGET b\r\n")
    #expect(held.submitter.kinds == ["read get", "read get"])
    held.submitter.end(0, .answered, "$1\r\n1\r\n")
    held.submitter.end(0, .answered, "_\r\n")
    #expect(try held.replies() == "$1\r\n1\r\n$-1\r\n")
    try held.send("SET a 1\r\nGET a\r\n")
    #expect(held.submitter.kinds == ["write set", "write get"])
    held.submitter.end(0, .answered, "+OK\r\n")
    held.submitter.end(0, .answered, "$1\r\n1\r\n")
    try held.send("GET a\r\n")
    #expect(held.submitter.kinds == ["read get"])
  }

  @Test func aWriteWaitsForTheReadsBeforeIt() throws {
    let held = try Held()
    try held.send("GET a\r\nGET b\r\nSET a 1\r\nPING\r\nGET a\r\n")
    #expect(held.submitter.kinds == ["read get", "read get"])
    held.submitter.end(1, .answered, "$1\r\nb\r\n")
    held.eventLoop.run()
    #expect(held.submitter.kinds == ["read get"])
    held.submitter.end(0, .answered, "$1\r\na\r\n")
    held.eventLoop.run()
    #expect(held.submitter.kinds == ["write set", "write get"])
    held.submitter.end(0, .answered, "+OK\r\n")
    held.submitter.end(0, .answered, "$1\r\n1\r\n")
    #expect(
      try held.replies() == "$1\r\na\r\n$1\r\nb\r\n+OK\r\n+PONG\r\n$1\r\n1\r\n")
  }

  @Test func aTransactionIsOneCommand() throws {
    let held = try Held()
    try held.send("MULTI\r\nSET a 1\r\nGET a\r\nEXEC\r\n")
    #expect(held.submitter.kinds == ["write exec"])
    held.submitter.end(0, .answered, "*2\r\n+OK\r\n$1\r\n1\r\n")
    #expect(
      try held.replies() == "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\n1\r\n")
    try held.send("MULTI\r\nGET a\r\nEXEC\r\n")
    #expect(held.submitter.kinds == ["read exec"])
  }

  @Test(arguments: [
    (SubmissionOutcome.overloaded, "-OVERLOADED "), (.unavailable, "-CLUSTERDOWN "),
    (.noRoom, "-NOROOM "),
    (.unknown, "-UNKNOWNOUTCOME "), (.performedWithoutReply, "-NOREPLY "),
    (.tooLarge(limit: 77), "-ERR The command is longer than the cluster's limit of 77 bytes"),
  ])
  func whatIsNoAnswerIsAnErrorOfItsOwn(outcome: SubmissionOutcome, prefix: String) throws {
    let held = try Held()
    try held.send("SET a 1\r\nSET b 1\r\n")
    held.submitter.end(1, outcome)
    held.submitter.end(0, .answered, "+OK\r\n")
    let text = try held.replies()
    #expect(text.hasPrefix("+OK\r\n" + prefix))
    #expect(text.hasSuffix("\r\n"))
    try held.send("PING\r\n")
    #expect(try held.replies() == "+PONG\r\n")
  }

  @Test func noMoreIsTakenThanMayBeUnderWay() throws {
    let held = try Held(pendingMax: 10)
    try held.send(String(repeating: "SET a 1\r\n", count: 35))
    #expect(held.submitter.requests.count == 10)
    for _ in 0..<4 { held.submitter.end(0, .answered, "+OK\r\n") }
    held.eventLoop.run()
    #expect(held.submitter.requests.count == 10)
    var answered = 4
    while !held.submitter.requests.isEmpty {
      held.submitter.end(0, .answered, "+OK\r\n")
      answered += 1
      held.eventLoop.run()
      #expect(held.submitter.requests.count <= 10)
    }
    #expect(answered == 35)
    #expect(try held.replies() == String(repeating: "+OK\r\n", count: 35))
  }

  @Test func aLateAnswerNeverReachesTheNextClientInItsPlace() throws {
    let first = try Held()
    try first.send("SET a 1\r\nSET b 1\r\n")
    try first.channel.close().wait()
    first.eventLoop.run()
    let second = try Held(sharing: first)
    try second.send("SET c 1\r\n")
    let tags = second.submitter.requests.map(\.tag)
    #expect(Set(tags).count == 3)
    second.submitter.end(0, .answered, "+late\r\n")
    second.submitter.end(0, .answered, "+late\r\n")
    #expect(try second.replies() == "")
    second.submitter.end(0, .answered, "+OK\r\n")
    #expect(try second.replies() == "+OK\r\n")
    #expect(first.loop.statistics.clients == 1)
  }

  @Test func finishingAnswersWhatWasTakenAndTakesNoMore() throws {
    let held = try Held()
    try held.send("SET a 1\r\n")
    let drained = held.loop.finish(within: .hours(1))
    held.eventLoop.run()
    try held.channel.writeInbound(ByteBuffer(string: "SET b 1\r\n"))
    held.eventLoop.run()
    #expect(held.submitter.kinds == ["write set"])
    #expect(held.channel.isActive)
    held.submitter.end(0, .answered, "+OK\r\n")
    #expect(try held.replies() == "+OK\r\n")
    #expect(!held.channel.isActive)
    try drained.wait()
  }

  @Test func finishingCutsOffWhatIsNeverAnswered() throws {
    let held = try Held()
    try held.send("SET a 1\r\n")
    let drained = held.loop.finish(within: .seconds(15))
    held.eventLoop.advanceTime(by: .seconds(14))
    #expect(held.channel.isActive)
    held.eventLoop.advanceTime(by: .seconds(1))
    #expect(!held.channel.isActive)
    try drained.wait()
  }
}
