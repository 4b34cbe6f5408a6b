internal import Foundation
internal import Logging
internal import NIOHTTP1
internal import Protocol

struct AdminRequest: Sendable {
  var method: HTTPMethod
  /// Path and query as they came.
  var uri: String
  var body: String
  /// Whether the caller may change anything.
  var mayControl: Bool
  /// A browser sent it on behalf of some page.
  var isFromPage: Bool
}

struct AdminResponse: Sendable, Equatable {
  var status: HTTPResponseStatus
  var contentType: String
  var body: String
  var allow: String?

  static func text(_ status: HTTPResponseStatus, _ body: String) -> AdminResponse {
    AdminResponse(status: status, contentType: "text/plain; charset=utf-8", body: body + "\n")
  }

  static func json(_ status: HTTPResponseStatus, _ value: some Encodable) -> AdminResponse {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let bytes = try? encoder.encode(value) else {
      return .text(.internalServerError, "the answer cannot be written")
    }
    return AdminResponse(
      status: status, contentType: "application/json",
      body: String(decoding: bytes, as: UTF8.self) + "\n")
  }

  static func error(
    _ status: HTTPResponseStatus, _ message: String, leader: ReplicaID? = nil
  ) -> AdminResponse {
    .json(status, AdminFailure(error: message, leader: leader?.rawValue))
  }
}

/// The body of every answer that is not a success, `/livez` and `/readyz` aside.
public struct AdminFailure: Codable, Hashable, Sendable {
  public var error: String
  /// Where to ask instead.
  public var leader: UInt32?
}

/// What the admin endpoint does with a request.
struct AdminRouter: Sendable {
  var backend: any AdminBackend
  var registry: PrometheusRegistry?

  private struct Moved: Codable { var leader: UInt32 }
  private struct Taken: Codable { var slot: UInt64 }
  private struct Level: Codable { var level: String }

  private static let routes: [String: HTTPMethod] = [
    "/metrics": .GET, "/livez": .GET, "/readyz": .GET, "/status": .GET, "/trace": .GET,
    "/leader/move": .POST, "/snapshot": .POST, "/log-level": .PUT,
  ]

  func answer(_ request: AdminRequest) async -> AdminResponse {
    guard let url = URLComponents(string: request.uri), let method = Self.routes[url.path] else {
      return .error(.notFound, "there is no such page")
    }
    guard request.method == method || (method == .GET && request.method == .HEAD) else {
      var response = AdminResponse.error(.methodNotAllowed, "use \(method.rawValue)")
      response.allow = method.rawValue
      return response
    }
    if method != .GET {
      guard request.mayControl else {
        return .error(
          .forbidden, "control is for loopback callers and for admin certificates of this cluster")
      }
      guard !request.isFromPage else { return .error(.forbidden, "control is not for web pages") }
    }
    do throws(AdminRefusal) {
      return try await carryOut(url, body: request.body)
    } catch {
      return .refusal(error)
    }
  }

  private func carryOut(
    _ url: URLComponents, body: String
  ) async throws(AdminRefusal)
    -> AdminResponse
  {
    let query = url.queryItems ?? []
    func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }
    if let other = query.first(where: { !["to", "level"].contains($0.name) }) {
      throw .invalid("unknown parameter \(other.name)")
    }
    switch url.path {
    case "/metrics": return try await metrics()
    case "/status":
      var status = try await backend.status()
      status.stages = await backend.stages().times
      return .json(.ok, status)
    case "/trace": return .json(.ok, try await backend.trace())
    case "/livez":
      let health = await backend.health()
      return .text(
        health.isAlive ? .ok : .serviceUnavailable, health.isAlive ? "alive" : health.reason)
    case "/readyz":
      let health = await backend.health()
      let isReady = health.isAlive && health.isReady
      return .text(isReady ? .ok : .serviceUnavailable, isReady ? "ready" : health.reason)
    case "/leader/move":
      let target = try parameter("to").map { text throws(AdminRefusal) in
        guard let id = SettingForm<ReplicaID>.replica.parse(text) else {
          throw .invalid("to=\(text): expected \(SettingForm<ReplicaID>.replica.expected)")
        }
        return id
      }
      return .json(.accepted, Moved(leader: try await backend.moveLeader(to: target).rawValue))
    case "/snapshot": return .json(.ok, Taken(slot: try await backend.takeSnapshot().rawValue))
    default:
      let name = parameter("level") ?? body.filter { !$0.isWhitespace }
      guard let level = Logger.Level(rawValue: name) else {
        throw .invalid("level=\(name): expected \(SettingForm<Logger.Level>.choice.expected)")
      }
      try await backend.setLogLevel(level)
      return .json(.ok, Level(level: level.rawValue))
    }
  }

  private func metrics() async throws(AdminRefusal) -> AdminResponse {
    var text = PrometheusText()
    try await backend.status().write(into: &text)
    await backend.stages().write(into: &text)
    registry?.write(into: &text)
    return AdminResponse(
      status: .ok, contentType: PrometheusText.contentType, body: text.text)
  }
}

extension AdminResponse {
  static func refusal(_ refusal: AdminRefusal) -> AdminResponse {
    switch refusal {
    case .notLeader(let leader):
      .error(.conflict, "this node does not lead", leader: leader)
    case .invalid(let why): .error(.badRequest, why)
    case .unavailable(let why): .error(.serviceUnavailable, why)
    }
  }
}
