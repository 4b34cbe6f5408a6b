import Foundation
import Testing

@testable import Protocol
@testable import RealRuntime

/// A field of a file of a replica's directory, or all of the file.
struct StorageField: Sendable {
  var file: String
  /// In words: which record of the file, which of its fields.
  var name: String
  /// In bytes from the beginning of the file; nil for all of it.
  var range: Range<Int>?
  /// Why nothing that is recovered rests on it; nil where something does.
  var harmless: String?
}

/// The fields of everything that a stopped replica's directory holds.
struct StorageFields {
  private(set) var all: [StorageField] = []
  /// Of which types there are records.
  private(set) var types: Set<String> = []
  private let directory: String

  private typealias Part = (name: String, length: Int)
  private static let header: [Part] = [
    ("magic", 4), ("version", 1), ("doubts", 1), ("zero", 2), ("cluster", 8), ("ring", 4),
    ("replica", 4), ("incarnation", 4), ("cut offset", 4), ("number", 8), ("cut segment", 8),
    ("records before", 8), ("promised round", 8), ("promised proposer", 4), ("cut checksum", 4),
    ("chosen up to", 8), ("snapshot slot", 8), ("snapshot length", 8), ("snapshot digest", 8),
    ("highest slot", 8), ("epoch", 8), ("first slot", 8), ("last slot", 8), ("promised epoch", 8),
    ("mark segment", 8), ("mark offset", 4), ("checksum", 4),
  ]
  private static let head: [Part] = [
    ("magic", 2), ("version", 1), ("type", 1), ("length", 4), ("checksum", 4), ("link", 4),
    ("sequence", 8), ("ring", 4), ("payload checksum", 4), ("mark segments back", 4),
    ("mark offset", 4), ("epoch", 8),
  ]

  private static let unread = "not read"

  private static func fields(of type: JournalCodec.RecordType) -> [Part] {
    switch type {
    case .padding: []
    case .promised, .cured: [("round", 8), ("proposer", 4), ("zero", 4)]
    case .accepted: [("slot", 8), ("round", 8), ("proposer", 4), ("count", 4), ("digest", 8)]
    case .learned: [("slot", 8), ("digest", 8), ("count", 4), ("zero", 4)]
    case .chosenUpTo: [("slot", 8)]
    case .snapshot: [("slot", 8), ("length", 8), ("digest", 8)]
    }
  }

  init(_ directory: String, _ identity: JournalIdentity) throws {
    self.directory = directory
    var offset = 0
    for line in try bytes("identity").split(separator: UInt8(ascii: "\n")) {
      add("identity", [(String(decoding: line, as: UTF8.self), line.count)], from: &offset)
      offset += 1
    }
    addWhole("identity")
    let numbers = try SegmentFiles.numbers(in: directory)
    let ends = try cuts(numbers)
    let found = try numbers.map { try records($0, ends[$0]!, identity) }
    let cure = found.enumerated().compactMap { i, records in
      records.last { $0.head.type == .cured }.map { (i, $0.at) }
    }.last
    for (i, number) in numbers.enumerated() {
      let isLast = i + 1 == numbers.count
      try addSegment(number, found[i], isLast: isLast) { at in
        guard let cure, (i, at) >= cure else { return "before a cure" }
        return isLast && at == found[i].last?.at ? "a voucher for what is before it" : nil
      }
    }
    for name in try FileManager.default.contentsOfDirectory(atPath: directory).sorted() {
      if name.hasPrefix("snapshot-") { try addSnapshot(name) }
      if name.hasPrefix("spare-") {
        addBytes(name, "zeroes", 0..<(try bytes(name).count), Self.unread)
        addWhole(name, Self.unread)
      }
    }
    addWhole("newest", "a witness of the last segment")
  }

