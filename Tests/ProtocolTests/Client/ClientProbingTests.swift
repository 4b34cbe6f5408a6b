import Protocol
import Testing

/// What a client does after a leader had no room: it asks by its oldest command whether there is some again.
@Suite struct ClientProbingTests {
  private let session = ClientRig.session

  @Test func overloadIsProbedWithTheOldestCommandOnly() {
    var (rig, leader) = ClientRig.opened("a", "b", "c")
    _ = rig.takeSendings()
    for sequence in 1...3 as ClosedRange<UInt64> {
      rig.reject(from: leader, session, sequence, .overloaded)
    }
    rig.wake()
    #expect(rig.takeSendings() == [rig.operation(1, "a", to: leader)])
    // A command that comes now waits behind the probe, even though the window has room.
    rig.submit("d")
    #expect(rig.takeSendings().isEmpty)
    // Refused again, or lost: again the oldest, wherever it is sent.
    rig.reject(from: leader, session, 1, .overloaded)
    rig.wake()
    #expect(rig.takeSendings() == [rig.operation(1, "a", to: leader)])
    rig.wake()
    let next = ClientSessionTests.next(after: leader)
    #expect(rig.takeSendings() == [rig.operation(1, "a", to: next)])
    rig.reject(from: next, session, 1, .notLeader(leader: leader))
    #expect(rig.takeSendings() == [rig.operation(1, "a", to: leader)])
    // Answered: the rest at once, and what had to wait.
    rig.answer(from: leader, session, 1, .applied(slot: Slot(5)))
    #expect(
      rig.takeSendings() == [
        rig.operation(2, "b", acknowledged: 1, to: leader),
        rig.operation(3, "c", acknowledged: 1, to: leader),
        rig.operation(4, "d", acknowledged: 1, to: leader),
      ])
  }

  @Test func anAnswerDuringTheWaitDoesNotEndTheProbing() {
    var (rig, leader) = ClientRig.opened("a", "b", "c")
    _ = rig.takeSendings()
    rig.reject(from: leader, session, 2, .overloaded)
    rig.answer(from: leader, session, 1, .applied(slot: Slot(5)))
    rig.wake()
    #expect(rig.takeSendings() == [rig.operation(2, "b", acknowledged: 1, to: leader)])
    // The whole window answered: the next command is the probe, and the one behind it waits.
    rig.reject(from: leader, session, 2, .overloaded)
    rig.answer(from: leader, session, 2, .applied(slot: Slot(6)))
    rig.answer(from: leader, session, 3, .applied(slot: Slot(7)))
    rig.submit("d")
    rig.submit("e")
    rig.wake()
    #expect(rig.takeSendings() == [rig.operation(4, "d", acknowledged: 3, to: leader)])
    rig.answer(from: leader, session, 4, .applied(slot: Slot(8)))
    #expect(rig.takeSendings() == [rig.operation(5, "e", acknowledged: 4, to: leader)])
  }

  @Test func aNewSessionProbesByItsRegistration() {
    var (rig, leader) = ClientRig.opened("a", "b", within: .milliseconds(300))
    rig.reject(from: leader, session, 1, .overloaded)
    rig.pass(.milliseconds(300))
    #expect(rig.client.session == nil)
    rig.sendings = []
    rig.submit("c")
    rig.submit("d")
    rig.pass(.milliseconds(80))
    guard case .registration(let nonce)? = rig.takeSendings().last?.sent else {
      Issue.record("no registration was sent")
      return
    }
    rig.reject(from: leader, SessionID(nonce), 0, .overloaded)
    rig.wake()
    guard let again = rig.takeSendings().last, again.sent == .registration(nonce: nonce) else {
      Issue.record("the registration was not sent again")
      return
    }
    let session = SessionID(9 << 16)
    rig.answer(from: again.to, SessionID(nonce), 0, .registered(session))
    #expect(
      rig.takeSendings() == [
        rig.operation(1, "c", to: again.to, session: session),
        rig.operation(2, "d", to: again.to, session: session),
      ])
  }
}
