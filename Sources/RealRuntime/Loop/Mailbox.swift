import Synchronization

/// Work for the loop from other threads, in order of arrival. The loop looks when it is woken.
final class Mailbox<Message: Sendable>: Sendable {
  private let messages = Mutex<[Message]>([])
  private let waker: WakeUp

  init(waker: WakeUp) { self.waker = waker }

  func post(_ message: Message) {
    messages.withLock { $0.append(message) }
    waker.wake()
  }

  /// Everything that has come since the last time.
  func take() -> [Message] {
    messages.withLock { messages in
      guard !messages.isEmpty else { return [] }
      defer { messages.removeAll(keepingCapacity: true) }
      return messages
    }
  }
}
