import Protocol
import Testing

@testable import Simulator

@Suite struct EventQueueTests {
  /// Against the obvious model: a list sorted by (time, order of arrival).
  @Test(arguments: UInt64(0)..<20)
  func popsInTheOrderOfTimeThenArrival(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var queue = EventQueue()
    var model: [(time: UInt64, number: UInt64)] = []
    var number: UInt64 = 0
    // Few distinct times, so that ties are the rule.
    let times = 1 + random.next(below: seed % 2 == 0 ? 20 : 1_000_000)
    for _ in 0..<3_000 {
      if random.next(below: 5) < 3 {
        let time = random.next(below: times)
        number += 1
        queue.push(Simulator.Event(.external, word: number), at: time)
        let place = model.firstIndex { $0.time > time } ?? model.count
        model.insert((time, number), at: place)
      } else if let expected = model.first {
        model.removeFirst()
        #expect(queue.nextTime == expected.time)
        let popped = queue.pop()
        #expect(popped?.time == expected.time && popped?.event.word == expected.number)
      } else {
        let popped = queue.pop()
        #expect(popped == nil)
      }
      #expect(queue.count == model.count)
    }
    while let popped = queue.pop() {
      let expected = model.removeFirst()
      #expect(popped.time == expected.time && popped.event.word == expected.number)
    }
    #expect(model.isEmpty)
  }

  @Test func payloadsSurviveTheReuseOfTheirPlaces() {
    var queue = EventQueue()
    for round in UInt64(0)..<100 {
      for n in UInt64(0)..<10 {
        queue.push(
          Simulator.Event(
            .timer, node: NodeIndex(Int(n)), peer: NodeIndex(3), word: round, generation: 7,
            flags: 2), at: round * 10 + n)
      }
      for n in 0..<10 {
        let event = queue.pop()!.event
        #expect(event.node.index == n && event.peer.index == 3 && event.word == round)
        #expect(event.generation == 7 && event.flags == 2 && event.kind == .timer)
      }
    }
  }

  @Test func messagesComeOutOnceAndPlacesAreReused() {
    var store = MessageStore<String>()
    for round in 0..<50 {
      let places = (0..<8).map { store.put("\(round).\($0)") }
      #expect(places.allSatisfy { $0 < 8 })
      for (n, place) in places.enumerated() {
        let message = store.take(place)
        #expect(message == "\(round).\(n)")
      }
      #expect(store.count == 0)
    }
  }

  @Test func anEventIsSmall() {
    #expect(MemoryLayout<EventQueue.Key>.size == 16)
    #expect(MemoryLayout<Simulator.Event>.stride <= 24)
  }
}