  private func bytes(_ file: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: directory + "/" + file)))
  }

  private static func name(_ number: UInt64) -> String {
    URL(filePath: SegmentFiles.path("", number)).lastPathComponent
  }

  /// Where the log leaves each segment.
  private func cuts(_ numbers: [UInt64]) throws -> [UInt64: Int] {
    var ends: [UInt64: Int] = [:]
    for number in numbers {
      let header = try bytes(Self.name(number)).withUnsafeBytes { try SegmentHeader.read($0) }
      ends[header.continued.mark.segment] = Int(header.continued.mark.offset)
      ends[number] = .max
    }
    return ends
  }

  // MARK: Kinds of files

  private struct Record {
    var head: RecordHead
    var at: Int
    var payload: Range<Int>
    var end: Int
  }

  /// The records of a segment up to where the log leaves it.
  private func records(
    _ number: UInt64, _ cut: Int, _ identity: JournalIdentity
  ) throws -> [Record] {
    var (offset, found): (Int, [Record]) = (SegmentHeader.length, [])
    let bytes = try bytes(Self.name(number))
    try bytes.withUnsafeBytes { buffer in
      let stamp = JournalCodec.stamp(identity, segment: number)
      while offset < min(cut, bytes.count) {
        guard
          let head = try? JournalCodec.decodeHead(
            buffer, at: offset, stamp: stamp, segment: number)
        else { break }
        let (_, payload, end) = try JournalCodec.decodeFields(head, buffer, at: offset)
        found.append(Record(head: head, at: offset, payload: payload, end: end))
        offset = end
      }
    }
    return found
  }

  private mutating func addSegment(
    _ number: UInt64, _ found: [Record], isLast: Bool, _ harmless: (Int) -> String?
  ) throws {
    let (file, length) = (Self.name(number), try bytes(Self.name(number)).count)
    var offset = 0
    add(file, Self.header.map { ("header: \($0.name)", $0.length) }, from: &offset, harmless(0))
    // Behind the cure: the first of its type in the first segment that has it, the last two in the last, of which one vouches
    // for the other; and the cure.
    for (i, record) in found.enumerated() {
      let type = record.head.type
      let isFirst =
        harmless(record.at) != "before a cure" && types.insert("\(type)").inserted
      let isLastOfType =
        isLast && found[(i + 1)...].count { $0.head.type == type } < (type == .padding ? 2 : 1)
      guard isFirst || isLastOfType else { continue }
      var at = record.at
      let (parts, name) = (Self.head + Self.fields(of: type), "\(type) at \(record.at)")
      add(
        file, parts.map { ("\(name): \($0.name)", $0.length) }, from: &at, harmless(record.at))
      addBytes(
        file, "\(name): payload", record.payload,
        type == .padding ? Self.unread : harmless(record.at))
      if record.payload.upperBound < record.end {
        let filling = record.payload.upperBound..<record.end
        add(file, "\(name): filling", filling, Self.unread)
      }
    }
    addBytes(file, "behind the log", (found.last?.end ?? offset)..<length, Self.unread)
    addWhole(file, harmless(0))
  }

  private mutating func addSnapshot(_ file: String) throws {
    var offset = 0
    let all = try bytes(file)
    let head = try SnapshotFileHead(all.span.bytes)
    add(
      file,
      [
        ("magic", 4), ("version", 4), ("slot", 8), ("length", 8), ("digest", 8),
        ("block length", 4),
        ("checksum", 4),
      ], from: &offset)
    addBytes(file, "content", offset..<head.tableOffset, nil)
    offset = head.tableOffset
    for number in 0..<head.blockCount {
      add(file, [("checksum of block \(number)", 4)], from: &offset)
    }
    addWhole(file)
  }

  // MARK: Adding

  private mutating func add(
    _ file: String, _ parts: [Part], from offset: inout Int, _ harmless: String? = nil
  ) {
    for part in parts {
      add(file, part.name, offset..<offset + part.length, harmless)
      offset += part.length
    }
  }

  private mutating func add(
    _ file: String, _ name: String, _ range: Range<Int>, _ harmless: String?
  ) {
    all.append(StorageField(file: file, name: name, range: range, harmless: harmless))
  }

  /// Begin, middle and end of what is no field.
  private mutating func addBytes(
    _ file: String, _ name: String, _ range: Range<Int>, _ harmless: String?
  ) {
    guard !range.isEmpty else { return }
    let length = min(4, range.count)
    let middle = range.lowerBound + range.count / 2
    var places = [
      ("begin", range.lowerBound), ("middle", middle), ("end", range.upperBound - length),
    ]
    if range.count < 3 * length { places = [places[0]] }
    for (place, at) in places { add(file, "\(name), \(place)", at..<at + length, harmless) }
  }

  private mutating func addWhole(_ file: String, _ harmless: String? = nil) {
    all.append(StorageField(file: file, name: "the file", harmless: harmless))
  }
}
