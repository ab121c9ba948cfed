//! Every kind of change of the configuration: it harms nobody whom it does not concern, a failover right after the answer
//! keeps it, and one in the middle of it leaves all of it or nothing.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::desk::{Desk, difference, said, same};
use crate::harness::{
    chassis::Part,
    ktap::{Case, Ctx},
    switch::DEADLINE,
    wait::wait_for,
};
use crate::selftests::failover::rig::{await_ready, equal};
use crate::selftests::lab::Mode;
use crate::selftests::pinned::{Pinned, State};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "session.changes-vlans",
        "every change of VLANs: under numbered traffic that it does not concern nothing is lost; a failover right after the \
         answer keeps it, one during the command leaves all of it or nothing (seed: 26, 27, 28, 29, 39)",
        |ctx| changes(ctx, VLANS),
    )
    .timeout(LONG),
    Case::new(
        "session.changes-ports",
        "the same for every change of ports (seed: 26, 27, 28, 29, 39)",
        |ctx| changes(ctx, PORTS),
    )
    .timeout(LONG),
    Case::new(
        "session.changes-switch",
        "the same for the forwarding database, its configured entries, the switch's identity and failover (seed: 26, 27, \
         28, 29, 33, 35, 36, 39)",
        |ctx| changes(ctx, SWITCH),
    )
    .timeout(LONG),
];

const LONG: Duration = Duration::from_secs(300);

/// Frames of each flow that show that it goes on.
const SOME: u64 = 300;

/// A command, and those that take back what it does.
struct Change {
    make: &'static str,
    undo: &'static [&'static str],
}

