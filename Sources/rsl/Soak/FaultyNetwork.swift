import Foundation
import Protocol
import RealRuntime

/// A host for each replica, as a network namespace behind one bridge, and rules that drop packets between them.
///
/// Needs root, or what amounts to it (CAP_NET_ADMIN and CAP_SYS_ADMIN), `ip` and `nft`. This process is a host of the same
/// network: clients are here.
final class FaultyNetwork {
  private let ip: Tool
  private let nft: Tool
  private let name: String
  private let net: Int
  private let count: Int

  /// Why there can be none here, in words for the person who asked for it.
  struct Unavailable: Error {
    var reason: String
  }

  init(replicas count: Int) throws {
    guard let ip = Tool("ip") else { throw Unavailable(reason: "ip is missing (package iproute2)") }
    guard let nft = Tool("nft") else {
      throw Unavailable(reason: "nft is missing (package nftables)")
    }
    (self.ip, self.nft, self.count) = (ip, nft, count)
    name = "rsl" + String(UInt16.random(in: 0x1000...UInt16.max), radix: 16)
    // 198.18.0.0/15 is for measurements of networks, and routed nowhere (RFC 2544).
    net = Int.random(in: 0...255)
    do {
      try ip.run(["link", "add", name, "type", "bridge"])
      try ip.run(["addr", "add", "\(address(254))/24", "dev", name])
      try ip.run(["link", "set", name, "up"])
      for number in 1...count { try addHost(number) }
    } catch {
      close()
      let reason = (error as? CommandFailure)?.message ?? "\(error)"
      throw Unavailable(reason: "no network namespaces here: \(reason)")
    }
  }

  private func addHost(_ number: Int) throws {
    let (space, outer) = (space(number), "\(name)v\(number)")
    try ip.run(["netns", "add", space])
    try ip.run(["link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space])
    try ip.run(["link", "set", outer, "master", name, "up"])
    try ip.run(["-n", space, "link", "set", "lo", "up"])
    try ip.run(["-n", space, "addr", "add", "\(address(number))/24", "dev", "eth0"])
    try ip.run(["-n", space, "link", "set", "eth0", "up"])
    try rules(number, "add table ip rsl")
  }

  /// Takes everything down; what was never made is not missed.
  func close() {
    for number in 1...count { _ = try? ip.finish(["netns", "del", space(number)]) }
    _ = try? ip.finish(["link", "del", name])
  }

  func place(_ number: Int) -> LocalCluster.Place {
    LocalCluster.Place(
      host: address(number), launcher: [ip.path, "netns", "exec", space(number)])
  }

  /// Packets from `other` do not reach `id` any more; nil: from nobody.
  func deafen(_ id: ReplicaID, to other: ReplicaID?) throws {
    try drop(id, "input", other.map { "ip saddr \(address($0))" } ?? "iif != lo")
  }

  /// Packets of `id` do not reach `other` any more; nil: nobody.
  func silence(_ id: ReplicaID, towards other: ReplicaID?) throws {
    try drop(id, "output", other.map { "ip daddr \(address($0))" } ?? "oif != lo")
  }

  func cut(_ id: ReplicaID, from other: ReplicaID?) throws {
    try deafen(id, to: other)
    try silence(id, towards: other)
  }

  /// Everything gets through again.
  func heal() throws {
    for number in 1...count { try rules(number, "flush ruleset\nadd table ip rsl") }
  }

  private func drop(_ id: ReplicaID, _ hook: String, _ match: String) throws {
    try rules(
      Int(id.rawValue),
      """
      add chain ip rsl \(hook) { type filter hook \(hook) priority 0 ; }
      add rule ip rsl \(hook) \(match) drop
      """)
  }

  private func rules(_ number: Int, _ script: String) throws {
    try ip.run(["netns", "exec", space(number), nft.path, "-f", "-"], input: script + "\n")
  }

  private func space(_ number: Int) -> String { "\(name)-\(number)" }
  private func address(_ number: Int) -> String { "198.18.\(net).\(number)" }
  private func address(_ id: ReplicaID) -> String { address(Int(id.rawValue)) }
}
