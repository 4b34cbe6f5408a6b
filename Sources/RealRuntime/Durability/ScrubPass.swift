import Glibc
import Protocol

/// One reading of a replica's files at rest, in slices, by the code that recovery reads them with.
///
/// Made by the loop, and from then on touched by one thread at a time: the loop asks for a slice when the one before is through.
final class ScrubPass: @unchecked Sendable {
  /// What there is to read, when the pass begins. What is written later is read by the next one.
  struct Plan: Sendable {
    var directory: String
    var identity: JournalIdentity
    /// The last one is being written.
    var segments: [UInt64]
    /// Up to where the journal is durable.
    var durable: JournalMark
    var snapshot: SnapshotInfo
  }

  enum Finding: Sendable {
    case segment(JournalDamage)
    case snapshot(SnapshotInfo, problem: String)
  }

  /// What came of a slice.
  struct Report: Sendable {
    var bytesRead = 0
    var findings: [Finding] = []
    /// Nothing is left to read.
    var isThrough = false
  }

  private enum Stage {
    case headers
    case segment(Int)
    case snapshot
    case end
  }

  private let plan: Plan
  private let reader: FileReader
  private var stage = Stage.headers
  private var ends = SegmentEnds([])
  private var segment: SegmentReading?
  private var file: UncachedFile?
  private var check: SnapshotFileCheck?

  private static let pieceLength = 256 << 10

  init(_ plan: Plan, _ reader: FileReader) {
    self.plan = plan
    self.reader = reader
  }

  /// Reads on, for about so many bytes.
  func read(_ count: Int) -> Report {
    var report = Report()
    while report.bytesRead < count {
      switch stage {
      case .headers: readHeaders(&report)
      case .segment(let i): readSegment(i, &report)
      case .snapshot: readSnapshot(&report)
      case .end:
        report.isThrough = true
        return report
      }
    }
    return report
  }

  /// They say where the log leaves each segment. One that is damaged is found when its segment is read. A file that is begun
  /// behind what is durable may still hold what it held under an earlier number, and so may any that is damaged.
  private func readHeaders(_ report: inout Report) {
    var headers: [SegmentHeader] = []
    for number in plan.segments where number <= plan.durable.segment {
      let path = SegmentFiles.path(plan.directory, number)
      guard
        let bytes = try? UncachedFile(path, reader).bytes(at: 0, count: SegmentHeader.length)
      else { continue }
      report.bytesRead += bytes.count
      if let header = try? bytes.withUnsafeBytes({ try SegmentHeader.read($0) }),
        header.number == number
      {
        headers.append(header)
      }
    }
    ends = SegmentEnds(headers)
    stage = plan.segments.isEmpty ? .snapshot : .segment(0)
  }

  /// Up to where a segment had certainly been durable. What is begun behind that is looked at by the next pass.
  private func end(of number: UInt64) -> SegmentEnd {
    if number == plan.durable.segment { return .at(Int(plan.durable.offset)) }
    return number > plan.durable.segment ? .void : ends[number]
  }

  private func readSegment(_ i: Int, _ report: inout Report) {
    let number = plan.segments[i]
    let next = i + 1 < plan.segments.count ? Stage.segment(i + 1) : .snapshot
    if segment == nil {
      let end: Int
      switch self.end(of: number) {
      case .at(let offset): end = offset
      case .lost:
        report.findings.append(.segment(JournalDamage(segment: number, offset: 0, what: .endLost)))
        stage = next
        return
      case .void:
        stage = next
        return
      }
      do throws(SystemError) {
        segment = try SegmentReading(plan.directory, number, end, reader)
      } catch {
        report.findings.append(.segment(SegmentReading.unreadable(number, 0..<end, error.reason)))
        stage = next
        return
      }
    }
    guard let reading = segment else { return }
    report.bytesRead += reading.readOn(Self.pieceLength)
    guard reading.isComplete else { return }
    report.findings += reading.damages(plan.identity).map { .segment($0) }
    segment = nil
    stage = next
  }

