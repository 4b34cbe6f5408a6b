import Glibc

/// Receives operations straight into its ring, makes one frame of all that are there, sends its bytes to both followers,
/// makes them durable, and answers what is durable on two replicas of three.
final class Leader {
  private struct Peer {
    var descriptor: Int32
    /// Up to here it was given the log, and has made it durable.
    var sent: UInt64 = 0
    var durable: UInt64 = 0
    var isBlocked = false
    /// The beginning of an acknowledgement whose end has not arrived.
    var partial: [UInt8] = []
  }

  private struct Client {
    let replies: Outbox
    var nextNumber: UInt64 = 0
    /// The beginning of an operation whose end has not arrived.
    var partial: UnsafeMutableRawPointer
    var partialLength = 0
  }

  /// Operations of one connection that follow each other in the log.
  private struct Run {
    var client: Int
    var begin: UInt64
    var count: Int
    var frameEnd: UInt64
  }

  private let settings: Settings
  private let ring: LogRing
  private let journal: Journal
  private let poller: Poller
  private var peers: [Peer]
  private var clients: [Client]
  private var openClients: Int
  private var end: UInt64 = 0
  private var applied: UInt64 = 0
  private var received: UInt64 = 0
  private var state = AppliedState()
  private var runs: [Run] = []
  private var firstRun = 0
  private var readable: [Int] = []
  private var answered: [Int] = []

  init(_ settings: Settings, peers: [Int32], clients: [Int32]) throws(BareLoopError) {
    self.settings = settings
    // However little is in a frame, what clients have outstanding fits in a quarter.
    let outstanding = settings.connections * settings.outstanding
    ring = try LogRing(
      atLeast: 4
        * (outstanding * Frame.length(operations: settings.payload, block: settings.flush.block)
          + settings.frameMax))
    journal = try Journal(directory: settings.directory, name: "leader", flush: settings.flush)
    poller = try Poller()
    self.peers = peers.map { Peer(descriptor: $0) }
    self.clients = clients.map {
      Client(
        replies: Outbox($0, items: settings.outstanding, itemLength: Reply.length),
        partial: .allocate(byteCount: settings.payload, alignment: 64))
    }
    openClients = clients.count
    for (token, descriptor) in (peers + clients).enumerated() {
      try poller.add(descriptor, token: token)
    }
  }

  deinit { for client in clients { client.partial.deallocate() } }

  /// Until every client has closed its connection, and both followers have everything.
  func run() throws(BareLoopError) -> RoleReport {
    let usage = ProcessorTime.now()
    while openClients > 0 || peers.contains(where: { $0.durable < end }) {
      try takeEvents()
      try answer()
      if !readable.isEmpty { try takeOperations() }
    }
    return RoleReport(
      used: ProcessorTime.now() - usage, state, bytesWritten: journal.bytesWritten,
      flushes: journal.flushes)
  }

  private func takeEvents() throws(BareLoopError) {
    readable.removeAll(keepingCapacity: true)
    for i in 0..<(try poller.wait()) {
      let event = poller[i]
      if event.token < peers.count {
        if event.isReadable { try takeAcknowledgements(event.token) }
        if event.isWritable { try sendLog(event.token) }
      } else {
        let client = event.token - peers.count
        if event.isWritable { try clients[client].replies.flush(poller, token: event.token) }
        if event.isReadable { readable.append(client) }
      }
    }
  }

  // MARK: From operations to the log

  private func takeOperations() throws(BareLoopError) {
    try makeRoom()
    let frame = end
    let begin = frame + UInt64(Frame.headerLength)
    var tail = begin
    let firstNew = runs.count
    for client in readable {
      let room = settings.batch - Int(tail - begin)
      // What is left is reported again.
      guard room >= settings.payload else { break }
      tail = try takeOperations(
        of: client, at: tail, room: room / settings.payload * settings.payload)
    }
    guard tail > begin else { return }
    let bytes = Int(tail - begin)
    Frame.seal(ring.at(frame), operations: bytes, at: frame, after: received)
    received += UInt64(bytes / settings.payload)
    end = frame + UInt64(Frame.length(operations: bytes, block: settings.flush.block))
    for i in firstNew..<runs.count { runs[i].frameEnd = end }
    for place in peers.indices where !peers[place].isBlocked { try sendLog(place) }
    try journal.append(ring.bytes(frame, end))
  }

