import Foundation
import Protocol
import Testing

@testable import RealRuntime

@Suite struct ConfigurationLoadTests {
  @Test func theSmallestFileLoads() throws {
    let configuration = try ConfigurationFixture.load().configuration
    #expect(configuration.cluster == ClusterID(0x8f2c_51a0_7be3_4d19))
    #expect(configuration.replica == ReplicaID(2))
    #expect(configuration.members.map(\.id.rawValue) == [1, 2, 3])
    #expect(configuration.peers.map(\.peerPort) == [7101, 7103])
    #expect(configuration.listen.peer == SocketEndpoint(address: "127.0.0.1", port: 7102))
    #expect(configuration.listen.client == SocketEndpoint(address: "127.0.0.1", port: 7202))
    #expect(configuration.tls.clients == .plaintext)
    var options = ReplicaOptions()
    options.heartbeatInterval = .milliseconds(60)
    options.electionTimeout = .milliseconds(300)
    options.electionJitter = .milliseconds(300)
    options.digestPeriod = 1_024
    #expect(configuration.options == options)
    #expect(configuration.sessions == SessionTable.Limits())
  }

  @Test func flagsWinOverTheEnvironmentAndThatOverTheFile() throws {
    let yaml = ConfigurationFixture.text + "log.window-slots: 16\nbatch:\n  delay: 1ms\n"
    let environment = ["RSL_LOG_WINDOW_SLOTS": "32", "RSL_BATCH_DELAY": "2ms", "PATH": "/bin"]
    var loaded = try ConfigurationFixture.load(yaml)
    #expect(loaded.configuration.options.windowSlots == 16)
    #expect(loaded.origins["log.window-slots"] == "node.yaml:11")
    #expect(loaded.origins["batch.delay"] == "node.yaml:13")
    loaded = try ConfigurationFixture.load(yaml, environment: environment)
    #expect(loaded.configuration.options.windowSlots == 32)
    #expect(loaded.origins["log.window-slots"] == "RSL_LOG_WINDOW_SLOTS")
    loaded = try ConfigurationFixture.load(
      yaml, environment: environment, flags: ["--log-window-slots", "48"])
    #expect(loaded.configuration.options.windowSlots == 48)
    #expect(loaded.origins["log.window-slots"] == "--log-window-slots")
    #expect(loaded.configuration.options.batchDelay == .milliseconds(2))
    #expect(loaded.origins["election.timeout"] == nil)
  }

  @Test func everyKeyIsSetByEverySource() throws {
    for key in ConfigurationKey.all {
      // Another value than the default, in its own text form.
      let sample = try #require(Self.samples[key.name], "no sample for \(key.name)")
      var expected = NodeConfiguration()
      #expect(key.apply([sample], &expected), "\(key.name): \(sample)")
      #expect(key.show(expected) == [sample])
      let sources = try [
        SettingSource(flags: ["\(key.flag)=\(sample)"]),
        SettingSource(flags: [key.flag, sample]),
        SettingSource(environment: [key.variable: sample]),
        SettingSource(yaml: Array("\(key.name): \"\(sample)\"".utf8), name: "node.yaml"),
        SettingSource(yaml: Array("{\"\(key.name)\": \"\(sample)\"}".utf8), name: "node.json"),
      ]
      for source in sources {
        #expect(source.problems.isEmpty)
        let setting = try #require(try source.setting(of: key), "\(key.name)")
        var found = NodeConfiguration()
        #expect(key.apply(setting.texts, &found))
        #expect(found == expected, "\(key.name) by \(setting.origin)")
        #expect(found != NodeConfiguration(), "\(key.name): the sample is the default")
      }
    }
  }

