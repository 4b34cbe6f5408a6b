// swift-tools-version: 6.2
import PackageDescription

// One executable per decoder, run by scripts/fuzz-decoders. A package of its own: everything in it is built with
// `--sanitize=fuzzer`, the library included, and libFuzzer brings `main`.
let fuzzers = ["Frames", "Messages", "Journals", "Clients", "Recordings", "Snapshots"]

let package = Package(
  name: "Fuzzing",
  dependencies: [.package(name: "swift-rsl", path: "../..")],
  targets: fuzzers.map {
    .executableTarget(
      name: $0,
      dependencies: [.product(name: "Protocol", package: "swift-rsl")],
      swiftSettings: [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .unsafeFlags(["-parse-as-library"]),
      ])
  }
)
