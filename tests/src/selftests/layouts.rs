//! Pins that are there when hitlessd starts: those of a running switch, of a crashed one, of a creation cut short,
//! of another version, and damaged ones.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use hitless_common::map::meta::{LAYOUT, Meta};
use hitless_common::map::name;
use hitless_common::map::vlans::VlanEntry;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::bystanders::{Bystanders, PORTS};
use super::lab::{Lab, Mode, station};
use super::pinned::Pinned;
use super::trial::{ends, refused};
use crate::harness::{
    frames::Frame,
    ktap::{Case, Ctx},
    process::Process,
    switch::{DEADLINE, Switch},
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "layout.second-hitlessd",
        "a second hitlessd for the same switch is refused, also while the first one hangs; the first goes on",
        second_hitlessd,
    ),
    Case::new(
        "layout.adopted-without-a-write-tc",
        "what a killed hitlessd left in TC is adopted with zero writes, the FDB whole (seed: 16, 17)",
        |ctx| adopted(ctx, Mode::Tc),
    ),
    Case::new(
        "layout.adopted-without-a-write-xdp",
        "what a killed hitlessd left in XDP is adopted with zero writes, the FDB whole (seed: 16, 17)",
        |ctx| adopted(ctx, Mode::Xdp),
    ),
    Case::new(
        "layout.creation-cut-short",
        "what a start left that was cut short is removed by the next one, beside good pins as well as alone",
        cut_short,
    ),
    Case::new(
        "layout.other-version",
        "pins of another layout are refused by name and forward on, until clear hardware takes them away",
        other_version,
    ),
    Case::new(
        "layout.foreign-pins",
        "pins that hitlessd did not make, or that are damaged, are recognised before anything is loaded",
        foreign_pins,
    )
    .timeout(Duration::from_secs(120)),
];

fn second_hitlessd(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let switch = &others.lab.switch;
    let says = format!(
        "switch {} already has a running hitlessd: stop that one first, or give this one another `switch:` name",
        switch.name()
    );
    let pinned = Pinned::of(switch);
    let (before, generation) = (pinned.state()?, pinned.meta()?.generation);
    let pid = switch.pid().context("the switch runs")?;
    refused(ctx, &mut switch.daemon()?, &[&says])?;

    // The name decides, not the file.
    let copy = ctx.files().join("copy.yaml");
    fs::copy(switch.config(), &copy)?;
    let mut command = others.lab.netns.command(switch.daemon()?.get_program())?;
    refused(ctx, command.arg("--config").arg(&copy), &[&says])?;

    // One that does nothing any more is still the master. Nobody else ends this process, so the number is its own.
    let first = Pid::from_raw(pid.cast_signed());
    kill(first, Signal::SIGSTOP)?;
    let refusal = refused(ctx, &mut switch.daemon()?, &[&says]);
    kill(first, Signal::SIGCONT)?;
    refusal.context("while the first one is stopped")?;

    let shown = switch.show("switch")?;
    ensure!(
        shown["modules"][0]["pid"] == pid,
        "another process answers: {shown}"
    );
    ensure!(switch.ended()?.is_none(), "the first hitlessd has ended");
    ensure!(pinned.state()? == before, "the hardware was changed");
    ensure!(
        pinned.meta()?.generation == generation,
        "there was another master"
    );
    others.unharmed()?;
    others.finish()
}

/// The FDB as `show fdb` tells it, without ages.
fn fdb_rows(switch: &Switch) -> Result<Vec<Value>> {
    let mut shown = switch.show("fdb")?;
    let rows = shown.as_array_mut().context("show fdb is an array")?;
    for row in rows.iter_mut() {
        row["age_seconds"] = Value::Null;
    }
    Ok(std::mem::take(rows))
}

