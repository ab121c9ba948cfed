//! A switch in a ring whose control plane dies: the ports that could close a loop stop when nobody has renewed the
//! lease, and forward again when somebody does (design invariant 1). Everything else never notices.
//!
//! ```text
//!   h1 ─ p1 ┐        ┌ p3 ─ h3
//!           ┤ switch ├          into the ring
//!   h2 ─ p2 ┘        └ p4 ─ h4
//! ```

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::lab::{Lab, Mode, station};
use super::pinned::Pinned;
use crate::harness::{
    flow::{Flow, Spec},
    frames::{Frame, Tag},
    ktap::{Case, Ctx},
    report::Report,
    switch::DEADLINE,
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "lease.frames",
        "without a lease nothing of a guarded VLAN goes into the ring or comes out of it; the edge and other VLANs go on",
        frames,
    )
    .timeout(LONG),
    Case::new(
        "lease.killed-tc",
        "hitlessd killed under load in TC: what makes no loop loses nothing, the rest stops and comes back",
        |ctx| under_load(ctx, Mode::Tc, Signal::SIGKILL),
    )
    .timeout(LONG),
    Case::new(
        "lease.killed-xdp",
        "hitlessd killed under load in XDP: what makes no loop loses nothing, the rest stops and comes back",
        |ctx| under_load(ctx, Mode::Xdp, Signal::SIGKILL),
    )
    .timeout(LONG),
    Case::new(
        "lease.stopped",
        "the same when hitlessd was told to end",
        |ctx| under_load(ctx, Mode::Tc, Signal::SIGTERM),
    )
    .timeout(LONG),
    Case::new(
        "lease.hung",
        "the same when hitlessd hangs, and goes on by itself",
        hung,
    )
    .timeout(LONG),
    Case::new(
        "lease.short-absence",
        "a hitlessd that is back before the lease runs out costs no frame, in the ring neither",
        short_absence,
    )
    .timeout(LONG),
];

const LONG: Duration = Duration::from_secs(120);

/// Frames of each flow in each phase.
const SOME: u64 = 5_000;

/// Frames a second that leave the CPUs to others.
const RATE: u32 = 20_000;

const PORTS: [&str; 4] = [
    "untagged: 10, tagged: [4000]",
    "untagged: 10, tagged: [4000]",
    "untagged: 10, tagged: [20, 4000]",
    "untagged: 10, tagged: [20, 4000]",
];

fn lab(ctx: &Ctx, label: &str, mode: Mode, lease_ms: u32) -> Result<Lab> {
    let rest = format!(
        "fdb: {{size: 4096}}\nmsm_failover: {{lease_ms: {lease_ms}}}\n\
         vlans: [{{id: 10, loop_free_ports: [1, 2]}}, {{id: 20}}, {{id: 4000, learning: false}}]"
    );
    Lab::new(ctx, label, mode, &PORTS, &rest)
}

/// Learns station 1 to 4 in VLAN 10 and 3 and 4 in VLAN 20.
fn introduce(lab: &Lab) -> Result<()> {
    lab.introduce(10, &[None; 4])?;
    for number in [3, 4] {
        let hello = Frame::probe(station(number, 0), Mac::BROADCAST);
        lab.ports[usize::from(number) - 1].send(&hello.tagged(Tag::vid(20)))?;
        lab.await_learned(20, station(number, 0), number.into())?;
    }
    lab.settle()
}

/// Waits until the lease has run out for the data path, whose clock stands still between two ticks.
fn await_end_of_lease(lab: &Lab) -> Result<()> {
    let pinned = Pinned::of(&lab.switch);
    wait_for("the lease to run out", DEADLINE, || {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)?;
        let now = now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64;
        Ok((pinned.meta()?.lease <= now).then_some(()))
    })
}

fn frames(ctx: &Ctx) -> Result<()> {
    for (mode, label) in [(Mode::Tc, "tc"), (Mode::Xdp, "xdp"), (Mode::Mixed, "mix")] {
        let mut lab = lab(ctx, label, mode, 3_000)?;
        introduce(&lab)?;
        let all = |from: u8| Frame::probe(station(from, 0), Mac::BROADCAST);
        let to = |from: u8, to: u8| Frame::probe(station(from, 0), station(to, 0));
        let to_everybody = |lab: &Lab| {
            let (edge, ring, into) = (all(1), all(3), to(2, 4));
            let at = |station: usize, frame: &Frame| (station - 1, frame.clone());
            lab.expect(
                &[at(1, &edge), at(3, &ring), at(2, &into)],
                &[
                    at(1, &ring),
                    at(2, &edge),
                    at(2, &ring),
                    at(3, &edge),
                    at(4, &edge),
                    at(4, &ring),
                    at(4, &into),
                ],
            )
        };
        to_everybody(&lab).context("with a master")?;

        lab.switch.kill()?;
        await_end_of_lease(&lab)?;
        let at = |station: usize, frame: &Frame| (station - 1, frame.clone());
        let (edge, known) = (all(1), to(1, 2));
        let [from_3, from_4] = [all(3), to(4, 3)].map(|frame| frame.tagged(Tag::vid(20)));
        lab.expect(
            &[
                at(1, &edge),
                at(1, &known),
                // Into the ring, and out of it.
                at(2, &to(2, 4)),
                at(3, &all(3)),
                at(3, &Frame::probe(station(3, 9), station(1, 0))),
                at(4, &to(4, 3)),
                at(3, &from_3),
                at(4, &from_4),
            ],
            &[at(2, &edge), at(2, &known), at(4, &from_3), at(3, &from_4)],
        )
        .context("without a lease")?;

        lab.switch.run()?;
        to_everybody(&lab).context("with the next master")?;
        for (port, drops) in [(1, 0), (2, 1), (3, 2), (4, 1)] {
            lab.expect_drops(port, "no-master", drops)?;
        }
        let learned = lab.fdb()?;
        ensure!(
            learned
                .iter()
                .all(|row| row["mac"] != station(3, 9).to_string()),
            "a station behind a stopped port was learned: {learned:?}"
        );
    }
    Ok(())
}

