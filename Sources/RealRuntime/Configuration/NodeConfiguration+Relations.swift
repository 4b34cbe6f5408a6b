internal import Protocol

// What no value shows by itself.
extension NodeConfiguration {
  /// The values that contradict each other, or that protect too little without saying so.
  public func problems() -> [ConfigurationProblem] {
    // Where a member's own address is unknown, what follows from it would be noise.
    let security = ownAddress == nil ? [] : plaintextProblems()
    return memberProblems() + boundProblems() + security + fileProblems()
  }

  /// What is allowed and still deserves a line in the log.
  public var warnings: [String] {
    var warnings: [String] = []
    if journal.flush == .none {
      warnings.append("journal.flush is none: acknowledged commands are lost in a crash")
    }
    if journal.flush == .pmem, journal.acceptsVolatileMemory {
      warnings.append(
        "journal.pmem-accept-volatile: where data-directory is not on persistent memory, acknowledged commands may be lost "
          + "with the machine")
    }
    if insecure.plaintextAnywhere {
      warnings.append("insecure.plaintext-anywhere: anybody in between reads and alters everything")
    }
    if members.count == 2 {
      warnings.append("two members: the cluster stops when either stops; use 1, 3 or 5")
    }
    return warnings
  }

  // MARK: Members

  private func memberProblems() -> [ConfigurationProblem] {
    var problems: [ConfigurationProblem] = []
    if members.count > Configuration.votersMax {
      problems.append(
        ConfigurationProblem(
          "members", "\(members.count) are given, at most \(Configuration.votersMax) can vote"))
    }
    var seen: [String: ReplicaID] = [:]
    for (place, member) in members.enumerated() {
      if members[..<place].contains(where: { $0.id == member.id }) {
        problems.append(ConfigurationProblem("members", "\(member.id.rawValue) is given twice"))
      }
      for port in [member.peerPort, member.clientPort] {
        let address = "\(bracketed(member.host)):\(port)"
        guard let other = seen.updateValue(member.id, forKey: address) else { continue }
        problems.append(
          ConfigurationProblem(
            "members",
            "\(address) is given for \(other.rawValue) and again for \(member.id.rawValue)"))
      }
    }
    if ownAddress == nil {
      let ids = members.map { "\($0.id.rawValue)" }.joined(separator: ", ")
      problems.append(
        ConfigurationProblem(
          "replica", value: "\(replica.rawValue)", "expected one of the members (\(ids))"))
    }
    return problems + listenProblems()
  }

  private func listenProblems() -> [ConfigurationProblem] {
    var named = [("listen.peer", listen.peer), ("listen.client", listen.client)]
    if let admin = listen.admin { named.append(("listen.admin", admin)) }
    var problems: [ConfigurationProblem] = []
    for (place, one) in named.enumerated() where one.1.port != 0 {
      for other in named[..<place] where other.1 == one.1 {
        problems.append(
          ConfigurationProblem(one.0, value: "\(one.1)", "is also \(other.0); use another port"))
      }
    }
    return problems
  }

  // MARK: Bounds

  /// What the head of a message takes at most, beside a batch or a chunk.
  private static let frameHeadBytes = 4_096

