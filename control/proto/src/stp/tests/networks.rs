//! Whole networks: always loop-free, in time, and the tree that is worked out directly.

use super::net::{Chance, Net, Seen, mac};
use super::tree::{assert_converged, differences};
use crate::stp::*;
use hitless_wire::bpdu::Bpdu;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// What bridges a network has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All RSTP, links of two.
    Rapid,
    /// All of 802.1D-1998.
    Slow,
    /// Both, and shared segments.
    Mixed,
}

/// A bridge of a version with a priority by chance.
fn bridge(chance: &mut Chance, n: usize, kind: Kind) -> BridgeConfig {
    let slow = match kind {
        Kind::Rapid => false,
        Kind::Slow => true,
        Kind::Mixed => chance.percent(40),
    };
    BridgeConfig {
        priority: 0x1000 * (chance.below(4) as u16 + 6),
        force_version: if slow {
            ForceVersion::Stp
        } else {
            ForceVersion::Rstp
        },
        ..BridgeConfig::new(mac(n + 1))
    }
}

/// A connected network of `n` bridges with parallel links, rings, and, if mixed, shared segments.
pub(super) fn network(n: usize, seed: u64, kind: Kind) -> Net {
    let mut net = Net::new(seed);
    // Where several links change at once: what the agreement that crossed a proposal takes to be put right.
    net.patience = 10;
    let mut chance = Chance(!seed);
    for i in 0..n {
        let config = bridge(&mut chance, i, kind);
        net.switch(config);
    }
    let port = |chance: &mut Chance| PortConfig {
        path_cost: chance
            .percent(50)
            .then_some([20_000, 2_000, 200_000][chance.below(3)]),
        ..PortConfig::DEFAULT
    };
    for i in 1..n {
        // Near the front, so that no path has more hops than Max Age allows.
        let other = chance.below(i.min(8));
        let config = port(&mut chance);
        net.lan(&[i, other], config);
    }
    for _ in 0..chance.below(n + 2) {
        let (a, b) = (chance.below(n), chance.below(n));
        let config = port(&mut chance);
        if a != b {
            net.lan(&[a, b], config);
        }
    }
    if kind == Kind::Mixed {
        for _ in 0..chance.below(4) {
            let ends: Vec<_> = (0..3 + chance.below(3)).map(|_| chance.below(n)).collect();
            let config = port(&mut chance);
            net.lan(&ends, config);
        }
    }
    net
}

/// Milliseconds from power-on or a change until the tree stands: by proposals and agreements, unless what was known of
/// a lost root goes round until it is too old, a second for each hop and Max Age hops at most; else
/// also Max Age and twice Forward Delay.
pub(super) const fn bound(kind: Kind) -> u64 {
    match kind {
        Kind::Rapid => 30_000,
        Kind::Slow | Kind::Mixed => 90_000,
    }
}

fn converge(net: &mut Net, kind: Kind) -> Result<(), TestCaseError> {
    net.run_for(bound(kind));
    let wrong = differences(net);
    prop_assert!(wrong.is_empty(), "at {} ms: {:#?}", net.now, wrong);
    Ok(())
}

/// In a while no role, opening, topology change or flush any more, and only hello BPDUs. A port towards a bridge of
/// 802.1D-1998 tells of a change for tcWhile after it was told last, so this takes a while for each hop.
fn quiet(net: &mut Net, kind: Kind) -> Result<(), TestCaseError> {
    let most = if kind == Kind::Rapid { 1 } else { 10 };
    let mut unrest = None;
    for _ in 0..most {
        net.run_for(40_000);
        net.record = true;
        net.seen.clear();
        net.run_for(10_000);
        net.record = false;
        let seen = net.seen.iter().find(|(_, n, seen)| !calm(net, *n, seen));
        unrest = seen.cloned();
        if unrest.is_none() {
            return Ok(());
        }
    }
    prop_assert!(false, "{kind:?}: {unrest:?}");
    Ok(())
}

