/// Why a well-formed frame is not for us. The connection may stay when a later frame can be right.
public enum FrameRefusal: Error, Hashable, Sendable {
  case wrongCluster(ClusterID)
  case wrongReceiver(ReplicaID)
  /// Sent under our own name: a wrong address, or a copy of our disk runs elsewhere.
  case fromSelf
  /// The sender's storage was replaced since: this frame is from before, or from an impostor.
  case oldSender(Incarnation, current: Incarnation)
  /// Meant for a life of ours that is over, or has not begun.
  case otherLifeOfReceiver(Incarnation, current: Incarnation)
  /// Where clients are served: it names itself as a replica, which only peers do.
  case notAClient(ReplicaID)
  /// To a client: another replica answers than the one the connection was made to.
  case wrongSender(ReplicaID)
}

/// What stands between the network and the core: only frames of this cluster, for this replica, of a living sender.
public struct FrameScreen: Hashable, Sendable {
  public var cluster: ClusterID
  public var replica: ReplicaID
  public var incarnation: Incarnation

  public init(cluster: ClusterID, replica: ReplicaID, incarnation: Incarnation) {
    self.cluster = cluster
    self.replica = replica
    self.incarnation = incarnation
  }

  /// Nil when the frame may pass. `sender` is the newest incarnation of the sender this replica knows of, from the
  /// configuration or from earlier frames; nil when it knows none.
  public func refusal(of route: FrameRoute, sender current: Incarnation?) -> FrameRefusal? {
    guard route.cluster == cluster else { return .wrongCluster(route.cluster) }
    guard route.receiver == replica else { return .wrongReceiver(route.receiver) }
    guard route.sender != replica else { return .fromSelf }
    if let current, route.senderIncarnation < current {
      return .oldSender(route.senderIncarnation, current: current)
    }
    guard
      route.receiverIncarnation == Incarnation(0) || route.receiverIncarnation == incarnation
    else { return .otherLifeOfReceiver(route.receiverIncarnation, current: incarnation) }
    return nil
  }
}

/// The first message on a connection, from both sides: what the sender understands.
public struct Hello: Hashable, Sendable {
  /// The oldest and the newest format version the sender reads and writes.
  public var oldestVersion: UInt8
  public var newestVersion: UInt8
  /// The longest frame the sender accepts, in bytes.
  public var frameLengthMax: UInt32

  public init(oldestVersion: UInt8, newestVersion: UInt8, frameLengthMax: UInt32) {
    self.oldestVersion = oldestVersion
    self.newestVersion = newestVersion
    self.frameLengthMax = frameLengthMax
  }

  public static let encodedLength = 8

  /// The newest version both sides understand, nil when there is none.
  public func commonVersion(with other: Hello) -> UInt8? {
    let newest = min(newestVersion, other.newestVersion)
    return newest >= max(oldestVersion, other.oldestVersion) ? newest : nil
  }

  public func encode(into out: inout [UInt8]) {
    out.extend(by: Self.encodedLength) { out in
      out.put(oldestVersion)
      out.put(newestVersion)
      out.putZeroes(2)
      out.put(frameLengthMax)
    }
  }

  /// Decodes the body of a hello frame.
  public init(body: Range<Int>, of bytes: RawSpan) throws(DecodeError) {
    self = try bytes.withUnsafeBytes { buffer throws(DecodeError) in
      var reader = ByteReader(buffer, in: body)
      let begin = reader.offset
      let oldest = try reader.u8()
      let newest = try reader.u8()
      try reader.zeroes(2)
      let lengthMax = try reader.u32()
      try reader.finish()
      guard oldest <= newest, lengthMax >= UInt32(FrameHeader.length) else {
        throw DecodeError(.contradiction, at: begin)
      }
      return Hello(oldestVersion: oldest, newestVersion: newest, frameLengthMax: lengthMax)
    }
  }
}
