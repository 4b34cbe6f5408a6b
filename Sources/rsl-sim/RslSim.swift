import ArgumentParser

@main
struct RslSim: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "rsl-sim", abstract: "Simulate a cluster from a seed.")
}
