//! A start with another configuration: only what differs is written, and only what it concerns notices.

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use hitless_common::map::name;
use serde_json::Value;

use super::bystanders::{Bystanders, FENCED, PORTS, REST, address};
use super::lab::{Lab, Mode, config};
use super::pinned::Pinned;
use crate::harness::{
    frames::Frame,
    ktap::{Case, Ctx},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "reconfigure.tc",
        "a start with another configuration changes only what differs; flows of other ports lose nothing (TC)",
        |ctx| changed_configuration(ctx, Mode::Tc),
    ),
    Case::new(
        "reconfigure.xdp",
        "a start with another configuration changes only what differs; flows of other ports lose nothing (XDP)",
        |ctx| changed_configuration(ctx, Mode::Xdp),
    ),
    Case::new(
        "reconfigure.static-entries",
        "configured FDB entries outlive a kill, typed ones when they are saved; dropped ones go, changed ones move (seed: 29)",
        static_entries,
    ),
];

/// The tables that the master has written to since it started.
fn written(others: &Bystanders) -> Result<Vec<String>> {
    let shown = others.lab.switch.show("switch")?;
    let tables = shown["hardware_writes"]["tables"].as_object();
    let tables = tables.with_context(|| format!("no table of writes: {shown}"))?;
    let used = tables.iter().filter(|(_, n)| n.as_u64() > Some(0));
    Ok(used.map(|(name, _)| name.clone()).collect())
}

/// Restarts the switch with another configuration and checks that exactly these entries of the hardware change, and
/// that nothing is written to tables that have none of them.
fn restart_with(
    others: &mut Bystanders,
    what: &str,
    config: &str,
    differences: &[&str],
) -> Result<()> {
    let pinned = Pinned::of(&others.lab.switch);
    others.phase(what)?;
    others.lab.switch.kill()?;
    let before = pinned.state()?;
    others.lab.switch.write_config(config)?;
    others.lab.switch.run()?;
    let tables = written(others)?;
    let found = before.differences(&pinned.state()?);
    ensure!(
        found == differences,
        "{what}: {found:?} changed instead of {differences:?}"
    );
    let unneeded: Vec<&String> = tables
        .iter()
        .filter(|table| match table.as_str() {
            "LINKS" => !found.iter().any(|entry| entry.starts_with("link_")),
            // Limits and redirects come and go with a port's link.
            name::LIMITERS | name::XDP_TX => !found.iter().any(|entry| entry.starts_with("link_")),
            table => !found.iter().any(|entry| entry.starts_with(table)),
        })
        .collect();
    ensure!(
        unneeded.is_empty(),
        "{what}: {unneeded:?} were written without need"
    );
    others.go_on(1000)
}

fn changed_configuration(ctx: &Ctx, mode: Mode) -> Result<()> {
    let lab = Lab::new(ctx, "sw", mode, &PORTS, REST)?;
    let mut others = Bystanders::over(lab, Some(20_000))?;
    let (h3, h4) = (format!("FDB {}", address(3)), format!("FDB {}", address(4)));
    let links: &[&str] = match mode {
        Mode::Xdp => &["link_4_tc", "link_4_xdp"],
        _ => &["link_4_tc"],
    };

    // Port 4 goes, and what was learned on it.
    let fewer = config(mode, &PORTS[..3], REST);
    let gone = [&["EGRESS 4", &h4, "PORTS 4", "VLANS 20"], links].concat();
    restart_with(&mut others, "port removed", &fewer, &gone)?;
    others.quiet[0].send(&Frame::probe(address(3), address(4)))?;
    let dropped = |ports: &Value| ports[2]["drops"]["no-egress"].as_u64() > Some(0);
    let alone = others.lab.switch.await_shown("ports", dropped);
    alone.context("h3 is alone in its VLAN")?;
    while let Some(frame) = others.quiet[1].poll()? {
        ensure!(
            frame.src() != Some(address(3)),
            "{frame:?} came out of a port that is gone"
        );
    }

    let more = "fdb: {size: 4096}\nvlans: [{id: 10}, {id: 20}, {id: 30}]";
    let added = config(mode, &PORTS[..3], more);
    restart_with(&mut others, "VLAN added", &added, &["VLANS 30"])?;

    // The station is forgotten in the VLAN that its port left.
    let moved = ["untagged: 10", "untagged: 10", "untagged: 30"];
    let moved = config(mode, &moved, more);
    let differs = ["EGRESS 3", &h3, "PORTS 3", "VLANS 20", "VLANS 30"];
    restart_with(&mut others, "PVID changed", &moved, &differs)?;

    // Port 4 returns, in the new VLAN.
    let all = [
        "untagged: 10",
        "untagged: 10",
        "untagged: 30",
        "untagged: 30",
    ];
    let back = [&["EGRESS 4", "PORTS 4", "VLANS 30"], links].concat();
    restart_with(&mut others, "port added", &config(mode, &all, more), &back)?;
    others.pair().context("h3 and h4, both in VLAN 30 now")?;
    others.lab.await_learned(30, address(3), 3)?;
    others.lab.await_learned(30, address(4), 4)?;
    let fdb = others.lab.fdb()?;
    ensure!(
        fdb.iter().all(|row| row["vlan"] != 20),
        "VLAN 20 is empty, but: {fdb:?}"
    );

    // Another order of the same is no change at all.
    let reordered = "vlans: [{id: 30}, {id: 20}, {id: 10}]\nfdb: {size: 4096}";
    let reordered = config(mode, &all, reordered);
    restart_with(&mut others, "same meaning", &reordered, &[])?;
    others.unharmed()?;
    others.finish()
}

