public import Testing

/// Says over which seeds the simulations of a test, or of a suite's tests, run.
///
/// `expectSimulations` looks it up; see there.
public struct SimulatedTrait: TestTrait, SuiteTrait, TestScoping {
  /// Every one of them is a run.
  public let seeds: ClosedRange<UInt64>

  /// Tests of a suite inherit the seeds of the suite.
  public var isRecursive: Bool { true }

  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await SeedSelection.$ofTrait.withValue(seeds) { try await function() }
  }
}

extension Trait where Self == SimulatedTrait {
  /// The simulations of the test run once with each of these seeds, 0 or above.
  // Generic, because a literal range does not become one of UInt64 behind `any TestTrait`.
  public static func simulated(seeds: ClosedRange<some BinaryInteger>) -> Self {
    SimulatedTrait(seeds: UInt64(seeds.lowerBound)...UInt64(seeds.upperBound))
  }
}
