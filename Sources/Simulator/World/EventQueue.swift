/// What kind of thing an event is. The raw value enters the trace digest: never renumber.
enum EventKind: UInt8 {
  case boot = 1
  case message = 2
  case timer = 3
  case diskCompleted = 4
  case external = 5
  case nemesis = 6
  case restart = 7
  case resume = 8
  case heal = 9
  case thaw = 10
  case endOfSafety = 11
  case endOfLiveness = 12
  case spaceFreed = 13
}

/// One pending event. Small and trivial: the message itself waits in a `MessageStore` and `word` is
/// its place there.
struct Event {
  var word: UInt64
  /// Tells a current timer, boot or disturbance from a stale one.
  var generation: UInt32
  var node: NodeIndex
  var peer: NodeIndex
  var kind: EventKind
  /// Bits of `PacketFlags` for messages; free for other kinds.
  var flags: UInt8

  init(
    _ kind: EventKind, node: NodeIndex = NodeIndex(0), peer: NodeIndex = NodeIndex(0),
    word: UInt64 = 0, generation: UInt32 = 0, flags: UInt8 = 0
  ) {
    self.kind = kind
    self.node = node
    self.peer = peer
    self.word = word
    self.generation = generation
    self.flags = flags
  }
}

/// Pending events in the order of (time, arrival): a 4-ary heap of 16-byte keys over a slab of
/// payloads.
///
/// Keys carry the whole order, so sifting never touches a payload. The second word packs a 40-bit
/// sequence number over a 24-bit slab place: 2⁴⁰ events are 60 hours at 5 million a second, and the
/// 2⁴⁰th traps instead of wrapping.
struct EventQueue {
  /// Time over order in one 128-bit word: one comparison without a branch, which random times would
  /// mispredict.
  struct Key {
    var word: UInt128

    @inline(__always) init(time: UInt64, order: UInt64) {
      word = UInt128(truncatingIfNeeded: time) << 64 | UInt128(truncatingIfNeeded: order)
    }
    @inline(__always) var time: UInt64 { UInt64(truncatingIfNeeded: word >> 64) }
    @inline(__always) var order: UInt64 { UInt64(truncatingIfNeeded: word) }
    @inline(__always) static func < (a: Key, b: Key) -> Bool { a.word < b.word }
  }

  private static var placeBits: UInt64 { 24 }
  private static var placeMask: UInt64 { (1 << placeBits) - 1 }

  private var keys: [Key] = []
  private var slab: [Event] = []
  /// Free places of the slab form a list: each holds the next one in its `word`.
  private var firstFree = UInt64.max
  private var sequence: UInt64 = 0

  var count: Int { keys.count }
  var isEmpty: Bool { keys.isEmpty }
  /// The time of the earliest event.
  var nextTime: UInt64? { keys.first?.time }

  mutating func push(_ event: Event, at time: UInt64) {
    var place = firstFree
    if place != .max {
      firstFree = slab[Int(place)].word
      slab[Int(place)] = event
    } else {
      place = UInt64(slab.count)
      precondition(place <= Self.placeMask, "more than 2^24 events pending")
      slab.append(event)
    }
    sequence &+= 1
    precondition(sequence >> (64 - Self.placeBits) == 0, "event sequence exhausted")
    let key = Key(time: time, order: sequence << Self.placeBits | place)
    keys.append(key)
    keys.withUnsafeMutableBufferPointer { heap in
      var child = heap.count - 1
      while child > 0 {
        let parent = (child - 1) >> 2
        if !(key < heap[parent]) { break }
        heap[child] = heap[parent]
        child = parent
      }
      heap[child] = key
    }
  }

  /// Takes the earliest event out.
  mutating func pop() -> (time: UInt64, event: Event)? {
    guard let last = keys.popLast() else { return nil }
    guard !keys.isEmpty else { return finish(last) }
    let first: Key = keys.withUnsafeMutableBufferPointer { heap in
      let top = heap[0]
      let count = heap.count
      var hole = 0
      while true {
        let child = (hole << 2) &+ 1
        var least: Int
        if child &+ 3 < count {
          // All four are there: a tournament of conditional moves.
          let left = heap[child &+ 1] < heap[child] ? child &+ 1 : child
          let right = heap[child &+ 3] < heap[child &+ 2] ? child &+ 3 : child &+ 2
          least = heap[right] < heap[left] ? right : left
        } else {
          guard child < count else { break }
          least = child
          var other = child &+ 1
          while other < count {
            if heap[other] < heap[least] { least = other }
            other &+= 1
          }
        }
        if !(heap[least] < last) { break }
        heap[hole] = heap[least]
        hole = least
      }
      heap[hole] = last
      return top
    }
    return finish(first)
  }

  private mutating func finish(_ key: Key) -> (time: UInt64, event: Event) {
    let place = key.order & Self.placeMask
    let event = slab[Int(place)]
    slab[Int(place)].word = firstFree
    firstFree = place
    return (key.time, event)
  }
}

/// Messages in flight, by place. Freed places are reused, so the steady state allocates nothing.
struct MessageStore<Message> {
  private var places: [Message?] = []
  private var free: [UInt32] = []

  var count: Int { places.count - free.count }

  mutating func put(_ message: Message) -> UInt64 {
    if let place = free.popLast() {
      places[Int(place)] = message
      return UInt64(place)
    }
    places.append(message)
    return UInt64(places.count - 1)
  }

  mutating func take(_ place: UInt64) -> Message {
    guard let message = places[Int(place)] else { preconditionFailure("message taken twice") }
    places[Int(place)] = nil
    free.append(UInt32(place))
    return message
  }
}
