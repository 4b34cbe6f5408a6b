import Glibc
import KeyValueMachine
import NIOCore
import RESP
import Synchronization

/// What INFO, COMMAND and CONFIG GET tell.
enum ServerInfo {
  /// The version whose behaviour the transcripts were taken from; clients choose their commands by it.
  static let redisVersion = "7.0.15"

  static func parameters(_ configuration: GatewayConfiguration) -> [(String, String)] {
    [
      ("appendonly", "no"), ("databases", "1"), ("maxclients", String(configuration.clientsMax)),
      ("maxmemory", "0"), ("proto-max-bulk-len", String(configuration.limits.bulkLengthMax)),
      ("save", ""), ("timeout", "0"),
    ]
  }

  /// The sections asked for, all of them by default. Counts of connections and commands are this event loop's.
  static func text(of loop: GatewayLoop, sections: [String]) -> String {
    let gateway = loop.gateway
    let uptime = (NIODeadline.now() - gateway.started).nanoseconds / 1_000_000_000
    let all: [(String, [(String, String)])] = [
      (
        "Server",
        [
          ("redis_version", redisVersion), ("redis_mode", "standalone"),
          ("process_id", String(getpid())),
          ("tcp_port", String(gateway.port.load(ordering: .relaxed))),
          ("uptime_in_seconds", String(uptime)), ("server_name", "swift-rsl key-value-store"),
        ]
      ),
      (
        "Clients",
        [
          ("connected_clients", String(gateway.clients.load(ordering: .relaxed))),
          ("maxclients", String(gateway.configuration.clientsMax)),
        ]
      ),
      (
        "Stats",
        [
          ("total_connections_received", String(loop.statistics.connectionsReceived)),
          ("rejected_connections", String(gateway.rejected.load(ordering: .relaxed))),
          ("total_commands_submitted", String(loop.statistics.commandsSubmitted)),
          ("total_reads_submitted", String(loop.statistics.readsSubmitted)),
          ("total_protocol_errors", String(loop.statistics.protocolErrors)),
        ]
      ),
      ("Replication", [("role", "master"), ("connected_slaves", "0")]),
    ]
    let everything: Set = ["all", "default", "everything"]
    return all.filter { section in
      sections.isEmpty || sections.contains { everything.contains($0) }
        || sections.contains(section.0.lowercased())
    }.map { name, lines in
      "# \(name)\r\n" + lines.map { "\($0):\($1)\r\n" }.joined()
    }.joined(separator: "\r\n")
  }

  /// One entry of COMMAND.
  static func describe(_ traits: Verb.Traits, in reply: inout RESPBuilder) {
    reply.array(6)
    reply.bulk("\(traits.name)")
    reply.integer(traits.arity)
    reply.array(1)
    reply.simple(traits.isReadOnly ? "readonly" : "write")
    reply.integer(traits.keys.first)
    reply.integer(traits.keys.last)
    reply.integer(traits.keys.step)
  }
}
