import Protocol

/// Any bytes are a snapshot's file or none; one that is taken for whole has the bytes that its head announces, and a changed
/// byte of them is found.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  var file = Array(UnsafeRawBufferPointer(start: data, count: size))
  guard let check = SnapshotFileHead.check(file) else { return 0 }
  precondition(check.head.fileLength == size, "longer or shorter than its head says")
  precondition(check.badBlocks.allSatisfy { $0 < check.head.blockCount }, "a block that is none")
  guard check.isWhole, check.head.info.length > 0 else { return 0 }
  file[check.head.length + Int(check.head.info.length) / 2] ^= 1
  precondition(SnapshotFileHead.check(file)?.isWhole == false, "a damaged one that is whole")
  return 0
}
