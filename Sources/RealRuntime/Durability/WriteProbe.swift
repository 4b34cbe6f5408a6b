import Glibc
import Protocol
import Synchronization

/// Tells a checked region what is done to a journal's files, and what is answered by it. In builds without contracts it is
/// nothing: no size, and every method empty.
struct WriteProbe: Sendable {
  #if CONTRACTS
    private let region: WriteRegion?

    /// - Parameter region: nil where nobody looks.
    init(_ region: WriteRegion? = nil) { self.region = region }
  #else
    init() {}
  #endif

  @inline(__always)
  private func tell(_ event: () -> CheckedRegion.Event) {
    #if CONTRACTS
      if let region { region.take(event()) }
    #endif
  }

  /// A journal begins a life.
  func began(_ recovered: RecoveredJournal) { tell { .began(recovered.durable) } }
  func appended(_ record: JournalRecord) { tell { .appended(record) } }
  /// The replica will be told that everything up to here is durable.
  func persisted(_ position: JournalPosition) { tell { .persisted(position) } }

  // MARK: Names

  /// The file is there, and all of it is durable.
  func added(_ path: String) { tell { .added(Self.name(path), Self.contents(path)) } }
  func renamed(_ path: String, to target: String) {
    tell { .renamed(Self.name(path), to: Self.name(target)) }
  }
  func removed(_ path: String) { tell { .removed(Self.name(path)) } }
  func notedNewest(_ number: UInt64) { tell { .newest(number) } }

  /// How many names have changed; for `namesFlushed`, before the flush begins.
  var nameChanges: Int {
    #if CONTRACTS
      region?.nameChanges ?? 0
    #else
      0
    #endif
  }
  func namesFlushed(_ count: Int) { tell { .namesFlushed(count) } }

  // MARK: Bytes

  /// Bytes are being written, and durable when they are flushed.
  func wrote(_ descriptor: Int32, at offset: Int, _ vectors: @autoclosure () -> [iovec]) {
    tell { .wrote(Self.name(Self.path(descriptor)), at: offset, Self.gather(vectors())) }
  }
  func wrote(_ path: String, at offset: Int, _ vectors: @autoclosure () -> [iovec]) {
    tell { .wrote(Self.name(path), at: offset, Self.gather(vectors())) }
  }
  func flushed(_ descriptor: Int32) { tell { .flushed(Self.name(Self.path(descriptor))) } }
  func flushed(_ path: String) { tell { .flushed(Self.name(path)) } }

  private static func name(_ path: String) -> CheckedRegion.Name {
    let name = path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...]
    guard let number = SegmentFiles.number(String(name)) else { return .other(String(name)) }
    return .segment(number)
  }

  private static func path(_ descriptor: Int32) -> String {
    var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = target.withUnsafeMutableBytes {
      readlink("/proc/self/fd/\(descriptor)", $0.baseAddress!, $0.count)
    }
    return String(decoding: target[..<max(0, count)], as: UTF8.self)
  }

  private static func contents(_ path: String) -> [UInt8] {
    var status = stat()
    guard stat(path, &status) == 0 else { return [] }
    return (try? FileReader.system.contents(path, max: Int(status.st_size))) ?? []
  }

  private static func gather(_ vectors: [iovec]) -> [UInt8] {
    vectors.flatMap { Array(UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)) }
  }
}

#if CONTRACTS
  /// A checked region that several threads tell what they do, and the first thing that it objected to.
  final class WriteRegion: Sendable {
    private struct State {
      var region: CheckedRegion
      var violation: CheckedRegion.Violation?
      var transform: @Sendable (CheckedRegion.Event) -> [CheckedRegion.Event]
    }

    private let state: Mutex<State>

    /// - Parameter transform: what the region is told instead; a test makes it a journal that does something wrong.
    init(
      _ region: CheckedRegion,
      transform: @escaping @Sendable (CheckedRegion.Event) -> [CheckedRegion.Event] = { [$0] }
    ) {
      state = Mutex(State(region: region, violation: nil, transform: transform))
    }

    var violation: CheckedRegion.Violation? { state.withLock { $0.violation } }
    var images: Int { state.withLock { $0.region.images } }
    var nameChanges: Int { state.withLock { $0.region.nameChanges } }

    func take(_ event: CheckedRegion.Event) {
      state.withLock { state in
        for event in state.transform(event) where state.violation == nil {
          do throws(CheckedRegion.Violation) {
            try state.region.take(event)
          } catch {
            state.violation = error
          }
        }
      }
    }
  }
#endif
