import Foundation
import Protocol
import Synchronization

/// A part of a soak's history: keys of its own, one file that `rsl-sim check` reads, and the number of puts of each key.
///
/// A line is in the file before its command is sent, and after its answer has come: the order of lines is the order of
/// real time, or a weaker one, which only lets the checker accept more.
final class SoakHistory: Sendable {
  static let keyCount = 64

  let number: Int
  let path: String
  private let state: Mutex<State>

  fileprivate struct State {
    var file: FileHandle
    var bytes: [UInt8] = []
    var failure: (any Error)?
    var tallies = [Tally](repeating: Tally(), count: SoakHistory.keyCount)
  }

  /// The puts of one key.
  struct Tally {
    /// Acknowledged, each under a number that the store counted.
    var acknowledged: UInt64 = 0
    /// The highest of these numbers.
    var highest: UInt64 = 0
    /// Of unknown outcome: performed once or never.
    var unknown: UInt64 = 0
  }

  init(number: Int, folder: String) throws {
    self.number = number
    path = "\(folder)/history-\(number).edn"
    guard FileManager.default.createFile(atPath: path, contents: nil),
      let file = FileHandle(forWritingAtPath: path)
    else { throw CommandFailure(.usage, "\(path) cannot be written") }
    state = Mutex(State(file: file))
  }

  /// A key of this part, under which the store knows it.
  func key(_ place: Int) -> UInt64 { UInt64(number * Self.keyCount + place) }

  func tally(_ place: Int) -> Tally { state.withLock { $0.tallies[place] } }

  // MARK: What happens

  enum Function: String {
    case get, put
  }

  enum Outcome: String {
    case ok, fail
    /// May have happened, may happen later, or never.
    case info
  }

  func invoke(_ process: Int, _ function: Function, _ place: Int, _ value: String?) {
    add(process, "invoke", function, place, value)
  }

  func end(
    _ process: Int, _ outcome: Outcome, _ function: Function, _ place: Int, _ value: String?
  ) {
    add(process, outcome.rawValue, function, place, value)
  }

  /// A put was acknowledged as the `count`th of its key; nil: as performed, with the number lost.
  func acknowledged(_ place: Int, count: UInt64?) {
    state.withLock { state in
      state.tallies[place].acknowledged += 1
      state.tallies[place].highest = max(state.tallies[place].highest, count ?? 0)
    }
  }

  func unknown(_ place: Int) { state.withLock { $0.tallies[place].unknown += 1 } }

  /// Writes out what is buffered; throws the first failure to write.
  func flush() throws {
    try state.withLock { state in
      state.write()
      if let failure = state.failure { throw failure }
    }
  }

  private func add(
    _ process: Int, _ type: String, _ function: Function, _ place: Int, _ value: String?
  ) {
    let value = value.map { "\"\($0)\"" } ?? "nil"
    let line =
      "{:process \(process), :type :\(type), :f :\(function.rawValue), "
      + ":key \"\(key(place))\", :value \(value)}\n"
    state.withLock { state in
      state.bytes.append(contentsOf: line.utf8)
      if state.bytes.count > 256 << 10 { state.write() }
    }
  }
}

extension SoakHistory.State {
  fileprivate mutating func write() {
    do { try file.write(contentsOf: Data(bytes)) } catch { failure = failure ?? error }
    bytes.removeAll(keepingCapacity: true)
  }
}
