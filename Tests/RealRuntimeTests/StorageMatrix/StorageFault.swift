import Foundation
import Glibc

@testable import RealRuntime

/// What happens to one field of one file, once.
enum StorageFault: String, CaseIterable, Sendable {
  case flip, zero
  /// The disk does not give the page back in which it is.
  case eio = "EIO"
  /// The file ends within the field.
  case cut
  case missing

  /// Does it to the file of a stopped replica. False where that changes nothing: what is zero already.
  func apply(to field: StorageField, in directory: String) throws -> Bool {
    let path = directory + "/" + field.file
    guard let range = field.range else {
      guard self == .missing else { return false }
      try FileManager.default.removeItem(atPath: path)
      return true
    }
    var data = [UInt8](try Data(contentsOf: URL(filePath: path)))
    let middle = range.lowerBound + range.count / 2
    switch self {
    case .flip: data[middle] ^= 0x10
    case .zero:
      guard data[range].contains(where: { $0 != 0 }) else { return false }
      for i in range { data[i] = 0 }
    case .cut: data.removeSubrange(middle...)
    case .eio: return true
    case .missing: return false
    }
    try Data(data).write(to: URL(filePath: path))
    return true
  }

  /// How the replica reads its files.
  func reader(_ field: StorageField, in directory: String) -> FileReader {
    guard self == .eio, let range = field.range else { return .system }
    let path = directory + "/" + field.file
    return .failing(path, from: range.lowerBound / 4_096 * 4_096, to: range.upperBound)
  }
}

extension FileReader {
  /// As a disk with a bad place, under a page cache: what comes before is read, the page with it is not.
  static func failing(_ path: String, from begin: Int, to end: Int) -> FileReader {
    let end = (end + 4_095) / 4_096 * 4_096
    return FileReader { (file, name, buffer, offset) throws(SystemError) in
      guard name == path, offset < end, offset + buffer.count > begin else {
        return try FileReader.system.read(file, name, buffer, offset)
      }
      guard offset < begin else { throw SystemError("pread", path, code: EIO) }
      return try FileReader.system.read(
        file, name, UnsafeMutableRawBufferPointer(rebasing: buffer[..<(begin - offset)]), offset)
    }
  }
}
