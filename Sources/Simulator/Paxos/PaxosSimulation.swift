internal import Protocol

/// The simulation of a Paxos cluster from a seed.
public enum PaxosSimulation {
  /// Prepares the run of a seed; nothing has happened yet.
  public static func make(
    seed: UInt64, _ options: PaxosOptions = .init()
  ) -> Simulation<PaxosSystem> {
    let setup = PaxosSetup(seed: seed, options)
    var world = SimulationConfiguration(
      nodes: setup.replicas, clients: setup.workload.clients, profile: options.profile,
      tape: options.tape, trace: options.trace, checkpoints: options.checkpoints)
    let leased = setup.wantsLeases && options.replicaOptions == nil
    let adjust = options.adjustPlan
    world.storesInMemory = true
    world.adjustPlan = { plan in
      if leased {
        // A lease rests on clocks that keep the drift bound: one that is set or stands still does not.
        plan.clockStepInterval = 0
        plan.clockFreezeInterval = 0
      }
      if leased && options.profile != .calm { setup.leaseTrouble.add(to: &plan) }
      adjust?(&plan)
    }
    return Simulation(seed: seed, world) { world in
      var replica = setup.replica
      var workload = setup.workload
      let plan = world.plan
      if leased && plan.clockStepInterval == 0 && plan.clockFreezeInterval == 0 {
        replica.lease = LeaseOptions(
          duration: replica.electionTimeout, driftBoundPPM: max(1_000, plan.clockDrift))
      }
      let fillsDisks = plan.diskFullInterval > 0
      if fillsDisks && options.replicaOptions == nil {
        PaxosSetup.fitForFullDisks(&replica, &workload)
      }
      if plan.memoryNodes > 0 && options.replicaOptions == nil {
        PaxosSetup.fitForMemory(&replica, &workload)
      }
      return PaxosSystem(
        configuration: setup.configuration, replicaOptions: replica,
        workload: PaxosWorkload(options: workload, replicas: setup.replicas, seed: setup.seed),
        fillsDisks: fillsDisks)
    }
  }

  /// Runs a seed to its end.
  public static func run(
    seed: UInt64, _ options: PaxosOptions = .init()
  ) -> RunResult<PaxosReport> {
    var simulation = make(seed: seed, options)
    return simulation.run()
  }
}

extension PaxosSetup {
  var configuration: Configuration {
    do {
      return try Configuration(epoch: epoch, voters: members)
    } catch {
      preconditionFailure("a drawn configuration is invalid: \(error)")
    }
  }
}
