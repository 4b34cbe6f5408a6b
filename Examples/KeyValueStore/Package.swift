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
  ],
  dependencies: [.package(name: "swift-rsl", path: "../..")],
  targets: [
    .target(name: "RESP", swiftSettings: settings),
    .target(
      name: "KeyValueMachine",
      dependencies: [.product(name: "Protocol", package: "swift-rsl")],
      swiftSettings: settings),
    .testTarget(name: "RESPTests", dependencies: ["RESP"], swiftSettings: settings),
    .testTarget(
      name: "KeyValueMachineTests",
      dependencies: [
        "KeyValueMachine", "RESP", .product(name: "Protocol", package: "swift-rsl"),
      ],
      swiftSettings: settings),
  ]
)
