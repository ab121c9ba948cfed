//! The control plane dies and comes back. Established flows never notice.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::bystanders::{Bystanders, FENCED, FENCED_REST, PORTS, REST, address};
use super::lab::{Lab, Mode, station};
use super::pinned::Pinned;
use crate::harness::{
    flow::{Flow, Spec},
    frames::Frame,
    ktap::{Case, Ctx},
    process::Process,
    switch::DEADLINE,
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "restart.killed-at-full-rate-tc",
        "SIGKILL and a new start under full-rate flows both ways lose, double and reorder nothing in TC (seed: 16, 17)",
        |ctx| killed_at_full_rate(ctx, Mode::Tc),
    )
    .timeout(LONG),
    Case::new(
        "restart.killed-at-full-rate-xdp",
        "SIGKILL and a new start under full-rate flows both ways lose, double and reorder nothing in XDP (seed: 16, 17)",
        |ctx| killed_at_full_rate(ctx, Mode::Xdp),
    )
    .timeout(LONG),
    Case::new(
        "restart.killed-at-full-rate-mixed",
        "the same between a port in XDP and one in TC (seed: 16, 17)",
        |ctx| killed_at_full_rate(ctx, Mode::Mixed),
    )
    .timeout(LONG),
    Case::new(
        "restart.twenty-kills-tc",
        "twenty kills in a row at full rate in TC: nothing lost, links, FDB and configuration the same (seed: 16, 17, 29)",
        |ctx| twenty_kills(ctx, Mode::Tc),
    )
    .timeout(LONG),
    Case::new(
        "restart.twenty-kills-xdp",
        "twenty kills in a row at full rate in XDP: nothing lost, links, FDB and configuration the same (seed: 16, 17, 29)",
        |ctx| twenty_kills(ctx, Mode::Xdp),
    )
    .timeout(LONG),
    Case::new(
        "restart.killed-while-it-starts",
        "a hitlessd that is killed over and over in the middle of its start leaves the hardware forwarding",
        killed_while_it_starts,
    )
    .timeout(LONG),
    Case::new(
        "restart.soft-reboot",
        "SIGTERM and a new start at full rate: software only, forwarding untouched (seed: 53)",
        soft_reboot,
    )
    .timeout(LONG),
    Case::new(
        "restart.new-flows-while-dead",
        "stations that turn up while no hitlessd runs are flooded to in their VLAN, and learned by the next one",
        new_flows_while_dead,
    ),
    Case::new(
        "restart.new-numbered-flow-while-dead",
        "a flow that begins while no hitlessd runs loses nothing, then and when the next one learns it",
        new_numbered_flow_while_dead,
    ),
    Case::new(
        "restart.epoch",
        "the epoch stands still while no hitlessd runs, so nothing ages; with one it does",
        epoch,
    )
    .timeout(LONG),
    Case::new(
        "restart.programs-load-fast",
        "the kernel verifies the programs in few steps: a new image's are loaded soon, however busy the machine is",
        programs_load_fast,
    ),
];

const LONG: Duration = Duration::from_secs(180);

/// Frames of each flow in each phase at full rate.
const MANY: u64 = 50_000;

/// The most instructions that the verifier may follow for a program. With a million it refuses, and half of that took a
/// second, or a minute where a flood of frames left it a tenth of a processor.
const MOST_VERIFIED: u32 = 100_000;

/// The ageing time of [`epoch`]: the lowest that a configuration can have.
const AGEING: u64 = 10;

fn full_rate(ctx: &Ctx, mode: Mode) -> Result<Bystanders> {
    Bystanders::over(Lab::new(ctx, "sw", mode, &PORTS, REST)?, None)
}

/// Checks that a master that has just started found everything as it should be.
fn wrote_nothing(others: &Bystanders) -> Result<Value> {
    let shown = others.lab.switch.show("switch")?;
    ensure!(shown["adopted"] == true, "not adopted: {shown}");
    ensure!(
        shown["hardware_writes"]["total"] == 0,
        "something was written: {shown}"
    );
    Ok(shown)
}

fn killed_at_full_rate(ctx: &Ctx, mode: Mode) -> Result<()> {
    let mut others = full_rate(ctx, mode)?;
    let pinned = Pinned::of(&others.lab.switch);
    let state = pinned.state()?;
    others.phase("alive")?;
    others.go_on(MANY)?;
    others.lab.switch.kill()?;
    others.phase("dead")?;
    others.go_on(MANY)?;
    others.phase("restarted")?;
    others.lab.switch.run()?;
    others.go_on(MANY)?;
    wrote_nothing(&others)?;
    ensure!(pinned.state()? == state, "the hardware was changed");
    others.pair()?;
    others.finish()
}

