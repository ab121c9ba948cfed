//! A switch in a ring loses its master: its neighbours do not notice, whatever the tree was doing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hitless::northbound::api::{StpRole, StpState};
use nix::sys::signal::Signal;

use super::kernel::QUICK;
use super::net::{End, Net, Ours, Plan, SETTLES};
use super::ring::{all_hear, everybody, hitless, no_loop};
use super::view::Tree;
use crate::harness::{
    bpdus::{Heard, Recorder, accepted, steady, tshark},
    chassis::Part,
    ktap::{Case, Ctx},
    neighbour::{Parameters, View},
    wait::wait_for,
};
use crate::selftests::failover::rig;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "stp.failover-root",
        "the root of a ring with a switch of ours and a bridge of the kernel loses its master by command, SIGKILL and a hang: \
         its next BPDUs come within two seconds and are the same, nobody tells of a topology change, nothing is lost \
         (seed: 20, 51, 52)",
        |ctx| at_rest(ctx, Place::Root),
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.failover-middle",
        "the same of a switch between a root and a port that is closed because of it (seed: 20, 51, 52)",
        |ctx| at_rest(ctx, Place::Middle),
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.failover-converging",
        "a master is killed at different moments after a link was pulled or plugged in: no frame is seen twice, and the tree \
         is found as fast as without (seed: 20, 51)",
        converging,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.failover-timers",
        "a master is killed while its port listens, and the next one while it learns: the port opens when its timers are \
         over, and no frame is seen twice (seed: 20, 51)",
        by_timers,
    )
    .timeout(LONG)
    .waits(),
];

const LONG: Duration = Duration::from_secs(240);

/// How long after the loss of a master its successor speaks at the latest.
const SPEAKS: Duration = Duration::from_secs(2);

/// After this long without a BPDU a neighbour takes the switch for lost (802.1D-2004 17.21.23, three times Hello Time).
const PATIENCE: Duration = Duration::from_secs(5);

/// How a master is lost.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Command,
    Kill,
    Hang,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "run msm-failover",
            Self::Kill => "SIGKILL",
            Self::Hang => "a hang",
        })
    }
}

impl Loss {
    /// Brings it about in a switch with a standby that is ready, and waits until the other module has taken over.
    /// The instant of the loss.
    fn strike(self, net: &Net, name: &str) -> Result<Instant> {
        let node = net.node(name)?;
        let before = rig::await_ready(&node.switch)?;
        let (slot, generation) = (before.slot("master")?, before.generation()?);
        let at = Instant::now();
        match self {
            Self::Command => drop(node.command("run msm-failover")?),
            Self::Kill => drop(
                node.chassis()?
                    .signal(slot, Part::Daemon, Signal::SIGKILL)?,
            ),
            // Its boot finds it out and ends it.
            Self::Hang => drop(
                node.chassis()?
                    .signal(slot, Part::Daemon, Signal::SIGSTOP)?,
            ),
        }
        rig::await_shown(&node.switch, |shown| {
            shown.generation().is_ok_and(|g| g > generation)
        })
        .with_context(|| format!("a takeover after {self}"))?;
        Ok(at)
    }
}

/// Which part of the ring loses its masters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The root.
    Root,
    /// Between the root, which is the kernel's, and a closed port of ours.
    Middle,
}

/// What nobody may see move: the trees of ours and the views of the kernel's.
#[derive(Debug, PartialEq)]
pub struct Moved {
    trees: BTreeMap<&'static str, Tree>,
    bridges: BTreeMap<&'static str, View>,
}

impl Moved {
    /// As it is now.
    ///
    /// # Errors
    /// When somebody does not answer.
    pub fn of(net: &Net) -> Result<Self> {
        let trees = net.ours.iter();
        let bridges = net.bridges.iter();
        Ok(Self {
            trees: trees
                .map(|(name, node)| Ok((*name, node.tree("s0")?)))
                .collect::<Result<_>>()?,
            bridges: bridges
                .map(|(name, bridge)| Ok((*name, bridge.view()?)))
                .collect::<Result<_>>()?,
        })
    }
}

/// The links of a ring, heard from both sides.
struct Ears(Vec<(End, Recorder)>);