  private func boundProblems() -> [ConfigurationProblem] {
    var problems: [ConfigurationProblem] = []
    do throws(ReplicaOptions.Invalid) {
      try options.validate()
    } catch {
      problems.append(ConfigurationProblem("replica's bounds", Self.inKeys(error.description)))
    }
    if options.digestPeriod > 0, options.digestPeriod < 2 * members.count {
      problems.append(
        ConfigurationProblem(
          "digest.period-slots", value: "\(options.digestPeriod)",
          "expected 0 or at least \(2 * members.count), twice the number of members: their reports take slots themselves"
        ))
    }
    let longest = Int(max(options.batchBytesMax, options.snapshotChunkBytes))
    func atLeast(_ key: String, _ value: Int, _ least: Int, _ why: String) {
      guard value < least else { return }
      problems.append(
        ConfigurationProblem(
          key, value: showBytes(value), "expected at least \(least) bytes: \(why)"))
    }
    atLeast(
      "limits.frame-bytes", limits.frameBytes, longest + Self.frameHeadBytes,
      "a message must hold batch.bytes-max or snapshot.chunk-bytes, and its head")
    atLeast(
      "limits.peer-unsent-bytes", limits.peerUnsentBytes, limits.frameBytes,
      "one message (limits.frame-bytes) must fit")
    atLeast(
      "journal.segment-bytes", journal.segmentBytes, 2 * Int(options.batchBytesMax),
      "a segment must hold two full batches (batch.bytes-max)")
    atLeast(
      "log.bytes", logBytes, (options.queuedBatchesMax + 2) * Int(options.batchBytesMax),
      "it must hold batch.queued-max full batches (batch.bytes-max) and two more")
    // A chunk that takes longer counts as lost, and another member is asked.
    let chunks = 2 * max(1, members.count - 1) * Int(options.snapshotChunkBytes)
    let pause = Double(options.catchUpRetry.nanoseconds) / 1e9
    let rate = Int((Double(chunks) / pause).rounded(.up))
    atLeast(
      "snapshot.transfer-bytes-per-second", snapshotTransferBytesPerSecond, rate,
      "every member's snapshot.chunk-bytes must come within half of catch-up.retry")
    if limits.clientConnections > limits.connections {
      problems.append(
        ConfigurationProblem(
          "limits.client-connections", value: "\(limits.clientConnections)",
          "expected at most limits.connections (\(limits.connections))"))
    }
    return problems
  }

  /// `logSlots` as an operator knows it: `log.slots`.
  private static func inKeys(_ text: String) -> String {
    var text = text
    // The longer names first, lest one be found inside another.
    let renamed = ConfigurationKey.all.compactMap { key in key.option.map { ($0, key.name) } }
      .sorted { $0.0.count > $1.0.count }
    for (option, name) in renamed { text.replace(option, with: name) }
    return text
  }

  // MARK: Security

  private func plaintextProblems() -> [ConfigurationProblem] {
    var problems: [ConfigurationProblem] = []
    func refuse(_ key: String, _ value: String, _ message: String) {
      problems.append(ConfigurationProblem(key, value: value, message))
    }
    func loopback(_ key: String, _ value: String, _ isLoopback: Bool) {
      if isLoopback || insecure.plaintextAnywhere { return }
      refuse(
        key, value,
        "plaintext is refused beyond loopback addresses; use TLS, or set insecure.plaintext-anywhere"
      )
    }
    if !tls.isEnabled {
      if !insecure.plaintext {
        refuse("tls.enabled", "false", "plaintext between members needs insecure.plaintext")
      }
      loopback("listen.peer", "\(listen.peer)", listen.peer.isLoopback)
      for member in members {
        let isLoopback = IPAddress(member.host)?.isLoopback ?? (member.host == "localhost")
        loopback("members", SettingForm.member.show(member), isLoopback)
      }
    }
    if tls.clients == .plaintext {
      if !insecure.plaintext {
        refuse("tls.clients", "plaintext", "plaintext with clients needs insecure.plaintext")
      }
      loopback("listen.client", "\(listen.client)", listen.client.isLoopback)
    }
    if tls.admin == .plaintext, let admin = listen.admin {
      loopback("listen.admin", "\(admin)", admin.isLoopback)
    }
    return problems
  }

  /// Whether any port speaks TLS.
  public var needsCertificate: Bool {
    tls.isEnabled || tls.clients != .plaintext || (tls.admin == .mutual && listen.admin != nil)
  }

  private func fileProblems() -> [ConfigurationProblem] {
    guard needsCertificate else { return [] }
    return [("tls.ca", tls.ca), ("tls.certificate", tls.certificate), ("tls.key", tls.key)]
      .filter { $0.1.isEmpty }
      .map { ConfigurationProblem($0.0, "is not set, and TLS is on; expected a PEM file") }
  }
}