  static let samples = [
    "cluster": "00000000000000ff", "replica": "7", "members": "1=db-1.example:7101:7201",
    "data-directory": "/srv/rsl", "listen.peer": "10.0.0.1:7101", "listen.client": "[::1]:7201",
    "listen.admin": "none", "limits.connections": "100", "limits.client-connections": "50",
    "limits.frame-bytes": "2MiB", "limits.handshake-deadline": "3s",
    "limits.peer-unsent-bytes": "32MiB", "tls.enabled": "false", "tls.ca": "/etc/rsl/ca.pem",
    "tls.certificate": "/etc/rsl/member.pem", "tls.key": "/etc/rsl/member.key",
    "tls.clients": "server", "tls.admin": "mutual", "insecure.plaintext": "true",
    "insecure.plaintext-anywhere": "true", "journal.segment-bytes": "8MiB",
    "journal.flush": "dsync", "journal.pmem-accept-volatile": "true", "log.bytes": "512MiB",
    "scrub.enabled": "false", "scrub.period": "600s", "scrub.bytes-per-second": "16MiB",
    "log.window-slots": "16",
    "log.slots": "8192", "batch.commands-max": "128", "batch.bytes-max": "512KiB",
    "batch.delay": "100us", "batch.queued-max": "8", "election.timeout": "2s",
    "election.jitter": "700ms", "election.priority-delay": "0",
    "election.heartbeat-interval": "50ms", "election.journal-stall-max": "5s",
    "lease.duration": "400ms", "lease.drift-bound-ppm": "200",
    "repair.retransmit-interval": "70ms", "catch-up.delay": "20ms", "catch-up.retry": "150ms",
    "catch-up.slots": "32", "snapshot.interval-slots": "1024", "snapshot.tail-slots": "128",
    "snapshot.chunk-bytes": "128KiB", "snapshot.transfer-bytes-per-second": "32MiB",
    "digest.period-slots": "512", "read.pending-max": "2048", "read.local-timeout": "1s",
    "sessions.max": "128", "sessions.outstanding-max": "64", "sessions.reply-bytes-max": "2KiB",
    "logging.level": "debug", "logging.format": "json", "recorder.enabled": "true",
    "recorder.directory": "/srv/recordings", "recorder.bytes-max": "2GiB",
    "tracing.sample-rate": "0.25",
  ]

  @Test func namesOfFlagsAndVariablesDoNotCollide() {
    #expect(Set(ConfigurationKey.all.map(\.flag)).count == ConfigurationKey.all.count)
    #expect(Set(ConfigurationKey.all.map(\.variable)).count == ConfigurationKey.all.count)
  }

  @Test func severalMembersComeFromEverySource() throws {
    let members = "1=a:1:2,2=[::1]:3:4"
    let key = try #require(ConfigurationKey.named("members"))
    for source in [
      SettingSource(flags: ["--members", members]),
      SettingSource(environment: ["RSL_MEMBERS": members]),
    ] {
      var configuration = NodeConfiguration()
      #expect(key.apply(try #require(try source.setting(of: key)).texts, &configuration))
      #expect(configuration.members.map(\.host) == ["a", "::1"])
    }
  }

  @Test func aFlagAloneIsTrue() throws {
    let yaml = ConfigurationFixture.text
    let loaded = try ConfigurationFixture.load(
      yaml, flags: ["--recorder-enabled", "--logging-level", "debug"])
    #expect(loaded.configuration.recorder.isEnabled)
    #expect(loaded.configuration.logging.level == .debug)
  }

  @Test func theFileIsNamedByTheEnvironmentToo() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).yaml")
    defer { try? FileManager.default.removeItem(at: file) }
    try ConfigurationFixture.text.write(to: file, atomically: true, encoding: .utf8)
    let loaded = try NodeConfiguration.load(
      file: nil, environment: ["RSL_CONFIG": file.path], flags: [])
    #expect(loaded.configuration.replica == ReplicaID(2))
    let missing = "/nowhere/node.yaml"
    let error = #expect(throws: ConfigurationError.self) {
      try NodeConfiguration.load(file: missing, environment: [:], flags: [])
    }
    #expect(error?.description.hasPrefix("\(missing): cannot be read: ") == true)
  }

  @Test func theEffectiveConfigurationLoadsAgain() throws {
    let loaded = try ConfigurationFixture.load(
      flags: [
        "--lease-duration", "250ms", "--tracing-sample-rate", "0.5", "--listen-admin", "[::1]:9000",
        "--recorder-directory", "/tmp/a b\"c",
      ])
    let again = try ConfigurationFixture.load(loaded.yaml)
    #expect(again.configuration == loaded.configuration)
    let expected = "lease.duration: 250ms  # --lease-duration"
    let squeezed = loaded.yaml.split(separator: "\n").map {
      $0.replacing(#/\ +\#/#, with: "  #")
    }
    #expect(squeezed.contains(expected[...]))
    #expect(squeezed.contains("replica: 2  # node.yaml:2"))
    #expect(squeezed.contains("# tls.ca:  # not set"))
    let entries = try JSONDecoder().decode(
      [LoadedConfiguration.Entry].self, from: Data(loaded.json.utf8))
    #expect(entries == loaded.entries)
  }

  @Test func whatGivesUpProtectionWarns() throws {
    #expect(try ConfigurationFixture.load().warnings.isEmpty)
    let flags = [
      "--journal-flush", "none", "--insecure-plaintext-anywhere", "--lease-drift-bound-ppm", "5",
      "--members", "1=a:1:2,2=b:3:4",
    ]
    #expect(
      try ConfigurationFixture.load(flags: flags).warnings == [
        "journal.flush is none: acknowledged commands are lost in a crash",
        "insecure.plaintext-anywhere: anybody in between reads and alters everything",
        "two members: the cluster stops when either stops; use 1, 3 or 5",
        "lease.drift-bound-ppm has no effect while lease.duration is 0",
      ])
  }
}