fn twenty_kills(ctx: &Ctx, mode: Mode) -> Result<()> {
    const KILLS: u64 = 20;
    let mut others = full_rate(ctx, mode)?;
    let pinned = Pinned::of(&others.lab.switch);
    let state = pinned.state()?;
    let vlans = others.lab.switch.show("vlan")?;
    let before = others.lab.switch.show("switch")?;
    for kill in 1..=KILLS {
        others.phase(&format!("kill {kill}"))?;
        others.lab.switch.kill()?;
        others.go_on(MANY / 10)?;
        others.lab.switch.run()?;
        others.go_on(MANY / 10)?;
        let shown = wrote_nothing(&others).with_context(|| format!("kill {kill}"))?;
        let generation = before["generation"].as_u64().map(|g| g + kill);
        ensure!(
            shown["generation"].as_u64() == generation,
            "kill {kill}: {shown}"
        );
    }
    ensure!(pinned.state()? == state, "the hardware was changed");
    ensure!(
        others.lab.switch.show("vlan")? == vlans,
        "the VLANs were changed"
    );
    others.pair()?;
    others.finish()
}

fn killed_while_it_starts(ctx: &Ctx) -> Result<()> {
    const STARTS: u32 = 30;
    let mut others = Bystanders::start(ctx, Mode::Xdp)?;
    let pinned = Pinned::of(&others.lab.switch);
    let state = pinned.state()?;
    others.phase("killed starts")?;
    others.lab.switch.kill()?;
    // From the first instruction on, in steps that cross a whole start on an idle machine.
    for start in 0..STARTS {
        let mut command = others.lab.switch.daemon()?;
        command.stderr(Stdio::null());
        let process = Process::spawn(ctx.run(), &mut command)?;
        let _ended_by_itself = process.wait(Duration::from_millis(u64::from(start)));
        process.signal(Signal::SIGKILL)?;
        process.wait(DEADLINE)?;
    }
    ensure!(pinned.state()? == state, "the hardware was changed");
    others.unharmed()?;
    others.phase("a whole start")?;
    others.lab.switch.run()?;
    wrote_nothing(&others)?;
    others.unharmed()?;
    others.finish()
}

fn soft_reboot(ctx: &Ctx) -> Result<()> {
    let mut others = full_rate(ctx, Mode::Mixed)?;
    let pinned = Pinned::of(&others.lab.switch);
    let state = pinned.state()?;
    for round in 1..=5 {
        others.phase(&format!("stopped {round}"))?;
        others.lab.switch.terminate()?;
        others.go_on(MANY / 5)?;
        others.phase(&format!("started {round}"))?;
        others.lab.switch.run()?;
        others.go_on(MANY / 5)?;
        wrote_nothing(&others)?;
        ensure!(
            pinned.state()? == state,
            "round {round}: the hardware was changed"
        );
    }
    others.finish()
}

fn new_flows_while_dead(ctx: &Ctx) -> Result<()> {
    for (mode, label) in [(Mode::Tc, "tc"), (Mode::Xdp, "xdp"), (Mode::Mixed, "mix")] {
        // h4 is in another VLAN: what is flooded to it is a leak.
        let ports = [FENCED, FENCED, FENCED, "untagged: 20, tagged: [4000]"];
        let mut lab = Lab::new(ctx, label, mode, &ports, FENCED_REST)?;
        lab.switch.kill()?;
        let (a, b) = (station(1, 9), station(2, 9));
        for _ in 0..3 {
            let there = Frame::probe(a, b);
            lab.expect(&[(0, there.clone())], &[(1, there.clone()), (2, there)])?;
            let back = Frame::probe(b, a);
            lab.expect(&[(1, back.clone())], &[(0, back.clone()), (2, back)])?;
        }
        lab.switch.run()?;
        // From what the data path reported meanwhile: nobody has sent since.
        lab.await_learned(10, a, 1)?;
        lab.await_learned(10, b, 2)?;
        let (there, back) = (Frame::probe(a, b), Frame::probe(b, a));
        lab.expect(
            &[(0, there.clone()), (1, back.clone())],
            &[(1, there), (0, back)],
        )
        .with_context(|| format!("{mode:?}, after the start"))?;
    }
    Ok(())
}

