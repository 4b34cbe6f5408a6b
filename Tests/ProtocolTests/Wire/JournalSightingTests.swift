import Testing

@testable import Protocol

/// A journal through many lives, and two peers that remember them: who is found to have been set back, and who is not.
@Suite struct JournalSightingTests {
  /// A member whose disk is sound until a test sets it back, as far as notices show it.
  struct Member {
    /// 0 while no process runs.
    var life: UInt64 = 0
    var lives: UInt64 = 0
    var recovered = JournalMark.zero
    var durable = JournalMark.zero
    /// What the disk holds, flushed or not.
    var written = JournalMark.zero
    var doubtsEverything = false

    /// Recovery finds what was written, and the beginning of the next segment is durable before anything is said.
    mutating func start() {
      lives += 1
      life = lives
      recovered = written
      written = JournalMark(segment: written.segment + 1, offset: 512)
      durable = written
    }

    /// A crash leaves everything that was flushed, and of what was not as much as it happens to.
    mutating func crash(_ random: inout SeededRandom) {
      life = 0
      let unflushed = UInt64(written.offset - durable.offset)
      written.offset = durable.offset + UInt32(random.next(below: unflushed + 1))
    }

    mutating func write(_ random: inout SeededRandom) {
      written.offset += 512 * UInt32(1 + random.next(below: 4))
    }

    mutating func flush() { durable = written }

    func notice(heard: JournalSighting = .none) -> HostNotice {
      HostNotice(
        isShortOfRoom: false, doubtsEverything: doubtsEverything, recovered: recovered,
        own: JournalSighting(life: life, durable: durable), heard: heard)
    }

    /// What its host concludes from what a peer has heard.
    func isSetBack(by heard: JournalSighting) -> Bool {
      !doubtsEverything && heard.outlasts(life: life, recovered: recovered)
    }
  }

  /// Whatever crashes, restarts and is cut off, in any order: no peer ever says of a disk that was never set back that it was.
  @Test(arguments: 1...200 as ClosedRange<UInt64>) func aSoundDiskRaisesNoAlarm(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var member = Member()
    var peers = [JournalSighting.none, .none]
    for step in 1...400 {
      let peer = Int(random.next(below: 2))
      switch random.next(below: 8) {
      // The peer is another process, which remembers nothing.
      case 0: peers[peer] = .none
      case 1 where member.life != 0: member.crash(&random)
      case _ where member.life == 0: member.start()
      case 2, 3: member.write(&random)
      case 4, 5: member.flush()
      default:
        #expect(!member.isSetBack(by: peers[peer]), "seed \(seed), step \(step)")
        let isHeard = peers[peer].hear(member.notice())
        #expect(isHeard, "seed \(seed), step \(step)")
      }
    }
  }

  /// The first peer that has heard more than the disk now holds finds it, at its first word; one that was not told, or has
  /// forgotten, does not. Whoever begins again doubting everything is heard by all, and is never found again.
  @Test(arguments: 1...200 as ClosedRange<UInt64>)
  func aDiskThatWasSetBackIsFoundOnce(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    var member = Member()
    var peers = [JournalSighting.none, .none]
    func isHeard(_ peer: Int) -> Bool { peers[peer].hear(member.notice()) }
    member.start()
    let backup = member.written
    for _ in 0..<random.next(below: 20) {
      member.write(&random)
      member.flush()
      if random.next(below: 4) == 0 {
        member.crash(&random)
        member.start()
      }
      let peer = Int(random.next(below: 2))
      let isHeard = isHeard(peer)
      #expect(isHeard)
      if random.next(below: 8) == 0 { peers[peer] = .none }
    }
    member.life = 0
    member.written = backup
    member.start()
    let known = peers
    for peer in 0..<2 {
      let isFound = peers[peer].durable > backup
      #expect(member.isSetBack(by: peers[peer]) == isFound)
      let isHeard = isHeard(peer)
      // Both sides come to the same, and what was known stays known.
      #expect(isHeard == !isFound)
      #expect(isHeard || peers[peer] == known[peer])
    }
    member.crash(&random)
    member.start()
    member.doubtsEverything = true
    for peer in 0..<2 {
      let isHeard = isHeard(peer)
      #expect(isHeard && !member.isSetBack(by: peers[peer]))
    }
    // Cured, and through the lives that follow.
    member.doubtsEverything = false
    for _ in 0..<10 {
      member.write(&random)
      if random.next(below: 2) == 0 { member.flush() }
      for peer in 0..<2 {
        #expect(!member.isSetBack(by: peers[peer]))
        let isHeard = isHeard(peer)
        #expect(isHeard)
      }
      member.crash(&random)
      member.start()
    }
  }

  /// The bound on false alarms: whatever a peer believes of other lives, rightly or not, once it has heard a life it cannot accuse
  /// it any more.
  @Test func aLifeThatWasHeardIsNeverAccused() {
    var random = SeededRandom(seed: 1)
    var accused = 0
    for believed in 0..<20 as Range<UInt64> {
      var member = Member()
      for _ in 0..<10 {
        member.write(&random)
        member.start()
      }
      var peer = JournalSighting(
        life: .max, durable: JournalMark(segment: believed, offset: 512))
      guard peer.hear(member.notice()) else {
        #expect(member.isSetBack(by: peer))
        accused += 1
        continue
      }
      for _ in 0..<50 {
        member.write(&random)
        member.flush()
        let isHeard = peer.hear(member.notice())
        #expect(isHeard && !member.isSetBack(by: peer))
      }
    }
    #expect((1..<20).contains(accused))
  }
}
