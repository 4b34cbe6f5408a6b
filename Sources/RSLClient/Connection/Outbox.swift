internal import Protocol

/// What goes to one replica in this turn of the loop: one frame, or several where one would grow too long.
struct Outbox {
  /// A frame with more than one message grows no longer than this, so that the other side can begin with it: a replica
  /// takes a frame in as a whole, and its peers wait meanwhile.
  static let frameLengthGoal = 32 << 10
  /// More memory than this is given back after a burst.
  private static let bytesKept = 4 << 20

  private let route: FrameRoute
  private let bytesMax: Int
  private var writer: FrameWriter
  private var isFrameOpen = false
  private(set) var bytes: [UInt8] = []
  private(set) var frames: UInt64 = 0
  private var longestFrame = 0

  init(route: FrameRoute, frameLengthMax: Int, bytesMax: Int) {
    self.route = route
    self.bytesMax = bytesMax
    writer = FrameWriter(kind: .client, lengthMax: frameLengthMax)
  }

  var isEmpty: Bool { bytes.isEmpty }

  /// The longest frame the replica takes, as far as is known.
  var frameLengthMax: Int { writer.lengthMax }

  /// The longest message that fits a frame of that length.
  var messageLengthMax: Int { writer.clientMessageMax }

  enum Addition { case added, tooLong, full }

  mutating func append(_ message: RawSpan) -> Addition {
    let length = FrameWriter.encodedLength(ofClientMessage: message.byteCount)
    guard message.byteCount <= messageLengthMax else { return .tooLong }
    guard bytes.count + FrameHeader.length + length <= bytesMax else { return .full }
    if isFrameOpen {
      if writer.length + length > Self.frameLengthGoal || !writer.hasRoom(for: length) {
        finish()
        begin()
      }
    } else {
      begin()
    }
    writer.append(clientMessage: message, into: &bytes)
    return .added
  }

  private mutating func begin() {
    writer.begin(route, into: &bytes)
    isFrameOpen = true
  }

  /// Ends the frame; `bytes` are then ready to be sent.
  mutating func finish() {
    guard isFrameOpen else { return }
    longestFrame = max(longestFrame, writer.length)
    writer.finish(into: &bytes)
    isFrameOpen = false
    frames &+= 1
  }

  /// Forgets what was sent, or will never be.
  mutating func removeAll() {
    finish()
    bytes.removeAll(keepingCapacity: bytes.capacity <= Self.bytesKept)
    frames = 0
    longestFrame = 0
  }

  /// The replica said how long a frame may be. False when what waits was built for longer ones and is dropped.
  mutating func limit(frameLength: Int) -> Bool {
    finish()
    let fits = longestFrame <= frameLength
    if !fits { removeAll() }
    writer = FrameWriter(kind: .client, lengthMax: frameLength)
    return fits
  }
}
