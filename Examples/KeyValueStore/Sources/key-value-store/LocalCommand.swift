import ArgumentParser
import NIOCore
import NIOPosix
import RESPServer

struct Local: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serve from this process alone: volatile, nothing is replicated and nothing is kept.")

  @Option(help: "The address to listen on.")
  var host = "127.0.0.1"

  @Option(help: "The port to listen on; 0 lets the system choose one.")
  var port = 6379

  @Option(help: "How many clients may be connected at the same time.")
  var clientsMax = 10_000

  func run() async throws {
    // One event loop, because there is one store.
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let configuration = GatewayConfiguration(host: host, port: port, clientsMax: clientsMax)
    let gateway = try await Gateway.start(configuration, on: group) { eventLoop, completed in
      LocalSubmitter(on: eventLoop, completed: completed)
    }
    print("listening on \(host):\(gateway.port), volatile: nothing is replicated, nothing is kept")
    await Signals.wait()
    try await gateway.close()
    try await group.shutdownGracefully()
  }
}
