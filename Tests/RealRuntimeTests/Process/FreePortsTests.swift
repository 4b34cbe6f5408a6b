import Glibc
import Testing

@testable import RealRuntime

@Suite struct FreePortsTests {
  /// Whoever has a port may not listen at it yet, so that it looks free.
  @Test func noPortIsHandedOutTwice() throws {
    var seen: Set<UInt16> = []
    // Each of them takes a descriptor for as long as this process lives.
    for _ in 0..<40 {
      for port in try FreePorts.take(5) {
        #expect((15_000..<30_000).contains(port))
        #expect(seen.insert(port).inserted, "\(port) came twice")
      }
    }
    let reserved = Set<UInt16>((29_000..<29_100).filter { !seen.contains($0) })
    FreePorts.reserve(reserved)
    #expect(try Set(FreePorts.take(200)).isDisjoint(with: reserved))
  }

  /// The replica that a port is for can listen at it, again and again; nobody else finds it free meanwhile.
  @Test func aPortIsHeldForItsReplica() throws {
    let port = try #require(try FreePorts.take(1).first)
    for _ in 0..<2 {
      let listener = try Socket.listen(host: "127.0.0.1", port: port)
      close(listener)
      let stranger = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(stranger) }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(stranger, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      #expect(result == -1 && errno == EADDRINUSE)
    }
  }
}
