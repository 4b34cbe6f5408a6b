internal import Protocol

// A record on its way from the process that ran a seed to the one that keeps the books: one line of
// words. Both are the same binary, so lists go by position. Not a format to keep; `rsl-sim run
// --format json` is that one.
extension RunRecord {
  /// One line, without its end.
  public var wireLine: String {
    var words = WireWriter()
    words.put("run")
    words.put(seed)
    words.put(outcome.rawValue)
    words.put(digestText)
    words.put(simulatedNanoseconds)
    words.put(safetyNanoseconds)
    words.put(events)
    words.put(effects)
    words.put(wallNanoseconds)
    words.put(cpuNanoseconds)
    words.put(violation)
    words.put(excuse)
    words.put(failed ? plan : "")
    for field in Self.packetFields { words.put(packets[keyPath: field]) }
    words.put(UInt64(report.replicas))
    words.put(UInt64(report.clients))
    for field in Self.reportFields { words.put(report[keyPath: field]) }
    words.put(report.isSearched ? 1 : 0)
    words.put(report.contracts)
    words.put(report.marks)
    words.put(report.screened)
    for kind in FaultKind.allCases {
      for phase in faults.phaseNames.indices { words.put(faults[kind, phase]) }
    }
    return String(decoding: words.bytes, as: UTF8.self)
  }

  private static var packetFields: [WritableKeyPath<PacketCounts, UInt64>] {
    [\.sent, \.delivered, \.undeliverable, \.rejected]
  }
  private static var reportFields: [WritableKeyPath<PaxosReport, UInt64>] {
    [
      \.protocolSteps, \.commandsAcknowledged, \.readsAnswered, \.operationsUnknown,
      \.operationsRefused, \.demandsMet, \.slotsApplied, \.leaderships, \.leadershipsHealed,
      \.crashImages, \.groupsStored, \.filesRepaired, \.shortagesOfRoom, \.commandsWithoutRoom,
      \.messagesWithoutRoom, \.handoversForRoom, \.snapshotsWithoutRoom, \.startsWithoutRoom,
      \.statesCorrupted, \.divergencesFound, \.statesInfected, \.statesUnjudged,
    ]
  }

  /// Reads a line that `wireLine` wrote; nil for anything else.
  public init?(wireLine: some StringProtocol, _ settings: RunSettings) {
    var words = WireReader(wireLine)
    guard words.text() == "run", let seed = words.number(),
      let outcome = words.text().flatMap({ RunOutcome(rawValue: $0) }),
      let digest = words.text().flatMap({ Hex.value($0) })
    else { return nil }
    self.init(crashed: seed, settings, sentence: "")
    self.outcome = outcome
    self.digest = digest
    simulatedNanoseconds = words.number() ?? 0
    safetyNanoseconds = words.number() ?? 0
    events = words.number() ?? 0
    effects = words.number() ?? 0
    wallNanoseconds = words.number() ?? 0
    cpuNanoseconds = words.number() ?? 0
    violation = words.violation()
    excuse = words.excuse()
    plan = words.text() ?? ""
    for field in Self.packetFields { packets[keyPath: field] = words.number() ?? 0 }
    report.replicas = Int(truncatingIfNeeded: words.number() ?? 0)
    report.clients = Int(truncatingIfNeeded: words.number() ?? 0)
    for field in Self.reportFields { report[keyPath: field] = words.number() ?? 0 }
    report.isSearched = words.number() == 1
    report.contracts = words.numbers()
    report.marks = words.numbers()
    report.screened = words.numbers()
    for kind in FaultKind.allCases {
      for phase in faults.phaseNames.indices {
        faults.count(kind, phase: phase, by: words.number() ?? 0)
      }
    }
    guard words.isIntact, report.contracts.count == Contract.allCases.count,
      report.marks.count == Mark.allCases.count,
      report.screened.count == ScreenReason.allCases.count
    else { return nil }
  }
}

