import ArgumentParser
import Dispatch
import NIOCore
import NIOPosix
import RESPServer

@main
struct KeyValueStoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key-value-store",
    abstract: "A key-value store that speaks Redis's protocol.",
    subcommands: [Local.self])
}

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

/// Waits for SIGINT or SIGTERM.
enum Signals {
  static func wait() async {
    let sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      return DispatchSource.makeSignalSource(signal: number, queue: .global())
    }
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    for source in sources {
      source.setEventHandler { continuation.yield() }
      source.activate()
    }
    for await _ in stream { break }
    for source in sources { source.cancel() }
  }
}
