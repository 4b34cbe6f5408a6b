import CLinux
import Glibc
import Synchronization

/// A thread of its own that runs jobs one after the other: what must not hold up the loop and may block for long.
final class WorkerThread: Sendable {
  typealias Job = @Sendable () -> Void

  private let queue = Queue()

  private final class Queue: @unchecked Sendable {
    // A condition variable has no Sendable wrapper in the standard library; every access below holds the mutex.
    var mutex = pthread_mutex_t()
    var condition = pthread_cond_t()
    var jobs: [Job] = []
    var isBusy = false
    var isClosed = false

    init() {
      pthread_mutex_init(&mutex, nil)
      pthread_cond_init(&condition, nil)
    }

    func run() {
      while let job = next() { job() }
    }

    private func next() -> Job? {
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      isBusy = false
      if jobs.isEmpty { pthread_cond_broadcast(&condition) }
      while jobs.isEmpty && !isClosed { pthread_cond_wait(&condition, &mutex) }
      isBusy = !jobs.isEmpty
      return isBusy ? jobs.removeFirst() : nil
    }

    func finish() {
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      while isBusy || !jobs.isEmpty { pthread_cond_wait(&condition, &mutex) }
    }
  }

  init(name: String) throws(SystemError) {
    let queue = queue
    try startThread(name: name) { queue.run() }
  }

  /// The jobs that are queued still run; then the thread ends.
  deinit { withLock { $0.isClosed = true } }

  func run(_ job: @escaping Job) { withLock { $0.jobs.append(job) } }

  /// Waits until everything that is queued was run.
  func finish() { queue.finish() }

  private func withLock(_ body: (Queue) -> Void) {
    pthread_mutex_lock(&queue.mutex)
    body(queue)
    pthread_cond_broadcast(&queue.condition)
    pthread_mutex_unlock(&queue.mutex)
  }
}

/// Starts a detached thread.
func startThread(
  name: String, _ body: @escaping @Sendable () -> Void
) throws(SystemError) {
  final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  // The default is 8 MiB; steps do not recurse, but a state machine of a user's may.
  pthread_attr_setstacksize(&attributes, 16 << 20)
  defer { pthread_attr_destroy(&attributes) }
  let start = Unmanaged.passRetained(Start(name, body))
  var thread = pthread_t()
  let code = pthread_create(
    &thread, &attributes,
    { argument in
      let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
      rsl_name_thread(start.name)
      start.body()
      return nil
    }, start.toOpaque())
  guard code == 0 else {
    start.release()
    throw SystemError("pthread_create", name, code: code)
  }
}
