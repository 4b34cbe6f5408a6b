// swift-tools-version: 6.2
import PackageDescription

// Contracts are on unless the build says `--disable-default-traits`: scripts/bench builds both. The runtime, with all that it needs
// (TLS, for one), takes many times as long to build as the rest, so only who asks for the trait Runtime gets it.
let package = Package(
  name: "Benchmarks",
  traits: [
    .default(enabledTraits: ["Contracts"]),
    .trait(name: "Contracts", description: "Measure with contracts, as campaigns run."),
    .trait(
      name: "Runtime",
      description: "Measure what needs files and threads, too: builds the real runtime."),
  ],
  dependencies: [
    .package(
      name: "swift-rsl", path: "..",
      traits: [.trait(name: "Contracts", condition: .when(traits: ["Contracts"]))]),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    // What it measures must not be slowed by what it is compared with: no runtime, no NIO.
    .executableTarget(
      name: "bare-loop",
      dependencies: [
        .product(name: "CLinux", package: "swift-rsl"),
        .product(name: "Protocol", package: "swift-rsl"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ]),
    .executableTarget(
      name: "bench",
      dependencies: [
        .product(name: "Protocol", package: "swift-rsl"),
        .product(name: "RealRuntime", package: "swift-rsl", condition: .when(traits: ["Runtime"])),
        .product(name: "Simulator", package: "swift-rsl"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: [.define("CONTRACTS", .when(traits: ["Contracts"]))]),
    .executableTarget(
      name: "client-bench",
      dependencies: [
        .product(name: "Protocol", package: "swift-rsl"),
        .product(name: "RSLClient", package: "swift-rsl"),
        .product(name: "RSLLoad", package: "swift-rsl"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),
  ]
)
