import Protocol

/// Mistakes that can be planted, to see the simulator find them.
public enum PlantedBug: String, CaseIterable, Sendable {
  case none
  /// The primary tells the client as soon as it has the write itself.
  case acknowledgesBeforeBackups
  /// A backup confirms a write when it has it in memory.
  case confirmsBeforeFlush
  /// A new primary starts from its own copy, not from the newest of a majority.
  case promotesStaleBackup
}

/// The register as of some write. Ordered by view, then version: the newer copy wins.
public struct Copy: Equatable, Comparable, Sendable {
  public var view: UInt64 = 0
  public var version: UInt64 = 0
  public var value: UInt64 = 0

  public static func < (a: Copy, b: Copy) -> Bool { (a.view, a.version) < (b.view, b.version) }
}

public enum Message: Equatable, Sendable {
  /// Client → primary. A put names the version it follows, so a late duplicate is refused by
  /// itself.
  case get(operation: UInt64)
  case put(operation: UInt64, after: UInt64, value: UInt64)
  /// Primary → client: the register after the operation; `isDone` is false for a put that came too
  /// late.
  case answer(operation: UInt64, Copy, isDone: Bool)
  /// Replica → client: ask the primary of this view.
  case redirect(operation: UInt64, view: UInt64)
  /// Primary → backups: have this copy; and back: it is on disk.
  case replicate(round: UInt64, Copy)
  case confirmed(view: UInt64, round: UInt64)
  /// Candidate → all: follow me into this view; and back: what I have, and will not confirm older
  /// views any more.
  case newView(UInt64)
  case joined(view: UInt64, Copy)
}

/// What a replica wants done. A promise to others hangs on the record that makes it true.
public enum Effect: Equatable, Sendable {
  case send(to: Int, Message)
  case persist(view: UInt64, Copy, thenSend: Message, to: Int)
  case setTimer(after: TimeSpan)
}

/// One replica of a register: the primary of view v is replica v mod n, and a majority makes a
/// write or a view.
public struct Replica: Sendable {
  public enum Role: Sendable { case backup, candidate, primary }

  struct Request: Sendable {
    var client: Int
    var operation: UInt64
    var put: (after: UInt64, value: UInt64)?
  }

  public let id: Int
  public let count: Int
  public let bug: PlantedBug
  public private(set) var role = Role.backup
  /// The highest view this replica follows; on disk before anyone is told.
  public private(set) var view: UInt64
  public private(set) var copy: Copy
  private var newest = Copy()
  private var round: UInt64 = 0
  private var confirmations: UInt64 = 0
  private var current: Request?
  /// When a primary last was in charge as far as this replica knows.
  private var lastContact: Instant

  static let tick = TimeSpan.milliseconds(20)
  static let patience = TimeSpan.milliseconds(150)

  /// A replica that starts with what its disk holds.
  public init(
    id: Int, count: Int, bug: PlantedBug, view: UInt64, copy: Copy, now: Instant,
    effects: inout [Effect]
  ) {
    self.id = id
    self.count = count
    self.bug = bug
    self.view = view
    self.copy = copy
    lastContact = now
    effects.append(.setTimer(after: Self.tick))
  }

  private func isMajority(_ set: UInt64) -> Bool { set.nonzeroBitCount * 2 > count }

  // MARK: Time

  public mutating func timerFired(_ now: Instant, _ effects: inout [Effect]) {
    effects.append(.setTimer(after: Self.tick))
    // Later replicas wait longer, so that two rarely stand against each other.
    let patience = Self.patience + .milliseconds(70) * UInt64(id)
    if now - lastContact > patience {
      stand(now, &effects)
    } else if role == .primary {
      // A round that lost packets is repeated; once it is through, one without a write is the
      // heartbeat.
      if isMajority(confirmations) { beginRound(nil, &effects) } else { sendRound(&effects) }
    } else if role == .candidate && confirmations & 1 << UInt64(id) != 0 {
      broadcast(.newView(view), &effects)
    }
  }

  private mutating func stand(_ now: Instant, _ effects: inout [Effect]) {
    lastContact = now
    view = (view / UInt64(count) + 1) * UInt64(count) + UInt64(id)
    role = .candidate
    newest = copy
    confirmations = 0
    current = nil
    // The others hear of it when it is on disk (`joined`): a view must never be stood for twice.
    effects.append(.persist(view: view, copy, thenSend: .joined(view: view, copy), to: id))
  }

  // MARK: Messages

