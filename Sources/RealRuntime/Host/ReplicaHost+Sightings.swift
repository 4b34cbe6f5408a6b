import Logging
import Protocol

/// What a host knows of its own journal that the journal may not know any more.
struct SightingDesk {
  /// Of this process: the seed of its replica, which no other life has.
  let life: UInt64
  /// The end of the log that this life began with.
  let recovered: JournalMark
  /// An earlier life has found that its disk had been set back, and this one is a suspect for it.
  var isSetBack: Bool
  /// What peers were told last, and when they are told again.
  var told = JournalMark.zero
  var nextNotice = Instant.zero

  /// What is younger than this when a disk is set back is not missed by anybody.
  static let interval = TimeSpan.seconds(1)
  /// Says why; its being there is what counts.
  static let note = NoteFile(name: "set-back")

  init(life seed: UInt64, recovered: JournalMark, directory: String) throws(SystemError) {
    life = max(1, seed)
    self.recovered = recovered
    isSetBack = try Self.note.read(in: directory) != nil
  }
}

// Disks that were set back. A restored backup, a virtual machine that goes on from an earlier state, a drive that has lost what it
// had vouched for: the journal is whole, and the replica has forgotten promises and votes. Its peers' hosts remember how far it
// was durable, as long as they live, and say so at the beginning of every connection, before any message. Who hears that more was
// durable than recovery found ends, and begins its next life as a suspect, which peers repair. This finds what an operator
// overlooked; it cannot make setting disks back safe, since the peers that knew may be gone or out of reach.
extension ReplicaHost {
  /// Tells a peer's host what it should know of this one.
  func notify(_ link: PeerLink) {
    guard let connection = link.connection, connection.state == .open else { return }
    connection.append(
      HostNotice(
        isShortOfRoom: room.policy.isShort, doubtsEverything: doubtsEverything,
        recovered: sightings.recovered,
        own: JournalSighting(life: sightings.life, durable: journal.durable), heard: link.sighting))
    touch(connection)
  }

  /// Tells all peers, now and then, when more has become durable. Called by housekeeping.
  func notifyAll() {
    guard now >= sightings.nextNotice, journal.durable != sightings.told else { return }
    sightings.nextNotice = now + SightingDesk.interval
    sightings.told = journal.durable
    for link in links { notify(link) }
  }

  /// Whatever this journal has forgotten, its replica has no voice before all others have heard from it.
  private var doubtsEverything: Bool { replica.suspicion?.doubt == .everything }

  /// Takes in what a notice says of journals. False when its sender is not to be heard, or this replica must not go on.
  func hear(_ notice: HostNotice, from link: PeerLink) -> Bool {
    let before = link.sighting
    let isOwnSetBack =
      !doubtsEverything
      && notice.heard.outlasts(life: sightings.life, recovered: sightings.recovered)
    let wasSetBack = link.isSetBack
    if !isOwnSetBack { link.isSetBack = !link.sighting.hear(notice) }
    logger.debug(
      "notice",
      metadata: [
        "peer": "\(link.id)", "known": "\(before)", "said": "\(notice.own)",
        "began at": "\(notice.recovered)", "doubts everything": "\(notice.doubtsEverything)",
        "has heard": "\(notice.heard)", "own life": "\(sightings.life)",
        "own beginning": "\(sightings.recovered)",
        "verdict": isOwnSetBack
          ? "this disk was set back" : link.isSetBack ? "its disk was set back" : "heard",
      ])
    guard !isOwnSetBack else {
      setBack(link.id, notice.heard.durable)
      return false
    }
    guard link.isSetBack else { return true }
    if !wasSetBack {
      logger.error(
        "a peer's disk was set back: it is not heard until it starts again as a suspect",
        metadata: [
          "peer": "\(link.id)", "it began at": "\(notice.recovered)",
          "was durable": "\(before.durable)",
        ])
    }
    // Said at the beginning of the connection, too; that may have got lost with an earlier life.
    notify(link)
    return false
  }

  private func setBack(_ peer: ReplicaID, _ heard: JournalMark) {
    let failure = HostFailure.setBack(peer: peer, heard: heard, found: sightings.recovered)
    do throws(SystemError) {
      try SightingDesk.note.write("\(failure)", in: configuration.dataDirectory)
    } catch {
      return fail(.system(error))
    }
    fail(failure)
  }

  /// The replica is cured, and its journal says so.
  func forgetSetBack() {
    guard sightings.isSetBack else { return }
    sightings.isSetBack = false
    SightingDesk.note.remove(in: configuration.dataDirectory)
  }
}
