public import Protocol

/// The state machine the Paxos tenant replicates: numbered 64-bit registers with put, get, compare-and-set and
/// fetch-and-add. Small enough to be obviously right, and every reply carries the value that was read and the slot it was
/// read in, so that a history of commands and replies can be checked for linearizability.
public struct RegisterMachine: StateMachine, Sendable {
  public enum Operation: UInt8, Hashable, Sendable, CaseIterable {
    case get = 1
    /// Sets the register to `argument`.
    case put = 2
    /// Sets the register to `argument` if it holds `expected`.
    case compareAndSet = 3
    /// Adds `argument`, wrapping.
    case fetchAndAdd = 4
  }

  /// A command or, with `get`, a query: operation u8, three zero bytes, key u32, argument u64, expected u64.
  public struct Request: Hashable, Sendable {
    public var operation: Operation
    public var key: UInt32
    public var argument: UInt64
    public var expected: UInt64

    public init(_ operation: Operation, key: UInt32, argument: UInt64 = 0, expected: UInt64 = 0) {
      self.operation = operation
      self.key = key
      self.argument = argument
      self.expected = expected
    }

    public static let encodedLength = 24

    public func encode(into bytes: inout [UInt8]) {
      let words = (
        (UInt64(operation.rawValue) | UInt64(key) << 32).littleEndian, argument.littleEndian,
        expected.littleEndian
      )
      withUnsafeBytes(of: words) { bytes.append(contentsOf: $0) }
    }

    /// Nil unless the bytes are exactly one request.
    public init?(_ bytes: RawSpan) {
      guard bytes.byteCount == Self.encodedLength else { return nil }
      let first = RegisterMachine.word(bytes, 0)
      guard first & 0xFFFF_FF00 == 0,
        let operation = Operation(rawValue: UInt8(truncatingIfNeeded: first))
      else { return nil }
      self.init(
        operation, key: UInt32(first >> 32), argument: RegisterMachine.word(bytes, 8),
        expected: RegisterMachine.word(bytes, 16))
    }
  }

  /// What was seen: the register before the operation, whether the operation changed it, and the slot; 24 bytes.
  public struct Answer: Hashable, Sendable {
    /// The register's value before the operation.
    public var value: UInt64
    public var status: Status
    /// The slot of the command; for a query the last slot that was applied.
    public var slot: Slot

    public enum Status: UInt64, Hashable, Sendable {
      case read = 1
      case written = 2
      /// compareAndSet found another value.
      case notEqual = 3
      /// Not a request, or a key out of range: nothing happened.
      case malformed = 4
    }

    public init(value: UInt64, status: Status, slot: Slot) {
      self.value = value
      self.status = status
      self.slot = slot
    }

    /// Nil unless the bytes are exactly one answer.
    public init?(_ bytes: RawSpan) {
      guard bytes.byteCount == 24, let status = Status(rawValue: RegisterMachine.word(bytes, 8))
      else { return nil }
      self.init(
        value: RegisterMachine.word(bytes, 0), status: status,
        slot: Slot(RegisterMachine.word(bytes, 16)))
    }
  }

  /// The registers by key, all 0 at first.
  public private(set) var registers: [UInt64]
  private var lastSlot = Slot.zero
  /// Folds every change of a register, and nothing else: sum of a mix of (key, value) over the registers.
  private var sum: UInt64 = 0
  /// While a snapshot is restored: how many registers came so far, and how many are to come.
  private var restored = 0
  private var isHeaderRestored = false

  public init(registers count: Int = 64) {
    precondition((1...1 << 20).contains(count), "between 1 and 2^20 registers")
    registers = Array(repeating: 0, count: count)
  }

