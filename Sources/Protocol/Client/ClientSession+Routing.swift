// For a host that runs several sessions over the same connections: which of them an answer is for.
extension ClientSession {
  /// The name under which this client's reads are answered; never changes.
  public var reader: SessionID { readerID }

  /// Whether an answer to this request would be taken, rather than dropped as late or as somebody else's.
  public func expects(_ id: RequestID) -> Bool {
    if id.session == readerID, id.sequence.rawValue & Self.readFlag != 0 { return true }
    switch state {
    case .none: return false
    case .registering: return id.session.rawValue == nonce && id.sequence.rawValue == 0
    case .open(let session): return id.session == session
    }
  }
}
