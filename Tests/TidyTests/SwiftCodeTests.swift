import Testing

@Suite struct SwiftCodeTests {
  /// Source and what is left of it, with `·` for a blanked byte.
  @Test(arguments: [
    ("a // b \"c\nd", "a········\nd"),
    ("a /* b /* c */ d */ e", "a ················· e"),
    ("a /* b\n*/ c", "a ····\n·· c"),
    ("f(\"a // b\") // c", "f(········) ····"),
    (#"f("a\"b", c)"#, "f(······, c)"),
    (#"f("a\(b)c")"#, "f(···(b)··)"),
    (#"f("a\(g("h", (i)))c") + j"#, "f(···(g(···, (i)))··) + j"),
    ("f(#\"a\"b\\(c)\"#) + d", "f(···········) + d"),
    ("f(#\"a\\#(b)\"#) + d", "f(·····(b)··) + d"),
    ("let a = \"\"\"\n  b \"c\" // d\n  \"\"\"; e", "let a = ···\n············\n·····; e"),
    ("let a = \"\"\"\n  \\\"\"\" b\n  \"\"\"; e", "let a = ···\n········\n·····; e"),
    ("#if A\nb\n#endif", "#if A\nb\n#endif"),
    ("f(\"unterminated\ng()", "f(·············\ng()"),
    ("a /* unterminated", "a ···············"),
  ])
  func keepsCodeOnly(_ source: String, _ expected: String) {
    let code = codeOnly(source)
    #expect(code.utf8.count == source.utf8.count)
    // Blanks and written spaces look the same in the result; compare them as one.
    #expect(
      code == String(expected.map { $0 == "·" ? " " : $0 }),
      "\(code.debugDescription) from \(source.debugDescription)")
  }
}