/// Two flows that nothing may hit, one in the guarded VLAN between ports that go on and one in the other VLAN between
/// ports that do not, and one into the ring.
struct Traffic {
    untouched: Vec<Flow>,
    ring: Flow,
}

impl Traffic {
    fn start(lab: &mut Lab) -> Result<Self> {
        introduce(lab)?;
        // They would fill up with the flows.
        lab.ports.clear();
        let flow = |name, from: u8, to: u8, tag| {
            let host = |number: u8| (&lab.hosts[usize::from(number) - 1], "eth1");
            let spec = Spec {
                rate: Some(RATE),
                cpu: usize::from(from),
                tag,
                ..Spec::new(name, host(from), host(to), station(from, 0), station(to, 0))
            };
            Flow::start(&spec, "before")
        };
        let traffic = Self {
            untouched: vec![
                flow("h1 to h2, VLAN 10", 1, 2, None)?,
                flow("h3 to h4, VLAN 20", 3, 4, Some(Tag::vid(20)))?,
            ],
            ring: flow("h2 to h3, VLAN 10", 2, 3, None)?,
        };
        traffic.all_go_on()?;
        Ok(traffic)
    }

    fn phase(&mut self, name: &str) -> Result<()> {
        self.ring.phase(name)?;
        self.untouched.iter_mut().try_for_each(|f| f.phase(name))
    }

    fn others_go_on(&self) -> Result<()> {
        self.untouched
            .iter()
            .try_for_each(|f| f.await_received(SOME, DEADLINE))
    }

    fn all_go_on(&self) -> Result<()> {
        self.others_go_on()?;
        self.ring.await_received(SOME, DEADLINE)
    }

    /// Ends the flows; those that nothing may hit were not hit. What became of the one into the ring.
    fn stop(self) -> Result<Report> {
        for flow in self.untouched {
            let report = flow.stop()?;
            ensure!(report.is_hitless(), "a flow was hit:\n{report}");
        }
        self.ring.stop()
    }
}

fn under_load(ctx: &Ctx, mode: Mode, end: Signal) -> Result<()> {
    let mut lab = lab(ctx, "sw", mode, 3_000)?;
    let pinned = Pinned::of(&lab.switch);
    let mut traffic = Traffic::start(&mut lab)?;
    let before = pinned.state()?;
    traffic.phase("until the lease runs out")?;
    lab.switch.end(end)?;
    await_end_of_lease(&lab)?;
    traffic.phase("without a lease")?;
    traffic.others_go_on()?;
    traffic.phase("start")?;
    lab.switch.run()?;
    comes_back(&lab, traffic)?;
    ensure!(pinned.state()? == before, "the hardware was changed");
    let shown = lab.switch.show("switch")?;
    ensure!(
        shown["hardware_writes"]["total"] == 0,
        "something was written: {shown}"
    );
    Ok(())
}

/// From a phase in which a lease comes: everything forwards, and the phase before it brought nothing into the ring.
fn comes_back(lab: &Lab, mut traffic: Traffic) -> Result<()> {
    traffic.ring.await_received(1, DEADLINE)?;
    traffic.phase("with a lease")?;
    traffic.all_go_on()?;
    let report = traffic.stop()?;
    let [before, _until, without, _start, with] = &report.phases[..] else {
        anyhow::bail!("not the phases that were begun:\n{report}");
    };
    ensure!(
        without.sent > 0 && without.received == 0,
        "frames went into the ring without a lease:\n{report}"
    );
    ensure!(
        [before, with].iter().all(|p| p.is_hitless()),
        "the flow into the ring was hit while there was a lease:\n{report}"
    );
    let dropped = lab.drops(2, "no-master")?;
    ensure!(
        dropped >= without.sent,
        "{dropped} drops were counted, {} frames were dropped",
        without.sent
    );
    Ok(())
}

fn hung(ctx: &Ctx) -> Result<()> {
    let mut lab = lab(ctx, "sw", Mode::Tc, 3_000)?;
    let mut traffic = Traffic::start(&mut lab)?;
    traffic.phase("until the lease runs out")?;
    signal(&lab, Signal::SIGSTOP)?;
    await_end_of_lease(&lab)?;
    traffic.phase("without a lease")?;
    traffic.others_go_on()?;
    traffic.phase("start")?;
    signal(&lab, Signal::SIGCONT)?;
    comes_back(&lab, traffic)
}

fn signal(lab: &Lab, signal: Signal) -> Result<()> {
    let pid = lab.switch.pid().context("hitlessd has a process")?;
    Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
}

fn short_absence(ctx: &Ctx) -> Result<()> {
    // So long that a start on a busy machine is within it.
    let mut lab = lab(ctx, "sw", Mode::Mixed, 60_000)?;
    let mut traffic = Traffic::start(&mut lab)?;
    for end in [Signal::SIGKILL, Signal::SIGTERM] {
        lab.switch.end(end)?;
        traffic.phase("away")?;
        traffic.all_go_on()?;
        lab.switch.run()?;
        traffic.phase("back")?;
        traffic.all_go_on()?;
    }
    let report = traffic.stop()?;
    ensure!(
        report.is_hitless(),
        "the flow into the ring was hit:\n{report}"
    );
    Ok(())
}