fn adopted(ctx: &Ctx, mode: Mode) -> Result<()> {
    const STATIONS: u8 = 200;
    const REST: &str = "fdb: {size: 4096, static: [{vlan: 10, mac: 02:00:00:00:aa:01, port: 2}, \
                        {vlan: 20, mac: 02:00:00:00:aa:02, blackhole: true}]}\nvlans: [{id: 10}, {id: 20}]";
    let lab = Lab::new(ctx, "sw", mode, &PORTS, REST)?;
    for second in 10..10 + STATIONS {
        lab.ports[0].send(&Frame::probe(station(1, second), Mac::BROADCAST))?;
    }
    let mut others = Bystanders::over(lab, Some(20_000))?;
    let all = u64::from(STATIONS) + 4 + 2;
    let shown = others
        .lab
        .switch
        .await_shown("switch", |shown| shown["fdb"]["used"] == all)?;
    let pinned = Pinned::of(&others.lab.switch);
    let (before, rows) = (pinned.state()?, fdb_rows(&others.lab.switch)?);
    ensure!(rows.len() as u64 == all, "{} rows in show fdb", rows.len());
    // A link for TC on every port, and one for XDP where that is the mode.
    let links = if mode == Mode::Xdp { 8 } else { 4 };
    ensure!(before.links.len() == links, "{:?}", before.links);

    others.phase("dead")?;
    others.lab.switch.kill()?;
    others.unharmed()?;
    others.phase("adopted")?;
    others.lab.switch.run()?;
    for moment in ["at once", "after some traffic"] {
        let now = others.lab.switch.show("switch")?;
        ensure!(now["adopted"] == true, "{moment}: not adopted: {now}");
        let generation = |shown: &Value| shown["generation"].as_u64().unwrap_or(0);
        ensure!(
            generation(&now) == generation(&shown) + 1,
            "{moment}: {now}"
        );
        ensure!(
            now["hardware_writes"]["total"] == 0,
            "{moment}: something was written: {now}"
        );
        let uptime = |shown: &Value| shown["uptime_seconds"].as_u64();
        ensure!(
            uptime(&now) >= uptime(&shown),
            "{moment}: the uptime began anew: {now}"
        );
        ensure!(
            pinned.state()? == before,
            "{moment}: the hardware was changed"
        );
        ensure!(
            fdb_rows(&others.lab.switch)? == rows,
            "{moment}: the FDB was changed"
        );
        others.unharmed()?;
    }
    others.finish()
}

fn cut_short(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let pinned = Pinned::of(&others.lab.switch);
    let building = others.lab.switch.pins().join("building");
    let spare = ctx.netns("spare")?;

    // Beside good pins. What it holds keeps a map alive, as the remains of a real creation do.
    others.phase("remains beside good pins")?;
    others.lab.switch.kill()?;
    fs::create_dir(&building)?;
    pinned.map(name::META)?.pin(building.join(name::META))?;
    fs::create_dir(building.join("deeper"))?;
    others.lab.switch.run()?;
    ensure!(!building.exists(), "{} is still there", building.display());
    let shown = others.lab.switch.show("switch")?;
    ensure!(
        shown["hardware_writes"]["total"] == 0,
        "something was written: {shown}"
    );
    others.unharmed()?;

    // Alone: first starts that are killed while they build.
    let config = super::lab::config(Mode::Tc, &["untagged: 10"], super::bystanders::REST);
    let mut second = Switch::prepare(ctx.run(), ctx.files(), &spare, "second", &config)?;
    let building = second.pins().join("building");
    let mut caught = 0;
    for _ in 0..20 {
        let process = Process::spawn(ctx.run(), &mut second.daemon()?)?;
        wait_for("a start to make pins", DEADLINE, || {
            Ok((building.exists() || Pinned::of(&second).dir().exists()).then_some(()))
        })?;
        process.signal(Signal::SIGKILL)?;
        process.wait(DEADLINE)?;
        caught += u32::from(building.exists());
        if caught == 3 {
            break;
        }
        if !building.exists() {
            // It was faster than the look; the next one starts from nothing again.
            second.cli(&["clear", "hardware", "--yes"])?;
        }
    }
    ensure!(caught > 0, "no start was caught while it built its pins");
    second.run()?;
    ensure!(!building.exists(), "{} is still there", building.display());
    let shown = second.show("switch")?;
    ensure!(
        shown["adopted"] == false,
        "half-made pins were adopted: {shown}"
    );
    others.unharmed()?;
    others.finish()
}