const fn change(make: &'static str, undo: &'static [&'static str]) -> Change {
    Change { make, undo }
}

const VLANS: &[Change] = &[
    change("create vlan lime tag 40", &["delete vlan lime"]),
    change("create vlan 41", &["delete vlan 41"]),
    change(
        "delete vlan spare",
        &[
            "create vlan spare tag 50",
            "configure vlan spare add ports 5,6 tagged",
        ],
    ),
    change("configure vlan spare tag 51", &["configure vlan 51 tag 50"]),
    change(
        "configure vlan spare name lime",
        &["configure vlan lime name spare"],
    ),
    change(
        "configure vlan spare add ports 7 tagged",
        &["configure vlan spare delete ports 7"],
    ),
    change(
        "configure vlan spare delete ports 5-6",
        &["configure vlan spare add ports 5-6 tagged"],
    ),
    change(
        "configure vlan 30 delete ports 7",
        &["configure vlan 30 add ports 7 untagged"],
    ),
    change(
        "configure vlan 30 limit-learning 100",
        &["configure vlan 30 limit-learning unlimited"],
    ),
    change(
        "configure vlan 30 learning off",
        &["configure vlan 30 learning on"],
    ),
    change(
        "configure vlan 30 loop-free-ports 5",
        &["configure vlan 30 loop-free-ports all"],
    ),
];

const PORTS: &[Change] = &[
    change("configure port 8 device p8", &["unconfigure ports 8"]),
    change(
        "unconfigure ports 7",
        &[
            "configure port 7 device p7",
            "configure ports 7 offload xdp",
            "configure vlan 30 add ports 7 untagged",
        ],
    ),
    change("disable ports 5-7", &["enable ports 5-7"]),
    change(
        "configure ports 5-6 accept-frames tagged",
        &["configure ports 5-6 accept-frames all"],
    ),
    change(
        "configure ports 5 ingress-filtering off",
        &["configure ports 5 ingress-filtering on"],
    ),
    change(
        "configure ports 5 offload auto",
        &["configure ports 5 offload xdp"],
    ),
    change(
        "configure ports 5 trust-far-end on",
        &["configure ports 5 trust-far-end off"],
    ),
    change(
        "configure ports 5 limit-learning 10",
        &["configure ports 5 limit-learning unlimited"],
    ),
    change(
        "configure ports 5-7 rate-limit broadcast 1000",
        &["configure ports 5-7 rate-limit broadcast off"],
    ),
    change(
        "configure ports 5 rate-limit multicast 1000",
        &["configure ports 5 rate-limit multicast off"],
    ),
    change(
        "configure ports 5 rate-limit unknown-unicast 1000",
        &["configure ports 5 rate-limit unknown-unicast off"],
    ),
];

const SWITCH: &[Change] = &[
    change(
        "configure fdb agingtime 600",
        &["configure fdb agingtime 0"],
    ),
    change("configure fdb size 8192", &["configure fdb size 4096"]),
    change(
        "configure fdb damping moves 9 within 2 hold 20",
        &["configure fdb damping moves 5 within 1 hold 10"],
    ),
    change(
        "configure fdb damping off",
        &["configure fdb damping moves 5 within 1 hold 10"],
    ),
    change(
        "create fdbentry 02:00:00:00:00:77 vlan 30 port 5",
        &["delete fdbentry 02:00:00:00:00:77 vlan 30"],
    ),
    change(
        "create fdbentry 02:00:00:00:00:78 vlan spare blackhole",
        &["delete fdbentry 02:00:00:00:00:78 vlan 50"],
    ),
    change(
        "configure snmp sysname other",
        &["configure snmp sysname sw1"],
    ),
    change(
        "configure snmp syscontact somebody",
        &["configure snmp syscontact nobody"],
    ),
    change(
        "unconfigure snmp",
        &[
            "configure snmp sysname sw1",
            "configure snmp syscontact nobody",
        ],
    ),
    change(
        "configure image unsigned allow",
        &["configure image unsigned refuse"],
    ),
    change(
        "configure image add key RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        &["configure image delete key RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"],
    ),
    change(
        "configure msm-failover timeout 90",
        &["configure msm-failover timeout 60"],
    ),
    change(
        "configure msm-failover keepalive interval 200 misses 20",
        &["configure msm-failover keepalive interval 100 misses 35"],
    ),
    change(
        "configure msm-failover watchdog 3000",
        &["configure msm-failover watchdog 2000"],
    ),
    change(
        "configure msm-failover freshness 30000",
        &["configure msm-failover freshness 20000"],
    ),
    change(
        "configure msm-failover lease 12000",
        &["configure msm-failover lease 10000"],
    ),
    change(
        "configure msm-failover link-action keep-links-up preserve-state l2",
        &["configure msm-failover link-action keep-links-up preserve-state l2_l3"],
    ),
    change(
        "configure sys-recovery-level critical msm-failover",
        &["configure sys-recovery-level all msm-failover"],
    ),
];

/// What is compared: the configuration, and the hardware without the numbers that the kernel gives to links.
struct Sight {
    document: Value,
    hardware: State,
}

impl Sight {
    /// What is there when all ports are as they are configured: a command is answered when it has told the kernel to set a
    /// device up or down, and the kernel tells of its link after that.
    fn of(desk: &Desk<'_>) -> Result<Self> {
        wait_for("the links of all ports", DEADLINE, || {
            let ports = desk.switch().json(&["show", "ports"])?;
            let ports = ports.as_array().context("a list of ports")?;
            let settled = |port: &Value| {
                let wanted = if port["enabled"] == true {
                    "up"
                } else {
                    "down"
                };
                port["link"] == wanted
            };
            Ok(ports.iter().all(settled).then_some(()))
        })?;
        Ok(Self {
            document: desk.configuration()?,
            hardware: Pinned::of(desk.switch()).state()?,
        })
    }

    /// That another look shows the same.
    fn is_same(&self, what: &str, other: &Self) -> Result<()> {
        same(what, &self.document, &other.document)?;
        let mut differences = self.hardware.differences(&other.hardware);
        // A port that was away has other links.
        differences.retain(|entry| !entry.starts_with("link_"));
        ensure!(
            differences.is_empty(),
            "{what}: the configuration is the same, the hardware is not: {differences:?}"
        );
        Ok(())
    }
}

fn changes(ctx: &Ctx, changes: &[Change]) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let base = Sight::of(&desk)?;
    let mut cuts = Cuts::default();
    for Change { make, undo } in changes {
        desk.others.phase(make)?;
        one(&desk, &base, make, undo, &mut cuts).with_context(|| (*make).to_owned())?;
        desk.others
            .go_on(SOME)
            .with_context(|| (*make).to_owned())?;
    }
    desk.others.unharmed()?;
    desk.others.finish()?;
    ensure!(
        cuts.answered + cuts.lost + cuts.refused > 0,
        "no command was cut"
    );
    ctx.note(format!("{cuts:?}"));
    Ok(())
}

