import Testing

@testable import Protocol

@Suite struct ReplyTableTests {
  /// Whatever a group holds, every session has a ring of its own, and a copy is not changed by what is done to the other.
  @Test(arguments: [1, 3, 32, 1_000, 1_024, 4_096])
  func everySessionHasARingOfItsOwn(outstandingMax: Int) {
    var table = ReplyTable(outstandingMax: outstandingMax)
    // More than three groups of them.
    let sessions = 3 * max(1, 1_024 / outstandingMax) + 1
    let rings = min(outstandingMax, 5)
    func word(_ session: Int, _ sequence: Int) -> UInt64 { UInt64(session * 8_192 + sequence + 1) }
    for session in 0..<sessions {
      table.addSession()
      for sequence in 0..<rings {
        table.withRing(session: session) { ring in
          #expect(ring.count == outstandingMax)
          ring[sequence].slot = word(session, sequence)
        }
      }
    }
    func differences(_ table: ReplyTable) -> Int {
      (0..<sessions).reduce(0) { sum, session in
        sum + (0..<rings).count { table[session, UInt64($0)].slot != word(session, $0) }
      }
    }
    #expect(differences(table) == 0)
    let copy = table
    for session in 0..<sessions {
      // One round later it takes the place of the reply before.
      table[session, UInt64(outstandingMax)].slot = 7
      #expect(table[session, 0].slot == 7)
    }
    #expect(differences(table) >= sessions - 1)
    #expect(differences(copy) == 0)
  }
}
