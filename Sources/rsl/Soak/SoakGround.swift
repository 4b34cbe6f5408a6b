import Foundation
import RealRuntime

/// What this machine permits, and the places where replicas run on it.
struct SoakGround {
  let network: FaultyNetwork?
  let strace: Tool?
  /// What the wall clock of the last replica is read from; nil where it is the machine's.
  let clockFile: String?
  let places: [LocalCluster.Place]
  let possible: [SoakFault]
  let skipped: [(fault: SoakFault, reason: String)]

  private static let faketime = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
  ]

  /// - Parameter wanted: nil: all.
  init(replicas: Int, folder: String, wanted: [SoakFault]?) throws {
    let wanted = wanted ?? SoakFault.allCases
    var obstacles: [SoakFault.Need: String] = [:]
    func isWanted(_ need: SoakFault.Need) -> Bool { wanted.contains { $0.need == need } }

    var network: FaultyNetwork?
    if isWanted(.network) {
      do { network = try FaultyNetwork(replicas: replicas) } catch {
        obstacles[.network] = (error as? FaultyNetwork.Unavailable)?.reason ?? "\(error)"
      }
    }
    let strace = Tool("strace")
    if isWanted(.strace) { obstacles[.strace] = SyscallFault.obstacle(strace) }

    var places = (1...replicas).map { network?.place($0) ?? LocalCluster.Place() }
    var clockFile: String?
    if isWanted(.faketime) {
      if let library = Self.faketime.first(where: { FileManager.default.fileExists(atPath: $0) }) {
        let file = "\(folder)/clock"
        try Data("+0d\n".utf8).write(to: URL(fileURLWithPath: file))
        // The clocks that a replica's time comes from stay what they are: they never jump on a real machine either.
        places[replicas - 1].environment = [
          "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_CACHE_DURATION": "1",
          "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        ]
        clockFile = file
      } else {
        obstacles[.faketime] = "libfaketime is missing (package faketime)"
      }
    }
    (self.network, self.strace, self.clockFile, self.places) = (network, strace, clockFile, places)
    possible = wanted.filter { obstacles[$0.need] == nil }
    skipped = wanted.compactMap { fault in obstacles[fault.need].map { (fault, $0) } }
  }

  func close() { network?.close() }
}