fn static_entries(ctx: &Ctx) -> Result<()> {
    const FIXED: Mac = Mac([2, 0, 0, 0, 0xaa, 1]);
    const HOLE: Mac = Mac([2, 0, 0, 0, 0xaa, 2]);
    const TYPED: Mac = Mac([2, 0, 0, 0, 0xaa, 3]);
    let rest = |entries: &str| {
        format!(
            "fdb: {{size: 4096, static: [{entries}]}}\nvlans: [{{id: 10}}, {{id: 4000, learning: false}}]"
        )
    };
    let hole = format!("{{vlan: 10, mac: \"{HOLE}\", blackhole: true}}");
    let first = rest(&format!("{{vlan: 10, mac: \"{FIXED}\", port: 2}}, {hole}"));
    let ports = [FENCED; 3];
    let mut lab = Lab::new(ctx, "sw", Mode::Mixed, &ports, &first)?;
    let typed = TYPED.to_string();
    lab.switch
        .cli(&["create", "fdbentry", &typed, "vlan", "10", "port", "2"])?;
    lab.switch.cli(&["save"])?;

    let a = address(1);
    let holds = |lab: &Lab, when: &str| {
        let (fixed, lost) = (Frame::probe(a, FIXED), Frame::probe(a, HOLE));
        // The fixed address does not move to where somebody claims it.
        let forged = Frame::probe(FIXED, a);
        lab.expect(
            &[(2, forged.clone()), (0, fixed.clone()), (0, lost)],
            &[(0, forged), (1, fixed)],
        )
        .with_context(|| format!("configured entries {when}"))
    };
    lab.ports[0].send(&Frame::probe(a, Mac::BROADCAST))?;
    lab.await_learned(10, a, 1)?;
    lab.settle()?;
    holds(&lab, "at first")?;
    lab.switch.kill()?;
    holds(&lab, "while dead")?;
    let frame = Frame::probe(a, TYPED);
    lab.expect(&[(0, frame.clone())], &[(1, frame)])?;
    lab.switch.run()?;
    holds(&lab, "after the start")?;
    let kinds = |lab: &Lab| -> Result<Vec<(String, String)>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = lab.fdb()?;
        let configured = rows.iter().filter(|row| row["kind"] != "dynamic");
        Ok(configured
            .map(|row| (text(&row["mac"]), text(&row["kind"])))
            .collect())
    };
    let row = |mac: Mac, kind: &str| (mac.to_string(), kind.to_owned());
    let found = kinds(&lab)?;
    let all = [
        row(FIXED, "static"),
        row(HOLE, "blackhole"),
        row(TYPED, "static"),
    ];
    ensure!(found == all, "{found:?}");
    let writes = lab.switch.show("switch")?["hardware_writes"].clone();
    ensure!(writes["total"] == 0, "something was written: {writes}");

    // One goes and one is on another port now.
    lab.switch.kill()?;
    let second = rest(&format!("{{vlan: 10, mac: \"{FIXED}\", port: 3}}"));
    lab.switch
        .write_config(&config(Mode::Mixed, &ports, &second))?;
    lab.switch.run()?;
    let found = kinds(&lab)?;
    ensure!(found == [row(FIXED, "static")], "{found:?}");
    let (fixed, flooded) = (Frame::probe(a, FIXED), Frame::probe(a, HOLE));
    lab.expect(
        &[(0, fixed.clone()), (0, flooded.clone())],
        &[(2, fixed), (1, flooded.clone()), (2, flooded)],
    )?;

    // What was typed is gone with the file that it was saved to.
    let frame = Frame::probe(a, TYPED);
    lab.expect(&[(0, frame.clone())], &[(1, frame.clone()), (2, frame)])
}
