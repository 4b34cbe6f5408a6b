import ArgumentParser

/// What a soak does to its replicas, one at a time.
enum SoakFault: String, CaseIterable, ExpressibleByArgument {
  /// SIGKILL, then a restart.
  case killLeader = "kill-leader"
  case killFollower = "kill-follower"
  case killAll = "kill-all"
  /// SIGSTOP for longer than a lease, then SIGCONT.
  case pauseLeader = "pause-leader"
  case pauseFollower = "pause-follower"
  /// No packet passes between it and the other replicas; clients still reach it.
  case cutLeader = "cut-leader"
  case cutFollower = "cut-follower"
  /// No packet passes between it and anybody.
  case isolateLeader = "isolate-leader"
  /// The leader hears nothing from other replicas, and is heard.
  case deafLeader = "deaf-leader"
  /// The leader hears the other replicas, and they do not hear it.
  case muteLeader = "mute-leader"
  /// No packet passes between the leader and one follower.
  case cutPair = "cut-pair"
  /// Every flush of the leader takes long.
  case slowDisk = "slow-disk"
  /// A flush of the leader fails with EIO, which must end it.
  case flushError = "flush-error"
  /// The leader is told ENOSPC when it asks for space: it says so, and goes on when there is some.
  case diskFull = "disk-full"
  /// The wall clock of one replica jumps by days, forward and back.
  case clockJump = "clock-jump"
  /// Random bytes and half frames on every port.
  case garbage = "garbage"

  /// What must be there for it.
  enum Need {
    case nothing, network, strace, faketime
  }

  var need: Need {
    switch self {
    case .killLeader, .killFollower, .killAll, .pauseLeader, .pauseFollower, .garbage: .nothing
    case .cutLeader, .cutFollower, .isolateLeader, .deafLeader, .muteLeader, .cutPair: .network
    case .slowDisk, .flushError, .diskFull: .strace
    case .clockJump: .faketime
    }
  }

  /// Whether it strikes whoever leads.
  var isOfLeader: Bool {
    switch self {
    case .killLeader, .pauseLeader, .cutLeader, .isolateLeader, .deafLeader, .muteLeader, .cutPair,
      .slowDisk, .flushError, .diskFull:
      true
    case .killFollower, .killAll, .pauseFollower, .cutFollower, .clockJump, .garbage: false
    }
  }
}
