import Protocol
import Testing

@Suite struct ConfigurationTests {
  func members(_ ids: [UInt32]) -> [Member] { ids.map { Member(id: ReplicaID($0)) } }

  @Test func membersAreInOrderOfTheirIDs() throws {
    let configuration = try Configuration(voters: members([9, 2, 5]))
    #expect(configuration.voters.map(\.id.rawValue) == [2, 5, 9])
    #expect(configuration.index(of: ReplicaID(2)) == 0)
    #expect(configuration.index(of: ReplicaID(9)) == 2)
    #expect(configuration.index(of: ReplicaID(3)) == nil)
    #expect(configuration.quorum == Quorum(voters: 3))
    #expect(configuration.lastSlot == .last)
  }

  @Test func refusesWhatCannotBeAConfiguration() {
    #expect(throws: Configuration.Invalid.noVoters) { try Configuration(voters: []) }
    #expect(throws: Configuration.Invalid.tooManyVoters(65)) {
      try Configuration(voters: members(Array(1...65)))
    }
    #expect(throws: Configuration.Invalid.duplicateMember(ReplicaID(4))) {
      try Configuration(voters: members([4, 1, 4]))
    }
    #expect(throws: Configuration.Invalid.slotsOutOfOrder(first: Slot(3), last: Slot(2))) {
      try Configuration(firstSlot: Slot(3), lastSlot: Slot(2), voters: members([1]))
    }
  }

  @Test func holdsAsManyVotersAsASetCanName() throws {
    let configuration = try Configuration(voters: members(Array(1...64)))
    #expect(configuration.index(of: ReplicaID(64)) == 63)
    #expect(configuration.quorum.size == 33)
  }

  @Test func aSingleSlotIsARange() throws {
    #expect(
      try Configuration(firstSlot: Slot(3), lastSlot: Slot(3), voters: members([1])).firstSlot
        == Slot(3))
  }
}
