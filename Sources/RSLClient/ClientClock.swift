internal import Glibc
public import Protocol

/// The clock of all deadlines here: time since boot, sleep included, which nobody can set back.
public enum ClientClock {
  public static func now() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
  }
}
