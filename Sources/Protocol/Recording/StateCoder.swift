/// Visits the fields of a state in one fixed order: a writer reads them, a reader sets them. One description of a state
/// serves both directions, so that they cannot disagree.
///
/// Only what changes is visited. What a state was made with (options, quorums, own names) is there before: a state is
/// decoded into a fresh one that was made from the same configuration.
protocol StateCoder {
  /// Whether fields are set rather than read.
  var isDecoding: Bool { get }
  /// A number that is usually small.
  mutating func word(_ value: inout UInt64) throws(DecodeError)
  /// A number whose bits are all alike: a digest, a generator's state.
  mutating func raw(_ value: inout UInt64) throws(DecodeError)
  /// Visits the elements of an array. How many there are is not written, because its owner made it with as many.
  mutating func each<T>(
    _ array: inout [T], _ visit: (inout Self, inout T) throws(DecodeError) -> Void
  ) throws(DecodeError)
  /// What must hold of the fields visited so far; a reader refuses what contradicts it.
  func check(_ holds: Bool) throws(DecodeError)
}

// MARK: - Numbers

extension StateCoder {
  @inline(__always)
  mutating func word(_ value: inout UInt32) throws(DecodeError) {
    var wide = UInt64(value)
    try word(&wide)
    try check(wide <= UInt32.max)
    value = UInt32(truncatingIfNeeded: wide)
  }

  /// A number that is not negative.
  @inline(__always)
  mutating func count(_ value: inout Int) throws(DecodeError) {
    var wide = UInt64(value)
    try word(&wide)
    try check(wide <= Int.max)
    value = Int(wide)
  }

  @inline(__always)
  mutating func bool(_ value: inout Bool) throws(DecodeError) {
    var wide = UInt64(value ? 1 : 0)
    try word(&wide)
    try check(wide <= 1)
    value = wide == 1
  }

  /// A number by its distance from another that both sides know.
  @inline(__always)
  mutating func word(_ value: inout UInt64, from origin: UInt64) throws(DecodeError) {
    var distance = PackedNumber.folded(value &- origin)
    try word(&distance)
    value = origin &+ PackedNumber.unfolded(distance)
  }

  /// Any of the types that wrap a number.
  @inline(__always)
  mutating func word<T: RawRepresentable>(_ value: inout T) throws(DecodeError)
  where T.RawValue == UInt64 {
    var wide = value.rawValue
    try word(&wide)
    if let new = T(rawValue: wide) { value = new }
  }

  @inline(__always)
  mutating func word<T: RawRepresentable>(
    _ value: inout T, from origin: T
  ) throws(DecodeError) where T.RawValue == UInt64 {
    var wide = value.rawValue
    try word(&wide, from: origin.rawValue)
    if let new = T(rawValue: wide) { value = new }
  }

  mutating func replica(_ value: inout ReplicaID) throws(DecodeError) {
    try word(&value.rawValue)
  }

  mutating func span(_ value: inout TimeSpan) throws(DecodeError) {
    try word(&value.nanoseconds)
  }
}

// MARK: - Vocabulary

extension StateCoder {
  @inline(__always)
  mutating func ballot(_ value: inout Ballot) throws(DecodeError) {
    try word(&value.round)
    try word(&value.proposer.rawValue)
  }

  /// A value; `end` is where the bytes of the one before it end, and then where its own do.
  @inline(__always)
  mutating func value(_ value: inout Value, end: inout UInt64) throws(DecodeError) {
    try word(&value.count)
    try word(&value.bytes.length)
    try word(&value.bytes.position, from: end)
    try raw(&value.digest)
    end = value.bytes.end
  }

  mutating func snapshot(_ value: inout SnapshotInfo) throws(DecodeError) {
    try word(&value.slot)
    try word(&value.length)
    try raw(&value.digest)
  }

  mutating func request(_ value: inout RequestID) throws(DecodeError) {
    try word(&value.session)
    try word(&value.sequence)
  }

  mutating func voters(_ value: inout VoterSet, of quorum: Quorum) throws(DecodeError) {
    try word(&value.bits)
    try check(quorum.voters == 64 || value.bits >> UInt64(quorum.voters) == 0)
  }

  /// A member's index, or -1 for none.
  mutating func index(_ value: inout Int, below count: Int) throws(DecodeError) {
    var wide = UInt64(value + 1)
    try word(&wide)
    try check(wide <= UInt64(count))
    value = Int(wide) - 1
  }

