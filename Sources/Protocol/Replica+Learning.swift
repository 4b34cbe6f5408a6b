// What is chosen, what is applied, what is fetched from peers.
extension Replica {
  /// The leader of `ballot` knows everything up to `watermark` to be chosen.
  mutating func observe(
    _ watermark: Slot, at ballot: Ballot, from voter: Int, now: Instant,
    _ effects: inout EffectBuffer
  ) {
    heardChosen(watermark, from: voter, now: now)
    if learner.observe(watermark, at: ballot, window: &window, &contracts) {
      chosenAdvanced(now: now, &effects)
    }
    watchForGap(now: now)
  }

  /// The chosen prefix grew: apply it, and let whatever waited for it go on.
  mutating func chosenAdvanced(now: Instant, _ effects: inout EffectBuffer) {
    applyChosen(now: now, &effects)
    guard leads else { return }
    settle(now: now, &effects)
    pump(now: now, &effects)
    continueTransfer(now: now, &effects)
  }

  /// Hands every chosen slot to the application, in order.
  mutating func applyChosen(now: Instant, _ effects: inout EffectBuffer) {
    while window.appliedUpTo < window.chosenUpTo {
      let slot = window.appliedUpTo.next
      let entry = window[slot]
      contracts.require(.applyPreIsChosen, entry.isUsed && entry.isChosen)
      window.advanceApplied()
      bytesSinceSnapshot &+= UInt64(entry.value.bytes.length)
      effects.append(.apply(slot, entry.value))
    }
    serveReads(&effects)
    recordChosen(now: now, &effects)
    takeSnapshotIfDue(&effects)
  }

  private mutating func takeSnapshotIfDue(_ effects: inout EffectBuffer) {
    guard
      window.appliedUpTo - snapshot.slot >= options.snapshotInterval
        || bytesSinceSnapshot >= options.snapshotBytes
    else { return }
    takeSnapshot(&effects)
  }

  /// Has the host take one, unless it is at it or there is nothing new.
  mutating func takeSnapshot(_ effects: inout EffectBuffer) {
    guard snapshotBeingTaken == .zero, window.appliedUpTo > snapshot.slot else { return }
    bytesSinceSnapshot = 0
    snapshotBeingTaken = window.appliedUpTo
    effects.append(.takeSnapshot(window.appliedUpTo))
  }

  /// Notes in the journal how far the log is chosen, now and then: a restart then applies without asking anybody.
  private mutating func recordChosen(now: Instant, _ effects: inout EffectBuffer) {
    guard window.chosenUpTo - recordedChosenUpTo >= options.windowSlots else { return }
    recordedChosenUpTo = window.chosenUpTo
    _ = persist(.chosenUpTo(window.chosenUpTo), now: now, &effects)
  }

  /// A peer said what was chosen in a slot.
  mutating func learn(
    _ slot: Slot, _ value: Value, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard slot > window.truncatedUpTo, window.contains(slot) else { return }
    let old = window[slot]
    contracts.ensure(
      .learnPostChosenValuesAgree, !old.isChosen || old.value.isSame(as: value))
    guard !window.isChosen(slot) else { return }
    if old.isUsed && old.value.isSame(as: value) {
      window.markChosen(slot)
    } else {
      let position = persist(.learned(slot, value), now: now, &effects)
      window.learn(slot, value: value, position: position)
    }
    if window.advanceChosen() { chosenAdvanced(now: now, &effects) }
  }

  // MARK: Fetching slots

  /// A peer said how far it knows the log. Whoever it is and whatever about: one that cannot hear the leader learns from
  /// its other peers.
  mutating func heardChosen(_ slot: Slot, from voter: Int, now: Instant) {
    catchUp.heard(slot, from: voter)
    watchForGap(now: now)
  }

  /// If a peer knows more, look again after a moment: a gap is mostly reordering.
  mutating func watchForGap(now: Instant) {
    guard deadlines[.catchUp] == .never, catchUp.isBehind(window.chosenUpTo) else { return }
    deadlines[.catchUp] = now + options.catchUpDelay
  }

  /// Asks a peer that is ahead, if any.
  mutating func fetch(now: Instant, _ effects: inout EffectBuffer) {
    guard let (voter, fetch) = catchUp.ask(window: window, &contracts) else { return }
    contracts.mark(.slotsFetched)
    effects.append(.send(to: configuration.voters[voter].id, .fetch(fetch)))
    deadlines[.catchUp] = now + options.catchUpRetry
  }

  mutating func catchUpDue(now: Instant, _ effects: inout EffectBuffer) {
    guard catchUp.isBehind(window.chosenUpTo) else { return }
    deadlines[.catchUp] = now + options.catchUpRetry
    if let transfer = catchUp.transfer {
      guard let chunk = catchUp.nextChunk else { return }
      // Every chunk moves the deadline, so none came for a while: ask for it again.
      effects.append(.send(to: configuration.voters[transfer.source].id, .snapshotFetch(chunk)))
      guard catchUp.transferStalled() else { return }
    }
    // Without a transfer, or besides one that stands still: ask around.
    fetch(now: now, &effects)
  }

