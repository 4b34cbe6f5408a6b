// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
  name: "KeyValueStore",
  products: [
    .library(name: "KeyValueMachine", targets: ["KeyValueMachine"]),
    .library(name: "RESP", targets: ["RESP"]),
    .library(name: "RESPServer", targets: ["RESPServer"]),
    .library(name: "KeyValueNode", targets: ["KeyValueNode"]),
    .executable(name: "key-value-store", targets: ["key-value-store"]),
  ],
  dependencies: [
    .package(name: "swift-rsl", path: "../.."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
  ],
  targets: [
    .target(name: "RESP", swiftSettings: settings),
    .target(
      name: "KeyValueMachine",
      dependencies: [.product(name: "Protocol", package: "swift-rsl")],
      swiftSettings: settings),
    .target(
      name: "RESPServer",
      dependencies: [
        "KeyValueMachine", "RESP",
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "Protocol", package: "swift-rsl"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: settings),
    .target(
      name: "KeyValueNode",
      dependencies: [
        "KeyValueMachine", "RESPServer",
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "Protocol", package: "swift-rsl"),
        .product(name: "RSLClient", package: "swift-rsl"),
        .product(name: "RealRuntime", package: "swift-rsl"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "key-value-store",
      dependencies: [
        "KeyValueNode", "RESPServer",
        .product(name: "Protocol", package: "swift-rsl"),
        .product(name: "RealRuntime", package: "swift-rsl"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: settings),
    .target(
      name: "TestSupport",
      dependencies: ["RESP", .product(name: "Protocol", package: "swift-rsl")],
      path: "Tests/TestSupport", swiftSettings: settings),
    .testTarget(name: "RESPTests", dependencies: ["RESP"], swiftSettings: settings),
    .testTarget(
      name: "KeyValueMachineTests",
      dependencies: [
        "KeyValueMachine", "RESP", "TestSupport",
        .product(name: "Protocol", package: "swift-rsl"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "RESPServerTests",
      dependencies: [
        "KeyValueMachine", "RESP", "RESPServer", "TestSupport",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "KeyValueNodeTests",
      dependencies: [
        "KeyValueNode", "RESP", "RESPServer", "TestSupport", "key-value-store",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "Protocol", package: "swift-rsl"),
        .product(name: "RSLClient", package: "swift-rsl"),
        .product(name: "RealRuntime", package: "swift-rsl"),
      ],
      swiftSettings: settings),
  ]
)
