/// What a host tells its peers' hosts about itself, at the beginning of a connection, whenever it changes, and now and then. No
/// replica hears of it: it decides which commands are refused, and whether a disk is the one that it was.
public struct HostNotice: Hashable, Sendable {
  /// The disk has no room for more votes.
  public var isShortOfRoom: Bool
  /// The replica is a suspect that doubts everything (`JournalDoubt.everything`): it has no voice before all others have heard
  /// from it, whatever its journal has forgotten. One that doubts less is judged as a sound one is.
  public var doubtsEverything: Bool
  /// The end of the log that this life of the sender began with.
  public var recovered: JournalMark
  /// What the sender says of its own journal, as of now.
  public var own: JournalSighting
  /// What it has heard of the receiver's.
  public var heard: JournalSighting

  public init(
    isShortOfRoom: Bool, doubtsEverything: Bool = false, recovered: JournalMark = .zero,
    own: JournalSighting = .none, heard: JournalSighting = .none
  ) {
    self.isShortOfRoom = isShortOfRoom
    self.doubtsEverything = doubtsEverything
    self.recovered = recovered
    self.own = own
    self.heard = heard
  }

  public static let encodedLength = 72

  public func encode(into out: inout [UInt8]) {
    out.extend(by: Self.encodedLength) { out in
      out.put(UInt8((isShortOfRoom ? 1 : 0) | (doubtsEverything ? 2 : 0)))
      out.putZeroes(7)
      recovered.encode(into: &out)
      own.encode(into: &out)
      heard.encode(into: &out)
    }
  }

  /// Decodes the body of a notice frame.
  public init(body: Range<Int>, of bytes: RawSpan) throws(DecodeError) {
    self = try bytes.withUnsafeBytes { buffer throws(DecodeError) in
      var reader = ByteReader(buffer, in: body)
      let begin = reader.offset
      let flags = try reader.u8()
      guard flags < 4 else { throw DecodeError(.contradiction, at: begin) }
      try reader.zeroes(7)
      let recovered = try JournalMark(from: &reader)
      let own = try JournalSighting(from: &reader)
      let heard = try JournalSighting(from: &reader)
      try reader.finish()
      return HostNotice(
        isShortOfRoom: flags & 1 != 0, doubtsEverything: flags & 2 != 0, recovered: recovered,
        own: own, heard: heard)
    }
  }
}

/// How far a journal had certainly been durable, and which life of its replica's process said so.
///
/// Kept by others, it is what a disk cannot take along that is set back: a restored backup, a virtual machine that goes on from
/// an earlier state, a drive that lost what it had vouched for. No journal can know that by itself, since it is whole.
public struct JournalSighting: Hashable, Sendable, CustomStringConvertible {
  /// A number that each life draws for itself; 0: nothing was heard.
  public var life: UInt64
  public var durable: JournalMark

  public init(life: UInt64, durable: JournalMark) {
    self.life = life
    self.durable = durable
  }

  public static let none = JournalSighting(life: 0, durable: .zero)

  public var description: String { life == 0 ? "nothing" : "life \(life) up to \(durable)" }

  /// Whether another life of this journal had more of it than a life found that began where `recovered` is: what was durable has
  /// gone.
  public func outlasts(life: UInt64, recovered: JournalMark) -> Bool {
    self.life != 0 && self.life != life && durable > recovered
  }

  /// Takes a notice of the journal's host in. False, and nothing is taken in, when the journal was set back and its replica does
  /// not know: what that says must not be heard. A life that was taken in is never judged again, however long it goes on.
  public mutating func hear(_ notice: HostNotice) -> Bool {
    guard notice.own.life != 0 else { return true }
    guard notice.doubtsEverything || !outlasts(life: notice.own.life, recovered: notice.recovered)
    else {
      return false
    }
    self = notice.own
    return true
  }

  fileprivate func encode(into out: inout ByteWriter) {
    out.put(life)
    durable.encode(into: &out)
  }

  fileprivate init(from reader: inout ByteReader) throws(DecodeError) {
    life = try reader.u64()
    durable = try JournalMark(from: &reader)
  }
}

extension JournalMark {
  fileprivate func encode(into out: inout ByteWriter) {
    out.put(segment)
    out.put(offset)
    out.putZeroes(4)
  }

  fileprivate init(from reader: inout ByteReader) throws(DecodeError) {
    let (segment, offset) = (try reader.u64(), try reader.u32())
    try reader.zeroes(4)
    self.init(segment: segment, offset: offset)
  }
}
