//! What takes more than one frame to see.

use std::time::Duration;

use anyhow::{Result, ensure};
use hitless_common::map::ports::flag;
use hitless_common::{DropReason, Mac};

use super::counts::{PUNTED, TX_FRAMES};
use super::program::{tc, xdp};
use super::rig::Rig;
use super::rows::{A, B};
use super::tables::{Tables, left};
use crate::harness::frames::Frame;
use crate::harness::wait::wait_for;

/// How long the clock may take to get somewhere.
const DEADLINE: Duration = Duration::from_secs(10);

/// Ports 1, 2 and 3 in VLAN 10, untagged; B behind port 2.
fn three() -> Tables {
    let ports = Tables::new().access(1, 10).access(2, 10).access(3, 10);
    ports.station(10, B, 2)
}

/// A source is reported once a round on each port, whichever program sees it and however often.
///
/// # Errors
/// When it is not.
pub fn reported_once_a_round(rig: &mut Rig) -> Result<()> {
    rig.install(&three())?;
    let frame = Frame::probe(A, B);
    for round in 0..3 {
        for port in [1, 3, 1, 3] {
            let ifindex = rig.ifindex(port)?;
            let ran = rig.path.run_tc(ifindex, frame.octets(), 0, 5)?;
            ensure!(ran.verdict == tc::REDIRECT, "{ran:?}");
            let ran = rig.path.run_xdp(ifindex, frame.octets(), 5)?;
            ensure!(ran.verdict == xdp::REDIRECT, "{ran:?}");
        }
        let mut events: Vec<(Mac, u16, u16)> = rig
            .path
            .learned()?
            .iter()
            .map(|e| (e.key.mac(), e.port, e.moved))
            .collect();
        events.sort();
        ensure!(
            events == [(A, 1, 0), (A, 3, 0)],
            "round {round}: {events:?}"
        );
        ensure!(rig.path.learned()?.is_empty());
        rig.path.begin_round(false)?;
    }
    Ok(())
}

/// Different sources are all reported in one round.
///
/// # Errors
/// When one is missing.
pub fn every_source_is_reported(rig: &mut Rig) -> Result<()> {
    const SOURCES: u64 = 500;
    rig.install(&three())?;
    let ifindex = rig.ifindex(1)?;
    let source = |n| Mac::from_u64(0x0242_0000_0000 + n);
    for n in 0..SOURCES {
        rig.path
            .run_tc(ifindex, Frame::probe(source(n), B).octets(), 0, 1)?;
    }
    let found: Vec<Mac> = rig.path.learned()?.iter().map(|e| e.key.mac()).collect();
    let expected: Vec<Mac> = (0..SOURCES).map(source).collect();
    ensure!(
        found == expected,
        "{} of {SOURCES} sources reported",
        found.len()
    );
    Ok(())
}

/// Each frame uses up one place of its limit.
///
/// # Errors
/// When a limit lets more or less through.
pub fn limits_are_used_up(rig: &mut Rig) -> Result<()> {
    const FRAMES: u32 = 10;
    let reserved = Mac([0x01, 0x80, 0xc2, 0, 0, 0]);
    let tables = three().with(1, flag::STORM).limit(1, |l| {
        (l.broadcast, l.multicast) = (left(3), left(4));
        (l.unknown, l.punt) = (left(5), left(6));
    });
    rig.install(&tables)?;
    let ifindex = rig.ifindex(1)?;
    let cases = [
        (Mac::BROADCAST, DropReason::StormBroadcast, 3),
        (Mac([0x01, 0, 0x5e, 0, 0, 9]), DropReason::StormMulticast, 4),
        (Mac([2, 0, 0, 0, 0, 0x77]), DropReason::StormUnknown, 5),
        (reserved, DropReason::PuntLimit, 6),
    ];
    // One token bucket never holds more than its burst, but what it was given it keeps.
    for (dst, reason, allowed) in cases {
        let frame = Frame::probe(A, dst);
        let (_, counted) =
            rig.counting(|rig| rig.path.run_tc(ifindex, frame.octets(), 0, FRAMES))?;
        let passed = if dst == reserved {
            counted.of(1, PUNTED)
        } else {
            counted.of(3, TX_FRAMES)
        };
        let dropped = counted.of(1, reason.name());
        ensure!(
            passed == allowed && dropped == u64::from(FRAMES) - allowed,
            "{}: {passed} passed and {dropped} were dropped, not {allowed} of {FRAMES}",
            reason.name()
        );
    }
    rig.path.punted()?;
    Ok(())
}

/// A port that needs the lease forwards until it has run out and not a moment less, and again once there is a new one.
///
/// # Errors
/// When it stops or goes on at the wrong time.
pub fn the_lease_comes_and_goes(rig: &mut Rig) -> Result<()> {
    rig.install(&three().guarded(10, &[1, 3]))?;
    let ifindex = rig.ifindex(1)?;
    let frame = Frame::probe(A, B);
    let forwards = |rig: &Rig| -> Result<bool> {
        let by_xdp = rig.path.run_xdp(ifindex, frame.octets(), 1)?.verdict == xdp::REDIRECT;
        let by_tc = rig.path.run_tc(ifindex, frame.octets(), 0, 1)?.verdict == tc::REDIRECT;
        // It may run out between the two, never come back.
        ensure!(by_xdp || !by_tc, "TC forwards what XDP has stopped");
        Ok(by_tc)
    };
    for _ in 0..3 {
        let until = monotonic()? + 20_000_000;
        rig.path.set_lease(until)?;
        wait_for("the lease to run out", DEADLINE, || {
            Ok((!forwards(rig)?).then_some(()))
        })?;
        ensure!(monotonic()? >= until, "it ran out early");
        rig.path.set_lease(u64::MAX)?;
        ensure!(forwards(rig)?, "it does not forward with a new lease");
        rig.path.set_lease(0)?;
        ensure!(!forwards(rig)?, "it forwards when the lease was taken back");
    }
    Ok(())
}

/// CLOCK_MONOTONIC in nanoseconds.
fn monotonic() -> Result<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
