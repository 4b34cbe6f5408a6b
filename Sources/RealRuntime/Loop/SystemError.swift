import Glibc

/// A system call that failed: which one, on what, and why.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  public var call: String
  /// A path or an address.
  public var subject: String
  /// As in `errno.h`.
  public var code: Int32

  /// - Parameter code: nil means the last one of this thread.
  public init(_ call: String, _ subject: String = "", code: Int32? = nil) {
    let code = code ?? errno
    self.call = call
    self.subject = subject
    self.code = code
  }

  public var reason: String { String(cString: strerror(code)) }
  public var description: String {
    subject.isEmpty ? "\(call): \(reason)" : "\(call) \(subject): \(reason)"
  }
}

/// Runs a system call again for as long as a signal interrupts it; throws when it fails.
@discardableResult
func check<N: SignedInteger>(
  _ call: String, _ subject: @autoclosure () -> String = "", _ body: () -> N
) throws(SystemError) -> N {
  while true {
    let result = body()
    if result >= 0 { return result }
    if errno != EINTR { throw SystemError(call, subject()) }
  }
}
