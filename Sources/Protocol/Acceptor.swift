/// The acceptor: promises ballots and votes for values (Lamport, "Paxos Made Simple" §2.2).
///
/// Its two answers leave only when the records they rest on are durable; the replica sees to that by hanging them on the
/// journal position (`DeferredReplies`).
public struct Acceptor: Equatable, Sendable {
  /// No vote below this ballot any more. Durable as soon as its record is.
  public private(set) var promised: Ballot
  /// The position of the record that holds `promised`.
  public private(set) var promisePosition: JournalPosition

  public init(promised: Ballot) {
    self.promised = promised
    promisePosition = .zero
  }

  /// A suspect takes back whatever it may have promised: the caller persists `cured(ballot)` at this position.
  public mutating func cure(_ ballot: Ballot, at position: JournalPosition) {
    precondition(ballot >= promised, "a cure never lowers a promise")
    promised = ballot
    promisePosition = position
  }

  /// What a Prepare led to.
  public enum Process1aResult: Equatable, Sendable {
    /// Newly promised: the caller persists `promised(ballot)` at the position it passed.
    case promise
    /// Promised before, at the position given: the Prepare was repeated.
    case repeated(JournalPosition)
    case reject(promised: Ballot)
  }

  /// What an Accept led to.
  public enum Process2aResult: Equatable, Sendable {
    /// A new vote: the caller persists `accepted(slot, ballot, value)` at the position it passed.
    case vote
    /// The same vote again, recorded at the position given.
    case repeated(JournalPosition)
    case reject(promised: Ballot)
    /// Chosen long ago: below the truncation point, or settled with another value after its proposer was deposed.
    case truncated
    /// Further ahead than this replica can keep.
    case beyondWindow
    /// Another value at a ballot and slot that has one, or another value than the chosen one: never an overwrite.
    case conflict
  }

  /// Phase 1a. `position` is where the caller's next record will lie.
  public mutating func process1a(
    _ prepare: Prepare, at position: JournalPosition, _ contracts: inout ContractRecorder
  ) -> Process1aResult {
    let old = promised
    contracts.require(.process1aPreBallotIsProposed, prepare.ballot > .zero)
    contracts.require(.process1aPreFirstSlotIsASlot, prepare.firstSlot > .zero)

    let result: Process1aResult
    if prepare.ballot < promised {
      result = .reject(promised: promised)
    } else if prepare.ballot == promised {
      result = .repeated(promisePosition)
    } else {
      promised = prepare.ballot
      promisePosition = position
      result = .promise
    }

    contracts.ensure(.process1aPostPromiseNeverRegresses, promised >= old)
    contracts.ensure(.process1aPostPromiseIsOldOrPrepared, promised == max(old, prepare.ballot))
    contracts.ensure(
      .process1aPostPromiseOnlyAbove, result != .promise || prepare.ballot > old)
    contracts.ensure(
      .process1aPostRejectOnlyBelow, !result.isRejection || prepare.ballot < old)
    contracts.ensure(
      .process1aPostPromiseHangsOnItsRecord, result != .promise || promisePosition == position)
    return result
  }

