/// A list of byte strings with cheap ends, in chunks: a change after a copy copies one chunk and the directory of chunks.
struct List: Sendable {
  static let chunkMax = 64

  struct Chunk: Sendable {
    var elements: [[UInt8]] = []
    /// What the elements take in a snapshot.
    var bytes = 0
  }

  /// From `first` on; before it lies room for chunks to come.
  private var chunks: [Chunk] = []
  private var first = 0
  private(set) var count = 0
  /// What the elements take in a snapshot.
  private(set) var bytes = 0
  /// Σ h(element i) · r^i, so that both ends can be changed without a look at the others; `power` is r^count.
  private(set) var digest: UInt64 = 0
  private var power: UInt64 = 1

  private static let ratio: UInt64 = 0x9E37_79B9_7F4A_7C15
  /// The inverse of `ratio` modulo 2^64: Newton's iteration doubles the number of correct bits, three at the beginning.
  private static let inverse: UInt64 = {
    var inverse = ratio
    for _ in 0..<5 { inverse = inverse &* (2 &- ratio &* inverse) }
    return inverse
  }()

  init() {}

  mutating func pushFront(_ element: [UInt8]) {
    if first == chunks.count || chunks[first].elements.count == Self.chunkMax { addFirstChunk() }
    chunks[first].elements.insert(element, at: 0)
    note(pushed: element, chunk: first)
    digest = ByteHash.hash(element) &+ digest &* Self.ratio
    power = power &* Self.ratio
  }

  mutating func pushBack(_ element: [UInt8]) {
    if first == chunks.count || chunks[chunks.count - 1].elements.count == Self.chunkMax {
      chunks.append(Chunk())
    }
    chunks[chunks.count - 1].elements.append(element)
    note(pushed: element, chunk: chunks.count - 1)
    digest = digest &+ ByteHash.hash(element) &* power
    power = power &* Self.ratio
  }

  mutating func popFront() -> [UInt8]? {
    guard count > 0 else { return nil }
    let element = chunks[first].elements.removeFirst()
    note(popped: element, chunk: first)
    power = power &* Self.inverse
    digest = (digest &- ByteHash.hash(element)) &* Self.inverse
    if chunks[first].elements.isEmpty {
      chunks[first] = Chunk()
      first += 1
      if first > 16, first > chunks.count / 2 {
        chunks.removeFirst(first)
        first = 0
      }
    }
    return element
  }

  mutating func popBack() -> [UInt8]? {
    guard count > 0 else { return nil }
    let last = chunks.count - 1
    let element = chunks[last].elements.removeLast()
    note(popped: element, chunk: last)
    power = power &* Self.inverse
    digest = digest &- ByteHash.hash(element) &* power
    if chunks[last].elements.isEmpty { chunks.removeLast() }
    return element
  }

  /// Hands each element in `range`, which must be within the list, to `body`.
  func visit(in range: Range<Int>, _ body: ([UInt8]) -> Void) {
    guard !range.isEmpty else { return }
    var (chunk, begin) = chunk(holding: range.lowerBound)
    var left = range.count
    var from = range.lowerBound - begin
    while left > 0 {
      let elements = chunks[chunk].elements
      let to = min(elements.count, from + left)
      for i in from..<to { body(elements[i]) }
      left -= to - from
      begin += elements.count
      from = 0
      chunk += 1
    }
  }

  /// Hands each chunk to `body`, until that answers false.
  func visitChunks(_ body: (Chunk) -> Bool) {
    for chunk in chunks[first...] { if !body(chunk) { return } }
  }

  /// The chunk that holds an index, and the index of its first element; found from the nearer end.
  private func chunk(holding index: Int) -> (chunk: Int, begin: Int) {
    if index < count / 2 {
      var (chunk, begin) = (first, 0)
      while begin + chunks[chunk].elements.count <= index {
        begin += chunks[chunk].elements.count
        chunk += 1
      }
      return (chunk, begin)
    }
    var (chunk, begin) = (chunks.count, count)
    repeat {
      chunk -= 1
      begin -= chunks[chunk].elements.count
    } while begin > index
    return (chunk, begin)
  }

  private mutating func addFirstChunk() {
    if first == 0 {
      // Room for as many again, so that each chunk is moved a bounded number of times.
      let room = max(1, chunks.count)
      chunks.insert(contentsOf: repeatElement(Chunk(), count: room), at: 0)
      first = room
    }
    first -= 1
  }

  private mutating func note(pushed element: [UInt8], chunk: Int) {
    let length = Varint.length(element.count) + element.count
    chunks[chunk].bytes += length
    bytes += length
    count += 1
  }

  private mutating func note(popped element: [UInt8], chunk: Int) {
    let length = Varint.length(element.count) + element.count
    chunks[chunk].bytes -= length
    bytes -= length
    count -= 1
  }
}
