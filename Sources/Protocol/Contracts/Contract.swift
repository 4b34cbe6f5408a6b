/// Every contract of the core: a stable ID and the sentence it stands for.
///
/// The raw value is "id: sentence". The ID names the handler, the kind (`pre`, `post`, `inv`) and the property, and never
/// changes its meaning: reports, seeds and mutants refer to it. `docs/contracts.md` is checked against this list.
public enum Contract: String, CaseIterable, Sendable {
  // MARK: Acceptor, phase 1a
  case process1aPreBallotIsProposed =
    "process1a.pre.ballotIsProposed: A Prepare carries a ballot above zero."
  case process1aPreFirstSlotIsASlot =
    "process1a.pre.firstSlotIsASlot: A Prepare asks from slot 1 or later."
  case process1aPostPromiseNeverRegresses =
    "process1a.post.promiseNeverRegresses: The promised ballot never falls."
  case process1aPostPromiseIsOldOrPrepared =
    "process1a.post.promiseIsOldOrPrepared: The promise is the higher of the old one and the Prepare's."
  case process1aPostPromiseOnlyAbove =
    "process1a.post.promiseOnlyAbove: A new promise is given only to a ballot above the old one."
  case process1aPostRejectOnlyBelow =
    "process1a.post.rejectOnlyBelow: A Prepare is rejected only for a ballot below the promise."
  case process1aPostPromiseHangsOnItsRecord =
    "process1a.post.promiseHangsOnItsRecord: A new promise names the journal record it waits for."

  // MARK: Acceptor, phase 2a
  case process2aPreBallotIsProposed =
    "process2a.pre.ballotIsProposed: An Accept carries a ballot above zero."
  case process2aPreSlotIsASlot = "process2a.pre.slotIsASlot: An Accept names slot 1 or later."
  case process2aPreNoopIsEmpty =
    "process2a.pre.noopIsEmpty: A value without commands has no bytes and no digest."
  case process2aPostPromiseNeverRegresses =
    "process2a.post.promiseNeverRegresses: The promised ballot never falls."
  case process2aPostPromiseIsOldOrAccepted =
    "process2a.post.promiseIsOldOrAccepted: The promise stays or becomes the Accept's ballot."
  case process2aPostVoteOnlyAtOrAbovePromise =
    "process2a.post.voteOnlyAtOrAbovePromise: A vote is cast only at or above the promise."
  case process2aPostVoteRaisesPromise =
    "process2a.post.voteRaisesPromise: After a vote the promise is the vote's ballot."
  case process2aPostVoteIsRecorded =
    "process2a.post.voteIsRecorded: After a vote the slot holds its ballot and value."
  case process2aPostVoteHangsOnItsRecord =
    "process2a.post.voteHangsOnItsRecord: A vote names the journal record it waits for."
  case process2aPostOneValuePerBallot =
    "process2a.post.oneValuePerBallot: A slot's value at one ballot is never overwritten."
  case process2aPostVotesNeverGoBack =
    "process2a.post.votesNeverGoBack: The ballot of a slot's vote never falls."
  case process2aPostChosenValueStays =
    "process2a.post.chosenValueStays: A slot known to be chosen keeps its value."
  case process2aPostChosenStaysChosen =
    "process2a.post.chosenStaysChosen: A slot known to be chosen stays known as chosen."
  case process2aPostSameValueIsReaccepted =
    "process2a.post.sameValueIsReaccepted: The same value at the same slot and ballot is accepted again."
  case process2aPostOtherValueIsAnError =
    "process2a.post.otherValueIsAnError: Another value at the same slot and ballot is a conflict."
  case process2aPostRejectOnlyBelow =
    "process2a.post.rejectOnlyBelow: An Accept is rejected only for a ballot below the promise."
  case process2aPostRejectTellsThePromise =
    "process2a.post.rejectTellsThePromise: A rejection carries the promise that stands."
  case process2aPostNothingIsChosenHere =
    "process2a.post.nothingIsChosenHere: A vote alone never moves the chosen watermark."
  case process2aPostNoVoteMeansNoChange =
    "process2a.post.noVoteMeansNoChange: Without a vote neither the slot nor the promise changes."
  case process2aPostNoVoteOutsideTheWindow =
    "process2a.post.noVoteOutsideTheWindow: No vote is cast in a slot that cannot be kept."
  case process2aPostNoConflict =
    "process2a.post.noConflict: No proposer sends two values for one slot and ballot, or one against a chosen value."
  case releasePreWasPromised =
    "release.pre.wasPromised: A promise that leaves was given, and never taken back."

