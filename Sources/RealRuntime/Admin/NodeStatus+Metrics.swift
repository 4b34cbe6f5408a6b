extension NodeStatus {
  /// Every figure of the status as a metric.
  public func write(into text: inout PrometheusText) {
    func one(
      _ name: String, _ kind: PrometheusText.Kind, _ value: some BinaryInteger, _ help: String
    ) {
      text.family(name, kind, help: help)
      text.sample(value)
    }
    text.family("rsl_build_info", .gauge, help: "Always 1; the labels tell version and member.")
    text.sample(1, [("cluster", cluster), ("replica", "\(id)"), ("version", version)])
    text.family("rsl_uptime_seconds", .gauge, help: "Time since the process began to serve.")
    text.sample(uptimeSeconds)
    one("rsl_is_leader", .gauge, role == "leader" ? 1 : 0, "1 on the member that leads.")
    one("rsl_has_leader", .gauge, leader == nil ? 0 : 1, "1 where a leader is known.")
    one("rsl_is_suspect", .gauge, suspicion == nil ? 0 : 1, "1 while damage keeps it from voting.")
    one("rsl_ballot_round", .gauge, ballot.round, "The round of the highest ballot seen.")
    one("rsl_chosen_slot", .gauge, chosenUpTo, "All slots up to this one are known to be chosen.")
    one("rsl_applied_slot", .gauge, appliedUpTo, "All slots up to this one are applied.")
    one("rsl_truncated_slot", .gauge, truncatedUpTo, "Slots up to this one are no longer kept.")
    one("rsl_snapshot_slot", .gauge, snapshotSlot, "The slot of the latest snapshot.")
    one("rsl_journal_segments", .gauge, journal.segments, "Segments of the journal.")
    one("rsl_journal_bytes", .gauge, journal.bytes, "Bytes of the journal on disk.")
    one(
      "rsl_journal_written_bytes_total", .counter, journal.bytesWritten,
      "Bytes written to the journal.")
    one("rsl_journal_flushes_total", .counter, journal.flushes, "Flushes of the journal.")
    one(
      "rsl_journal_fences_total", .counter, journal.fences,
      "Fences that flushes into persistent memory took.")
    one(
      "rsl_journal_left_bytes", .gauge, journal.bytesLeft,
      "What the journal can still write without asking the disk for room.")
    one(
      "rsl_no_room", .gauge, noRoom == nil ? 0 : 1, "1 while a full disk keeps it from commands.")
    one(
      "rsl_scrub_bytes_total", .counter, scrub.bytesRead, "Bytes of files at rest that were read.")
    one("rsl_scrub_passes_total", .counter, scrub.passes, "How often all of them were read.")
    one(
      "rsl_scrub_damages_found_total", .counter, scrub.damagesFound,
      "Files at rest that were found damaged.")
    one(
      "rsl_scrub_damages_repaired_total", .counter, scrub.damagesRepaired,
      "Of these, files that are repaired.")
    one(
      "rsl_snapshot_misreads_total", .counter, scrub.misreads,
      "Snapshots given up because they were not read back as written.")
    one(
      "rsl_damaged_at_rest", .gauge, damage == nil ? 0 : 1,
      "1 while a file at rest is damaged, or its disk does not read back what was written.")
    one(
      "rsl_digest_vouched_slot", .gauge, digests.vouchedUpTo,
      "The last slot after which a majority is in the same state as this member.")
    one(
      "rsl_digest_agreements_total", .counter, digests.agreements,
      "Agreed digests that were the own ones.")
    one(
      "rsl_digest_splits_total", .counter, digests.splits,
      "Slots after which no majority is in the same state.")
    one(
      "rsl_divergences", .gauge, digests.divergences,
      "How often in a row its state had diverged; 0 once it is repaired.")
    one("rsl_sessions", .gauge, sessions, "Sessions of clients that are kept.")
    one("rsl_client_connections", .gauge, clientConnections, "Open connections of clients.")
    writePeers(into: &text)
    writeCounts(rejections, "rsl_rejections_total", "Commands refused.", into: &text)
    writeCounts(
      screened, "rsl_screened_messages_total", "Messages put aside unread.", into: &text)
    writeCounts(
      refusedConnections, "rsl_refused_connections_total", "Connections refused.", into: &text)
    if let certificateExpiry {
      one(
        "rsl_certificate_expiry_seconds", .gauge, certificateExpiry,
        "When this member's certificate expires, in seconds since 1970.")
    }
  }

  private func writePeers(into text: inout PrometheusText) {
    guard !peers.isEmpty else { return }
    func label(_ peer: Peer) -> [PrometheusText.Label] { [("peer", "\(peer.id)")] }
    text.family("rsl_peer_connected", .gauge, help: "1 while there is a connection to the member.")
    for peer in peers { text.sample(peer.isConnected ? 1 : 0, label(peer)) }
    text.family(
      "rsl_peer_lag_slots", .gauge, help: "How many chosen slots the member does not have yet.")
    for peer in peers {
      if let lag = peer.lagSlots { text.sample(lag, label(peer)) }
    }
    text.family("rsl_peer_unsent_bytes", .gauge, help: "What waits to be sent to the member.")
    for peer in peers { text.sample(peer.unsentBytes, label(peer)) }
  }

  private func writeCounts(
    _ counts: [String: UInt64], _ name: String, _ help: String, into text: inout PrometheusText
  ) {
    guard !counts.isEmpty else { return }
    text.family(name, .counter, help: help)
    for (reason, count) in counts.sorted(by: { $0.key < $1.key }) {
      text.sample(count, [("reason", reason)])
    }
  }
}
