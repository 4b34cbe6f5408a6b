internal import Logging
internal import Protocol

// What concerns the process around the replica.
extension ConfigurationKey {
  static let identity = Section(
    title: "Identity",
    keys: [
      .one("cluster", .cluster, \.cluster, "The cluster's identity, drawn once at random.")
        .shared.required,
      .one("replica", .replica, \.replica, "Which of the members this process is.").required,
      .list("members", .member, \.members, "Every member, this one as well.").shared.required,
      .one(
        "data-directory", .path("a folder"), \.dataDirectory, "Where journal and snapshots live."
      ).required,
    ])

  static let network = Section(
    title: "Network",
    keys: [
      .one("listen.peer", .endpoint, \.listen.peer, "Where other members connect.")
        .usually("the member's own address, or 0.0.0.0 where that is a name, and its peer port"),
      .one("listen.client", .endpoint, \.listen.client, "Where clients connect.")
        .usually("as listen.peer, with the client port"),
      .one(
        "listen.admin", .endpointOrNone, \.listen.admin,
        "Metrics, health, status and control over HTTP."),
      .one(
        "limits.connections", .whole(1...1_000_000), \.limits.connections,
        "Open connections of every kind; more are closed at once."),
      .one(
        "limits.client-connections", .whole(1...1_000_000), \.limits.clientConnections,
        "Of these, connections of clients."),
      .one(
        "limits.frame-bytes", .bytes(64 << 10...1 << 30), \.limits.frameBytes,
        "The longest message; must hold a full batch."
      ).shared,
      .one(
        "limits.handshake-deadline", .span(.milliseconds(10)...(.seconds(60))),
        \.limits.handshakeDeadline, "How long a connection may take to say who it is."),
      .one(
        "limits.peer-unsent-bytes", .bytes(64 << 10...16 << 30), \.limits.peerUnsentBytes,
        "What may wait for a slow member; beyond, messages to it are dropped."),
    ])

  static let security = Section(
    title: "Security",
    keys: [
      .one("tls.enabled", .flag, \.tls.isEnabled, "Mutual TLS between members."),
      .one("tls.ca", .path("a PEM file"), \.tls.ca, "The certificates of the cluster's CA."),
      .one(
        "tls.certificate", .path("a PEM file"), \.tls.certificate,
        "This member's certificate chain."
      ),
      .one("tls.key", .path("a PEM file"), \.tls.key, "The certificate's private key."),
      .one(
        "tls.clients", .choice, \.tls.clients,
        "What the client port speaks: TLS with a client certificate, TLS, or neither."),
      .one(
        "tls.admin", .choice, \.tls.admin,
        "What the admin port speaks: TLS with a client certificate, or plaintext."),
      .one(
        "insecure.plaintext", .flag, \.insecure.plaintext,
        "Allows plaintext for members and clients, on loopback addresses."),
      .one(
        "insecure.plaintext-anywhere", .flag, \.insecure.plaintextAnywhere,
        "Allows plaintext on every address: anybody in between reads and alters everything."),
    ])

  static let storage = Section(
    title: "Storage",
    keys: [
      .one(
        "journal.segment-bytes", .bytes(1 << 20...4 << 30, multipleOf: 4096),
        \.journal.segmentBytes, "The size of a preallocated journal segment."),
      .one(
        "journal.flush", .choice, \.journal.flush,
        "How the journal is made durable. `direct` falls back on `fdatasync`; `pmem` needs persistent memory; `none` loses data."
      ),
      .one(
        "journal.pmem-accept-volatile", .flag, \.journal.acceptsVolatileMemory,
        "Lets `pmem` use memory that is not persistent, such as `/dev/shm`: it may be lost with the machine."
      ),
      .one(
        "log.bytes", .bytes(1 << 20...64 << 30, multipleOf: 4096), \.logBytes,
        "Memory for the bytes of commands, kept for members and for applying."),
      .one(
        "scrub.enabled", .flag, \.scrub.isEnabled,
        "Reads the own files at rest now and then, and repairs what is damaged."),
      .one(
        "scrub.period", .span(.milliseconds(100)...(.seconds(365 * 86_400))), \.scrub.period,
        "How often that begins anew."),
      .one(
        "scrub.bytes-per-second", .bytes(64 << 10...16 << 30), \.scrub.bytesPerSecond,
        "How fast files are read for it."),
    ])

  static let observation = Section(
    title: "Observation",
    keys: [
      .one("logging.level", .choice, \.logging.level, "The least severe line that is logged."),
      .one("logging.format", .choice, \.logging.format, "How lines of the log look."),
      .one("recorder.enabled", .flag, \.recorder.isEnabled, "Records every event, for replay."),
      .one("recorder.directory", .path("a folder"), \.recorder.directory, "Where recordings go.")
        .usually("recordings in the data directory"),
      .one(
        "recorder.bytes-max", .bytes(1 << 20...1 << 40), \.recorder.bytesMax,
        "How much is kept; the oldest recordings make room."),
      .one("tracing.sample-rate", .share, \.traceRate, "The share of commands that is traced."),
    ])
}