/// What became of commands during which the master was killed.
#[derive(Debug, Default)]
struct Cuts {
    answered: usize,
    lost: usize,
    refused: usize,
}

fn one(desk: &Desk<'_>, base: &Sight, make: &str, undo: &[&str], cuts: &mut Cuts) -> Result<()> {
    // In peace: something changes, and goes back to what it was.
    desk.command(make)?;
    let made = Sight::of(desk)?;
    ensure!(
        made.document != base.document,
        "nothing has changed: {}",
        made.document
    );
    equal(desk.switch()).context("after the change")?;
    take_back(desk, undo)?;
    base.is_same("taken back", &Sight::of(desk)?)?;

    // The master dies as soon as it has answered.
    let before = await_ready(desk.switch())?;
    let slot = before.slot("master")?;
    desk.command(make)?;
    desk.chassis.signal(slot, Part::Daemon, Signal::SIGKILL)?;
    desk.taken_over(&before)?;
    made.is_same("right after the answer", &Sight::of(desk)?)?;
    let after = await_ready(desk.switch())?;
    ensure!(
        after.last()["hitless"] == true,
        "the failover was not hitless: {after}"
    );
    equal(desk.switch()).context("after the failover")?;
    made.is_same("with a new standby", &Sight::of(desk)?)?;
    take_back(desk, undo)?;
    base.is_same("taken back after the failover", &Sight::of(desk)?)?;

    // The master dies in the middle of the command: a little later every time.
    let before = await_ready(desk.switch())?;
    let slot = before.slot("master")?;
    let number = cuts.answered + cuts.lost + cuts.refused;
    let asker = desk.hitless(make)?.spawn().context("start hitless")?;
    std::thread::sleep(Duration::from_micros(500 * (number as u64 % 16)));
    desk.chassis.signal(slot, Part::Daemon, Signal::SIGKILL)?;
    let ended = asker.wait_with_output()?;
    desk.taken_over(&before)?;
    let cut = Sight::of(desk)?;
    let done = cut.document == made.document;
    match ended.status.code() {
        Some(0) => {
            ensure!(done, "answered as done, and lost: {}", said(&ended));
            cuts.answered += 1;
        }
        // Lost before it was asked, or before it answered: what it had been asked may be done or not.
        Some(3 | 4) => cuts.lost += 1,
        Some(1) => cuts.refused += 1,
        _ => bail!("it ended with {}: {}", ended.status, said(&ended)),
    }
    let whole = if done { &made } else { base };
    whole.is_same("cut in the middle", &cut).with_context(|| {
        format!(
            "against what was: {}",
            difference(&base.document, &cut.document)
        )
    })?;
    await_ready(desk.switch())?;
    equal(desk.switch()).context("after the cut")?;
    if done {
        take_back(desk, undo)?;
    }
    base.is_same("in the end", &Sight::of(desk)?)
}

fn take_back(desk: &Desk<'_>, undo: &[&str]) -> Result<()> {
    for line in undo {
        desk.command(line)?;
    }
    Ok(())
}