  public mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter) {
    lastSlot = slot
    guard let request = Request(command), Int(request.key) < registers.count else {
      return Self.answer(0, .malformed, slot, &reply)
    }
    let key = Int(request.key)
    let old = registers[key]
    switch request.operation {
    case .get:
      Self.answer(old, .read, slot, &reply)
    case .put:
      set(key, request.argument)
      Self.answer(old, .written, slot, &reply)
    case .compareAndSet:
      guard old == request.expected else { return Self.answer(old, .notEqual, slot, &reply) }
      set(key, request.argument)
      Self.answer(old, .written, slot, &reply)
    case .fetchAndAdd:
      set(key, old &+ request.argument)
      Self.answer(old, .written, slot, &reply)
    }
  }

  public func query(_ query: RawSpan, reply: inout ReplyWriter) {
    guard let request = Request(query), request.operation == .get,
      Int(request.key) < registers.count
    else { return Self.answer(0, .malformed, lastSlot, &reply) }
    Self.answer(registers[Int(request.key)], .read, lastSlot, &reply)
  }

  public var digest: UInt64 { sum ^ Self.mix(lastSlot.rawValue, UInt64(registers.count)) }

  /// Flips a bit of a register, counted from the lowest bit of register 0, as a wrong `apply` might: the digest follows. What
  /// a machine's digest does not follow nothing can find.
  package mutating func corrupt(bit: UInt64) {
    let key = Int(bit / 64)
    set(key, registers[key] ^ 1 << (bit % 64))
  }

  private mutating func set(_ key: Int, _ value: UInt64) {
    sum = sum &- Self.mix(UInt64(key), registers[key]) &+ Self.mix(UInt64(key), value)
    registers[key] = value
  }

  private static func answer(
    _ value: UInt64, _ status: Answer.Status, _ slot: Slot, _ reply: inout ReplyWriter
  ) {
    reply.append(value)
    reply.append(status.rawValue)
    reply.append(slot.rawValue)
  }

  /// 0 for a register that was never written, so that a fresh machine needs no sum over all of them.
  private static func mix(_ key: UInt64, _ value: UInt64) -> UInt64 {
    guard value != 0 else { return 0 }
    var state = key &* 0xD6E8_FEB8_6659_FD93 ^ value
    return SeededRandom.splitMix(&state)
  }

  fileprivate static func word(_ bytes: RawSpan, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}

// The snapshot: number of registers and last slot, then the registers from the lowest key, eight bytes each. The cursor is
// 1 + the key of the next register.
extension RegisterMachine {
  /// The machine's own codes in `SnapshotInvalid.machine`.
  public enum Refusal {
    /// Not the number of registers this machine has.
    public static let registers: UInt32 = 1
    /// More or fewer bytes than the registers take.
    public static let length: UInt32 = 2
  }

  public func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? {
    guard cursor > 0 else {
      bytes.put(UInt64(registers.count))
      bytes.put(lastSlot.rawValue)
      return 1
    }
    let first = Int(cursor) - 1
    let end = min(registers.count, first + limit / 8)
    bytes.extend(by: (end - first) * 8) { for key in first..<end { $0.put(registers[key]) } }
    return end < registers.count ? UInt64(end) + 1 : nil
  }

  public mutating func beginRestore() {
    self = RegisterMachine(registers: registers.count)
  }

  public mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid) {
    guard isHeaderRestored else {
      guard bytes.byteCount == 16 else { throw .machine(Refusal.length) }
      guard Self.word(bytes, 0) == UInt64(registers.count) else {
        throw .machine(Refusal.registers)
      }
      lastSlot = Slot(Self.word(bytes, 8))
      isHeaderRestored = true
      return
    }
    guard bytes.byteCount & 7 == 0, bytes.byteCount / 8 <= registers.count - restored else {
      throw .machine(Refusal.length)
    }
    for i in 0..<bytes.byteCount / 8 { set(restored + i, Self.word(bytes, i * 8)) }
    restored += bytes.byteCount / 8
  }

  public mutating func finishRestore() throws(SnapshotInvalid) {
    guard isHeaderRestored, restored == registers.count else { throw .machine(Refusal.length) }
    restored = 0
    isHeaderRestored = false
  }
}