fn new_numbered_flow_while_dead(ctx: &Ctx) -> Result<()> {
    for (mode, label) in [(Mode::Tc, "tc"), (Mode::Xdp, "xdp"), (Mode::Mixed, "mix")] {
        let mut lab = Lab::new(ctx, label, mode, &["untagged: 10"; 3], REST)?;
        lab.ports.clear();
        lab.switch.kill()?;
        let (a, b) = (station(1, 9), station(2, 9));
        let host = |i: usize| (&lab.hosts[i], "eth1");
        let there = Spec::new("there", host(0), host(1), a, b);
        let back = Spec {
            cpu: 1,
            ..Spec::new("back", host(1), host(0), b, a)
        };
        let mut flows = [
            Flow::start(&there, "flooded")?,
            Flow::start(&back, "flooded")?,
        ];
        let go_on = |flows: &[Flow; 2]| {
            flows
                .iter()
                .try_for_each(|f| f.await_received(MANY, DEADLINE))
        };
        go_on(&flows)?;
        flows.iter_mut().try_for_each(|f| f.phase("learned"))?;
        lab.switch.run()?;
        lab.await_learned(10, a, 1)?;
        lab.await_learned(10, b, 2)?;
        go_on(&flows)?;
        for flow in flows {
            let mut report = flow.stop()?;
            if mode != Mode::Tc {
                // In the moment of learning XDP may overtake what TC still floods, so order counts before it only.
                let learned = report.phases.iter_mut().skip(1);
                learned.for_each(|phase| phase.reordered = 0);
            }
            ensure!(report.is_hitless(), "{mode:?}: the flow was hit:\n{report}");
        }
    }
    Ok(())
}

fn epoch(ctx: &Ctx) -> Result<()> {
    let rest = format!("fdb: {{size: 4096, ageing_seconds: {AGEING}}}\nvlans: [{{id: 10}}]");
    let mut lab = Lab::new(ctx, "sw", Mode::Tc, &["untagged: 10"; 2], &rest)?;
    let pinned = Pinned::of(&lab.switch);
    let (a, b) = (address(1), address(2));
    for (port, mac) in lab.ports.iter().zip([a, b]) {
        port.send(&Frame::probe(mac, Mac::BROADCAST))?;
    }
    lab.await_learned(10, a, 1)?;
    lab.await_learned(10, b, 2)?;
    lab.switch.kill()?;
    let stopped = pinned.meta()?.epoch;
    // Time must pass here: longer than the ageing time, with nobody to count it. h2 sends on all the while, so it
    // is stamped with an epoch that stands still.
    let nap = Duration::from_secs(AGEING) / 40;
    for _ in 0..60 {
        std::thread::sleep(nap);
        lab.ports[1].send(&Frame::probe(b, Mac::BROADCAST))?;
    }
    ensure!(
        pinned.meta()?.epoch == stopped,
        "the epoch went on without a master"
    );
    lab.switch.run()?;
    let rows = lab.fdb()?;
    ensure!(rows.len() == 2, "after the start: {rows:?}");
    for row in &rows {
        let age = row["age_seconds"].as_u64().context("an age")?;
        ensure!(
            age < AGEING,
            "an age of {age} s, though nothing ages without a master"
        );
    }

    // With a master time goes on, and only who is heard stays.
    wait_for("h1 to age out", Duration::from_secs(120), || {
        lab.ports[1].send(&Frame::probe(b, Mac::BROADCAST))?;
        let rows = lab.fdb()?;
        Ok(rows
            .iter()
            .all(|row| row["mac"] != a.to_string())
            .then_some(()))
    })?;
    lab.await_learned(10, b, 2)?;
    ensure!(
        pinned.meta()?.epoch > stopped,
        "the epoch stands still with a master"
    );
    Ok(())
}

fn programs_load_fast(ctx: &Ctx) -> Result<()> {
    let lab = Lab::new(ctx, "sw", Mode::Mixed, &PORTS, REST)?;
    for (program, verified) in Pinned::of(&lab.switch).verified()? {
        let verified = verified.context("the kernel does not tell (before 5.16)")?;
        ensure!(
            (1..MOST_VERIFIED).contains(&verified),
            "{program} costs the verifier {verified} instructions"
        );
    }
    Ok(())
}
