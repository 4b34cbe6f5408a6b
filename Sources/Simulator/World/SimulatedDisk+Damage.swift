internal import Protocol

extension SimulatedDisk {
  /// What the medium could fall back to.
  struct Past: Sendable {
    /// Bytes of a file, as (inode, range).
    struct Place: Sendable {
      var inode: Int
      var range: Range<Int>
    }

    struct Sector: Sendable {
      var place: Place
      var bytes: [UInt8]
    }

    /// What a flush or a fence claims to have made durable.
    struct Lie: Sendable {
      var place: Place
      /// What is there instead, for a line that a fence has not covered; zeroes for a write of a file.
      var before: [UInt8]?
    }

    /// What is stale is so many bytes, more than a sector, so that appended ones are among it.
    let sectorLength: Int
    private static let replacedMax = 16
    private static let liesMax = 8

    let keepsReplaced: Bool
    /// What flushes that lied have written, the oldest first.
    private(set) var lies: [Lie] = []
    /// What sectors held before they were written again, the oldest first.
    private(set) var replaced: [Sector] = []

    init(keepsReplaced: Bool, sectorLength: Int) {
      self.keepsReplaced = keepsReplaced
      self.sectorLength = sectorLength
    }

    mutating func lied(_ inode: Int, _ range: Range<Int>, before: [UInt8]? = nil) {
      if lies.count == Self.liesMax { lies.removeFirst() }
      lies.append(Lie(place: Place(inode: inode, range: range), before: before))
    }

    mutating func replaces(_ inode: Int, _ range: Range<Int>, _ durable: [UInt8]) {
      guard keepsReplaced else { return }
      let length = sectorLength
      var start = range.lowerBound / length * length
      while start < min(range.upperBound, durable.count) {
        if replaced.count == Self.replacedMax { replaced.removeFirst() }
        let old = start..<min(start + length, durable.count)
        replaced.append(
          Sector(
            place: Place(inode: inode, range: start..<start + length), bytes: Array(durable[old])))
        start += length
      }
    }

    /// The file is gone, and its number may be given to another one.
    mutating func forget(_ inode: Int) {
      lies.removeAll { $0.place.inode == inode }
      replaced.removeAll { $0.place.inode == inode }
    }

    mutating func settle() { lies.removeAll(keepingCapacity: true) }
  }

  /// The bytes of a file that cannot be read: zeroes are read in their place.
  func unreadable(_ name: String) -> [Range<Int>] {
    Self.inode(of: name, in: visibleNames).map { inodes[$0].unreadable } ?? []
  }

  // MARK: Faults, while nothing is pending (but for `damageAtRest`)

  /// A crash: loses some of what flushes have lied about, of bytes that are vouched for; keeps the rest for good. Answers how
  /// many writes are lost, and how many lines that a fence was to cover. Draw 0 keeps.
  mutating func loseLies(
    _ files: [VouchedFile], _ streams: inout RandomStreams
  ) -> (writes: UInt64, lines: UInt64) {
    var lost: (writes: UInt64, lines: UInt64) = (0, 0)
    for lie in past.lies {
      let place = lie.place
      guard let file = files.first(where: { inode(of: $0) == place.inode }),
        place.range.upperBound <= file.count, streams.draw(.medium, below: 2) == 1
      else { continue }
      let isChanged = change(place.inode, place.range) { bytes in
        for i in bytes.indices { bytes[i] = lie.before?[i - place.range.lowerBound] ?? 0 }
      }
      guard isChanged else { continue }
      if lie.before == nil { lost.writes += 1 } else { lost.lines += 1 }
    }
    past.settle()
    return lost
  }

  /// Damages a file behind the back of a process that runs: what reads see stays as it is until a crash.
  mutating func damageAtRest(
    _ fault: MediumFault, _ file: VouchedFile, _ streams: inout RandomStreams
  ) -> String? {
    precondition(fault.mayBeLatent, "a running process would notice")
    guard let inode = inode(of: file), file.count <= inodes[inode].durable.count else { return nil }
    let seen = inodes[inode].visible
    defer { inodes[inode].visible = seen }
    return damage(fault, file, &streams)
  }

  /// Damages a file; nil when nothing came of it, else what was done.
  mutating func damage(
    _ fault: MediumFault, _ file: VouchedFile, _ streams: inout RandomStreams
  ) -> String? {
    guard let inode = inode(of: file) else { return nil }
    switch fault {
    case .bitRot: return flipBits(inode, file, &streams)
    case .sectorGarbled: return garble(inode, file, &streams)
    case .sectorUnreadable:
      guard let sector = drawSector(inode, file, &streams) else { return nil }
      change(inode, sector) { bytes in for i in bytes.indices { bytes[i] = 0 } }
      inodes[inode].unreadable.append(sector)
      return "bytes \(sector) cannot be read"
    case .sectorMisdirected: return misdirect(inode, file, &streams)
    case .sectorStale: return revert(inode, file, &streams)
    case .fileCut:
      guard file.isWhole, file.count > 0 else { return nil }
      let size = Int(streams.draw(.medium, below: UInt64(file.count)))
      inodes[inode].durable.removeLast(inodes[inode].durable.count - size)
      inodes[inode].visible = inodes[inode].durable
      return "cut to \(size) bytes"
    case .fileLost:
      guard file.isWhole else { return nil }
      Self.remove(file.name, from: &durableNames)
      visibleNames = durableNames
      return "gone"
    case .diskWiped: return nil
    }
  }