/// Shows that the switch is at work again from nothing.
fn works_anew(lab: &Lab, others: &Bystanders) -> Result<()> {
    let shown = lab.switch.show("switch")?;
    ensure!(
        shown["adopted"] == false,
        "the hardware is not new: {shown}"
    );
    lab.switch.await_shown("ports", |ports| {
        (0..PORTS.len()).all(|i| ports[i]["link"] == "up" && ports[i]["device_state"] == "attached")
    })?;
    others.pair()
}

/// Takes the hardware down while no hitlessd runs, and starts the switch again.
fn clear_and_start(ctx: &Ctx, others: &mut Bystanders) -> Result<()> {
    let switch = &others.lab.switch;
    // It asks first, and there is nobody to ask.
    let mut command = switch.hitless()?;
    ends(
        ctx,
        command.args(["clear", "hardware"]),
        2,
        &["say --yes if you mean it"],
    )?;
    others.unharmed()?;
    others.finish()?;
    let switch = &mut others.lab.switch;
    switch.cli(&["clear", "hardware", "--yes"])?;
    ensure!(
        !switch.pins().exists(),
        "{} is still there",
        switch.pins().display()
    );
    switch.run()?;
    works_anew(&others.lab, others)
}

fn other_version(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let pins = others.lab.switch.pins();
    let ours = Pinned::of(&others.lab.switch).dir().to_owned();
    others.phase("pins of layout v0")?;
    others.lab.switch.kill()?;
    fs::rename(&ours, pins.join("v0")).context("rename the pins")?;
    let says = [
        format!(
            "{} holds pins of layout v0, this hitlessd has layout v{LAYOUT}",
            pins.join("v0").display()
        ),
        "run the hitlessd that made them, or take the hardware down with `hitless clear hardware`"
            .into(),
    ];
    refused(ctx, &mut others.lab.switch.daemon()?, &[&says[0], &says[1]])?;
    ensure!(!ours.exists(), "pins were made beside the others");
    others.unharmed()?;
    let mut show = others.lab.switch.hitless()?;
    ends(
        ctx,
        show.args(["show", "switch"]),
        3,
        &["its hardware is in place and goes on forwarding"],
    )?;
    clear_and_start(ctx, &mut others)?;

    // A newer layout beside ours is one too many as well.
    others.lab.switch.kill()?;
    let newer = format!("v{}", LAYOUT + 1);
    fs::create_dir(pins.join(&newer))?;
    let says = format!(
        "{} holds pins of layout {newer}",
        pins.join(&newer).display()
    );
    refused(ctx, &mut others.lab.switch.daemon()?, &[&says])?;
    others.pair()?;
    fs::remove_dir(pins.join(&newer))?;
    others.lab.switch.run()?;
    let shown = others.lab.switch.show("switch")?;
    ensure!(
        shown["adopted"] == true,
        "our own pins were not adopted: {shown}"
    );
    others.pair()
}

/// Something done to META.
type Damage = fn(&mut Meta);

