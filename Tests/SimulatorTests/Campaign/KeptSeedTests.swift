import Foundation
import Testing

@testable import Simulator

/// The files of `seeds/` can be replayed and say why they are there. `.ci/run` replays them.
@Suite struct KeptSeedTests {
  static let folder = Executable.package.appending(path: "seeds")
  static let files: [String] =
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
    .filter { $0.hasSuffix(".txt") }.sorted()

  @Test func someAreKept() { #expect(Self.files.count >= 8) }

  @Test(arguments: files)
  func aKeptSeedHasADigestAndAStory(_ name: String) throws {
    let file = try SeedFile(parsing: try Self.folder.appending(path: name).text)
    #expect(file.digest != nil, "rsl-sim replay --rewrite seeds/\(name)")
    #expect(file.story?.isEmpty == false)
    #expect(file.expected == .passed, "a bug that is not fixed")
    #expect(!file.reaches.isEmpty || file.checker != nil || file.commit != nil)
  }

  @Test(arguments: files)
  func aKeptSeedPasses(_ name: String) throws {
    let file = try SeedFile(parsing: try Self.folder.appending(path: name).text)
    #expect(CampaignFixtures.run(file.seed, file.settings).outcome == file.expected)
  }
}
