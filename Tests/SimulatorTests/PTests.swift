import Testing
@Suite struct PlaceholderTests { @Test func sums() { #expect(1 + 1 == 2) } }