  /// Receives once; returns where the whole operations end.
  private func takeOperations(
    of client: Int, at tail: UInt64, room: Int
  ) throws(BareLoopError) -> UInt64 {
    let (partial, old) = (clients[client].partial, clients[client].partialLength)
    let place = ring.at(tail)
    place.copyMemory(from: partial, byteCount: old)
    let descriptor = clients[client].replies.descriptor
    guard let count = try receive(descriptor, place + old, room - old) else { return tail }
    if count == 0 {
      guard old == 0 else { throw BareLoopError("a client is gone in the middle of an operation") }
      try poller.remove(descriptor)
      openClients -= 1
      return tail
    }
    let whole = (old + count) / settings.payload
    let rest = old + count - whole * settings.payload
    partial.copyMemory(from: place + whole * settings.payload, byteCount: rest)
    clients[client].partialLength = rest
    if whole > 0 { runs.append(Run(client: client, begin: tail, count: whole, frameEnd: 0)) }
    return tail + UInt64(whole * settings.payload)
  }

  /// A follower that lags holds the ring: then everybody waits for it.
  private func makeRoom() throws(BareLoopError) {
    for place in peers.indices {
      while Int(end - peers[place].sent) + settings.frameMax > ring.capacity {
        try waitUntilWritable(place)
        try sendLog(place)
      }
    }
    guard Int(end - applied) + settings.frameMax <= ring.capacity else {
      throw BareLoopError("a client has more outstanding than it said")
    }
  }

  // MARK: To followers and back

  private func sendLog(_ place: Int) throws(BareLoopError) {
    var blocked = false
    while peers[place].sent < end {
      let bytes = ring.bytes(peers[place].sent, end)
      let count = send(
        peers[place].descriptor, bytes.baseAddress, bytes.count,
        Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      if count >= 0 {
        peers[place].sent += UInt64(count)
      } else if errno == EAGAIN {
        blocked = true
        break
      } else if errno != EINTR {
        throw BareLoopError(call: "send", "to follower \(place + 1)")
      }
    }
    if blocked != peers[place].isBlocked {
      try poller.watch(peers[place].descriptor, token: place, writable: blocked)
      peers[place].isBlocked = blocked
    }
  }

  private func waitUntilWritable(_ place: Int) throws(BareLoopError) {
    var request = pollfd(fd: peers[place].descriptor, events: Int16(POLLOUT), revents: 0)
    guard poll(&request, 1, -1) >= 0 || errno == EINTR else { throw BareLoopError(call: "poll") }
  }

  private func takeAcknowledgements(_ place: Int) throws(BareLoopError) {
    var positions: InlineArray<64, UInt64> = .init(repeating: 0)
    var failure: BareLoopError?
    var span = positions.mutableSpan
    span.withUnsafeMutableBytes { bytes in
      do throws(BareLoopError) {
        let old = peers[place].partial.count
        bytes.copyBytes(from: peers[place].partial)
        let base = bytes.baseAddress.unsafelyUnwrapped
        guard
          let count = try receive(peers[place].descriptor, base + old, bytes.count - old)
        else { return }
        guard count > 0 else { throw BareLoopError("follower \(place + 1) is gone") }
        let whole = (old + count) / 8 * 8
        peers[place].partial.removeAll(keepingCapacity: true)
        peers[place].partial.append(contentsOf: bytes[whole..<old + count])
        // Cumulative: the last one says it all.
        if whole > 0 {
          peers[place].durable = bytes.load(fromByteOffset: whole - 8, as: UInt64.self)
        }
      } catch { failure = error }
    }
    if let failure { throw failure }
    guard peers[place].durable <= peers[place].sent else {
      throw BareLoopError("follower \(place + 1) acknowledges what it was not sent")
    }
  }

  // MARK: Answers

  /// Applies what is durable here and at one follower, or at both, and answers it.
  private func answer() throws(BareLoopError) {
    // Own writes are flushed before anything else is looked at, so everything up to `end` is durable here.
    let chosen = min(end, max(peers[0].durable, peers[1].durable))
    guard chosen > applied else { return }
    applied = chosen
    answered.removeAll(keepingCapacity: true)
    while firstRun < runs.count, runs[firstRun].frameEnd <= chosen {
      try apply(runs[firstRun])
      firstRun += 1
    }
    if firstRun == runs.count {
      runs.removeAll(keepingCapacity: true)
      firstRun = 0
    } else if firstRun > 1024, firstRun * 2 > runs.count {
      runs.removeFirst(firstRun)
      firstRun = 0
    }
    for client in answered where clients[client].replies.hasUnsent {
      try clients[client].replies.flush(poller, token: peers.count + client)
    }
  }

  private func apply(_ run: Run) throws(BareLoopError) {
    let replies = clients[run.client].replies
    var number = clients[run.client].nextNumber
    var operation = UnsafeRawPointer(ring.at(run.begin))
    for _ in 0..<run.count {
      guard operation.loadUnaligned(as: UInt64.self) == number else {
        throw BareLoopError("connection \(run.client): operation \(number) is not the next one")
      }
      replies.append(number, state.count)
      state.apply(operation)
      number += 1
      operation += settings.payload
    }
    clients[run.client].nextNumber = number
    answered.append(run.client)
  }
}
