import Logging
import Protocol

/// A piece of a snapshot that a peer waits for.
struct ChunkRequest {
  var to: ReplicaID
  var snapshot: SnapshotInfo
  var offset: UInt64
  var lengthMax: UInt32
}

/// How fast snapshots leave: so many bytes a second, to all peers together.
struct TransferPace {
  /// In the order in which they came, one for each peer at most.
  private(set) var waiting: [ChunkRequest] = []
  /// How many bytes may leave now; below zero when the last chunk was longer than that.
  private var allowance = 0.0
  private var countedAt = Instant.zero
  private let bytesPerSecond: Double

  /// What is saved up while nothing is asked for: as much as leaves in a hundredth of a second.
  private var allowanceMax: Double { bytesPerSecond / 100 }

  init(bytesPerSecond: Int) { self.bytesPerSecond = Double(bytesPerSecond) }

  mutating func add(_ request: ChunkRequest) {
    // Asked again, because the first one took long: one answer is enough.
    if let i = waiting.firstIndex(where: { $0.to == request.to }) {
      waiting[i] = request
    } else {
      waiting.append(request)
    }
  }

  /// The next one that may leave now.
  mutating func next(now: Instant) -> ChunkRequest? {
    let passed = Double((now - countedAt).nanoseconds) / 1e9
    allowance = min(allowance + passed * bytesPerSecond, allowanceMax)
    countedAt = max(countedAt, now)
    return allowance > 0 && !waiting.isEmpty ? waiting.removeFirst() : nil
  }

  mutating func sent(_ count: Int) { allowance -= Double(count) }

  /// When the next one may leave; `.never` when none waits.
  var due: Instant {
    guard !waiting.isEmpty else { return .never }
    let wait = max(0, -allowance) / bytesPerSecond
    return countedAt + TimeSpan(nanoseconds: UInt64(wait * 1e9) + 1)
  }
}

// Snapshots on their way. The receiver asks for one chunk after the other (decision 0007), so no more than one is ever in front
// of a heartbeat; the sender answers no faster than it may.
extension ReplicaHost {
  /// How long a snapshot that another has replaced is kept for a peer that asks no more.
  private static let keepingTime = TimeSpan.seconds(10)

  func sendChunk(_ request: ChunkRequest) {
    pace.add(request)
    sendChunks()
  }

  /// Sends what may leave by now.
  func sendChunks() {
    while failure == nil, let request = pace.next(now: MonotonicClock.now()) { send(request) }
  }

  private func send(_ request: ChunkRequest) {
    let info = request.snapshot
    guard snapshots.keeps(info), let connection = link(of: request.to)?.open(configuration.limits)
    else { return }
    message.removeAll(keepingCapacity: true)
    let problem = snapshots.chunk(
      of: info, request.offset, lengthMax: Int(request.lengthMax), now: now, into: &message)
    if let problem {
      // The peer hears nothing, and asks another one.
      return found([.snapshot(info, problem: problem)])
    }
    let chunk = SnapshotChunk(
      snapshot: info, offset: request.offset,
      bytes: BytesRef(position: 0, length: UInt32(message.count)))
    message.withUnsafeBytes {
      connection.append(.snapshotChunk(chunk), epoch: membership.epoch, payload: $0.bytes)
    }
    pace.sent(message.count)
    touch(connection)
  }

  /// A peer asks for more of a snapshot that another has replaced here: it gets it, rather than begin with the new one, as long
  /// as it goes on asking. True when that is all there is to do.
  func answersFromKept(_ envelope: Envelope) -> Bool {
    guard case .snapshotFetch(let fetch) = envelope.message, fetch.snapshot != replica.snapshot,
      fetch.offset < fetch.snapshot.length, snapshots.keeps(fetch.snapshot)
    else { return false }
    sendChunk(
      ChunkRequest(
        to: envelope.from, snapshot: fetch.snapshot, offset: fetch.offset,
        lengthMax: configuration.options.snapshotChunkBytes))
    return true
  }

  /// Called now and then.
  func forgetSnapshots() {
    let kept = Self.keepingTime.nanoseconds
    if now.rawValue > kept {
      snapshots.forget(unreadSince: Instant(nanoseconds: now.rawValue - kept))
    }
  }

  // MARK: What an earlier life has received

  /// Whether the answer to this is here already. Then it is taken in after this step, as if the peer had sent it.
  func hasAtHand(_ message: Message, from peer: ReplicaID) -> Bool {
    guard case .snapshotFetch(let fetch) = message,
      !snapshots.atHand(fetch, lengthMax: 1).isEmpty
    else { return false }
    if fetch.offset == 0 {
      logger.info(
        "a snapshot's transfer goes on where it had stopped",
        metadata: ["snapshot": "\(fetch.snapshot.slot)", "from": "\(peer)"])
    }
    return mailbox.post(.chunkAtHand(fetch, from: peer))
  }

  func takeChunkAtHand(_ fetch: SnapshotFetch, from peer: ReplicaID) {
    let length = Int(configuration.options.snapshotChunkBytes)
    let bytes = snapshots.atHand(fetch, lengthMax: length)
    guard !bytes.isEmpty else { return }
    let chunk = SnapshotChunk(
      snapshot: fetch.snapshot, offset: fetch.offset,
      bytes: BytesRef(position: log.end, length: UInt32(bytes.count)))
    bytes.withUnsafeBytes {
      takeChunk(
        Envelope(
          from: peer, to: replica.id, epoch: membership.epoch, message: .snapshotChunk(chunk)), $0)
    }
  }
}
