internal import Dispatch

/// Threads for answering operators: a process whose tasks keep the shared ones busy still says that it lives.
final class AdminExecutor: TaskExecutor {
  static let shared = AdminExecutor()

  private let queue = DispatchQueue(label: "rsl-admin", attributes: .concurrent)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