  // MARK: Proposer, phase 1
  case preparePreBallotIsNew =
    "prepare.pre.ballotIsNew: A proposer's ballots only rise."
  case preparePostNothingIsInFlight =
    "prepare.post.nothingIsInFlight: A new ballot begins with nothing in flight."
  case preparePostOwnPromise =
    "prepare.post.ownPromise: A proposer's own acceptor promises its new ballot."
  case process1bPreBallotIsOurs =
    "process1b.pre.ballotIsOurs: Promises and reports are counted for the running ballot only."
  case process1bPreVoterIsAMember =
    "process1b.pre.voterIsAMember: Only voters of the configuration are counted."
  case process1bPreReportedVoteIsOlder =
    "process1b.pre.reportedVoteIsOlder: A reported vote lies below the ballot being prepared."
  case process1bPostHighestVoteWins =
    "process1b.post.highestVoteWins: Of all votes reported for a slot the one with the highest ballot is kept."
  case process1bPostChosenReportsAgree =
    "process1b.post.chosenReportsAgree: Two acceptors that know a slot to be chosen know the same value."
  case process1bPostOneValuePerBallot =
    "process1b.post.oneValuePerBallot: Two votes at one ballot in one slot are for the same value."
  case process1bPostPromisesOnlyGrow =
    "process1b.post.promisesOnlyGrow: Completing a voter adds exactly this voter."
  case process1bPostCoversTheVoter =
    "process1b.post.coversTheVoter: The range to settle covers everything a counted voter knows."
  case leadPreQuorumPromised = "lead.pre.quorumPromised: Only a quorum of promises makes a leader."
  case leadPostProposesAboveChosen =
    "lead.post.proposesAboveChosen: A leader proposes only above what it knows to be chosen."
  case leadPostKnowsWhatMayBeChosen =
    "lead.post.knowsWhatMayBeChosen: Everything an earlier ballot may have chosen lies in the range to settle."

  // MARK: Proposer, phase 2
  case proposePreLeads = "propose.pre.leads: Only a leader proposes."
  case proposePreNotChosen =
    "propose.pre.notChosen: Nothing is proposed in a slot known to be chosen."
  case proposePreWithinWindow =
    "propose.pre.withinWindow: No more slots are in flight than the window has."
  case proposePreLearnedTruncated =
    "propose.pre.learnedTruncated: A leader first learns what a promiser has truncated."
  case proposePreRecoveredValueIsKept =
    "propose.pre.recoveredValueIsKept: A slot that phase 1 brought up gets the value phase 1 chose for it."
  case proposePostOneValuePerSlot =
    "propose.post.oneValuePerSlot: A ballot proposes once in each slot."
  case process2bPreBallotIsOurs =
    "process2b.pre.ballotIsOurs: Votes are counted for the own ballot only."
  case process2bPreVoterIsAMember =
    "process2b.pre.voterIsAMember: Only voters of the configuration are counted."
  case process2bPreWasProposed =
    "process2b.pre.wasProposed: Votes come only for slots that were proposed."
  case process2bPostVoteCountsOnce =
    "process2b.post.voteCountsOnce: A voter's vote counts once in each slot, however often it comes."
  case process2bPostChosenHasQuorum =
    "process2b.post.chosenHasQuorum: A slot is chosen by more than half of the voters."
  case process2bPostChosenIsOurVote =
    "process2b.post.chosenIsOurVote: What is chosen at the own ballot is what was proposed."

  // MARK: Learner and executor
  case learnerPostChosenNeverRegresses =
    "learner.post.chosenNeverRegresses: The chosen prefix never shrinks."
  case learnerPostWatermarkBoundsTheUnlearned =
    "learner.post.watermarkBoundsTheUnlearned: A watermark makes nothing above it chosen."
  case learnerPostMarksOnlyVotesOfTheBallot =
    "learner.post.marksOnlyVotesOfTheBallot: A watermark makes only votes of its own ballot chosen."
  case learnPostChosenValuesAgree =
    "learn.post.chosenValuesAgree: A slot learned twice is learned with one value."
  case applyPreIsChosen = "apply.pre.isChosen: Only chosen slots are applied."

  // MARK: Batches
  case batcherPostWithinCount =
    "batcher.post.withinCount: A batch holds no more commands than the limit."
  case batcherPostWithinBytes =
    "batcher.post.withinBytes: A batch holds no more bytes than the limit."
  case batcherPostContiguous =
    "batcher.post.contiguous: A batch ends where its last command ends."
  case batcherPostQueueBounded =
    "batcher.post.queueBounded: No more batches wait than the limit."

