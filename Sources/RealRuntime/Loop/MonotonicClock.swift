internal import Glibc
public import Protocol

/// The host's only clock: time since boot that neither an operator nor NTP can set back, stops and all.
///
/// `CLOCK_BOOTTIME`, because a lease must also run out while the machine sleeps.
public enum MonotonicClock {
  public static func now() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
  }

  /// What has to be added to its time for the time since 1970, in nanoseconds; for people who compare machines.
  static var offsetToRealTime: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) - Int64(now().rawValue)
  }
}