  mutating func role(_ value: inout Role) throws(DecodeError) {
    var tag = UInt64(value.tag)
    try word(&tag)
    let role = Role(tag: UInt8(truncatingIfNeeded: tag))
    try check(tag <= UInt8.max && role != nil)
    value = role ?? value
  }

  /// Something that may be missing; `empty` is what a reader fills.
  mutating func optional<T>(
    _ value: inout T?, _ empty: @autoclosure () -> T,
    _ visit: (inout Self, inout T) throws(DecodeError) -> Void
  ) throws(DecodeError) {
    var isThere = value != nil
    try bool(&isThere)
    guard isThere else {
      value = nil
      return
    }
    var some = value ?? empty()
    try visit(&self, &some)
    if isDecoding { value = some }
  }

  /// A queue or list of any length; a reader fills copies of `empty`. Bounds its memory by the bytes that are there.
  mutating func list<C: RangeReplaceableCollection>(
    _ list: inout C, _ empty: C.Element,
    _ visit: (inout Self, inout C.Element) throws(DecodeError) -> Void
  ) throws(DecodeError) {
    var left = list.count
    try count(&left)
    guard isDecoding else {
      for element in list {
        var element = element
        try visit(&self, &element)
      }
      return
    }
    list.removeAll()
    while left > 0 {
      var element = empty
      try visit(&self, &element)
      list.append(element)
      left -= 1
    }
  }
}

extension StateCoder {
  /// The elements of an array that differ from `empty`, each by its distance from the one before. The reader's array
  /// holds nothing else yet.
  mutating func sparse<T: Equatable>(
    _ array: inout [T], _ empty: T,
    _ visit: (inout Self, inout T) throws(DecodeError) -> Void
  ) throws(DecodeError) {
    var next = 0
    while true {
      var end = next
      if !isDecoding { while end < array.count && array[end] == empty { end += 1 } }
      // One more than the distance, because 0 says that nothing follows.
      var distance = !isDecoding && end == array.count ? 0 : end - next + 1
      try count(&distance)
      if distance == 0 { return }
      try check(distance <= array.count - next)
      next += distance
      var element = array[next - 1]
      try visit(&self, &element)
      if isDecoding { array[next - 1] = element }
    }
  }
}

// MARK: - The two directions

/// Appends a state to bytes.
struct StateWriter: StateCoder {
  private(set) var bytes: [UInt8]

  init(appendingTo bytes: consuming [UInt8]) { self.bytes = bytes }

  /// Gives the bytes back.
  consuming func finish() -> [UInt8] { bytes }

  var isDecoding: Bool { false }

  @inline(__always)
  mutating func word(_ value: inout UInt64) throws(DecodeError) {
    let word = value
    bytes.appendPacked(upTo: PackedWriter.numberBytesMax) { $0.put(word) }
  }

  @inline(__always)
  mutating func raw(_ value: inout UInt64) throws(DecodeError) {
    let word = value
    bytes.appendPacked(upTo: PackedWriter.numberBytesMax) { $0.put(raw: word) }
  }

  @inline(__always)
  mutating func each<T>(
    _ array: inout [T], _ visit: (inout Self, inout T) throws(DecodeError) -> Void
  ) throws(DecodeError) {
    // A copy of each element, so that the array stays shared with the state it belongs to.
    for element in array {
      var element = element
      try visit(&self, &element)
    }
  }

  func check(_ holds: Bool) throws(DecodeError) {}
}

/// Sets a state from bytes. Total: any bytes set a state or give an error.
struct StateReader: StateCoder {
  private(set) var reader: ByteReader

  init(_ reader: ByteReader) { self.reader = reader }

  var isDecoding: Bool { true }

  mutating func word(_ value: inout UInt64) throws(DecodeError) { value = try reader.packed() }

  mutating func raw(_ value: inout UInt64) throws(DecodeError) { value = try reader.u64() }

  mutating func each<T>(
    _ array: inout [T], _ visit: (inout Self, inout T) throws(DecodeError) -> Void
  ) throws(DecodeError) {
    for i in array.indices { try visit(&self, &array[i]) }
  }

  func check(_ holds: Bool) throws(DecodeError) {
    guard holds else { throw DecodeError(.contradiction, at: reader.offset) }
  }
}
