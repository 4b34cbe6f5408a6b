import Foundation
import Protocol
import Testing

@testable import RealRuntime

/// What an operator reads when a configuration is wrong: key, value, place, and what is expected.
@Suite struct ConfigurationComplaintTests {
  /// Flags that are wrong on top of a good file, and the one complaint.
  static let flags: [(flags: [String], complaint: String)] = [
    (
      ["--cluster", "0"],
      "cluster = \"0\" (--cluster): expected a number in hexadecimal, 1 to 16 digits and not 0, such as 8f2c51a07be34d19"
    ),
    (
      ["--replica", "0"],
      "replica = \"0\" (--replica): expected a member's number, from 1 to 4294967295"
    ),
    (["--replica", "9"], "replica = \"9\": expected one of the members (1, 2, 3)"),
    (
      ["--members", "2=host:1"],
      "members = \"2=host:1\" (--members): expected ID=HOST:PEERPORT:CLIENTPORT, such as 1=10.0.0.1:7101:7201 or 2=[fd00::2]:7101:7201"
    ),
    (
      ["--members", "2=127.0.0.1:1:2,2=127.0.0.1:3:4"], "members: 2 is given twice"
    ),
    (
      ["--members", "1=127.0.0.1:1:2,2=127.0.0.1:2:3"],
      "members: 127.0.0.1:2 is given for 1 and again for 2"
    ),
    (
      ["--listen-peer", "host:7101"],
      "listen.peer = \"host:7101\" (--listen-peer): expected a numeric address and a port, such as 127.0.0.1:7101 or [::1]:7101"
    ),
    (
      ["--listen-admin", "off"],
      "listen.admin = \"off\" (--listen-admin): expected a numeric address and a port, such as 127.0.0.1:7101 or [::1]:7101; or none"
    ),
    (
      ["--listen-admin", "127.0.0.1:7102"],
      "listen.admin = \"127.0.0.1:7102\": is also listen.peer; use another port"
    ),
    (
      ["--log-window-slots", "0"],
      "log.window-slots = \"0\" (--log-window-slots): expected a whole number from 1 to 16777216"
    ),
    (
      ["--log-window-slots", "-1"],
      "log.window-slots = \"-1\" (--log-window-slots): expected a whole number from 1 to 16777216"
    ),
    (
      ["--log-window-slots", "1,2"],
      "log.window-slots = \"1,2\" (--log-window-slots): expected a whole number from 1 to 16777216, not 2 values"
    ),
    (
      ["--log-window-slots"],
      "log.window-slots (--log-window-slots): expected a whole number from 1 to 16777216, not nothing"
    ),
    (
      ["--election-timeout", "5 s"],
      "election.timeout = \"5 s\" (--election-timeout): expected a time (50us, 250ms, 2s) from 1us to 3600s"
    ),
    (
      ["--election-timeout", "110ms"],
      "replica's bounds: election.timeout must be at least twice election.heartbeat-interval, and that above zero"
    ),
    (
      ["--log-slots", "1000"],
      "replica's bounds: log.slots is 1000; it must be a power of two and at most 16777216"
    ),
    (
      ["--log-slots", "2048"],
      "replica's bounds: log.slots (2048) must hold snapshot.interval-slots (2048), snapshot.tail-slots (256) and two windows (2 x 64); raise log.slots"
    ),
    (
      ["--lease-duration", "110ms"],
      "replica's bounds: lease.duration must lie above two heartbeat intervals and not above election.timeout"
    ),
    (
      ["--journal-segment-bytes", "5000000"],
      "journal.segment-bytes = \"5000000\" (--journal-segment-bytes): expected bytes (1024, 64KiB, 16MiB, 2GiB) from 1MiB to 4GiB, a multiple of 4096"
    ),
    (
      ["--journal-segment-bytes", "1MiB"],
      "journal.segment-bytes = \"1MiB\": expected at least 2097152 bytes: a segment must hold two full batches (batch.bytes-max)"
    ),
    (
      ["--log-bytes", "8MiB"],
      "log.bytes = \"8MiB\": expected at least 18874368 bytes: it must hold batch.queued-max full batches (batch.bytes-max) and two more"
    ),
    (
      ["--limits-frame-bytes", "1MiB"],
      "limits.frame-bytes = \"1MiB\": expected at least 1052672 bytes: a message must hold batch.bytes-max or snapshot.chunk-bytes, and its head"
    ),
    (
      ["--limits-peer-unsent-bytes", "1MiB"],
      "limits.peer-unsent-bytes = \"1MiB\": expected at least 16777216 bytes: one message (limits.frame-bytes) must fit"
    ),
    (
      ["--limits-connections", "100"],
      "limits.client-connections = \"16384\": expected at most limits.connections (100)"
    ),
    (
      ["--journal-flush", "sync"],
      "journal.flush = \"sync\" (--journal-flush): expected one of direct, fdatasync, dsync, pmem, none"
    ),
    (
      ["--tracing-sample-rate", "nan"],
      "tracing.sample-rate = \"nan\" (--tracing-sample-rate): expected a share from 0 to 1, such as 0.001"
    ),
    (
      ["--recorder-enabled", "yes"],
      "recorder.enabled = \"yes\" (--recorder-enabled): expected true or false"
    ),
    (
      ["--data-directory="], "data-directory = \"\" (--data-directory): expected a folder"
    ),
    (["--election-timout", "5s"], "--election-timout: unknown; did you mean --election-timeout?"),
    (["--zebra"], "--zebra: unknown"),
    (["stray"], "stray: expected a flag in front"),
    (["--replica=2", "stray"], "stray: expected a flag in front"),
    (
      ["--insecure-plaintext", "false", "--tls-clients", "server"],
      "tls.enabled = \"false\": plaintext between members needs insecure.plaintext"
    ),
    (
      ["--listen-peer", "0.0.0.0:7102"],
      "listen.peer = \"0.0.0.0:7102\": plaintext is refused beyond loopback addresses; use TLS, or set insecure.plaintext-anywhere"
    ),
    (
      ["--listen-client", "10.0.0.1:7202"],
      "listen.client = \"10.0.0.1:7202\": plaintext is refused beyond loopback addresses; use TLS, or set insecure.plaintext-anywhere"
    ),
    (
      ["--listen-admin", "[fd00::1]:7300"],
      "listen.admin = \"[fd00::1]:7300\": plaintext is refused beyond loopback addresses; use TLS, or set insecure.plaintext-anywhere"
    ),
    (
      ["--members", "1=10.0.0.1:7101:7201,2=localhost:7102:7202"],
      "members = \"1=10.0.0.1:7101:7201\": plaintext is refused beyond loopback addresses; use TLS, or set insecure.plaintext-anywhere"
    ),
    (
      ["--tls-enabled", "--tls-ca", "a", "--tls-certificate", "b"],
      "tls.key: is not set, and TLS is on; expected a PEM file"
    ),
  ]

