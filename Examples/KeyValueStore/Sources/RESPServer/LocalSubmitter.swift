public import KeyValueMachine
public import NIOCore
public import Protocol

/// Applies commands to a store in this process: nothing is replicated and nothing is kept.
///
/// For tests, and to measure a gateway by itself. It goes the way a replica goes: what came in one turn of the event loop
/// is one batch, applied through `Application` with a session, and reads are answered after it.
public final class LocalSubmitter: CommandSubmitting {
  public private(set) var application: Application<KeyValueStore>
  private let eventLoop: any EventLoop
  private let completed: SubmissionCompletion
  private var session = SessionID(0)
  private var sequence: UInt64 = 0
  private var batch: [UInt8] = []
  private var batchSpare: [UInt8] = []
  private var tags: [UInt64] = []
  private var reads: [(tag: UInt64, query: [UInt8])] = []
  private var replies = ReplyBuffer()
  private var isScheduled = false

  public init(on eventLoop: any EventLoop, completed: @escaping SubmissionCompletion) {
    self.eventLoop = eventLoop
    self.completed = completed
    application = Application(machine: KeyValueStore())
    Command.encodeRegistration(nonce: 1, into: &batch)
    apply()
    guard case .registered(let session)? = replies.replies.first?.outcome else {
      preconditionFailure("the first command of a log registers a session")
    }
    self.session = session
  }

  public func submit(_ command: RawSpan, tag: UInt64) {
    sequence += 1
    Command.encode(
      session: session, sequence: SequenceNumber(sequence),
      acknowledgedUpTo: SequenceNumber(sequence - 1), payload: command, into: &batch)
    tags.append(tag)
    schedule()
  }

  public func read(_ query: RawSpan, tag: UInt64) {
    reads.append((tag, query.withUnsafeBytes { [UInt8]($0) }))
    schedule()
  }

  public func close() {}

  private func schedule() {
    guard !isScheduled else { return }
    isScheduled = true
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    eventLoop.execute { bound.value.performAll() }
  }

  private func performAll() {
    isScheduled = false
    if !tags.isEmpty {
      apply()
      for (i, reply) in replies.replies.enumerated() {
        completed(tags[i], .answered, replies.bytes.span.bytes.extracting(reply.bytes))
      }
      tags.removeAll(keepingCapacity: true)
    }
    for read in reads {
      replies.removeAll()
      let reply = application.query(read.query.span.bytes, into: &replies)
      completed(read.tag, .answered, replies.bytes.span.bytes.extracting(reply))
    }
    reads.removeAll(keepingCapacity: true)
  }

  private func apply() {
    swap(&batch, &batchSpare)
    replies.removeAll()
    do {
      try application.apply(
        application.appliedUpTo.next, batchSpare.span.bytes, into: &replies)
    } catch {
      preconditionFailure("a batch made here is well formed: \(error)")
    }
    batchSpare.removeAll(keepingCapacity: true)
  }
}
