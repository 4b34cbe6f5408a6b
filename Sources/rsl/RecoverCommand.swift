import ArgumentParser
import Protocol
import RealRuntime

/// The ways back when disks are gone.
struct Recover: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a data directory after disks were lost: one replica's, or a majority's.",
    discussion: """
      --wiped: a replica has lost its directory. It begins without a voice, repairs itself from the other members and votes \
      again when nothing that it may have promised or voted for can matter any more: docs/operations.md, "A lost disk". \
      `rsl format` would make it vote at once, as if it had never voted.

      --last-survivor DIR: a majority is gone for good. A new cluster, with a number and members of its own, is founded on \
      the directory of one stopped replica, which stays as it is: docs/operations.md, "A lost majority".

      Damage that `rsl inspect` finds needs no command while a majority is sound: `rsl serve` repairs it.
      """)

  @Flag(help: "The whole directory is lost: a new disk, or an empty one.") var wiped = false
  @Flag(help: "Yes: its old directory is gone, and no process will ever use it again.")
  var confirmLostVotes = false
  @Option(
    help: ArgumentHelp(
      "Found a new cluster on this directory of the old one. The configuration is the new cluster's, with another "
        + "data-directory.", valueName: "dir"))
  var lastSurvivor: String?
  @Flag(help: "Yes: most members are gone for good, and so may be writes that were acknowledged.")
  var confirmLostWrites = false
  @Flag(help: "Yes: the survivor's journal is damaged as well, and more may be missing.")
  var acceptDamage = false
  @OptionGroup var arguments: ConfigurationArguments

  func run() throws {
    guard wiped != (lastSurvivor != nil) else {
      throw CommandFailure(
        .usage,
        "say what was lost: --wiped, the whole directory of this replica; or --last-survivor DIR, most members, and DIR is what "
          + "is left; damaged files need no command")
    }
    let configuration = try arguments.load().configuration
    do {
      let membership = try configuration.membership
      if let lastSurvivor {
        try found(on: lastSurvivor, configuration, membership)
      } else {
        try rejoin(configuration, membership)
      }
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw CommandFailure(.usage, "\(error)")
    }
  }

  /// This command again, with another word at its end.
  private func again(_ words: String) -> String {
    "rsl \(CommandLine.arguments.dropFirst().joined(separator: " ")) \(words)"
  }

  // MARK: A lost disk

  private func rejoin(_ configuration: NodeConfiguration, _ membership: Configuration) throws {
    guard confirmLostVotes || membership.quorum.voters == 1 else {
      throw CommandFailure(.usage, risk(configuration, membership))
    }
    try DataDirectory.formatWiped(
      configuration.dataDirectory, cluster: configuration.cluster,
      replica: configuration.replica, membership: membership)
    print(
      "\(configuration.dataDirectory): replica \(configuration.replica) rejoins without a voice; start it with `rsl serve`"
    )
  }

  /// What somebody should know who has not said yes, and what to say.
  private func risk(_ configuration: NodeConfiguration, _ membership: Configuration) -> String {
    let others = membership.voters.map(\.id).filter { $0 != configuration.replica }
    return
      "replica \(configuration.replica) has voted in a directory that is lost, which may be what an acknowledged write "
      + "rests on. It will not vote before \(others.map { "\($0)" }.joined(separator: ", ")) have all answered, "
      + "\(membership.quorum.overlap) of them sound; until then one failure less is survived. If the old directory still exists, use that "
      + "instead; if it is gone for good: \(again("--confirm-lost-votes"))"
  }

  // MARK: A lost majority

  private func found(
    on old: String, _ configuration: NodeConfiguration, _ membership: Configuration
  ) throws {
    let (cluster, replica) = (configuration.cluster, configuration.replica)
    let survivor = try DataDirectory.survivor(
      of: old, cluster: cluster, replica: replica, membership: membership)
    guard confirmLostWrites, acceptDamage || survivor.doubt == nil else {
      var flags = confirmLostWrites ? [] : ["--confirm-lost-writes"]
      if survivor.doubt != nil, !acceptDamage { flags.append("--accept-damage") }
      throw CommandFailure(
        .usage,
        "nothing was changed. A new cluster \(cluster.hex) would be founded on \(old):\n\(facts(survivor))\n"
          + "If any other member can come back, bring it back instead; if most are gone for good: \(again(flags.joined(separator: " ")))"
      )
    }
    try DataDirectory.found(
      configuration.dataDirectory, on: old, cluster: cluster, replica: replica,
      membership: membership, acceptsDamage: acceptDamage)
    print(
      """
      \(configuration.dataDirectory): replica \(replica) of the new cluster \(cluster.hex), founded on \(old), which is unchanged
      \(facts(survivor))
      """)
    let others = membership.voters.map(\.id).filter { $0 != replica }
    guard !others.isEmpty else { return }
    print(
      "make the others' directories (\(others.map { "\($0)" }.joined(separator: ", "))) with `rsl format --founded-up-to "
        + "\(survivor.foundedUpTo)`, never without that; then `rsl serve` everywhere")
  }

  /// What is kept, what is guessed and what is given up.
  private func facts(_ survivor: LastSurvivor) -> String {
    var lines = ["  slots up to \(survivor.chosenUpTo) are known to be chosen, and kept"]
    lines.append(
      survivor.votedOnly.isEmpty
        ? "  no slot is taken from votes alone"
        : "  slots taken from this replica's votes alone, where another value may have been chosen, or none: "
          + ranges(survivor.votedOnly))
    if !survivor.dropped.isEmpty {
      lines.append(
        "  slots dropped, because nothing is known of some before them: \(ranges(survivor.dropped))"
      )
    }
    if let doubt = survivor.doubt { lines.append("  its journal is damaged: \(doubt)") }
    lines.append(
      "  writes that were acknowledged may be missing: above slot \(survivor.chosenUpTo) nobody is left who knows what was chosen"
    )
    return lines.joined(separator: "\n")
  }

  /// "3 to 5, 9".
  private func ranges(_ slots: [Slot]) -> String {
    var ranges: [(first: Slot, last: Slot)] = []
    for slot in slots {
      if let last = ranges.last?.last, last.next == slot {
        ranges[ranges.count - 1].last = slot
      } else {
        ranges.append((slot, slot))
      }
    }
    return ranges.map { $0.first == $0.last ? "\($0.first)" : "\($0.first) to \($0.last)" }
      .joined(separator: ", ")
  }
}