impl Ears {
    fn at(net: &Net, nodes: &[&'static str]) -> Result<Self> {
        let ends = nodes.iter().flat_map(|&node| [(node, 2), (node, 3)]);
        let hear = |end| Ok((end, net.hear(end)?));
        Ok(Self(ends.map(hear).collect::<Result<_>>()?))
    }

    fn marks(&self) -> Vec<usize> {
        self.0.iter().map(|(_, ear)| ear.mark()).collect()
    }
}

/// Waits until nobody has told of a topology change for longer than its notice is repeated.
///
/// # Errors
/// When that does not come.
pub fn await_rest<'e>(ears: impl Iterator<Item = &'e Recorder> + Clone) -> Result<()> {
    let (quiet, start) = (Duration::from_secs(5), Instant::now());
    wait_for("the end of topology changes", SETTLES, || {
        let now = Instant::now();
        // Who has not listened for so long has heard nothing of it.
        if now - start < quiet {
            return Ok(None);
        }
        let noisy = ears.clone().any(|ear| {
            let heard = ear.all();
            let mut late = heard.iter().filter(|h| now - h.at < quiet);
            late.any(Heard::tells_of_change)
        });
        Ok((!noisy).then_some(()))
    })
}

fn plan(place: Place) -> Plan {
    let settings = format!("{QUICK}, path_cost_method: short");
    let (a, kernel) = match place {
        Place::Root => (4096, 61440),
        Place::Middle => (8192, 4096),
    };
    let a = Ours::new("a", a).s0(&settings).both();
    Plan::default()
        .ours([a, Ours::new("b", 12288).s0(&settings)])
        .bridge("k", Parameters::quick(kernel))
        .ring(&["k", "a", "b"])
        .hosts([("k", 1), ("a", 1), ("b", 1)])
}

fn at_rest(ctx: &Ctx, place: Place) -> Result<()> {
    ctx.need_program("tshark")?;
    let net = Net::up(ctx, &plan(place))?;
    let ears = Ears::at(&net, &["k", "a", "b"])?;
    let trees = net.await_settled(1)?;
    let speaking: Vec<End> = match place {
        Place::Root => {
            ensure!(
                trees["a"].root_port.is_none(),
                "a is not the root: {trees:?}"
            );
            vec![("a", 2), ("a", 3)]
        }
        Place::Middle => {
            ensure!(
                trees["a"].root_port == Some(3) && trees["b"].closes(3),
                "a is not between the root and a closed port: {trees:?}"
            );
            vec![("a", 2)]
        }
    };
    await_rest(ears.0.iter().map(|(_, ear)| ear))?;
    let marks = ears.marks();
    let before = Moved::of(&net)?;
    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;

    for loss in [Loss::Command, Loss::Kill, Loss::Hang] {
        let at = loss.strike(&net, "a")?;
        for end in &speaking {
            let (_, ear) = ears.0.iter().find(|(e, _)| e == end).context("an ear")?;
            let gap = speaks_again(ear, at).with_context(|| format!("{end:?} after {loss}"))?;
            ctx.tell(format!("{loss}: the next BPDU on {end:?} after {gap}"));
        }
        rig::await_ready(&net.node("a")?.switch)?;
        rig::equal(&net.node("a")?.switch)?;
        let after = Moved::of(&net)?;
        ensure!(
            after == before,
            "{loss}: something moved: {before:?} became {after:?}"
        );
        all_hear(&flows, SETTLES)?;
    }
    hitless(flows)?;

    for ((end, ear), mark) in ears.0.into_iter().zip(marks) {
        let heard = ear.stop()?.split_off(mark);
        if heard.is_empty() {
            // Where a port is root port or closed nothing is said.
            ensure!(!speaking.contains(&end), "nothing was heard of {end:?}");
            continue;
        }
        let name = format!("{}{}", end.0, end.1);
        let judged = tshark(ctx.files(), &name, &heard)?;
        accepted(&judged).with_context(|| name.clone())?;
        steady(&judged).with_context(|| name.clone())?;
        if speaking.contains(&end) {
            let other = heard.iter().find(|h| h.frame != heard[0].frame);
            ensure!(
                other.is_none(),
                "{name} said {:?}, and then {:?}",
                heard[0].bpdu(),
                other.map(Heard::bpdu)
            );
        }
    }
    Ok(())
}

