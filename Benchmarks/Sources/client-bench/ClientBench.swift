import ArgumentParser
import Foundation
import NIOCore
import NIOPosix
import Protocol
import RSLClient
import RSLLoad

/// What one operation costs in the client library: the load generator on one thread, a server that only applies and
/// answers on another, loopback TCP between them.
@main
struct ClientBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "client-bench",
    abstract: "Measures the client library against a server that only applies and answers.")

  @Option(help: "Connections.")
  var connections = 1
  @Option(
    parsing: .upToNextOption,
    help: "Commands under way on each connection; several runs for several values.")
  var outstanding: [Int] = [1, 64, 1024, 8192]
  @Option(help: "Bytes of a command, at least 16.")
  var payload = 64
  @Option(help: "Commands under way in one session.")
  var window = 16
  @Option(help: "Seconds measured, after one second of warm-up.")
  var seconds = 5.0

  func validate() throws {
    guard connections > 0, outstanding.allSatisfy({ $0 > 0 }), payload >= 16,
      (1...4096).contains(window), seconds > 0
    else { throw ValidationError("out of range") }
  }

  func run() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = try await EchoServer.start(on: group.next())
    var configuration = ClientConfiguration(
      cluster: EchoServer.cluster,
      replicas: [
        ReplicaAddress(
          id: EchoServer.replica, host: "127.0.0.1", port: server.localAddress!.port!)
      ])
    configuration.options = ClientOptions(
      replicas: [EchoServer.replica], windowMax: window, readsMax: 1)
    print(
      "outstanding  window      ops/s  p50 us  p99 us  p99.9 us  max us  user ns/op  sys ns/op"
        + "  ops/frame  errors")
    for outstanding in outstanding {
      var options = LoadOptions(workload: EchoWorkload(payload: payload))
      options.connections = connections
      options.outstanding = outstanding
      options.duration = TimeSpan(nanoseconds: UInt64(seconds * 1e9))
      let result = try await LoadGenerator.run(options, against: configuration)
      func us(_ span: TimeSpan) -> String { String(format: "%.0f", Double(span.nanoseconds) / 1e3) }
      let columns = [
        ("\(outstanding)", 11), ("\(window)", 8),
        (String(format: "%.0f", result.operationsPerSecond), 11),
        (us(result.latency(atPercentile: 50)), 8), (us(result.latency(atPercentile: 99)), 8),
        (us(result.latency(atPercentile: 99.9)), 10), (us(result.latencyMax), 8),
        (String(format: "%.0f", result.userTimePerOperation), 12),
        (String(format: "%.0f", result.systemTimePerOperation), 11),
        (
          String(
            format: "%.1f",
            Double(result.bytesSent)
              / Double(
                FrameWriter.encodedLength(
                  ofClientMessage: 40 + payload)) / Double(max(1, result.framesSent))), 11
        ), ("\(result.errors)", 8),
      ]
      print(columns.map { String(repeating: " ", count: max(0, $1 - $0.count)) + $0 }.joined())
    }
    try await server.close()
    try await group.shutdownGracefully()
  }
}
