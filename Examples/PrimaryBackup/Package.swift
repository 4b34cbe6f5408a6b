// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "PrimaryBackup",
  dependencies: [.package(name: "swift-rsl", path: "../..")],
  targets: [
    .target(
      name: "PrimaryBackup",
      dependencies: [
        .product(name: "Simulator", package: "swift-rsl"),
        .product(name: "Protocol", package: "swift-rsl"),
      ]),
    .testTarget(
      name: "PrimaryBackupTests",
      dependencies: ["PrimaryBackup", .product(name: "Simulator", package: "swift-rsl")]),
  ]
)
