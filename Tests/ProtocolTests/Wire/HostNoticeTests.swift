import Testing

@testable import Protocol

@Suite struct HostNoticeTests {
  private func sighting(_ life: UInt64, _ segment: UInt64, _ offset: UInt32) -> JournalSighting {
    JournalSighting(life: life, durable: JournalMark(segment: segment, offset: offset))
  }

  private func notice(
    _ life: UInt64, recovered segment: UInt64, _ offset: UInt32, durable: UInt64 = 9,
    doubtsEverything: Bool = false
  ) -> HostNotice {
    HostNotice(
      isShortOfRoom: false, doubtsEverything: doubtsEverything,
      recovered: JournalMark(segment: segment, offset: offset), own: sighting(life, durable, 512))
  }

  @Test(arguments: [(false, false), (false, true), (true, false), (true, true)])
  func aNoticeHasOneEncodingAndNoOther(isShort: Bool, doubts: Bool) throws {
    let notice = HostNotice(
      isShortOfRoom: isShort, doubtsEverything: doubts,
      recovered: JournalMark(segment: 7, offset: 4_096), own: sighting(.max, 8, 512),
      heard: sighting(3, .max, .max))
    var bytes: [UInt8] = []
    notice.encode(into: &bytes)
    #expect(bytes.count == HostNotice.encodedLength)
    let length = bytes.count
    #expect(try HostNotice(body: 0..<length, of: bytes.span.bytes) == notice)
    for shorter in 0..<length {
      #expect(throws: DecodeError.self) {
        try HostNotice(body: 0..<shorter, of: bytes.span.bytes)
      }
    }
    // An unknown flag, and whatever must be zero.
    for place in [0, 1, 7, 20, 23, 44, 47, 68, 71] {
      var wrong = bytes
      wrong[place] = 4
      #expect(throws: DecodeError.self, "byte \(place)") {
        try HostNotice(body: 0..<length, of: wrong.span.bytes)
      }
    }
    bytes.append(0)
    #expect(throws: DecodeError.self) {
      try HostNotice(body: 0..<length + 1, of: bytes.span.bytes)
    }
  }

  /// Another life, and recovery ended before what was heard of: only then.
  @Test func whatOutlastsARecovery() {
    let heard = sighting(5, 3, 1_024)
    func outlasts(_ life: UInt64, _ segment: UInt64, _ offset: UInt32) -> Bool {
      heard.outlasts(life: life, recovered: JournalMark(segment: segment, offset: offset))
    }
    #expect(outlasts(6, 3, 1_023))
    #expect(outlasts(6, 2, 9_999))
    #expect(outlasts(6, 0, 0), "formatted a second time")
    #expect(!outlasts(6, 3, 1_024))
    #expect(!outlasts(6, 4, 0))
    #expect(!outlasts(5, 2, 0), "the same life has not begun again")
    #expect(!JournalSighting.none.outlasts(life: 6, recovered: .zero))
  }

  @Test func whoWasSetBackIsHeardAsASuspectOnly() {
    var sighting = JournalSighting.none
    func hears(_ notice: HostNotice) -> Bool { sighting.hear(notice) }
    #expect(hears(notice(1, recovered: 0, 0, durable: 1)))
    #expect(hears(notice(1, recovered: 0, 0, durable: 4)))
    #expect(sighting == self.sighting(1, 4, 512))
    // The next life begins at the end of the first one's log.
    #expect(hears(notice(2, recovered: 4, 512, durable: 5)))
    let known = sighting
    // This one begins before, and what was known is not forgotten over it.
    #expect(!hears(notice(3, recovered: 4, 1_024, durable: 5)))
    #expect(sighting == known)
    #expect(hears(notice(4, recovered: 4, 1_024, durable: 5, doubtsEverything: true)))
    // Cured, in the same life.
    #expect(hears(notice(4, recovered: 4, 1_024, durable: 6)))
    #expect(sighting == self.sighting(4, 6, 512))
    // From a host that says nothing of its journal.
    #expect(hears(HostNotice(isShortOfRoom: true)))
    #expect(sighting == self.sighting(4, 6, 512))
  }
}
