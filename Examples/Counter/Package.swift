// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Counter",
  dependencies: [.package(name: "swift-rsl", path: "../..")],
  targets: [
    .executableTarget(
      name: "counter",
      dependencies: [
        .product(name: "Protocol", package: "swift-rsl"),
        .product(name: "RSLClient", package: "swift-rsl"),
        .product(name: "RealRuntime", package: "swift-rsl"),
      ]),
    .testTarget(name: "CounterTests", dependencies: ["counter"]),
  ]
)
