internal import Dispatch
internal import Glibc

/// Calls a closure when one of these signals comes, for as long as it lives.
public final class SignalHandler {
  private let sources: [any DispatchSourceSignal]

  public init(_ numbers: [Int32], _ handler: @escaping @Sendable () -> Void) {
    sources = numbers.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler(handler: handler)
      source.resume()
      return source
    }
  }
}
