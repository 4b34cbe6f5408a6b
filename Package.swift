// swift-tools-version: 6.2
import PackageDescription

// Contracts are compiled into every debug build, and into release builds with `--traits Contracts` (campaigns run that).
// Without either they compile to nothing, including the copies of old state they compare with.
let settings: [SwiftSetting] = [
  .define("CONTRACTS", .when(configuration: .debug)),
  .define("CONTRACTS", .when(traits: ["Contracts"])),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
  name: "swift-rsl",
  products: [
    .library(name: "Protocol", targets: ["Protocol"]),
    .library(name: "Simulator", targets: ["Simulator"]),
    .library(name: "SimulationTesting", targets: ["SimulationTesting"]),
    .library(name: "RealRuntime", targets: ["RealRuntime"]),
    // For Benchmarks/, not for users: the bare loop makes the same system calls as the runtime.
    .library(name: "CLinux", targets: ["CLinux"]),
    .executable(name: "rsl", targets: ["rsl"]),
    .library(name: "RSLClient", targets: ["RSLClient"]),
    .library(name: "RSLLoad", targets: ["RSLLoad"]),
    .executable(name: "rsl-sim", targets: ["rsl-sim"]),
  ],
  traits: [
    .trait(
      name: "Contracts",
      description: "Compile contracts into release builds (debug builds always have them).")
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(
      url: "https://github.com/apple/swift-configuration", from: "1.4.0",
      traits: ["CommandLineArguments", "YAML"]),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
  ],
  targets: [
    .target(name: "CChecksum"),
    .target(name: "CLinux"),
    .target(name: "CPmem"),
    .target(
      name: "Protocol",
      dependencies: [
        "CChecksum", .product(name: "DequeModule", package: "swift-collections"),
      ],
      swiftSettings: settings),
    .target(name: "Simulator", dependencies: ["Protocol"], swiftSettings: settings),
    .target(
      name: "RealRuntime",
      dependencies: [
        "CLinux", "CPmem", "Protocol",
        .product(name: "Configuration", package: "swift-configuration"),
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
        .product(name: "X509", package: "swift-certificates"),
        .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: settings),
    .target(
      name: "RSLClient",
      dependencies: [
        "Protocol",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ],
      swiftSettings: settings),
    .target(
      name: "RSLLoad",
      dependencies: [
        "RSLClient", "Protocol",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ],
      swiftSettings: settings),
    .target(
      name: "SimulationTesting", dependencies: ["Simulator", "Protocol"], swiftSettings: settings),
    .executableTarget(
      name: "rsl",
      dependencies: [
        "RealRuntime", "RSLClient", "RSLLoad", "Protocol",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "rsl-sim",
      dependencies: [
        "Simulator", "Protocol",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .testTarget(name: "ProtocolTests", dependencies: ["Protocol"], swiftSettings: settings),
    .testTarget(
      name: "SimulatorTests", dependencies: ["Simulator", "SimulationTesting", "Protocol"],
      swiftSettings: settings),
    .testTarget(
      name: "RSLClientTests",
      dependencies: [
        "RSLClient", "RSLLoad", "Protocol",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "RealRuntimeTests",
      dependencies: [
        "RealRuntime", "RSLClient", "Protocol",
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "InMemoryLogging", package: "swift-log"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .testTarget(name: "TidyTests", swiftSettings: settings),
  ]
)