  // MARK: Election, rounds, leases
  case preVotePreGrantedAboveTheirPromise =
    "preVote.pre.grantedAboveTheirPromise: A pre-vote is granted only above the voter's promise."
  case preVotePostCountsOnce = "preVote.post.countsOnce: A voter's pre-vote counts once."
  case preVotePostLeaderRefuses =
    "preVote.post.leaderRefuses: Nobody grants a pre-vote while it leads."
  case roundsPreRoundWasSent = "rounds.pre.roundWasSent: Only rounds that were sent are answered."
  case roundsPostConfirmedNeverRegresses =
    "rounds.post.confirmedNeverRegresses: The confirmed round never falls within a ballot."
  case roundsPostConfirmedWasSent =
    "rounds.post.confirmedWasSent: A confirmed round was sent."
  case roundsPostConfirmedByQuorum =
    "rounds.post.confirmedByQuorum: A confirmed round was answered by a quorum."
  case leasePostVowIsNeverCutShort =
    "lease.post.vowIsNeverCutShort: A vow to a leader never ends earlier than it was given for."
  case leasePostVowLastsTheDuration =
    "lease.post.vowLastsTheDuration: Hearing the leader renews the vow for the whole duration."
  case leaseReadPreShorterThanVow =
    "leaseRead.pre.shorterThanVow: The leader's lease, on the fastest follower's clock, ends before the vow."
  case leaseReadPreSettled =
    "leaseRead.pre.settled: A lease read is served only when everything before the ballot is known."

  // MARK: Reads
  case readsPreInOrder =
    "reads.pre.inOrder: Waiting reads are in order of their slots and rounds."
  case readsPostBounded = "reads.post.bounded: No more reads wait than the limit."
  case readsPostServedAfterConfirmation =
    "reads.post.servedAfterConfirmation: A read is served after a round sent after it came was confirmed."
  case readsPostServedAfterItsIndex =
    "reads.post.servedAfterItsIndex: A read is served after everything chosen before it was applied."

  // MARK: Catch-up and snapshots
  case fetchPostFitsTheWindow =
    "fetch.post.fitsTheWindow: No more is fetched than can be kept."
  case transferPostAdvances =
    "transfer.post.advances: A stored chunk moves the transfer on."
  case transferPostWithinLength =
    "transfer.post.withinLength: A transfer never stores more than the snapshot's length."
  case snapshotTakenPreWasApplied =
    "snapshotTaken.pre.wasApplied: A snapshot holds only what was applied."
  case truncatePreSnapshotCovers =
    "truncate.pre.snapshotCovers: Only what a durable snapshot covers is truncated."
  case installPostPromiseIsKept =
    "install.post.promiseIsKept: Installing a peer's snapshot never changes the promise."
  case installPostAppliedIsTheSnapshot =
    "install.post.appliedIsTheSnapshot: After an install exactly the snapshot's slots are applied."

  // MARK: Journal
  case persistedPreWasHandedOut =
    "persisted.pre.wasHandedOut: Only records that were handed to the journal become durable."
  case persistedPreNeverRegresses =
    "persisted.pre.neverRegresses: What is durable stays durable."
  case persistedPostNothingWaitsForWhatIsDurable =
    "persisted.post.nothingWaitsForWhatIsDurable: Every reply whose record is durable has left."

  // MARK: Suspects
  case votePreIsSound = "vote.pre.isSound: A suspect never votes."
  case promisePreIsSound = "promise.pre.isSound: A suspect promises nobody anything."
  case standingPostCoversEveryVote =
    "standing.post.coversEveryVote: Whoever tells a suspect where it stands names no slot below its own votes."
  case curePostSnapshotCoversTheDoubt =
    "cure.post.snapshotCoversTheDoubt: A cured replica has every slot in a snapshot that a lost vote could matter in."
  case curePostPromiseIsTheFloor =
    "cure.post.promiseIsTheFloor: A cured replica has promised what it may have promised before."

  // MARK: Digests
  case reportDigestPreIsUnreported =
    "reportDigest.pre.isUnreported: A replica reports a digest only as long as it has not seen it applied."
  case enterReportPreLeads = "enterReport.pre.leads: Only a leader puts a report into the log."
  case enterReportPostOncePerBallot =
    "enterReport.post.oncePerBallot: A leader puts no two reports of one voter and slot into the log."
  case foldReportPostTableBounded =
    "foldReport.post.tableBounded: The table holds a few reports of each voter and of nobody else."
  case foldReportPostAgreedAdvances =
    "foldReport.post.agreedAdvances: The agreed slot never goes back."
  case foldReportPostMajorityAgrees =
    "foldReport.post.majorityAgrees: A digest is agreed only when a majority of the voters, each counted once, reported it for its slot."

