import Foundation

/// How long writes stood still, each time somebody was killed, in seconds.
struct Outages: CustomStringConvertible {
  private(set) var seconds: [Double] = []

  var count: Int { seconds.count }

  mutating func append(_ outage: Double) { seconds.append(outage) }

  /// What this share of the outages did not exceed, by nearest rank; zero without outages.
  func share(_ share: Double) -> Double {
    guard !seconds.isEmpty else { return 0 }
    let rank = Int((share * Double(count)).rounded(.up))
    return seconds.sorted()[min(count, max(1, rank)) - 1]
  }

  var description: String {
    String(
      format: "p50 %.0f ms, p99 %.0f ms, longest %.0f ms", share(0.5) * 1e3, share(0.99) * 1e3,
      share(1) * 1e3)
  }
}
