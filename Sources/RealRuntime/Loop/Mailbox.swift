import Synchronization

/// Work for the loop from other threads, in order of arrival. The loop looks when it is woken.
final class Mailbox<Message: Sendable>: Sendable {
  private let messages = Mutex<[Message]?>([])
  private let waker: WakeUp

  init(waker: WakeUp) { self.waker = waker }

  /// False when nobody looks any more.
  @discardableResult
  func post(_ message: Message) -> Bool {
    let isTaken = messages.withLock { messages in
      messages?.append(message)
      return messages != nil
    }
    if isTaken { waker.wake() }
    return isTaken
  }

  /// Takes nothing in from now on; returns what nobody has looked at.
  func close() -> [Message] {
    messages.withLock { messages in
      defer { messages = nil }
      return messages ?? []
    }
  }

  /// Everything that has come since the last time.
  func take() -> [Message] {
    messages.withLock { messages in
      guard let taken = messages, !taken.isEmpty else { return [] }
      messages = []
      return taken
    }
  }
}