  // MARK: Sessions and the application
  case admitPreUsesAdvance =
    "admit.pre.usesAdvance: A command's place in the log lies behind every use of a session noted before."
  case admitPostOnlyTheNextApplies =
    "admit.post.onlyTheNextApplies: Only the command right after the session's last one applies."
  case admitPostDuplicateRepeatsItsSlot =
    "admit.post.duplicateRepeatsItsSlot: A repeated reply was given in this slot or an earlier one."
  case admitPostMovesNoSession =
    "admit.post.movesNoSession: Judging a command changes no session's last sequence."
  case recordPostSequenceAdvancesByOne =
    "record.post.sequenceAdvancesByOne: Applying a command moves its session by exactly one."
  case recordPostRepliesBounded =
    "record.post.repliesBounded: No more replies of a session are kept than the limit."
  case registerPostSessionIsNew =
    "register.post.sessionIsNew: A new session has a name that no session in the table has."
  case registerPostSessionsBounded =
    "register.post.sessionsBounded: There are no more sessions than the limit."
  case registerPostEvictsTheOldestUse =
    "register.post.evictsTheOldestUse: The session that makes room was used before the next one in line."
  case forgetPostFloorNeverRegresses =
    "forget.post.floorNeverRegresses: A reply that is forgotten stays forgotten, and only applied ones are."
  case applyPreNotDiverged =
    "apply.pre.notDiverged: Nothing is applied to a state that has diverged."
  case applyPostOneAnswerPerCommand =
    "apply.post.oneAnswerPerCommand: Every command of a client gets exactly one answer."
  case applyPostAdvancesByOneSlot =
    "apply.post.advancesByOneSlot: Applying a batch moves the state by exactly its slot."

  // MARK: The client
  case clientPostWindowBounded =
    "client.post.windowBounded: No more commands are in flight than the window has."
  case clientPostOneResultPerRequest =
    "client.post.oneResultPerRequest: A command's result is reported once."
  case clientPreSendsOnlyUnanswered =
    "client.pre.sendsOnlyUnanswered: No command is sent again that was answered."
  case clientPreProbesWithTheOldest =
    "client.pre.probesWithTheOldest: After a rejection for overload only the oldest command is sent until one is answered."
  case clientPostUnsentMeansUnperformed =
    "client.post.unsentMeansUnperformed: Only commands that were never sent are reported as not performed."
  case clientPostHeadIsUnresolved =
    "client.post.headIsUnresolved: The window begins with a command that is not answered."
  case clientPostNoSessionNoWindow =
    "client.post.noSessionNoWindow: Commands are in flight only within a session."
  case clientPostLastSeenNeverRegresses =
    "client.post.lastSeenNeverRegresses: The slot the client has seen the effect of never falls."
  case clientPostBlockedSendsNothing =
    "client.post.blockedSendsNothing: While the client backs off, no retry time runs."

  // MARK: The whole replica, after every step
  case replicaInvPromiseNeverRegresses =
    "replica.inv.promiseNeverRegresses: No step lowers the promise."
  case replicaInvChosenNeverRegresses =
    "replica.inv.chosenNeverRegresses: No step takes back what is known to be chosen."
  case replicaInvAppliedNeverRegresses =
    "replica.inv.appliedNeverRegresses: No step takes the application back."
  case replicaInvTruncationNeverRegresses =
    "replica.inv.truncationNeverRegresses: No step brings truncated slots back."
  case replicaInvWatermarksInOrder =
    "replica.inv.watermarksInOrder: truncated ≤ applied ≤ chosen ≤ the window's end."
  case replicaInvChosenIsApplied =
    "replica.inv.chosenIsApplied: Everything known to be chosen has been handed to the application."
  case replicaInvSnapshotCoversTruncation =
    "replica.inv.snapshotCoversTruncation: A durable snapshot covers everything truncated."
  case replicaInvLeaderKeepsItsPromise =
    "replica.inv.leaderKeepsItsPromise: A leader has promised nobody above its own ballot."
  case replicaInvPhaseMatchesRole =
    "replica.inv.phaseMatchesRole: Proposer and role agree on whether this replica prepares or leads."
  case replicaInvBallotIsOwn =
    "replica.inv.ballotIsOwn: A proposer uses only ballots that carry its own ID."
  case replicaInvSettledLeader =
    "replica.inv.settledLeader: A full leader knows everything earlier ballots may have chosen."
  case replicaInvInFlightBounded =
    "replica.inv.inFlightBounded: No more slots are in flight than the window has."
  case replicaInvRepliesWaitForJournal =
    "replica.inv.repliesWaitForJournal: Replies wait only while records are not durable."
  case replicaInvDurableWasHandedOut =
    "replica.inv.durableWasHandedOut: Nothing is durable that was never handed to the journal."

  case replicaInvSuspectHasNoVoice =
    "replica.inv.suspectHasNoVoice: A suspect follows, and no promise or vote of it is on its way."

  /// The stable ID.
  public var id: Substring { rawValue[..<rawValue.firstIndex(of: ":")!] }

  /// What the contract says.
  public var sentence: Substring {
    rawValue[rawValue.firstIndex(of: ":")!...].dropFirst(2)
  }

  /// The place in `allCases`. Read from the representation, because a look-up would be on every step's path; a test
  /// compares it with `allCases`.
  var ordinal: Int { Int(unsafeBitCast(self, to: UInt8.self)) }
}