  /// Phase 2a. `position` is where the caller's next record will lie.
  public mutating func process2a(
    _ accept: Accept, at position: JournalPosition, window: inout SlotWindow,
    _ contracts: inout ContractRecorder
  ) -> Process2aResult {
    let oldPromise = promised
    let old = window[accept.slot]
    let oldChosenUpTo = window.chosenUpTo
    contracts.require(.process2aPreBallotIsProposed, accept.ballot > .zero)
    contracts.require(.process2aPreSlotIsASlot, accept.slot > .zero)
    contracts.require(
      .process2aPreNoopIsEmpty, !accept.value.isNoop || accept.value.isSame(as: .noop))

    let result = vote(accept, at: position, window: &window)

    let new = window[accept.slot]
    contracts.ensure(.process2aPostPromiseNeverRegresses, promised >= oldPromise)
    contracts.ensure(
      .process2aPostPromiseIsOldOrAccepted, promised == oldPromise || promised == accept.ballot)
    contracts.ensure(
      .process2aPostVoteOnlyAtOrAbovePromise, result != .vote || accept.ballot >= oldPromise)
    contracts.ensure(
      .process2aPostVoteRaisesPromise, result != .vote || promised == accept.ballot)
    contracts.ensure(
      .process2aPostVoteIsRecorded,
      result != .vote
        || new.isUsed && new.ballot == accept.ballot
          && new.value.isSame(as: accept.value)
    )
    contracts.ensure(
      .process2aPostVoteHangsOnItsRecord, result != .vote || new.position == position)
    contracts.ensure(
      .process2aPostOneValuePerBallot,
      !old.isUsed || old.ballot != new.ballot || old.value.isSame(as: new.value))
    contracts.ensure(
      .process2aPostVotesNeverGoBack, !old.isUsed || old.isChosen || new.ballot >= old.ballot)
    contracts.ensure(
      .process2aPostChosenValueStays, !old.isChosen || new.value.isSame(as: old.value))
    contracts.ensure(.process2aPostChosenStaysChosen, !old.isChosen || new.isChosen)
    contracts.ensure(
      .process2aPostSameValueIsReaccepted,
      !(old.isUsed && old.ballot == accept.ballot && accept.ballot >= oldPromise
        && old.value.isSame(as: accept.value))
        || result.isRepetition)
    contracts.ensure(
      .process2aPostOtherValueIsAnError,
      !(old.isUsed && accept.ballot > .zero && old.ballot == accept.ballot
        && accept.ballot >= oldPromise && !old.value.isSame(as: accept.value))
        || result == .conflict)
    contracts.ensure(
      .process2aPostRejectOnlyBelow, !result.isRejection || accept.ballot < oldPromise)
    contracts.ensure(
      .process2aPostRejectTellsThePromise,
      !result.isRejection || result == .reject(promised: promised))
    contracts.ensure(.process2aPostNothingIsChosenHere, window.chosenUpTo == oldChosenUpTo)
    contracts.ensure(
      .process2aPostNoVoteMeansNoChange, result == .vote || new == old && promised == oldPromise)
    contracts.ensure(
      .process2aPostNoVoteOutsideTheWindow, window.contains(accept.slot) || result != .vote)
    contracts.ensure(.process2aPostNoConflict, result != .conflict)
    return result
  }

  private mutating func vote(
    _ accept: Accept, at position: JournalPosition, window: inout SlotWindow
  ) -> Process2aResult {
    guard accept.ballot >= promised else { return .reject(promised: promised) }
    guard accept.slot > window.truncatedUpTo else { return .truncated }
    guard window.contains(accept.slot) else { return .beyondWindow }
    let entry = window[accept.slot]
    if entry.isUsed {
      let isSame = entry.value.isSame(as: accept.value)
      if entry.isChosen && !isSame {
        // A deposed leader's Accept may come after the slot was settled above its ballot; against a chosen value that
        // this replica voted for at or below that ballot it is a conflict.
        return entry.ballot == .zero || accept.ballot < entry.ballot ? .truncated : .conflict
      }
      if entry.ballot == accept.ballot { return isSame ? .repeated(entry.position) : .conflict }
    }
    if accept.ballot > promised {
      // The vote's record carries the promise too; a Prepare repeated at this ballot waits for that record.
      promised = accept.ballot
      promisePosition = position
    }
    window.vote(accept.slot, ballot: accept.ballot, value: accept.value, position: position)
    return .vote
  }
}

extension Acceptor.Process1aResult {
  var isRejection: Bool { if case .reject = self { true } else { false } }
}

extension Acceptor.Process2aResult {
  var isRejection: Bool { if case .reject = self { true } else { false } }
  var isRepetition: Bool { if case .repeated = self { true } else { false } }
}

extension Acceptor {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.ballot(&promised)
    try coder.word(&promisePosition)
  }
}
