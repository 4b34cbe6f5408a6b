import Testing

@testable import Protocol

/// The fold of reports: who counts, when a digest is agreed, when it never can be.
@Suite struct DigestTableTests {
  private var table = DigestTable()
  private var recorder = ContractRecorder()

  private mutating func take(
    _ replica: UInt32, _ slot: UInt64, _ digest: UInt64, voters: UInt32 = 3, epoch: UInt64 = 1
  ) -> DigestTable.Outcome {
    let report = DigestTests.report(replica, slot, digest, voters: voters, epoch: epoch)
    let outcome = table.take(report, in: Slot(1_000), &recorder)
    #expect(recorder.violation == nil)
    return outcome
  }

  @Test mutating func twoOfThreeAgree() {
    #expect(take(1, 8, 5) == .noted)
    #expect(take(2, 8, 6) == .noted)
    #expect(table.agreedSlot == .zero)
    #expect(take(3, 8, 6) == .agreed)
    #expect(table.agreedSlot == Slot(8) && table.agreedDigest == 6)
  }

  @Test mutating func aRepeatedReportCountsOnce() {
    #expect(take(1, 8, 5) == .noted)
    for _ in 0..<3 { #expect(take(1, 8, 5) == .ignored) }
    // Nor does a replica get a second word on a slot.
    #expect(take(1, 8, 6) == .ignored)
    #expect(table.entries.count == 1 && table.agreedSlot == .zero)
  }

  /// A voter that is always a period behind is compared all the same.
  @Test mutating func aVoterAPeriodBehindMeetsTheOthers() {
    for slot in stride(from: UInt64(8), to: 80, by: 8) {
      _ = take(1, slot + 8, slot + 8)
      #expect(take(2, slot, slot) == (slot == 8 ? .noted : .agreed), "slot \(slot)")
    }
  }

  @Test mutating func ofEachVoterAFewReportsAreKept() {
    for slot in 1...20 as ClosedRange<UInt64> { _ = take(2, slot, slot) }
    #expect(table.entries.map(\.slot.rawValue) == [17, 18, 19, 20])
    #expect(table.reportedUpTo(by: ReplicaID(2)) == Slot(20))
    #expect(table.reportedUpTo(by: ReplicaID(1)) == .zero)
  }

  @Test mutating func threeDigestsOfThreeSplit() {
    #expect(take(1, 8, 5) == .noted)
    #expect(take(2, 8, 6) == .noted)
    #expect(take(3, 8, 7) == .split)
    #expect(table.agreedSlot == .zero)
    // The next slot decides.
    #expect(take(1, 16, 5) == .noted)
    #expect(take(3, 16, 5) == .agreed)
  }

  /// Who has gone on to a later slot says nothing more on this one.
  @Test mutating func thoseWhoHaveGoneOnAreNotWaitedFor() {
    #expect(take(1, 16, 9) == .noted)
    #expect(take(2, 8, 5) == .noted)
    #expect(take(3, 8, 6) == .split)
  }

  @Test mutating func whatIsAgreedStays() {
    _ = take(1, 16, 5)
    #expect(take(2, 16, 5) == .agreed)
    // A late majority for an earlier slot changes nothing.
    #expect(take(3, 8, 9) == .noted)
    #expect(table.agreedSlot == Slot(16))
  }

  @Test mutating func aLaterEpochBeginsAnew() {
    _ = take(1, 8, 5)
    #expect(take(2, 8, 5, voters: 5, epoch: 2) == .noted)
    #expect(table.entries.count == 1 && table.voters == 5)
    #expect(take(3, 8, 5, epoch: 1) == .ignored)
    #expect(take(3, 8, 5, voters: 5, epoch: 2) == .noted)
    #expect(take(4, 8, 5, voters: 5, epoch: 2) == .agreed)
  }

  @Test mutating func noMoreReplicasThanVoters() {
    for replica in 1...3 as ClosedRange<UInt32> { _ = take(replica, 8, UInt64(replica)) }
    #expect(take(4, 8, 1) == .ignored)
    #expect(table.entries.count == 3)
  }

  @Test mutating func whatNoMemberCanHaveSaidIsIgnored() {
    #expect(take(1, 0, 5) == .ignored)
    #expect(take(1, 1_000, 5) == .ignored, "a state after the slot that it is reported in")
    #expect(take(1, 8, 5, voters: 0) == .ignored)
    #expect(take(1, 8, 5, voters: 65) == .ignored)
    #expect(take(1, 8, 5) == .noted)
    #expect(take(2, 8, 5, voters: 5) == .ignored)
    #expect(table.entries.count == 1)
  }

  @Test mutating func oneVoterAgreesWithItself() {
    #expect(take(1, 8, 5, voters: 1) == .agreed)
  }
}

/// The fold against a model that remembers everything.
@Suite struct DigestTablePropertyTests {
  @Test(arguments: 1...200 as ClosedRange<UInt64>) func agreesWithTheModel(seed: UInt64) {
    var generator = Generator(seed: seed)
    let voters = 1 + generator.below(7)
    var table = DigestTable()
    var recorder = ContractRecorder()
    /// Of each replica, its reports in the order they counted.
    var told: [[(slot: UInt64, digest: UInt64)]] = Array(repeating: [], count: voters)
    var agreed: (slot: UInt64, digest: UInt64) = (0, 0)
    for n in 0..<400 as Range<UInt64> {
      let replica = generator.below(voters)
      let slot = n / 10 + UInt64(generator.below(6))
      let digest = UInt64(generator.below(2)) << 32 | slot
      let outcome = table.take(
        DigestTests.report(UInt32(replica + 1), slot, digest, voters: UInt32(voters)),
        in: Slot(10_000), &recorder)
      let counts = slot > max(0, told[replica].last?.slot ?? 0)
      #expect((outcome == .ignored) == !counts)
      guard counts else { continue }
      told[replica].append((slot, digest))
      let alike = told.count { $0.suffix(4).contains { $0.slot == slot && $0.digest == digest } }
      let isAgreed = slot > agreed.slot && alike > voters / 2
      #expect((outcome == .agreed) == isAgreed, "seed \(seed), report \(n)")
      if isAgreed { agreed = (slot, digest) }
      #expect(table.agreedSlot.rawValue == agreed.slot && table.agreedDigest == agreed.digest)
      // A majority that can still come is not given up, and one that cannot is.
      let most = [UInt64(0), 1 << 32].map { high in
        told.count { $0.suffix(4).contains { $0.slot == slot && $0.digest == high | slot } }
      }.max()!
      let silent = told.count { ($0.last?.slot ?? 0) < slot }
      if slot > agreed.slot {
        #expect((outcome == .split) == (most + silent <= voters / 2), "seed \(seed), report \(n)")
      }
    }
    #expect(recorder.violation == nil)
    #expect(
      ContractRecorder.isEnabled == (recorder.evaluations(of: .foldReportPostMajorityAgrees) > 0))
  }
}
