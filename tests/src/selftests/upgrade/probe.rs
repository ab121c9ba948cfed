//! Upgrades with a probe flow of the command line's own between two ports.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::desk::{Desk, unix_ms};
use super::rig::Rig;
use crate::harness::images::Edition;
use crate::harness::ktap::{Case, Ctx};
use crate::harness::port::Port;
use crate::harness::process::Process;
use crate::harness::switch::{DEADLINE, binary};
use crate::harness::wait::wait_for;
use crate::selftests::bystanders::address;
use crate::selftests::lab::Mode;
use crate::selftests::trial::in_own_mounts;

const LONG: Duration = Duration::from_secs(300);

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "upgrade.probe-tc",
        "upgrades to a newer version and back with --probe, in TC: each frame comes out once, and nothing of the flow is left",
        |ctx| clean(ctx, Mode::Tc),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.probe-xdp",
        "the same in XDP",
        |ctx| clean(ctx, Mode::Xdp),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.probe-loses",
        "a port is pulled for a moment during an upgrade with --probe between two such ports: it is gone back from, and the \
         reason has the number of frames lost",
        loses,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.probe-refused",
        "a probe flow that can not be is refused with the port, the rule and what to do, before anything is changed; a dry \
         run says what the flow would be",
        refused,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.probe-dies",
        "the command line is killed in the middle of an upgrade with --probe: the flow ends without a trace, the upgrade \
         goes on",
        dies,
    )
    .timeout(LONG),
];

/// `hitless upgrade` with these words, where the switch's ports are.
fn command(rig: &Rig<'_>, image: &Path, words: &[&str]) -> Result<Command> {
    let mut command = rig.switch().inside("hitless")?;
    command.args(["--switch", rig.switch().name()]);
    command.args(["--yes", "--wait", "30", "upgrade"]);
    command.arg(image).args(words);
    Ok(command)
}

/// The devices of the command line's own that are left beside the switch's ports.
fn left(rig: &Rig<'_>) -> Result<Vec<String>> {
    let shown = rig.others.lab.netns.ip(&["-json", "link", "show"])?;
    let shown: Value = serde_json::from_str(&shown)?;
    let names = shown.as_array().context("no list")?.iter();
    let names = names.filter_map(|link| link["ifname"].as_str());
    Ok(names
        .filter(|name| name.starts_with("hlprobe"))
        .map(str::to_owned)
        .collect())
}

fn text(ended: &Output) -> String {
    String::from_utf8_lossy(&[&ended.stdout[..], &ended.stderr[..]].concat()).into_owned()
}

fn clean(ctx: &Ctx, mode: Mode) -> Result<()> {
    let mut rig = Rig::new(ctx, mode)?;
    let tree = rig.tree()?;
    for (edition, probe) in [(Edition::Newer, "1:2"), (Edition::Current, "2:1")] {
        let image = rig.image(edition, &[])?;
        let words = ["--probe", probe, "accept-within", "0", "--json"];
        let ended = command(&rig, &image, &words)?.output()?;
        ensure!(
            ended.status.code() == Some(0),
            "{}\n{}",
            text(&ended),
            rig.log()
        );
        let report: Value = serde_json::from_slice(&ended.stdout)?;
        let probe = &report["probe"];
        let number = |name: &str| probe[name].as_u64().context(format!("no {name}: {probe}"));
        ensure!(report["outcome"] == "accepted", "{report}");
        ensure!(number("sent")? > 1_000, "{probe}");
        ensure!(number("received")? == number("sent")?, "{probe}");
        ensure!(number("lost")? + number("twice")? == 0, "{probe}");
        ensure!(probe["broken"].is_null(), "{probe}");
        ctx.tell(format!("to {edition:?}: {probe}"));
        rig.runs(edition)?;
        ensure!(left(&rig)?.is_empty(), "{:?}", left(&rig)?);
    }
    rig.unharmed(&tree)
}

fn loses(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    let image = rig.image(Edition::Newer, &[])?;
    let path = ctx.files().join("probe.txt");
    let file = fs::File::create(&path)?;
    let mut command = command(&rig, &image, &["--probe", "3:4"])?;
    command.stdout(file.try_clone()?).stderr(file);
    let cli = Process::spawn(ctx.run(), &mut command)?;
    // Before the switch counts for itself what it loses.
    rig.await_step("install")?;
    let far = &rig.others.lab.hosts[3];
    far.ip(&["link", "set", "eth1", "down"])?;
    rig.switch()
        .await_shown("ports", |shown| shown[3]["link"] == "down")?;
    far.ip(&["link", "set", "eth1", "up"])?;
    let status = rig.await_outcome("rolled-back", "the probe flow from port 3 to port 4 lost ")?;
    let ended = cli.wait(DEADLINE)?;
    let said = fs::read_to_string(&path)?;
    ensure!(ended.code() == Some(5), "{ended}: {said}");
    for part in ["\nProbe 3 to 4       sent ", status.reason()] {
        ensure!(said.contains(part), "no {part:?}: {said}");
    }
    ctx.tell(status.reason());
    rig.runs(Edition::Current)?;
    is_up(&rig)?;
    deaf(&mut rig)?;
    rig.unharmed(&tree)
}

