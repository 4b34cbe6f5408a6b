/// Rare situations that a campaign must have reached to be worth its name ("sometimes" assertions). "id: what it says".
public enum Mark: String, CaseIterable, Sendable {
  // Election
  case preVoteRefused = "preVoteRefused: A pre-vote was refused."
  case candidateTooFarBehind =
    "candidateTooFarBehind: A candidate found itself too far behind and caught up first."
  case ballotOvertaken = "ballotOvertaken: A candidate or leader met a higher promise."
  case leaderSteppedDown = "leaderSteppedDown: A leader stepped down."
  case checkQuorumFailed = "checkQuorumFailed: A leader lost touch with its quorum."
  case journalStalled = "journalStalled: A leader gave up because its journal stood still."
  case leadershipVetoed = "leadershipVetoed: The application kept a replica from standing."
  case promiseRepeated = "promiseRepeated: An acceptor answered a repeated Prepare."
  case transferAccepted = "transferAccepted: A replica stood because the leader asked it to."
  case transferExpired = "transferExpired: A leader transfer came to nothing in time."
  // Recovery of earlier ballots
  case voteReproposed = "voteReproposed: A new leader proposed an older ballot's vote again."
  case gapFilledWithNoop = "gapFilledWithNoop: A new leader filled a gap with a no-op."
  case chosenReportLearned =
    "chosenReportLearned: A new leader learned a chosen slot from a promise."
  case leaderMustLearnFirst =
    "leaderMustLearnFirst: A new leader had to learn truncated slots first."
  case recoveryGaveUp = "recoveryGaveUp: A leader could not settle earlier ballots and stood anew."
  // Phase 2
  case acceptRejected = "acceptRejected: An acceptor refused an Accept below its promise."
  case acceptRetransmitted = "acceptRetransmitted: A leader sent an Accept again."
  case voteRepeated = "voteRepeated: An acceptor met a vote it had cast."
  case acceptBelowTruncation =
    "acceptBelowTruncation: An acceptor met an Accept below its truncation point."
  case acceptBeyondWindow = "acceptBeyondWindow: An acceptor met an Accept beyond its window."
  case chosenOutOfOrder = "chosenOutOfOrder: A slot was chosen before one below it."
  case watermarkBeforeVote = "watermarkBeforeVote: A watermark came before the vote it covers."
  case batchGrew = "batchGrew: A command joined a waiting batch."
  case overloaded = "overloaded: A command was refused because the queue was full."
  case clientProbed =
    "clientProbed: A client that was refused for overload sent only the oldest of several commands."
  // Reads
  case leaseReadServed = "leaseReadServed: A read was served under the lease."
  case leaseRefusedPrepare = "leaseRefusedPrepare: A vow kept an acceptor from promising."
  case localReadWaited = "localReadWaited: A local read waited for its slot."
  // Catch-up
  case slotsFetched = "slotsFetched: A replica fetched slots from a peer."
  case snapshotOffered = "snapshotOffered: A peer offered a snapshot instead of slots."
  case snapshotInstalled = "snapshotInstalled: A replica installed a peer's snapshot."
  case snapshotTransferResumed =
    "snapshotTransferResumed: A snapshot transfer went on where it had stopped."
  case snapshotRefused = "snapshotRefused: A transferred snapshot did not match its digest."

  // Suspects
  case suspectKeptSilent =
    "suspectKeptSilent: A suspect was asked for a promise, a vote or a confirmation."
  case suspectCured = "suspectCured: A suspect became a voter again."

  // Digests
  case digestAgreed = "digestAgreed: A majority reported the same digest for a slot."
  case digestReportRepeated =
    "digestReportRepeated: A replica reported a digest again that it had not seen applied."
  case snapshotHeldBack =
    "snapshotHeldBack: A snapshot was kept from a peer because no agreed digest vouches for it yet."
  case divergenceFound =
    "divergenceFound: A replica found that its state is not the one that a majority agreed on."
  case divergenceRepaired =
    "divergenceRepaired: A replica that had diverged has the agreed digest again."

  public var id: Substring { rawValue[..<rawValue.firstIndex(of: ":")!] }
  public var sentence: Substring {
    rawValue[rawValue.firstIndex(of: ":")!...].dropFirst(2)
  }

  /// The place in `allCases`; see `Contract.ordinal`.
  var ordinal: Int { Int(unsafeBitCast(self, to: UInt8.self)) }
}
