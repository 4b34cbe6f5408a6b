/// Words as little-endian bytes behind a checksum; the form of everything on disk and on the wire
/// here.
enum Frame {
  static func bytes(_ words: [UInt64]) -> [UInt8] {
    var bytes: [UInt8] = []
    for word in [sum(words)] + words {
      for shift in stride(from: 0, to: 64, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
      }
    }
    return bytes
  }

  /// The words behind a right checksum; nil for anything else.
  static func words(_ bytes: ArraySlice<UInt8>) -> [UInt64]? {
    guard bytes.count % 8 == 0, bytes.count >= 8 else { return nil }
    var words: [UInt64] = []
    for start in stride(from: bytes.startIndex, to: bytes.endIndex, by: 8) {
      words.append((0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) })
    }
    let sum = words.removeFirst()
    return sum == Self.sum(words) ? words : nil
  }

  static func sum(_ words: [UInt64]) -> UInt64 {
    words.reduce(0x9E37_79B9_7F4A_7C15) { sum, word in
      let mixed = (sum ^ word) &* 0xD6E8_FEB8_6659_FD93
      return mixed ^ mixed >> 32
    }
  }
}

/// One record of a replica's journal: the view it follows and its copy. The last whole one counts.
enum Record {
  static var size: Int { 40 }

  static func bytes(view: UInt64, _ copy: Copy) -> [UInt8] {
    Frame.bytes([view, copy.view, copy.version, copy.value])
  }

  /// What a journal says, and how many of its bytes are whole records: a torn tail was never
  /// confirmed to anyone.
  static func recover(_ bytes: [UInt8]) -> (view: UInt64, copy: Copy, valid: Int) {
    var found = (view: UInt64(0), copy: Copy(), valid: 0)
    while found.valid + size <= bytes.count,
      let words = Frame.words(bytes[found.valid..<found.valid + size])
    {
      found = (
        words[0], Copy(view: words[1], version: words[2], value: words[3]), found.valid + size
      )
    }
    return found
  }

  static func digest(_ bytes: [UInt8]) -> UInt64 {
    bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
  }
}

/// Messages as frames.
enum Wire {
  static func bytes(_ message: Message) -> [UInt8] {
    switch message {
    case .get(let operation): Frame.bytes([1, operation])
    case .put(let operation, let after, let value): Frame.bytes([2, operation, after, value])
    case .answer(let operation, let copy, let isDone):
      Frame.bytes([3, operation, copy.view, copy.version, copy.value, isDone ? 1 : 0])
    case .redirect(let operation, let view): Frame.bytes([4, operation, view])
    case .replicate(let round, let copy):
      Frame.bytes([5, round, copy.view, copy.version, copy.value])
    case .confirmed(let view, let round): Frame.bytes([6, view, round])
    case .newView(let view): Frame.bytes([7, view])
    case .joined(let view, let copy):
      Frame.bytes([8, view, copy.view, copy.version, copy.value])
    }
  }

  static func message(_ bytes: [UInt8]) -> Message? {
    guard let words = Frame.words(bytes[...]), let kind = words.first else { return nil }
    func copy(_ at: Int) -> Copy {
      Copy(view: words[at], version: words[at + 1], value: words[at + 2])
    }
    switch (kind, words.count) {
    case (1, 2): return .get(operation: words[1])
    case (2, 4): return .put(operation: words[1], after: words[2], value: words[3])
    case (3, 6): return .answer(operation: words[1], copy(2), isDone: words[5] == 1)
    case (4, 3): return .redirect(operation: words[1], view: words[2])
    case (5, 5): return .replicate(round: words[1], copy(2))
    case (6, 3): return .confirmed(view: words[1], round: words[2])
    case (7, 2): return .newView(words[1])
    case (8, 5): return .joined(view: words[1], copy(2))
    default: return nil
    }
  }
}
