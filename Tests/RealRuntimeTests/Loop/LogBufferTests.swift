import Protocol
import Testing

@testable import RealRuntime

@Suite struct LogBufferTests {
  func append(_ bytes: [UInt8], to log: LogBuffer) -> UInt64? {
    bytes.withUnsafeBytes { log.append($0) }
  }

  @Test func bytesComeBackWhereverTheyLie() throws {
    let log = try LogBuffer(capacity: 1 << 16)
    var random = SeededRandom(seed: 7)
    var held: [(ref: BytesRef, bytes: [UInt8])] = []
    for _ in 0..<2_000 {
      let length = Int(random.next(below: 3_000))
      let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      while !log.hasRoom(for: length) {
        held.removeFirst()
        log.release(upTo: held.first?.ref.position ?? log.end)
      }
      let position = try #require(append(bytes, to: log))
      held.append((BytesRef(position: position, length: UInt32(length)), bytes))
      // The oldest and the newest: what runs over the end of the ring is in one piece as well.
      for entry in [held[0], held[held.count - 1]] {
        #expect(Array(log.bytes(entry.ref)) == entry.bytes)
      }
    }
    #expect(log.end > 10 << 16, "the ring went round many times")
  }

  @Test func aFullBufferTakesNothingAndKeepsEverything() throws {
    let log = try LogBuffer(capacity: 1 << 16)
    let position = try #require(append([UInt8](repeating: 5, count: 1 << 16), to: log))
    #expect(append([1], to: log) == nil)
    #expect(log.count == 1 << 16)
    let ref = BytesRef(position: position, length: 1 << 16)
    #expect(log.bytes(ref).allSatisfy { $0 == 5 })
    log.release(upTo: 1)
    #expect(append([1], to: log) == 1 << 16)
  }

  @Test func whatNobodyWantsIsTakenBack() throws {
    let log = try LogBuffer(capacity: 1 << 16)
    _ = append([1, 2, 3], to: log)
    let position = try #require(append([4, 5], to: log))
    log.retract(to: position)
    #expect(log.end == 3)
    #expect(append([6], to: log) == 3)
  }

  @Test func releasingNeverGoesBackNorBeyondTheEnd() throws {
    let log = try LogBuffer(capacity: 1 << 16)
    _ = append([1, 2, 3, 4], to: log)
    log.release(upTo: 3)
    log.release(upTo: 1)
    #expect(log.begin == 3)
    log.release(upTo: 100)
    #expect(log.begin == 4 && log.count == 0)
  }
}