  mutating func receive(_ fetch: Fetch, from voter: Int, _ effects: inout EffectBuffer) {
    if fetch.firstSlot <= window.truncatedUpTo { return offerSnapshot(to: voter, &effects) }
    digests.servesSlots(to: voter)
    let from = configuration.voters[voter].id
    var slot = fetch.firstSlot
    let last = min(window.chosenUpTo, slot + Int(fetch.limit - 1))
    while slot <= last {
      let learn = Learn(slot: slot, value: window[slot].value, chosenUpTo: window.chosenUpTo)
      effects.append(.send(to: from, .learn(learn)))
      slot = slot.next
    }
  }

  mutating func receive(
    _ message: Learn, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    heardChosen(message.chosenUpTo, from: voter, now: now)
    learn(message.slot, message.value, now: now, &effects)
    if catchUp.asked != nil, catchUp.isAnswered(chosenUpTo: window.chosenUpTo) {
      catchUp.answered()
      if catchUp.isBehind(window.chosenUpTo) { fetch(now: now, &effects) }
    }
  }

  // MARK: Snapshots

  mutating func snapshotTaken(
    _ info: SnapshotInfo, now: Instant, _ effects: inout EffectBuffer
  ) {
    let applied = window.appliedUpTo
    contracts.require(.snapshotTakenPreWasApplied, info.slot <= applied)
    snapshotBeingTaken = .zero
    // While this one was on its way the window may have filled up: only another one makes room then.
    defer { takeSnapshotIfDue(&effects) }
    guard info.slot > snapshot.slot else { return }
    snapshot = info
    _ = persist(.snapshot(info), now: now, &effects)
    let bound = endOfTail(below: info.slot)
    guard bound > .zero else { return }
    truncate(upTo: bound, &effects)
    pump(now: now, &effects)
  }

  /// Some slots below a snapshot stay, for peers that are a little behind: up to here none do.
  private func endOfTail(below snapshot: Slot) -> Slot {
    let tail = UInt64(options.snapshotTailSlots)
    let lowest = Slot(snapshot.rawValue - min(tail, snapshot.rawValue))
    guard options.snapshotBytes < .max else { return lowest }
    // Long values fill the log buffer with fewer slots.
    var (slot, bytes) = (snapshot, UInt64(0))
    while slot > lowest, slot > window.truncatedUpTo {
      bytes &+= UInt64(window[slot].value.bytes.length)
      guard bytes <= options.snapshotBytes else { break }
      slot = slot.previous
    }
    return slot > window.truncatedUpTo ? slot : lowest
  }

  private mutating func truncate(upTo slot: Slot, _ effects: inout EffectBuffer) {
    guard slot > window.truncatedUpTo else { return }
    let snapshotSlot = snapshot.slot
    contracts.require(.truncatePreSnapshotCovers, slot <= snapshotSlot)
    window.truncate(upTo: slot)
    effects.append(.truncate(upTo: slot))
  }

  mutating func receive(
    _ offer: SnapshotOffer, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    heardChosen(offer.snapshot.slot, from: voter, now: now)
    guard
      let chunk = catchUp.process(
        offer, from: voter, chosenUpTo: window.chosenUpTo, &contracts)
    else { return }
    effects.append(.send(to: configuration.voters[voter].id, .snapshotFetch(chunk)))
    deadlines[.catchUp] = now + options.catchUpRetry
  }

  mutating func receive(
    _ fetch: SnapshotFetch, from voter: Int, _ effects: inout EffectBuffer
  ) {
    guard snapshot.slot > .zero else { return }
    guard fetch.snapshot == snapshot, fetch.offset < snapshot.length else {
      // Replaced by a later one in the meantime.
      return offerSnapshot(to: voter, &effects)
    }
    effects.append(
      .sendSnapshotChunk(
        to: configuration.voters[voter].id, snapshot, offset: fetch.offset,
        lengthMax: options.snapshotChunkBytes))
  }

  mutating func receive(
    _ chunk: SnapshotChunk, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    if let transfer = catchUp.transfer, !transfer.isComplete,
      transfer.snapshot.slot <= window.appliedUpTo
    {
      // Overtaken by slots from other peers.
      catchUp.endTransfer()
    }
    guard catchUp.process(chunk, &contracts) else { return }
    let isLast = catchUp.nextChunk == nil
    effects.append(.storeSnapshotChunk(chunk, isLast: isLast))
    deadlines[.catchUp] = now + options.catchUpRetry
    if let next = catchUp.nextChunk {
      effects.append(.send(to: configuration.voters[voter].id, .snapshotFetch(next)))
    }
  }

  mutating func snapshotStored(
    _ info: SnapshotInfo, isValid: Bool, now: Instant, _ effects: inout EffectBuffer
  ) {
    catchUp.endTransfer(isRefused: !isValid)
    watchForGap(now: now)
    guard isValid else {
      contracts.mark(.snapshotRefused)
      return
    }
    guard info.slot > window.appliedUpTo else { return }
    let promised = acceptor.promised
    contracts.mark(.snapshotInstalled)
    effects.append(.restoreSnapshot(info))
    window.jump(to: info.slot)
    snapshot = info
    recordedChosenUpTo = max(recordedChosenUpTo, info.slot)
    _ = persist(.snapshot(info), now: now, &effects)
    effects.append(.truncate(upTo: info.slot))
    let (promisedAfter, applied) = (acceptor.promised, window.appliedUpTo)
    contracts.ensure(.installPostPromiseIsKept, promisedAfter == promised)
    contracts.ensure(.installPostAppliedIsTheSnapshot, applied == info.slot)
    chosenAdvanced(now: now, &effects)
  }
}
