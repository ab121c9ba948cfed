//! The labs under `topologies/`, as a user brings them up: the names that scripts rely on, and what must be
//! reachable from where.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use hitless_topo::{NodeHandle, UpOptions};
use serde_json::Value;

use crate::harness::{
    cleanup::Undo,
    ktap::{Case, Ctx},
    switch::DEADLINE,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "labs.single",
        "lab single: h1 reaches h2, h3 is apart; namespaces, commands and JSON have their names",
        single,
    ),
    Case::new(
        "labs.ring",
        "lab ring: every host reaches every other over three switches, and no frame circles",
        ring,
    ),
    Case::new(
        "labs.side-by-side",
        "the same file twice at the same time, under two names",
        side_by_side,
    ),
];

/// A lab that is taken down with this value.
struct Lab {
    name: String,
    _undo: Undo,
}

/// The root of the repository: the working directory, or where this program was built.
fn root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("working directory")?;
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    [here, built]
        .into_iter()
        .find(|dir| dir.join("topologies").is_dir())
        .context("no folder `topologies` here; run this program in the repository")
}

impl Lab {
    fn up(ctx: &Ctx, file: &str, label: &str) -> Result<Self> {
        // Short: the names of links come from it.
        let name = format!("{label}{}", std::process::id());
        let binaries = std::env::current_exe()?.parent().map(Path::to_path_buf);
        let ours = name.clone();
        let undo = ctx.run().undo(move || {
            // What is not up need not be taken down; other trouble shows in the next run's sweep.
            let _ = hitless_topo::down(&ours);
        });
        let options = UpOptions {
            lab_name: Some(name.clone()),
            bin_dir: binaries,
            ready_timeout: DEADLINE,
            ..UpOptions::default()
        };
        hitless_topo::up(&root()?.join(file), &options)?;
        Ok(Self { name, _undo: undo })
    }

    fn run(&self, node: &str, argv: &[&str]) -> Result<String> {
        let output = NodeHandle::open(&self.name, node)?.output(argv)?;
        if !output.status.success() {
            bail!(
                "{argv:?} in {node}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn json(&self, node: &str, argv: &[&str]) -> Result<Value> {
        let text = self.run(node, argv)?;
        serde_json::from_str(&text).with_context(|| format!("{argv:?} in {node} printed {text:?}"))
    }

    fn pings(&self, from: &str, to: &str) -> bool {
        self.run(from, &["ping", "-c", "2", "-i", "0.2", "-W", "5", to])
            .is_ok()
    }

    fn exists(&self, node: &str) -> bool {
        Path::new("/run/netns")
            .join(format!("clab-{}-{node}", self.name))
            .exists()
    }
}

fn single(ctx: &Ctx) -> Result<()> {
    let lab = Lab::up(ctx, "topologies/single/single.clab.yml", "sgl")?;
    for node in ["sw1", "h1", "h2", "h3"] {
        ensure!(lab.exists(node), "no namespace of {node} for `ip netns`");
    }
    ensure!(lab.pings("h1", "10.0.10.2"), "h1 does not reach h2");
    ensure!(lab.pings("h2", "10.0.10.1"), "h2 does not reach h1");
    // h3 gets an address of the others' network and still is in another VLAN.
    lab.run("h3", &["ip", "addr", "add", "10.0.10.3/24", "dev", "eth1"])?;
    let apart = lab.run("h1", &["ping", "-c", "1", "-W", "1", "10.0.10.3"]);
    ensure!(apart.is_err(), "h1 reaches h3 across VLANs");

    let switch = lab.json("sw1", &["hitless", "show", "switch", "--json"])?;
    let module = &switch["modules"][0];
    ensure!(
        switch["name"] == "sw1" && switch["uptime_seconds"].is_u64(),
        "{switch}"
    );
    for key in ["slot", "role", "pid", "state", "version"] {
        ensure!(!module[key].is_null(), "no {key} in {switch}");
    }
    let fdb = lab.json("sw1", &["hitless", "show", "fdb", "--json"])?;
    let row = fdb.as_array().and_then(|rows| rows.first());
    let row = row.with_context(|| format!("nothing learned: {fdb}"))?;
    for key in ["vlan", "mac", "port", "kind", "age_seconds"] {
        ensure!(!row[key].is_null(), "no {key} in {row}");
    }
    let ports = lab.json("sw1", &["hitless", "show", "ports", "--json"])?;
    for (i, device) in ["eth1", "eth2", "eth3"].iter().enumerate() {
        let port = &ports[i];
        ensure!(
            port["port"] == i + 1 && port["device"] == *device && port["link"] == "up",
            "{ports}"
        );
        for key in ["offload", "rx_frames", "tx_frames", "drops"] {
            ensure!(!port[key].is_null(), "no {key} in {port}");
        }
    }
    Ok(())
}

fn ring(ctx: &Ctx) -> Result<()> {
    let lab = Lab::up(ctx, "topologies/ring/ring.clab.yml", "rng")?;
    for from in 1..=3 {
        for to in (1..=3).filter(|to| *to != from) {
            ensure!(
                lab.pings(&format!("h{from}"), &format!("10.0.10.{to}")),
                "h{from} does not reach h{to}"
            );
        }
    }
    // In a loop one broadcast would be counted for ever; here the counters come to rest.
    let sum = || -> Result<u64> {
        let mut frames = 0;
        for switch in ["sw1", "sw2", "sw3"] {
            let shown = lab.json(switch, &["hitless", "show", "counters", "--json"])?;
            frames += shown["totals"]["rx_frames"].as_u64().unwrap_or(0);
        }
        Ok(frames)
    };
    crate::harness::wait::wait_for("counters that stand still", DEADLINE, || {
        let before = sum()?;
        Ok((sum()? == before).then_some(()))
    })
}

fn side_by_side(ctx: &Ctx) -> Result<()> {
    let one = Lab::up(ctx, "topologies/single/single.clab.yml", "sba")?;
    let two = Lab::up(ctx, "topologies/single/single.clab.yml", "sbb")?;
    for lab in [&one, &two] {
        ensure!(lab.pings("h1", "10.0.10.2"), "lab {}", lab.name);
    }
    let again = Lab::up(ctx, "topologies/single/single.clab.yml", "sba");
    let refusal = again.err().context("a lab came up twice")?;
    ensure!(
        format!("{refusal:#}").contains("topo down"),
        "the refusal names no way out: {refusal:#}"
    );
    Ok(())
}
