import Protocol

#if Runtime
  import Foundation
  import RealRuntime

  /// The same commands through the recorder of the real runtime, into files; processor time of loop and writer together.
  func measureFiles(_ replica: Replica, _ life: Life) -> [Figure] {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "bench-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    var options = FlightRecorderOptions()
    options.buffers = 64
    options.bytesMax = options.fileBytesMax * 2
    let identity = JournalIdentity(
      cluster: ClusterID(1), ring: RingID(0), replica: replica.id, incarnation: Incarnation(1))
    guard
      let recorder = try? FlightRecorder(
        directory: folder.path, identity: identity, options: options)
    else { preconditionFailure("the folder for temporary files can be written") }
    recorder.begin(replica)
    let effects = EffectBuffer()
    var now = life.start
    func pass() {
      for i in life.events.indices {
        recorder.record(life.events[i], now: now, effects)
        now = now + Life.pace
        if i % 64 == 0 { recorder.turnEnded(replica) }
      }
      recorder.flush()
    }
    pass()
    let before = allocations()
    let each = least(9, pass) * 1e9 / Double(life.events.count)
    let after = allocations()
    recorder.close()
    precondition(recorder.counters.stepsDropped == 0, "the disk keeps up")
    var figures = [Figure(.recorder, "command, no effects: into files", each, "ns")]
    if let before, let after {
      figures.append(
        Figure(
          .recorder, "command, no effects: allocations",
          Double(after - before) / Double(9 * life.events.count), ""))
    }
    return figures
  }
#else
  /// Without the trait Runtime there is no runtime to measure.
  func measureFiles(_ replica: Replica, _ life: Life) -> [Figure] { [] }
#endif
