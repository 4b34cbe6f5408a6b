public import Logging
public import Protocol

/// What the admin endpoint asks of a node. Implemented by whoever hosts the replica.
///
/// Every call may come from any thread. One that is not answered in time gets 504 and its task is cancelled.
public protocol AdminBackend: Sendable {
  func status() async throws(AdminRefusal) -> NodeStatus
  /// Cheap. That it answers at all says that the loop turns.
  func health() async -> NodeHealth
  func stages() async -> StageBoard.Reading
  /// What is remembered of the slots that were traced.
  func trace() async throws(AdminRefusal) -> ReplicaTrace
  /// Starts handing over leadership; nil: the node picks the member. Returns who is to lead.
  func moveLeader(to target: ReplicaID?) async throws(AdminRefusal) -> ReplicaID
  /// Takes a snapshot now; returns its slot once it is durable.
  func takeSnapshot() async throws(AdminRefusal) -> Slot
  func setLogLevel(_ level: Logger.Level) async throws(AdminRefusal)
}

/// Whether a node lives, and whether clients should be sent to it.
public struct NodeHealth: Hashable, Sendable {
  /// False: restart it.
  public var isAlive: Bool
  /// False: it cannot serve now.
  public var isReady: Bool
  /// Why not, in one line.
  public var reason: String

  public init(isAlive: Bool, isReady: Bool, reason: String = "") {
    self.isAlive = isAlive
    self.isReady = isReady
    self.reason = reason
  }
}

/// Why a request is not carried out.
public enum AdminRefusal: Error, Hashable, Sendable {
  /// Only the leader can; `leader` is a hint.
  case notLeader(leader: ReplicaID?)
  /// What was asked for cannot be.
  case invalid(String)
  /// Not now.
  case unavailable(String)
}
