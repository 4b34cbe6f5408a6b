import Foundation

/// Standard output and standard error.
enum Terminal {
  /// One line on standard error, whatever the text's own line breaks.
  static func complain(_ text: String) {
    let line = text.split(whereSeparator: \.isNewline).map {
      $0.trimmingCharacters(in: .whitespaces)
    }.joined(separator: " ")
    writeError("rsl-sim: \(line)\n")
  }

  static func writeError(_ text: String) { write(text, to: STDERR_FILENO) }

  static func write(_ lines: [String]) {
    write(lines.joined(separator: "\n") + "\n", to: STDOUT_FILENO)
  }

  /// Writes everything, or gives up when the other side is gone.
  static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let count = bytes[start...].withUnsafeBytes {
        Foundation.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      start += count
    }
  }

  static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Columns of the terminal on standard error.
  static var width: Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// Replaces the line the cursor is in.
  static func showProgress(_ line: String) { writeError("\r" + line + "\u{1B}[K") }
  static func clearProgress() { writeError("\r\u{1B}[K") }
}

/// Time of this machine, for measuring only.
enum Stopwatch {
  static var wall: UInt64 { read(CLOCK_MONOTONIC) }
  /// Processor time of the calling thread.
  static var cpu: UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
