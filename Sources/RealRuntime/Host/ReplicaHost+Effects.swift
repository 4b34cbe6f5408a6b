import Protocol

// The only place where effects are performed in a real process.
extension ReplicaHost {
  func perform(_ effect: Effect) {
    switch effect {
    case .persist(let record):
      persist(record)
    case .send(let to, let message):
      if case .accepted(let vote) = message {
        stageClock.voted(from: vote.firstSlot, to: vote.lastSlot)
      }
      send(message, to: to)
    case .broadcast(let message):
      if case .accept(let accept) = message { batched(accept) }
      for link in links where link.id != replica.id { send(message, on: link) }
    case .apply(let slot, let value):
      apply(slot, value)
    case .serveRead(let request, let slot):
      serve(request, slot)
    case .reject(let request, let rejection):
      reject(request, rejection)
    case .setDeadline(let deadline):
      self.deadline = deadline
    case .takeSnapshot:
      snapshots.take(application.snapshot())
    case .sendSnapshotChunk(let to, let info, let offset, let lengthMax):
      sendChunk(ChunkRequest(to: to, snapshot: info, offset: offset, lengthMax: lengthMax))
    case .storeSnapshotChunk(let chunk, let isLast):
      store(chunk, isLast: isLast)
    case .restoreSnapshot(let info):
      restore(info)
    case .truncate(let slot):
      journal.drop(upTo: slot)
      // Frames of this turn may still point at what is released.
      isReleaseDue = true
    case .roleChanged(let role, let ballot, let leader):
      roleChanged(role, ballot, leader)
    case .enterReport(let report):
      digests.reports.append(report)
    }
  }

  // MARK: Journal and snapshots

  private func persist(_ record: JournalRecord) {
    if record.payload.length > 0, record.payload.position == incoming { isIncomingKept = true }
    if case .accepted(let slot, _, _) = record.fact, !replica.leads { stageClock.accepted(slot) }
    do throws(SystemError) {
      try journal.append(record, log)
      if case .snapshot(let info) = record.fact { try snapshots.adopt(info) }
    } catch {
      fail(.journal(error))
    }
  }

  private func store(_ chunk: SnapshotChunk, isLast: Bool) {
    // It is stored in the step that it came with.
    guard let bytes = incomingChunk else { preconditionFailure("a chunk that did not come now") }
    do throws(SystemError) {
      try snapshots.store(chunk, bytes.bytes, isLast: isLast)
    } catch {
      fail(.snapshot(error))
    }
  }

  private func restore(_ info: SnapshotInfo) {
    do {
      try snapshots.adopt(info)
      try snapshots.restore(application)
    } catch {
      fail(.restore(info, "\(error)"))
    }
  }

  // MARK: Application

  /// A batch begins its way; its own vote is the next record of the journal.
  private func batched(_ accept: Accept) {
    stageClock.batched(
      accept.slot, accept.value, journal: replica.journalPosition.rawValue,
      now: MonotonicClock.now())
  }

  private func apply(_ slot: Slot, _ value: Value) {
    stageClock.chosen(slot)
    replies.removeAll()
    do throws(CommandInvalid) {
      try application.apply(slot, log.bytes(value.bytes).bytes, into: &replies)
    } catch {
      return fail(.batch(slot, error))
    }
    if ContractRecorder.isEnabled, let contract = application.contractViolation {
      return fail(.contract(contract))
    }
    // Before anybody is answered from it.
    if let divergence = application.divergence { return diverged(divergence) }
    counters.commandsApplied &+= UInt64(replies.replies.count)
    stageClock.applied(slot)
    for i in replies.replies.indices { answer(replies.replies[i]) }
  }

  private func roleChanged(_ role: Role, _ ballot: Ballot, _ leader: ReplicaID?) {
    // A follower that is cut off asks for votes again and again, and follows nobody again: no news after the first time.
    let news = RoleNews(leads: role == .leader, leader: leader)
    logger.log(
      level: news == lastNews ? .debug : .info, "role",
      metadata: ["is": "\(role)", "ballot": "\(ballot)", "leader": "\(leader?.description ?? "-")"])
    lastNews = news
    counters.roleChanges &+= 1
    guard role == .follower else { return }
    stageClock.forget()
    sendClientsElsewhere(leader)
  }
}
