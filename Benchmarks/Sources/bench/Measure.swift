import Glibc

/// User CPU time of this process so far, in seconds: what the machine's other work disturbs least.
func userSeconds() -> Double {
  var usage = rusage()
  getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
  return Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) / 1e6
}

/// The least user time of `passes` calls of `body`, in seconds.
func least(_ passes: Int, _ body: () -> Void) -> Double {
  var best = Double.infinity
  for _ in 0..<passes {
    let start = userSeconds()
    body()
    best = min(best, userSeconds() - start)
  }
  return best
}

/// Nanoseconds for each of `count` rounds of `body`, which does `count` of them in a call.
func nanoseconds(_ count: Int, passes: Int = 7, _ body: (Int) -> Void) -> Double {
  body(count / 10)
  return least(passes) { body(count) } * 1e9 / Double(count)
}

/// How many allocations the process has made; nil unless the counter of malloc-counter.c is loaded.
func allocations() -> UInt? {
  counter.map { $0() }
}

private typealias Counter = @convention(c) () -> UInt
private let counter: Counter? = dlsym(dlopen(nil, RTLD_NOW), "bench_malloc_count").map {
  unsafeBitCast($0, to: Counter.self)
}

/// Where results go that nobody reads, so that the work for them is done.
nonisolated(unsafe) var sink: UInt64 = 0
