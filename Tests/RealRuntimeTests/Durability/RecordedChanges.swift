import Foundation
import Protocol
import Synchronization

@testable import RealRuntime

/// Performs the calls of a snapshot store and keeps them, in order.
final class RecordedChanges: Sendable {
  enum Call: Sendable {
    case create(String)
    case write(String, offset: Int, [UInt8])
    case flush(String)
    case rename(String, String)
    case remove(String)
    case flushDirectory
  }

  private let kept = Mutex<[Call]>([])
  var calls: [Call] { kept.withLock { $0 } }

  private func keep(_ call: Call) { kept.withLock { $0.append(call) } }

  private static func name(_ path: String) -> String { URL(filePath: path).lastPathComponent }

  var changes: FileChanges {
    let system = FileChanges.system
    return FileChanges(
      create: { [self] path throws(SystemError) in
        keep(.create(Self.name(path)))
        return try system.create(path)
      },
      open: { path throws(SystemError) in try system.open(path) },
      write: { [self] (file, path, bytes, offset) throws(SystemError) in
        keep(.write(Self.name(path), offset: offset, Array(bytes)))
        return try system.write(file, path, bytes, offset)
      },
      // No promise of it is relied on, so a crash need not know.
      writeBack: { (file, path, bytes) throws(SystemError) in
        try system.writeBack(file, path, bytes)
      },
      flush: { [self] (file, path) throws(SystemError) in
        keep(.flush(Self.name(path)))
        try system.flush(file, path)
      },
      rename: { [self] (from, to) throws(SystemError) in
        keep(.rename(Self.name(from), Self.name(to)))
        try system.rename(from, to)
      },
      remove: { [self] path in
        keep(.remove(Self.name(path)))
        system.remove(path)
      },
      flushDirectory: { [self] path throws(SystemError) in
        keep(.flushDirectory)
        try system.flushDirectory(path)
      })
  }
}

/// A directory on a disk that has a cache, and the ways in which a crash may leave it.
struct CrashingDirectory {
  private struct File {
    /// What is certain, and what was written since, in order; a write of nothing at 0 empties the file.
    var durable: [UInt8] = []
    var pending: [(offset: Int, bytes: [UInt8])] = []
  }

  private var files: [File] = []
  /// What the names were at each moment since they were made durable; the last are those of now.
  private var names: [[String: Int]] = [[:]]

  /// Which of what is not durable survives.
  enum Survival: Hashable {
    case nothing, everything
    /// All names, and no bytes; all bytes, and no names.
    case names, bytes
    /// Names up to some moment, and some pieces of some writes.
    case some(seed: UInt64)
  }

  init(_ contents: [String: [UInt8]]) {
    for (name, bytes) in contents {
      names[0][name] = files.count
      files.append(File(durable: bytes))
    }
  }

  mutating func perform(_ call: RecordedChanges.Call) {
    var now = names.last!
    switch call {
    case .create(let name):
      if let file = now[name] { return files[file].pending.append((0, [])) }
      now[name] = files.count
      files.append(File())
    case .write(let name, let offset, let bytes):
      return files[now[name]!].pending.append((offset, bytes))
    case .flush(let name):
      let file = now[name]!
      files[file].durable = Self.contents(files[file]) { _ in true }
      files[file].pending = []
      return
    case .rename(let from, let to): now[to] = now.removeValue(forKey: from)
    case .remove(let name): now[name] = nil
    case .flushDirectory:
      names = [now]
      return
    }
    names.append(now)
  }

  private static func contents(
    _ file: File, _ survives: (Int) -> Bool
  ) -> [UInt8] {
    var bytes = file.durable
    for (offset, piece) in file.pending {
      if piece.isEmpty { bytes = [] }
      // Sectors of a disk, each by itself.
      for begin in stride(from: 0, to: piece.count, by: 512) where survives(begin) {
        let end = min(begin + 512, piece.count)
        if bytes.count < offset + end {
          bytes += [UInt8](repeating: 0, count: offset + end - bytes.count)
        }
        bytes.replaceSubrange(offset + begin..<offset + end, with: piece[begin..<end])
      }
    }
    return bytes
  }

  /// What is there after a crash.
  func crashed(_ survival: Survival) -> [String: [UInt8]] {
    var random = SeededRandom(seed: 0)
    let moment: Int
    let survives: (inout SeededRandom) -> Bool
    switch survival {
    case .nothing:
      moment = 0
      survives = { _ in false }
    case .everything:
      moment = names.count - 1
      survives = { _ in true }
    case .names:
      moment = names.count - 1
      survives = { _ in false }
    case .bytes:
      moment = 0
      survives = { _ in true }
    case .some(let seed):
      random = SeededRandom(seed: seed)
      moment = Int(random.next(below: UInt64(names.count)))
      survives = { $0.next(below: 2) == 0 }
    }
    var contents: [String: [UInt8]] = [:]
    for (name, file) in names[moment].sorted(by: { $0.key < $1.key }) {
      contents[name] = Self.contents(files[file]) { _ in survives(&random) }
    }
    return contents
  }
}