fn calm(net: &Net, n: usize, seen: &Seen) -> bool {
    match seen {
        Seen::Log(_) | Seen::Flushed(_) | Seen::Sent(_, Bpdu::Tcn) => false,
        Seen::Sent(_, Bpdu::Config(config)) => config.flags() == 0,
        Seen::Sent(port, Bpdu::Rst(rst)) => {
            // On a shared segment no agreement counts: it is proposed and agreed to for ever.
            let bridge = net.switches[n].bridge.as_ref().unwrap();
            let shared = !bridge.port(*port).unwrap().oper_point_to_point();
            let calm: &[u8] = if shared {
                &[0x3c, 0x3e, 0x44, 0x78]
            } else {
                &[0x3c]
            };
            calm.contains(&rst.flags())
        }
    }
}

fn flaps(net: &mut Net, kind: Kind, seed: u64) -> Result<(), TestCaseError> {
    let mut chance = Chance(seed ^ 0x5555);
    for _ in 0..2 {
        for _ in 0..1 + chance.below(4) {
            let l = chance.below(net.lans.len());
            let up = !net.lans[l].up;
            net.set_lan(l, up);
            net.run_for(chance.next() % 1500);
        }
        converge(net, kind)?;
    }
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(802_117),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn rapid_networks(n in 2usize..=30, seed in any::<u64>()) {
        let mut net = network(n, seed, Kind::Rapid);
        converge(&mut net, Kind::Rapid)?;
        flaps(&mut net, Kind::Rapid, seed)?;
        quiet(&mut net, Kind::Rapid)?;
    }
}

proptest! {
    #![proptest_config(config(20))]

    #[test]
    fn slow_networks(n in 2usize..=30, seed in any::<u64>()) {
        let mut net = network(n, seed, Kind::Slow);
        converge(&mut net, Kind::Slow)?;
        flaps(&mut net, Kind::Slow, seed)?;
        quiet(&mut net, Kind::Slow)?;
    }

    #[test]
    fn mixed_networks(n in 2usize..=30, seed in any::<u64>()) {
        let mut net = network(n, seed, Kind::Mixed);
        converge(&mut net, Kind::Mixed)?;
        flaps(&mut net, Kind::Mixed, seed)?;
        quiet(&mut net, Kind::Mixed)?;
    }

    /// With BPDUs lost and re-ordered a loop may come for a while; when they arrive again there is a tree.
    #[test]
    fn networks_that_lose_and_reorder(n in 2usize..=20, seed in any::<u64>()) {
        let mut net = network(n, seed, Kind::Mixed);
        net.watch = false;
        net.loss = 25;
        net.reorder = true;
        net.run_for(40_000);
        net.loss = 0;
        net.reorder = false;
        converge(&mut net, Kind::Mixed)?;
        prop_assert_eq!(net.a_loop(), None);
        quiet(&mut net, Kind::Mixed)?;
    }
}

/// Ring of `n` bridges of one kind; bridge 0 is the root.
pub(super) fn ring(n: usize, seed: u64, force_version: ForceVersion) -> Net {
    let mut net = Net::new(seed);
    for i in 0..n {
        net.switch(BridgeConfig {
            force_version,
            ..BridgeConfig::new(mac(i + 1))
        });
    }
    for i in 0..n {
        net.lan(&[i, (i + 1) % n], PortConfig::DEFAULT);
    }
    net
}

#[test]
fn a_rapid_ring_heals_within_a_second() {
    for n in 2..=12 {
        for cut in 0..n {
            let mut net = ring(n, (n * 100 + cut) as u64, ForceVersion::Rstp);
            net.run_for(bound(Kind::Rapid));
            assert_converged(&net);
            net.set_lan(cut, false);
            net.run_for(1000);
            assert_converged(&net);
            net.set_lan(cut, true);
            net.run_for(4000);
            assert_converged(&net);
        }
    }
}

#[test]
fn a_slow_ring_heals_by_its_timers() {
    for cut in 0..5 {
        let mut net = ring(5, cut, ForceVersion::Stp);
        net.run_for(25_000);
        let forwards = |net: &Net| {
            let all = net.switches.iter().flat_map(|s| s.hardware.values());
            all.filter(|&&o| o == Opening::Forwarding).count()
        };
        assert_eq!(forwards(&net), 0, "listening and learning take 30 s");
        net.run_for(15_000);
        assert_converged(&net);
        net.set_lan(cut as usize, false);
        net.run_for(55_000);
        assert_converged(&net);
    }
}