/// A switch speaks again soon enough after the loss of its master. In words: how long after the loss, and after the
/// BPDU before.
fn speaks_again(ear: &Recorder, lost: Instant) -> Result<String> {
    let next = wait_for("the next BPDU", 2 * PATIENCE, || {
        Ok(ear.all().into_iter().find(|h| h.at > lost))
    })?;
    let before = ear.all().into_iter().rfind(|h| h.at <= lost);
    let before = before.context("no BPDU before the loss")?;
    let (after, gap) = (next.at - lost, next.at - before.at);
    ensure!(
        after < SPEAKS && gap < PATIENCE,
        "silent for {after:?} after the loss, for {gap:?} in all"
    );
    Ok(format!(
        "{} ms, {} ms after the last",
        after.as_millis(),
        gap.as_millis()
    ))
}

/// Moments after a change of the topology, in milliseconds.
const MOMENTS: [u64; 6] = [0, 2, 5, 10, 20, 50];

fn converging(ctx: &Ctx) -> Result<()> {
    // The switch whose port opens is the one that loses its masters.
    let ours = [("a", 12288), ("b", 4096), ("c", 8192)];
    let ours = ours.map(|(name, priority)| {
        let ours = Ours::new(name, priority);
        if name == "a" { ours.both() } else { ours }
    });
    let plan =
        Plan::default()
            .ours(ours)
            .ring(&["a", "b", "c"])
            .hosts([("a", 1), ("b", 1), ("c", 1)]);
    let net = Net::up(ctx, &plan)?;
    let trees = net.await_settled(1)?;
    ensure!(
        trees["a"].root_port == Some(2) && trees["a"].closes(3),
        "not the tree of these priorities: {trees:?}"
    );
    for moment in MOMENTS {
        for plugged in [false, true] {
            let node = net.node("a")?;
            let before = rig::await_ready(&node.switch)?;
            let slot = before.slot("master")?;
            let flows = everybody(&net)?;
            all_hear(&flows, SETTLES)?;
            net.plug(("a", 2), plugged)?;
            // Now in this moment of the change, now in that.
            std::thread::sleep(Duration::from_millis(moment));
            node.chassis()?
                .signal(slot, Part::Daemon, Signal::SIGKILL)?;
            let open = if plugged { 2 } else { 3 };
            node.await_tree("s0", "the way to the root", SETTLES, |tree| {
                tree.leads(open)
            })?;
            all_hear(&flows, SETTLES)?;
            net.await_settled(usize::from(plugged))?;
            let what = if plugged { "plugged in" } else { "pulled" };
            let what = format!("link {what} and master killed {moment} ms later");
            let longest = no_loop(ctx, &what, flows)?;
            ensure!(longest < PATIENCE, "{what}: that took {longest:?}");
        }
    }
    rig::await_ready(&net.node("a")?.switch)?;
    rig::equal(&net.node("a")?.switch)
}

fn by_timers(ctx: &Ctx) -> Result<()> {
    // In mode dot1d every port of a opens by timers: the root's, which leave time for a standby to
    // get ready.
    let slow = Parameters {
        forward_delay: 8,
        ..Parameters::quick(4096)
    };
    let a = Ours::new("a", 32768)
        .s0(&format!("{QUICK}, mode: dot1d, path_cost_method: short"))
        .both();
    let plan = Plan::default()
        .ours([a])
        .bridge("k", slow)
        .bridge("m", Parameters::quick(8192))
        .ring(&["k", "a", "m"])
        .hosts([("k", 1), ("a", 1), ("m", 1)]);
    let net = Net::up(ctx, &plan)?;
    let trees = net.await_settled(1)?;
    let node = net.node("a")?;
    ensure!(
        trees["a"].root_port == Some(3) && trees["a"].closes(2),
        "not the tree of these priorities: {trees:?}"
    );
    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    net.plug(("a", 3), false)?;
    for state in [StpState::Discarding, StpState::Learning] {
        rig::await_ready(&node.switch)?;
        node.await_tree("s0", &format!("{state:?}"), SETTLES, |tree| {
            tree.has(2, StpRole::Root, state)
        })?;
        Loss::Kill.strike(&net, "a")?;
        let tree = node.tree("s0")?;
        ensure!(
            tree.has(2, StpRole::Root, state),
            "the failover changed what port 2 does: {tree:?}"
        );
    }
    node.await_tree("s0", "an open port", SETTLES, |tree| tree.leads(2))?;
    all_hear(&flows, SETTLES)?;
    let longest = no_loop(ctx, "two failovers while a port opens", flows)?;
    ensure!(
        longest > Duration::from_secs(14) && longest < Duration::from_secs(28),
        "that took {longest:?}, not twice a forward delay of 8 s"
    );
    rig::await_ready(&node.switch)?;
    rig::equal(&node.switch)
}
