import ArgumentParser
import Protocol
import RealRuntime

/// The way back for a replica whose disk is gone.
struct Recover: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a new data directory for a replica that has lost its own.",
    discussion: """
      The replica begins without a voice, repairs itself from the other members and votes again when nothing that it may \
      have promised or voted for can matter any more: docs/operations.md, "A lost disk". `rsl format` would make it vote \
      at once, as if it had never voted. Damage that `rsl inspect` finds needs no command: `rsl serve` repairs it.
      """)

  @Flag(help: "The whole directory is lost: a new disk, or an empty one.") var wiped = false
  @Flag(help: "Yes: its old directory is gone, and no process will ever use it again.")
  var confirmLostVotes = false
  @OptionGroup var arguments: ConfigurationArguments

  func run() throws {
    guard wiped else {
      throw CommandFailure(
        .usage, "say what was lost: --wiped, the whole directory; damaged files need no command")
    }
    let configuration = try arguments.load().configuration
    do {
      let membership = try configuration.membership
      guard confirmLostVotes || membership.quorum.voters == 1 else {
        throw CommandFailure(.usage, risk(configuration, membership))
      }
      try DataDirectory.formatWiped(
        configuration.dataDirectory, cluster: configuration.cluster,
        replica: configuration.replica, membership: membership)
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(.usage, "\(error)")
    }
    print(
      "\(configuration.dataDirectory): replica \(configuration.replica) rejoins without a voice; start it with `rsl serve`"
    )
  }

  /// What somebody should know who has not said yes, and what to say.
  private func risk(_ configuration: NodeConfiguration, _ membership: Configuration) -> String {
    let others = membership.voters.map(\.id).filter { $0 != configuration.replica }
    let command = CommandLine.arguments.dropFirst().joined(separator: " ")
    return
      "replica \(configuration.replica) has voted in a directory that is lost, which may be what an acknowledged write "
      + "rests on. It will not vote before \(others.map { "\($0)" }.joined(separator: ", ")) have all answered, "
      + "\(membership.quorum.overlap) of them sound; until then one failure less is survived. If the old directory still exists, use that "
      + "instead; if it is gone for good: rsl \(command) --confirm-lost-votes"
  }
}