/// The stations of VLAN 20 forget the probe frames that they have heard.
fn deaf(rig: &mut Rig<'_>) -> Result<()> {
    for (port, number) in rig.others.quiet.iter_mut().zip(2..) {
        *port = Port::open(&rig.others.lab.hosts[number], "eth1")?;
    }
    Ok(())
}

/// The port that was pulled forwards again.
fn is_up(rig: &Rig<'_>) -> Result<()> {
    rig.switch()
        .await_shown("ports", |shown| shown[3]["link"] == "up")
        .map(drop)
}

fn refused(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    let image = rig.image(Edition::Newer, &[])?;
    let is_refused = |rig: &Rig<'_>, mut command: Command, says: &[&str]| -> Result<()> {
        let before = rig.standing()?;
        let ended = command.output()?;
        let said = text(&ended);
        ensure!(ended.status.code() == Some(1), "{}: {said}", ended.status);
        for part in says {
            ensure!(said.contains(part), "no {part:?}: {said}");
        }
        let after = rig.standing()?;
        ensure!(before == after, "{before:?} became {after:?}");
        ensure!(left(rig)?.is_empty(), "{:?}", left(rig)?);
        Ok(())
    };
    let probe = |rig: &Rig<'_>, ports: &str| command(rig, &image, &["--probe", ports]);

    let dry = command(&rig, &image, &["--probe", "1:2", "--dry-run"])?.output()?;
    let would = format!(
        "good  probe: from port 1 to {} behind port 2 in VLAN 10",
        address(2)
    );
    ensure!(
        dry.status.success() && text(&dry).contains(&would),
        "no {would:?}: {}",
        text(&dry)
    );

    is_refused(
        &rig,
        probe(&rig, "1:9")?,
        &["there is no port 9", "show ports"],
    )?;
    is_refused(
        &rig,
        probe(&rig, "1:3")?,
        &["port 3 is not in VLAN 10", "two ports of one VLAN"],
    )?;
    let mut outside = rig.switch().hitless()?;
    outside.args(["--yes", "upgrade"]).arg(&image);
    outside.args(["--probe", "1:2"]);
    is_refused(
        &rig,
        outside,
        &["another network namespace", "ip netns exec"],
    )?;

    let words = in_own_mounts("mount -t tmpfs tmpfs /dev/net");
    let mut without = rig.switch().inside_any(&words[0])?;
    without.args(&words[1..]).arg(binary("hitless")?);
    without.args(["--switch", rig.switch().name(), "--yes", "upgrade"]);
    without.arg(&image).args(["--probe", "1:2"]);
    is_refused(
        &rig,
        without,
        &["/dev/net/tun can not be used", "module tun"],
    )?;

    // What is forwarded to nobody goes to everybody, or nowhere.
    rig.switch().cli(&["clear", "fdb", "port", "4"])?;
    is_refused(
        &rig,
        probe(&rig, "3:4")?,
        &["no address is known behind port 4 in VLAN 20", "fdbentry"],
    )?;
    let station = address(4).to_string();
    let entry = ["create", "fdbentry", &station, "vlan", "20", "port", "4"];
    rig.switch().cli(&entry)?;
    rig.switch()
        .cli(&["configure", "ports", "3", "accept-frames", "tagged"])?;
    rig.switch().cli(&["save"])?;
    is_refused(
        &rig,
        probe(&rig, "3:4")?,
        &["no probe frame came out", &station, "show counters"],
    )?;
    rig.switch()
        .cli(&["configure", "ports", "3", "accept-frames", "all"])?;
    rig.switch().cli(&["disable", "ports", "4"])?;
    rig.switch().cli(&["save"])?;
    is_refused(
        &rig,
        probe(&rig, "3:4")?,
        &["port 4 is disabled", "enable ports 4"],
    )?;
    rig.switch().cli(&["enable", "ports", "4"])?;
    rig.switch().cli(&["save"])?;
    is_up(&rig)?;
    // The far end is pulled, not the port.
    let far = &rig.others.lab.hosts[3];
    far.ip(&["link", "set", "eth1", "down"])?;
    rig.switch()
        .await_shown("ports", |shown| shown[3]["link"] == "down")?;
    is_refused(&rig, probe(&rig, "3:4")?, &["port 4 has its link down"])?;
    is_refused(&rig, probe(&rig, "4:3")?, &["port 4 has its link down"])?;
    let status = rig.status()?;
    ensure!(status.0.is_null(), "{status}");
    rig.others.finish()?;
    let now = rig.tree()?;
    ensure!(now == tree, "the tree was {tree} and is {now}");
    Ok(())
}

fn dies(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    let image = rig.image(Edition::Newer, &[])?;
    let cli = Process::spawn(ctx.run(), &mut command(&rig, &image, &["--probe", "1:2"])?)?;
    rig.await_step("verify")?;
    let at = unix_ms();
    ensure!(left(&rig)?.len() == 1, "{:?}", left(&rig)?);
    cli.signal(Signal::SIGKILL)?;
    cli.wait(DEADLINE)?;
    wait_for("the device to be gone", DEADLINE, || {
        Ok(left(&rig)?.is_empty().then_some(()))
    })?;
    let status = rig.await_status("accept", |status| status.step() == "accept")?;
    status.was_in("verify", at)?;
    rig.switch().cli(&["upgrade", "accept"])?;
    rig.await_outcome("accepted", "")?;
    rig.runs(Edition::Newer)?;
    rig.unharmed(&tree)
}
