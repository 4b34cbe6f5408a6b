import Protocol
import Testing

/// What a client does when the disks of the cluster are full: waits a moment, then says so.
@Suite struct ClientRoomTests {
  private let session = ClientRig.session

  /// Refuses whatever is sent as `noRoom` until the client has given up, and returns how long that took.
  private func refuse(_ rig: inout ClientRig, _ leader: ReplicaID) -> TimeSpan {
    let begin = rig.now
    while rig.client.outstanding > 0, rig.now - begin < .seconds(20) {
      for sending in rig.takeSendings() {
        switch sending.sent {
        case .operation(let session, let sequence, _, _):
          rig.reject(from: sending.to, session, sequence, .noRoom)
        case .registration(let nonce): rig.reject(from: sending.to, SessionID(nonce), 0, .noRoom)
        case .read: Issue.record("nobody reads")
        }
      }
      if rig.client.outstanding > 0 { rig.wake() }
    }
    return rig.now - begin
  }

  @Test func fullDisksAreReportedLongBeforeTheDeadline() {
    var (rig, leader) = ClientRig.opened("a", "b", windowMax: 1, within: .seconds(30))
    #expect(refuse(&rig, leader) < .seconds(1))
    // What was sent may have a copy somewhere; what was not is known not to have been performed.
    #expect(rig.takeCompletions().map(\.result) == [.unknownOutcome(.noRoom), .noRoom])
    #expect(rig.client.session == nil)
    // The next ones are told sooner, by their registration, and are not performed for certain.
    for _ in 0..<20 {
      rig.submit("c", within: .seconds(30))
      #expect(refuse(&rig, leader) <= .milliseconds(250))
      #expect(rig.takeCompletions().map(\.result) == [.noRoom])
    }
    // Nothing is sent for nobody.
    rig.sendings = []
    rig.pass(.seconds(60))
    #expect(rig.takeSendings().isEmpty)
  }

  @Test func roomThatComesBackInTimeIsNotReported() {
    var (rig, leader) = ClientRig.opened("a", "b")
    _ = rig.takeSendings()
    rig.reject(from: leader, session, 1, .noRoom)
    rig.reject(from: leader, session, 2, .noRoom)
    rig.wake()
    #expect(rig.takeSendings() == [rig.operation(1, "a", to: leader)])
    // Handed over to a replica with room.
    let next = ClientSessionTests.next(after: leader)
    rig.reject(from: leader, session, 1, .notLeader(leader: next))
    #expect(rig.takeSendings() == [rig.operation(1, "a", to: next)])
    rig.answer(from: next, session, 1, .applied(slot: Slot(5)))
    #expect(rig.takeSendings() == [rig.operation(2, "b", acknowledged: 1, to: next)])
    rig.answer(from: next, session, 2, .applied(slot: Slot(6)))
    #expect(rig.takeCompletions().map(\.tag) == [1, 2])
    // And the patience begins anew the next time.
    rig.submit("c")
    rig.reject(from: next, session, 3, .noRoom)
    #expect(rig.takeCompletions().isEmpty)
  }

  @Test func aDeadlineThatComesFirstNamesTheReason() {
    var (rig, leader) = ClientRig.opened("a", "b", windowMax: 1, within: .milliseconds(50))
    rig.reject(from: leader, session, 1, .noRoom)
    rig.pass(.milliseconds(50))
    #expect(rig.takeCompletions().map(\.result) == [.unknownOutcome(.noRoom), .noRoom])
  }
}