  @Test(arguments: flags) func aWrongFlagIsNamed(flags: [String], complaint: String) {
    let complaints = ConfigurationFixture.complaints(flags: flags)
    #expect(complaints.contains(complaint), "\(complaints)")
    // Only complaints that go together come together: both plaintext rules, or the files of TLS.
    #expect(
      complaints.count == 1
        || complaints.allSatisfy { $0.contains("plaintext") || $0.contains("tls.") })
  }

  /// Files that are wrong, and everything that is said.
  static let files: [(yaml: String, complaints: [String])] = [
    (
      "replica: 2\n",
      [
        "cluster: is not set; expected a number in hexadecimal, 1 to 16 digits and not 0, such as 8f2c51a07be34d19",
        "members: is not set; expected ID=HOST:PEERPORT:CLIENTPORT, such as 1=10.0.0.1:7101:7201 or 2=[fd00::2]:7101:7201",
        "data-directory: is not set; expected a folder",
      ]
    ),
    (
      ConfigurationFixture.text + "election:\n  timeot: 5s\n",
      ["election.timeot (node.yaml:12): unknown; did you mean election.timeout?"]
    ),
    (
      ConfigurationFixture.text + "log.slots: 8192\nlog:\n  slots: 4096\n",
      ["log.slots (node.yaml:13): already given in line 11"]
    ),
    (
      ConfigurationFixture.text + "log.slots: [1, 2]\n",
      ["log.slots (node.yaml:11): expected a whole number from 1 to 16777216, not several"]
    ),
    (
      ConfigurationFixture.text + "recorder:\n  - enabled: true\n",
      ["recorder (node.yaml:11): expected plain values in a sequence"]
    ),
    (
      ConfigurationFixture.text + "log.slots:\n",
      [
        "log.slots = \"\" (node.yaml:11): expected a whole number from 1 to 16777216"
      ]
    ),
    ("just text\n", ["node.yaml (node.yaml:1): expected keys with values"]),
  ]

  @Test(arguments: files) func aWrongFileIsExplained(yaml: String, complaints: [String]) {
    #expect(ConfigurationFixture.complaints(yaml) == complaints)
  }

  @Test func whatIsNotYAMLIsSaid() {
    let complaints = ConfigurationFixture.complaints("cluster: [1\nreplica: 2\n")
    #expect(complaints.count == 1)
    #expect(complaints.first?.hasPrefix("node.yaml: is not YAML: ") == true)
    let error = #expect(throws: ConfigurationError.self) {
      try SettingSource(yaml: [0xFF, 0xFE], name: "node.yaml")
    }
    #expect(error?.description == "node.yaml: is not text in UTF-8")
    let twice = ConfigurationFixture.complaints(ConfigurationFixture.text + "replica: 3\n")
    #expect(twice.count == 1)
    #expect(twice.first?.contains("replica") == true)
  }

  @Test func anUnknownVariableIsNamed() {
    let complaints = ConfigurationFixture.complaints(
      environment: ["RSL_ELECTION_TIMEOUTS": "5s", "RSL_CONFIG": "x", "RSLX": "y"])
    #expect(
      complaints == ["RSL_ELECTION_TIMEOUTS: unknown; did you mean RSL_ELECTION_TIMEOUT?"])
  }

  @Test func everythingWrongIsSaidAtOnce() {
    let complaints = ConfigurationFixture.complaints(
      flags: ["--log-slots", "x", "--zebra", "--journal-flush", "y"])
    #expect(complaints.count == 3)
  }

  @Test(arguments: [
    ("127.0.0.1", true), ("127.8.9.1", true), ("128.0.0.1", false), ("::1", true), ("::2", false),
    ("::ffff:127.0.0.1", true), ("::ffff:10.0.0.1", false), ("0.0.0.0", false), ("::", false),
  ]) func loopbackIsRecognised(address: String, isLoopback: Bool) {
    #expect(SocketEndpoint(address: address, port: 1).isLoopback == isLoopback)
  }

  @Test(
    arguments: [
      ("0", 0), ("50us", 50_000), ("7ns", 7), ("250ms", 250_000_000), ("2s", 2_000_000_000),
      ("5", nil), ("2 s", nil), ("-2s", nil), ("1.5s", nil), ("99999999999999999999s", nil),
      ("18446744074s", nil),
    ] as [(String, UInt64?)]) func timesAreRead(text: String, nanoseconds: UInt64?)
  {
    let form = SettingForm<TimeSpan>.span(.zero...TimeSpan(nanoseconds: .max))
    #expect(form.parse(text)?.nanoseconds == nanoseconds)
    if let nanoseconds { #expect(form.show(TimeSpan(nanoseconds: nanoseconds)) == text) }
  }

  @Test func distanceCountsEdits() {
    #expect(editDistance("", "abc") == 3)
    #expect(editDistance("kitten", "sitting") == 3)
    #expect(editDistance("log.slots", "log.slots") == 0)
  }
}
