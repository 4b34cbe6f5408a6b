import Protocol
import Testing

/// Every record belongs to a configuration, and the headers say to which: what reconfiguration will rest on.
@Suite struct JournalConfigurationTests {
  private static let one = ConfigurationSpan(epoch: Epoch(1))
  private static let ballot = Ballot(round: 5, proposer: ReplicaID(2))

  struct Succession: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var before: ConfigurationSpan
    var after: ConfigurationSpan
    var isAllowed: Bool

    init(_ name: String, _ before: ConfigurationSpan, _ after: ConfigurationSpan, _ isAllowed: Bool)
    {
      testDescription = name
      self.before = before
      self.after = after
      self.isAllowed = isAllowed
    }
  }

  private static func span(
    _ epoch: UInt64, _ first: UInt64, _ last: UInt64 = .max
  )
    -> ConfigurationSpan
  {
    ConfigurationSpan(epoch: Epoch(epoch), firstSlot: Slot(first), lastSlot: Slot(last))
  }

  static let cases = [
    Succession("the same", span(2, 10), span(2, 10), true),
    Succession("its end became known", span(2, 10), span(2, 10, 20), true),
    Succession("its end was forgotten", span(2, 10, 20), span(2, 10), false),
    Succession("it begins elsewhere", span(2, 10), span(2, 11), false),
    Succession("the next, behind an open end", span(2, 10), span(3, 11), true),
    Succession("the next, right behind the end", span(2, 10, 20), span(3, 21), true),
    Succession("a later one", span(2, 10, 20), span(5, 90), true),
    Succession("the next, overlapping", span(2, 10, 20), span(3, 20), false),
    Succession("the next, beginning no later", span(2, 10), span(3, 10), false),
    Succession("an older one", span(2, 10), span(1, 30), false),
  ]

  @Test(arguments: cases) func successions(_ succession: Succession) {
    #expect(succession.after.mayFollow(succession.before) == succession.isAllowed)
  }

  @Test func aRecordOfTheNextConfigurationBeginsASegment() throws {
    var life = JournalLife(seed: 1)
    life.append(.promised(Self.ballot))
    life.reconfigure(after: 8)
    let record = JournalRecord(.accepted(Slot(9), Self.ballot, .noop), epoch: Epoch(2))
    #expect(!life.writer.hasRoom(for: record))
    life.append(record.fact)
    life.flush()
    #expect(life.files.count == 2 && life.writer.hasRoom(for: record))
    let durable = try life.recover(life.crashed(.nothing)).get().durable
    #expect(durable.configurations == [Self.span(1, 1, 8), Self.span(2, 9)])
    // The vote's ballot had been promised before: in the first configuration, and to its members.
    #expect(durable.promised == Self.ballot && durable.promisedEpoch == Epoch(1))
    #expect(durable.entries.map(\.epoch) == [Epoch(2)])
  }

  /// What the oldest segments said of promise and configuration lives on in the headers when they are gone.
  @Test func headersKeepThePromisesConfigurationWhenItsSegmentIsGone() throws {
    var life = JournalLife(seed: 2)
    life.append(.promised(Self.ballot))
    life.reconfigure(after: 4)
    life.append(.chosenUpTo(Slot(4)))
    life.snapshot = SnapshotInfo(slot: Slot(4), length: 1, digest: 1)
    life.append(.snapshot(life.snapshot))
    life.flush()
    life.drop()
    #expect(life.files.map(\.number) == [2])
    let durable = try life.recover(life.crashed(.nothing)).get().durable
    #expect(durable.configurations == [Self.span(2, 5)])
    #expect(durable.promised == Self.ballot && durable.promisedEpoch == Epoch(1))
  }

  /// A crash before the new segment is durable falls back to the configuration before, and the restart goes on from there.
  @Test func aTornSegmentOfTheNextConfigurationIsForgotten() throws {
    var life = JournalLife(seed: 3)
    life.append(.promised(Self.ballot))
    life.flush()
    life.reconfigure(after: 4)
    life.append(.chosenUpTo(Slot(4)))
    let disk = life.crashed(.nothing)
    let recovered = try life.recover(disk).get()
    #expect(recovered.durable.configurations == [Self.one])
    life.restart(disk, recovered)
    life.append(.chosenUpTo(Slot(4)))
    life.flush()
    let again = try life.recover(life.crashed(.nothing)).get()
    #expect(again.durable.configurations == [Self.span(1, 1, 4), Self.span(2, 5)])
    #expect(again.durable.chosenUpTo == Slot(4))
  }

  /// A record that is whole and the next one, but of an epoch its segment does not have, is refused and never dropped.
  @Test(arguments: [0, 2, .max] as [UInt64]) func anUnknownEpochIsRefused(epoch: UInt64) {
    var life = JournalLife(seed: 4)
    life.append(.chosenUpTo(Slot(1)))
    let place = life.files[0].bytes.count
    life.append(.promised(Self.ballot))
    var disk = life.crashed(.everything)
    disk[0].bytes.set(epoch, at: place + 40)
    disk[0].bytes.set(Self.checksum(disk[0].bytes, at: place, fields: 16), at: place + 8)
    #expect(
      life.recover(disk)
        == .failure(
          JournalDamage(
            segment: 1, offset: place, what: .unknownEpoch(Epoch(epoch), governing: Self.one))))
    // The same with the epoch it had: what is refused is the epoch, and nothing else.
    disk[0].bytes.set(UInt64(1), at: place + 40)
    disk[0].bytes.set(Self.checksum(disk[0].bytes, at: place, fields: 16), at: place + 8)
    #expect(disk[0].bytes == life.files[0].bytes)
  }

  /// Two lives of one replica that disagree about its configurations: whoever wrote the second must not have started.
  @Test func aSegmentOfAnEarlierConfigurationIsRefused() {
    var life = JournalLife(seed: 5)
    life.reconfigure(after: 4)
    life.append(.promised(Self.ballot))
    life.beginSegment()
    life.flush()
    var disk = life.crashed(.nothing)
    for field in [112, 136] { disk[2].bytes.set(UInt64(1), at: field) }
    disk[2].bytes.set(CRC32C.checksum(Array(disk[2].bytes[..<156])), at: 156)
    var after = Self.span(1, 5)
    #expect(
      life.recover(disk)
        == .failure(
          JournalDamage(
            segment: 3, offset: 112,
            what: .configurationOutOfOrder(after, after: Self.span(2, 5)))))
    // A span that runs backwards, or a promise from the future, is no header at all.
    after.epoch = Epoch(2)
    for (field, word) in [(128, 4), (136, 3)] as [(Int, UInt64)] {
      disk = life.crashed(.nothing)
      disk[2].bytes.set(word, at: field)
      disk[2].bytes.set(CRC32C.checksum(Array(disk[2].bytes[..<156])), at: 156)
      guard case .success(let recovered) = life.recover(disk) else {
        Issue.record("an unproven header is a torn one")
        continue
      }
      #expect(recovered.end.mark.segment == 2 && recovered.tail != .clean)
    }
  }

  /// Of a record's head and fields, as docs/journal-format.md has it.
  private static func checksum(_ bytes: [UInt8], at place: Int, fields: Int) -> UInt32 {
    let identity = JournalLife.identity
    var stamp: [UInt8] = []
    stamp.put(identity.cluster.rawValue)
    stamp.put(identity.replica.rawValue)
    stamp.put(identity.ring.rawValue)
    stamp.put(UInt64(identity.incarnation.rawValue))
    stamp.put(UInt64(1))
    let first = CRC32C.checksum(
      Array(bytes[place..<place + 8]), seed: CRC32C.checksum(stamp, seed: 0) ^ UInt32(place))
    return CRC32C.checksum(Array(bytes[place + 12..<place + 48 + fields]), seed: first)
  }
}