  private func inode(of file: VouchedFile) -> Int? { Self.inode(of: file.name, in: durableNames) }

  /// Changes bytes of a file; whether they differ afterwards.
  @discardableResult
  private mutating func change(
    _ inode: Int, _ range: Range<Int>, _ body: (inout ArraySlice<UInt8>) -> Void
  ) -> Bool {
    let before = inodes[inode].durable[range]
    var bytes = before
    body(&bytes)
    guard bytes != before else { return false }
    inodes[inode].durable.replaceSubrange(range, with: bytes)
    inodes[inode].visible = inodes[inode].durable
    return true
  }

  /// A sector of one of the medium's two lengths that lies in what is vouched for; the last one of a file may be shorter.
  private func drawSector(
    _ inode: Int, _ file: VouchedFile, _ streams: inout RandomStreams
  ) -> Range<Int>? {
    let isLarge = streams.draw(.medium, below: 4) == 3
    let (small, large) = medium.sectorLengths
    let length = isLarge && (file.isWhole || file.count >= large) ? large : small
    let count = file.isWhole ? (file.count + length - 1) / length : file.count / length
    guard count > 0 else { return nil }
    let start = Int(streams.draw(.medium, below: UInt64(count))) * length
    return start..<min(start + length, file.count)
  }

  private mutating func flipBits(
    _ inode: Int, _ file: VouchedFile, _ streams: inout RandomStreams
  ) -> String? {
    guard file.count > 0 else { return nil }
    let base = Int(streams.draw(.medium, below: UInt64(file.count)))
    let near = base..<min(file.count, base + 64)
    let count = 1 + Int(streams.draw(.medium, below: 4))
    let isChanged = change(inode, near) { bytes in
      for i in 0..<count {
        // The first one in its byte, the others near it.
        let bit = Int(streams.draw(.medium, below: i == 0 ? 8 : UInt64(near.count) * 8))
        bytes[base + bit / 8] ^= 1 << UInt8(bit % 8)
      }
    }
    return isChanged ? "\(count) bits flipped from byte \(base) on" : nil
  }

  private mutating func garble(
    _ inode: Int, _ file: VouchedFile, _ streams: inout RandomStreams
  ) -> String? {
    guard let sector = drawSector(inode, file, &streams) else { return nil }
    let seed = streams.draw(.medium, below: 1 << 32)
    var random = SeededRandom(seed: seed)
    let isChanged = change(inode, sector) { bytes in
      for i in bytes.indices {
        bytes[i] = seed % 2 == 0 ? 0 : UInt8(truncatingIfNeeded: random.next())
      }
    }
    return isChanged ? "bytes \(sector) are \(seed % 2 == 0 ? "zeroes" : "garbage")" : nil
  }

  private mutating func misdirect(
    _ inode: Int, _ file: VouchedFile, _ streams: inout RandomStreams
  ) -> String? {
    guard let sector = drawSector(inode, file, &streams) else { return nil }
    let other = durableNames[Int(streams.draw(.medium, below: UInt64(durableNames.count)))]
    let size = inodes[other.inode].durable.count
    let length = medium.sectorLengths.small
    let from = Int(streams.draw(.medium, below: UInt64(size / length + 1))) * length
    let source = min(from, size)..<min(from + sector.count, size)
    let content = inodes[other.inode].durable[source]
    let isChanged = change(inode, sector) { bytes in
      bytes.replaceSubrange(bytes.startIndex..<bytes.startIndex + content.count, with: content)
    }
    return isChanged ? "bytes \(sector) are those at \(source.lowerBound) of \(other.name)" : nil
  }

  private mutating func revert(
    _ inode: Int, _ file: VouchedFile, _ streams: inout RandomStreams
  ) -> String? {
    let candidates = past.replaced.filter {
      $0.place.inode == inode
        && (file.isWhole
          ? $0.place.range.lowerBound < file.count : $0.place.range.upperBound <= file.count)
    }
    guard !candidates.isEmpty else { return nil }
    let old = candidates[Int(streams.draw(.medium, below: UInt64(candidates.count)))]
    let start = old.place.range.lowerBound
    let range = start..<min(old.place.range.upperBound, file.count)
    let isChanged = change(inode, range) { bytes in
      for i in bytes.indices {
        bytes[i] = i - start < old.bytes.count ? old.bytes[i - start] : 0
      }
    }
    return isChanged ? "bytes \(range) are as they were before they were last written" : nil
  }
}
