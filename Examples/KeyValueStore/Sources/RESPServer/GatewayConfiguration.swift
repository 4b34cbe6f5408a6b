public import RESP

/// How a gateway behaves.
public struct GatewayConfiguration: Hashable, Sendable {
  public var host: String
  /// 0 lets the system choose one: `Gateway.port` tells.
  public var port: Int
  /// Connections at the same time; one more is told so and closed.
  public var clientsMax: Int
  /// Commands of one connection that are not answered yet; with so many it is not read from.
  public var pendingMax: Int
  /// What a client may send.
  public var limits: RESPCommandParser.Limits

  public init(
    host: String = "127.0.0.1", port: Int = 6379, clientsMax: Int = 10_000, pendingMax: Int = 1024,
    limits: RESPCommandParser.Limits = .init(
      argumentsMax: 1 << 20, bulkLengthMax: 8 << 20, commandLengthMax: 16 << 20)
  ) {
    precondition(clientsMax > 0 && pendingMax > 0, "nobody could be served")
    self.host = host
    self.port = port
    self.clientsMax = clientsMax
    self.pendingMax = pendingMax
    self.limits = limits
  }
}

/// What a gateway counted since it was started.
public struct GatewayStatistics: Hashable, Sendable {
  public var connectionsReceived: UInt64 = 0
  public var connectionsRejected: UInt64 = 0
  public var clients: Int = 0
  public var commandsSubmitted: UInt64 = 0
  public var readsSubmitted: UInt64 = 0
  /// Commands the gateway answered itself.
  public var commandsAnsweredHere: UInt64 = 0
  /// Connections closed because of what they sent.
  public var protocolErrors: UInt64 = 0
}