  private func readSnapshot(_ report: inout Report) {
    guard plan.snapshot != .none else {
      stage = .end
      return
    }
    let path = SnapshotStore.path(plan.directory, plan.snapshot.slot)
    do {
      let file = try file ?? UncachedFile(path, reader)
      self.file = file
      func read(_ offset: Int, _ count: Int) throws(SystemError) -> [UInt8] {
        try file.bytes(at: offset, count: count)
      }
      if check == nil {
        let head = try SnapshotFile.head(read)
        guard head.info == plan.snapshot, head.fileLength == file.length else {
          throw DecodeError(.length, at: 16)
        }
        let table = SnapshotFile.table(head, read)
        report.bytesRead += head.length + table.count
        check = SnapshotFileCheck(head, table: table)
      }
      report.bytesRead += SnapshotFile.take(&check!, read)
      guard check!.offset == Int(plan.snapshot.length) else { return }
      if let problem = SnapshotFile.problem(check!) {
        report.findings.append(.snapshot(plan.snapshot, problem: problem))
      }
    } catch {
      report.findings.append(.snapshot(plan.snapshot, problem: "its head: \(error)"))
    }
    (file, check) = (nil, nil)
    stage = .end
  }
}

/// A segment on its way into memory, where it is looked at as a whole.
private final class SegmentReading {
  private let number: UInt64
  private let file: UncachedFile
  private let memory: UnsafeMutableRawBufferPointer
  private var filled = 0
  private var unreadable: [UnreadableBytes] = []

  /// What is given up at once where it cannot be read, in bytes.
  private static let blockLength = 4_096

  init(
    _ directory: String, _ number: UInt64, _ end: Int, _ reader: FileReader
  ) throws(SystemError) {
    self.number = number
    file = try UncachedFile(SegmentFiles.path(directory, number), reader)
    memory = .allocate(byteCount: end, alignment: 8)
  }

  deinit { memory.deallocate() }

  var isComplete: Bool { filled == memory.count }

  static func unreadable(_ number: UInt64, _ range: Range<Int>, _ why: String) -> JournalDamage {
    JournalDamage(
      segment: number, offset: range.lowerBound, what: .unreadable(bytes: range.count, why: why))
  }

  /// Returns how many bytes it went on by.
  func readOn(_ count: Int) -> Int {
    let begin = filled
    let end = min(begin + count, memory.count)
    if take(begin..<end) != nil {
      // Block by block.
      while filled < end {
        let block = filled..<min((filled / Self.blockLength + 1) * Self.blockLength, end)
        if let why = take(block) { miss(block, why.reason) }
      }
    }
    return filled - begin
  }

  /// Nil when all of it was read.
  private func take(_ range: Range<Int>) -> SystemError? {
    do throws(SystemError) {
      let bytes = try file.bytes(at: range.lowerBound, count: range.count)
      UnsafeMutableRawBufferPointer(rebasing: memory[range.lowerBound...]).copyBytes(from: bytes)
      filled = range.lowerBound + bytes.count
      if bytes.count < range.count {
        miss(filled..<memory.count, "the file ends before the log does")
      }
      return nil
    } catch {
      return error
    }
  }

  private func miss(_ range: Range<Int>, _ why: String) {
    UnsafeMutableRawBufferPointer(rebasing: memory[range])
      .initializeMemory(as: UInt8.self, repeating: 0)
    if let last = unreadable.last, last.range.upperBound == range.lowerBound, last.why == why {
      unreadable[unreadable.count - 1].range = last.range.lowerBound..<range.upperBound
    } else {
      unreadable.append(UnreadableBytes(range, why: why))
    }
    filled = range.upperBound
  }

  func damages(_ identity: JournalIdentity) -> [JournalDamage] {
    JournalRecovery.damages(
      in: JournalSegment(
        number: number, bytes: UnsafeRawBufferPointer(memory), unreadable: unreadable),
      upTo: memory.count, identity: identity)
  }
}
