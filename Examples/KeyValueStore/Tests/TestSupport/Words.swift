import RESP

public enum Words {
  /// A line split into words as redis-cli does.
  public static func of(_ line: String) -> [[UInt8]] {
    var parser = RESPCommandParser()
    let bytes = Array((line + "\r\n").utf8)
    guard bytes.withUnsafeBytes({ parser.parse($0) }) == .command else {
      fatalError("not a command: \(line)")
    }
    return parser.arguments.map { Array(parser.inlineBytes[$0]) }
  }
}