  public mutating func received(
    _ message: Message, from sender: Int, _ now: Instant, _ effects: inout [Effect]
  ) {
    switch message {
    case .get(let operation):
      request(Request(client: sender, operation: operation), &effects)
    case .put(let operation, let after, let value):
      request(Request(client: sender, operation: operation, put: (after, value)), &effects)
    case .replicate(let round, let new): replicate(round, new, from: sender, now, &effects)
    case .confirmed(let of, let round): confirm(of, round, from: sender, now, &effects)
    case .newView(let new): join(new, from: sender, now, &effects)
    case .joined(let of, let theirs): joined(of, theirs, by: sender, now, &effects)
    case .answer, .redirect: break
    }
  }

  private mutating func request(_ request: Request, _ effects: inout [Effect]) {
    guard role == .primary else {
      effects.append(
        .send(to: request.client, .redirect(operation: request.operation, view: view)))
      return
    }
    // One at a time: the client of another one repeats its request.
    if current == nil { beginRound(request, &effects) }
  }

  private mutating func beginRound(_ request: Request?, _ effects: inout [Effect]) {
    if let put = request?.put {
      guard put.after == copy.version else { return answer(request!, isDone: false, &effects) }
      copy = Copy(view: view, version: copy.version + 1, value: put.value)
    }
    current = request
    round += 1
    confirmations = 0
    let mine = Message.confirmed(view: view, round: round)
    effects.append(.persist(view: view, copy, thenSend: mine, to: id))
    sendRound(&effects)
    if bug == .acknowledgesBeforeBackups, let request {
      answer(request, isDone: true, &effects)
      current = nil
    }
  }

  private func sendRound(_ effects: inout [Effect]) {
    broadcast(.replicate(round: round, copy), &effects)
  }

  private mutating func replicate(
    _ round: UInt64, _ new: Copy, from sender: Int, _ now: Instant, _ effects: inout [Effect]
  ) {
    guard new.view >= view, Int(new.view % UInt64(count)) == sender else { return }
    if new.view > view || role == .candidate { follow(new.view) }
    lastContact = now
    // Packets overtake each other: an older one confirms nothing new and changes nothing.
    guard new >= copy else { return }
    copy = new
    let answer = Message.confirmed(view: new.view, round: round)
    effects.append(.persist(view: view, copy, thenSend: answer, to: sender))
    if bug == .confirmsBeforeFlush { effects.append(.send(to: sender, answer)) }
  }

  private mutating func confirm(
    _ of: UInt64, _ round: UInt64, from sender: Int, _ now: Instant, _ effects: inout [Effect]
  ) {
    guard role == .primary, of == view, round == self.round else { return }
    let before = isMajority(confirmations)
    confirmations |= 1 << UInt64(sender)
    guard isMajority(confirmations) else { return }
    lastContact = now
    if before { return }
    if let request = current { answer(request, isDone: true, &effects) }
    current = nil
  }

  private func answer(_ request: Request, isDone: Bool, _ effects: inout [Effect]) {
    effects.append(
      .send(to: request.client, .answer(operation: request.operation, copy, isDone: isDone)))
  }

  // MARK: Views

  private mutating func join(
    _ new: UInt64, from sender: Int, _ now: Instant, _ effects: inout [Effect]
  ) {
    guard new >= view, Int(new % UInt64(count)) == sender else { return }
    // While a primary is in charge nobody follows another: a replica that merely hears nothing
    // cannot disturb.
    if new > view && now - lastContact < Self.patience / 2 && role != .candidate { return }
    if new > view { follow(new) }
    guard role == .backup else { return }
    effects.append(.persist(view: view, copy, thenSend: .joined(view: new, copy), to: sender))
  }

  private mutating func follow(_ new: UInt64) {
    view = new
    role = .backup
    current = nil
  }

  private mutating func joined(
    _ of: UInt64, _ theirs: Copy, by sender: Int, _ now: Instant, _ effects: inout [Effect]
  ) {
    guard role == .candidate, of == view else { return }
    if sender == id { broadcast(.newView(view), &effects) }
    newest = max(newest, theirs)
    confirmations |= 1 << UInt64(sender)
    guard isMajority(confirmations) else { return }
    role = .primary
    round = 0
    lastContact = now
    if bug != .promotesStaleBackup { copy = newest }
    // In the new view's name, so that no copy of an older view can be newer than what this majority
    // saw.
    copy.view = view
    beginRound(nil, &effects)
  }

  private func broadcast(_ message: Message, _ effects: inout [Effect]) {
    for peer in 0..<count where peer != id { effects.append(.send(to: peer, message)) }
  }
}
