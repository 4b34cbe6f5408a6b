import Foundation

/// A process of our own making: this program again, with other arguments.
///
/// A run that traps takes its process along, so whoever wants to say which seed it was runs it in a
/// child.
final class ChildProcess {
  enum Output {
    case inherited
    /// Read it with `read(timeout:)`.
    case piped
    case discarded
  }

  enum Termination: Equatable {
    case exited(Int32)
    case killed(signal: Int32)

    /// How it is told to people.
    var description: String {
      switch self {
      case .exited(let code): "the process ended with status \(code)"
      case .killed(let signal):
        "the process died of signal \(signal) (\(String(cString: strsignal(signal))))"
      }
    }
  }

  enum ReadResult {
    case bytes([UInt8])
    case end
    case timeout
  }

  private let pid: pid_t
  private let output: Int32
  private var termination: Termination?

  // A pipe's ends must not leak into a child that another thread spawns in between: it would keep
  // the pipe open.
  private static let spawning = NSLock()

  /// Starts this program with `arguments`.
  /// - Parameter errorFile: where its standard error goes; nil: to ours.
  init(_ arguments: [String], output: Output, errorFile: String? = nil) throws {
    let program = Bundle.main.executablePath ?? CommandLine.arguments[0]
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    if let errorFile {
      posix_spawn_file_actions_addopen(
        &actions, STDERR_FILENO, errorFile, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    }

    Self.spawning.lock()
    defer { Self.spawning.unlock() }
    var ends: [Int32] = [-1, -1]
    switch output {
    case .inherited: break
    case .discarded:
      posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    case .piped:
      guard pipe(&ends) == 0 else {
        throw CommandFailure("no pipe: \(String(cString: strerror(errno)))")
      }
      _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
      _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
      posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    }
    var environment = ProcessInfo.processInfo.environment
    // The report of a crash takes seconds and keeps our pipe open meanwhile.
    environment["SWIFT_BACKTRACE"] = "enable=no"
    let arguments = Self.cStrings([program] + arguments)
    let variables = Self.cStrings(environment.map { "\($0.key)=\($0.value)" })
    defer { for string in arguments + variables { free(string) } }
    var pid: pid_t = 0
    let status = posix_spawn(&pid, program, &actions, nil, arguments, variables)
    if ends[1] >= 0 { close(ends[1]) }
    guard status == 0 else {
      if ends[0] >= 0 { close(ends[0]) }
      throw CommandFailure("\(program) cannot be started: \(String(cString: strerror(status)))")
    }
    self.pid = pid
    self.output = ends[0]
  }

  deinit {
    if output >= 0 { close(output) }
    if termination == nil {
      kill()
      _ = wait()
    }
  }

  private static func cStrings(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
    strings.map { strdup($0) } + [nil]
  }

  /// What the child has written; waits for it at most `timeout` milliseconds.
  func read(timeout: Int32) -> ReadResult {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      var waiting = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
      let ready = poll(&waiting, 1, timeout)
      if ready < 0 && errno == EINTR { continue }
      if ready == 0 { return .timeout }
      let count = Foundation.read(output, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      return count > 0 ? .bytes(Array(buffer[..<count])) : .end
    }
  }

  /// Ends the child at once.
  func kill() { Foundation.kill(pid, SIGKILL) }

  /// Waits until the child has ended.
  func wait() -> Termination {
    if let termination { return termination }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    let signal = status & 0x7F
    let result: Termination =
      signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
    termination = result
    return result
  }
}
