import Protocol
import Testing

@Suite struct JournalReserveTests {
  /// A segment of 64 KiB, and a reserve of 16 KiB for commands and 8 KiB for promises.
  private static let reserve = JournalReserve(commands: 16 << 10, promises: 8 << 10)

  @Test(arguments: [
    RoomCase(24 << 10, isShort: false, takesVotes: true, takesPromises: true),
    RoomCase((24 << 10) - 1, isShort: true, takesVotes: true, takesPromises: true),
    RoomCase(8 << 10, isShort: true, takesVotes: true, takesPromises: true),
    RoomCase((8 << 10) - 1, isShort: true, takesVotes: false, takesPromises: true),
    RoomCase(2 << 10, isShort: true, takesVotes: false, takesPromises: true),
    RoomCase((2 << 10) - 1, isShort: true, takesVotes: false, takesPromises: false),
    RoomCase(0, isShort: true, takesVotes: false, takesPromises: false),
  ])
  func commandsEndBeforeVotesAndVotesBeforePromises(_ c: RoomCase) {
    #expect(Self.reserve.room(bytesLeft: c.bytesLeft, hasShortage: true) == c.room)
    // As long as segments can be made nothing is put aside.
    #expect(Self.reserve.room(bytesLeft: c.bytesLeft, hasShortage: false) == .plenty)
  }

  struct RoomCase: Sendable {
    var bytesLeft: Int
    var room: JournalRoom

    init(_ bytesLeft: Int, isShort: Bool, takesVotes: Bool, takesPromises: Bool) {
      self.bytesLeft = bytesLeft
      room = JournalRoom(isShort: isShort, takesVotes: takesVotes, takesPromises: takesPromises)
    }
  }

  @Test(arguments: [
    // Spares, written of the segment: what is left. The last spare is for a restart.
    (0, 0, 100), (0, 70, 30), (1, 70, 30), (2, 70, 130), (3, 100, 200), (0, 100, 0), (1, 130, 0),
  ])
  func whatIsLeftIsTheSegmentsRestAndTheSparesButOne(_ spares: Int, _ offset: Int, _ left: Int) {
    #expect(JournalReserve.bytesLeft(segmentBytes: 100, offset: offset, spares: spares) == left)
  }

  /// What is left of a segment that is given up is lost, and the last spare one is for a restart.
  @Test(arguments: [(0, false), (1, false), (2, true), (3, true)])
  func aSegmentIsNotLeftForTheLastSpare(_ spares: Int, _ isLeft: Bool) {
    func mayLeave(_ bytesLeft: Int, hasShortage: Bool) -> Bool {
      Self.reserve.mayLeaveSegment(
        bytesLeft: bytesLeft, spares: spares, hasShortage: hasShortage)
    }
    #expect(mayLeave(64 << 10, hasShortage: true) == isLeft)
    #expect(!mayLeave(20 << 10, hasShortage: true))
    #expect(mayLeave(64 << 10, hasShortage: false))
  }

  /// The defaults of a real replica, what the simulator makes of them, and a reserve longer than a segment.
  @Test(arguments: [
    ReserveCase(batch: 1 << 20, queued: 16, segment: 64 << 20, 18 << 20, 4 << 20, spares: 3),
    ReserveCase(batch: 1 << 10, queued: 1, segment: 16 << 10, 3 << 10, 4 << 10, spares: 3),
    ReserveCase(batch: 16 << 10, queued: 16, segment: 64 << 10, 288 << 10, 16 << 10, spares: 7),
  ])
  func theReserveTakesWhatMayWaitAndAQuarterOfASegment(_ c: ReserveCase) {
    var options = ReplicaOptions()
    options.batchBytesMax = c.batch
    options.queuedBatchesMax = c.queued
    let reserve = JournalReserve(options, segmentBytes: c.segment)
    #expect(reserve == c.reserve)
    #expect(reserve.sparesWanted(segmentBytes: c.segment) == c.spares)
  }

  struct ReserveCase: Sendable {
    var batch: UInt32
    var queued: Int
    var segment: Int
    var reserve: JournalReserve
    var spares: Int

    init(
      batch: UInt32, queued: Int, segment: Int, _ commands: Int, _ promises: Int, spares: Int
    ) {
      (self.batch, self.queued, self.segment, self.spares) = (batch, queued, segment, spares)
      reserve = JournalReserve(commands: commands, promises: promises)
    }
  }
}
