import Foundation
import KeyValueMachine
import NIOCore
import NIOPosix
import RESP

@testable import RESPServer

/// Runs `body` against a gateway in front of a store in this process.
func withGateway<R>(
  _ configuration: GatewayConfiguration = GatewayConfiguration(port: 0),
  _ body: (Gateway) async throws -> R
) async throws -> R {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let gateway = try await Gateway.start(configuration, on: group) { eventLoop, completed in
    LocalSubmitter(on: eventLoop, completed: completed)
  }
  let result: R
  do {
    result = try await body(gateway)
  } catch {
    try? await gateway.close()
    try? await group.shutdownGracefully()
    throw error
  }
  try await gateway.close()
  try await group.shutdownGracefully()
  return result
}