/// Words separated by spaces; text is escaped so that it is one word.
struct WireWriter {
  private(set) var bytes: [UInt8] = []

  private mutating func separate() {
    if !bytes.isEmpty { bytes.append(UInt8(ascii: " ")) }
  }

  mutating func put(_ value: UInt64) {
    separate()
    bytes += String(value).utf8
  }

  mutating func put(_ values: [UInt64]) {
    put(UInt64(values.count))
    for value in values { put(value) }
  }

  mutating func put(_ text: String) {
    separate()
    // Never an empty word.
    bytes.append(UInt8(ascii: "'"))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\\"): bytes += "\\\\".utf8
      case UInt8(ascii: " "): bytes += "\\s".utf8
      case 0x0A: bytes += "\\n".utf8
      case 0x0D: bytes += "\\r".utf8
      default: bytes.append(byte)
      }
    }
  }

  mutating func put(_ violation: Violation?) {
    put(violation == nil ? 0 : 1)
    guard let violation else { return }
    put(violation.kind.rawValue)
    put(violation.checker)
    put(violation.sentence)
    put(violation.nodes.map { UInt64($0.rawValue) })
  }

  mutating func put(_ excuse: LivenessExcuse?) {
    put(excuse == nil ? 0 : 1)
    guard let excuse else { return }
    put(excuse.name)
    put(excuse.witness)
    put(excuse.nodes.map { UInt64($0.rawValue) })
  }
}

/// Reads what `WireWriter` wrote. Total: after anything else `isIntact` is false.
struct WireReader {
  private let bytes: [UInt8]
  private var position = 0
  private var isDamaged = false

  init(_ line: some StringProtocol) { bytes = Array(line.utf8) }

  /// Every word so far was what was asked for, and none is left.
  var isIntact: Bool { !isDamaged && position >= bytes.count }

  private mutating func word() -> ArraySlice<UInt8>? {
    guard position < bytes.count else {
      isDamaged = true
      return nil
    }
    var end = position
    while end < bytes.count && bytes[end] != UInt8(ascii: " ") { end += 1 }
    defer { position = end + 1 }
    return bytes[position..<end]
  }

  mutating func number() -> UInt64? {
    guard let word = word(), !word.isEmpty else {
      isDamaged = true
      return nil
    }
    var value: UInt64 = 0
    for byte in word {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(byte &- UInt8(ascii: "0")))
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9"), !overflow, !carry else {
        isDamaged = true
        return nil
      }
      value = sum
    }
    return value
  }

  mutating func numbers() -> [UInt64] {
    guard let count = number(), count <= UInt64(bytes.count) else {
      isDamaged = true
      return []
    }
    var values: [UInt64] = []
    values.reserveCapacity(Int(count))
    for _ in 0..<count { values.append(number() ?? 0) }
    return values
  }

  mutating func text() -> String? {
    guard let word = word(), word.first == UInt8(ascii: "'") else {
      isDamaged = true
      return nil
    }
    var text: [UInt8] = []
    var isEscaped = false
    for byte in word.dropFirst() {
      if isEscaped {
        switch byte {
        case UInt8(ascii: "s"): text.append(UInt8(ascii: " "))
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        default: text.append(byte)
        }
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else {
        text.append(byte)
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  mutating func violation() -> Violation? {
    guard number() == 1 else { return nil }
    let kind = text().flatMap { Violation.Kind(rawValue: $0) }
    if kind == nil { isDamaged = true }
    return Violation(
      kind: kind ?? .safety, checker: text() ?? "", sentence: text() ?? "", nodes: nodes())
  }

  mutating func excuse() -> LivenessExcuse? {
    guard number() == 1 else { return nil }
    return LivenessExcuse(name: text() ?? "", witness: text() ?? "", nodes: nodes())
  }

  private mutating func nodes() -> [NodeIndex] {
    numbers().map { NodeIndex(rawValue: UInt16(truncatingIfNeeded: $0)) }
  }
}