fn foreign_pins(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Mixed)?;
    let pinned = Pinned::of(&others.lab.switch);
    let (before, meta) = (pinned.state()?, pinned.meta()?);
    let pin = |name: &str| pinned.dir().join(name);
    others.phase("damage")?;
    others.lab.switch.kill()?;

    let refuses = |others: &Bystanders, name: &str, why: &str| {
        let says = format!(
            "{} was not made by this hitlessd: {why}",
            pin(name).display()
        );
        let remedy = "take the hardware down with `hitless clear hardware` (forwarding stops)";
        refused(ctx, &mut others.lab.switch.daemon()?, &[&says, remedy])
            .with_context(|| why.to_owned())?;
        others.unharmed().with_context(|| why.to_owned())
    };

    let buckets = meta.fdb_buckets;
    let twice = format!("it has {buckets} buckets, META says {}", buckets * 2);
    let other_layout = format!(
        "META says layout {}, this hitlessd has layout {LAYOUT}",
        LAYOUT + 1
    );
    let damages: [(Damage, &str, &str); 4] = [
        (
            |m| m.magic = 0,
            name::META,
            "META starts with 0x0, not with the mark of a Hitless switch",
        ),
        (|m| m.layout = LAYOUT + 1, name::META, &other_layout),
        (
            |m| m.fdb_buckets = 3,
            name::META,
            "META says 3 FDB buckets, which is not a power of two",
        ),
        (|m| m.fdb_buckets *= 2, name::FDB, &twice),
    ];
    for (damage, pin, why) in damages {
        pinned.change_meta(damage)?;
        refuses(&others, pin, why)?;
        pinned.change_meta(|m| {
            (m.magic, m.layout) = (meta.magic, meta.layout);
            (m.fdb_buckets, m.schema) = (meta.fdb_buckets, meta.schema);
        })?;
    }

    // Counters of another version that are no counters: recognised before anything is built.
    let aside = pin("aside");
    fs::rename(pin(name::COUNTERS), &aside)?;
    pinned.map(name::EGRESS)?.pin(pin(name::COUNTERS))?;
    pinned.change_meta(|m| m.schema[6] = 9)?;
    let says = "map COUNTERS of another version can not be taken over: it is no array per CPU of 64-bit numbers";
    refused(ctx, &mut others.lab.switch.daemon()?, &[says])?;
    ensure!(
        !others.lab.switch.pins().join("building").exists(),
        "something was built and left"
    );
    others.unharmed()?;
    pinned.change_meta(|m| m.schema = meta.schema)?;
    fs::remove_file(pin(name::COUNTERS))?;
    fs::rename(&aside, pin(name::COUNTERS))?;

    // A map of another shape in the place of ours, one of another type, and none.
    let aside = pin("aside");
    fs::rename(pin(name::VLANS), &aside)?;
    pinned.map(name::EGRESS)?.pin(pin(name::VLANS))?;
    let expected = size_of::<VlanEntry>();
    refuses(
        &others,
        name::VLANS,
        &format!("its value size is 16, expected {expected}"),
    )?;
    fs::remove_file(pin(name::VLANS))?;
    pinned.map(name::PUNT)?.pin(pin(name::VLANS))?;
    refuses(&others, name::VLANS, "its type is RingBuf, expected Array")?;
    fs::remove_file(pin(name::VLANS))?;
    refuses(&others, name::VLANS, "the map is missing")?;
    fs::rename(&aside, pin(name::VLANS))?;

    // Links: a name that is none, and something that is none.
    pinned.map(name::META)?.pin(pin("link_x"))?;
    refuses(
        &others,
        "link_x",
        "its name is not link_<port>_tc or link_<port>_xdp",
    )?;
    fs::rename(pin("link_x"), pin("link_9_tc"))?;
    refuses(&others, "link_9_tc", "it can not be read as a link")?;
    fs::remove_file(pin("link_9_tc"))?;

    // With everything as it was, it is adopted as it was.
    ensure!(pinned.state()? == before, "the hardware was changed");
    ensure!(
        pinned.meta()?.generation == meta.generation,
        "there was a master"
    );
    others.lab.switch.run()?;
    let shown = others.lab.switch.show("switch")?;
    ensure!(
        shown["hardware_writes"]["total"] == 0,
        "something was written: {shown}"
    );
    others.unharmed()?;

    // And what can not be repaired can be taken down.
    others.lab.switch.kill()?;
    pinned.change_meta(|m| m.magic = 1)?;
    fs::remove_file(pin(name::COUNTERS))?;
    refuses(&others, name::META, "META starts with 0x1")?;
    clear_and_start(ctx, &mut others)
}
