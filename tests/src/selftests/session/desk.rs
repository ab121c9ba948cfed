//! A switch with both management modules under traffic, as in [`super::super::failover::rig`], with ports and VLANs to
//! change that nobody needs.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use hitless_common::Mac;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{
    chassis::{Chassis, Part},
    frames::{Frame, Tag},
    ktap::Ctx,
    netns::Netns,
    port::{Port, assert_received},
    switch::Switch,
};
use crate::selftests::bystanders::{self, Bystanders};
use crate::selftests::failover::rig::{self, PATIENT, Shown, await_ready, await_shown};
use crate::selftests::lab::{Lab, Mode};

/// The switch's name in prompts.
pub const SYSNAME: &str = "sw1";

/// Frames a second of each flow: they leave the CPUs to others.
const RATE: u32 = 10_000;

/// The ports: those of [`Bystanders`], and three for changes. Port 8 has a device and is not configured.
const SPARE: [&str; 3] = [
    "untagged: 30, tagged: [50]",
    "untagged: 30, tagged: [50]",
    "untagged: 30",
];

/// See the module. In this order its parts end.
pub struct Desk<'a> {
    /// Holds the modules.
    pub chassis: Chassis,
    /// The switch, and its traffic.
    pub others: Bystanders,
    /// The stations h5 and h6.
    pub spare: Vec<Port>,
    ctx: &'a Ctx,
    _unused: Netns,
}

impl<'a> Desk<'a> {
    /// A switch with both modules.
    ///
    /// # Errors
    /// When something can not be made, or a module does not become ready.
    pub fn new(ctx: &'a Ctx, mode: Mode) -> Result<Self> {
        Self::with(ctx, mode, PATIENT)
    }

    /// The same with these settings of failover.
    ///
    /// # Errors
    /// As [`Desk::new`].
    pub fn with(ctx: &'a Ctx, mode: Mode, failover: &str) -> Result<Self> {
        let ports: Vec<&str> = [&bystanders::PORTS[..], &SPARE].concat();
        let rest = format!(
            "fdb: {{size: 4096, ageing_seconds: 0}}\nmsm_failover: {failover}\n\
             snmp: {{sysname: {SYSNAME}, syscontact: nobody}}\n\
             vlans: [{{id: 10}}, {{id: 20}}, {{id: 30}}, {{id: 50, name: spare}}]"
        );
        let (lab, chassis) = rig::lab(ctx, "sw", mode, &ports, &rest)?;
        let unused = ctx.netns("swh8")?;
        lab.netns.veth("p8", &unused, "eth1")?;
        let spare = [4, 5].map(|host: usize| Port::open(&lab.hosts[host], "eth1"));
        let [h5, h6] = spare;
        let desk = Self {
            chassis,
            others: Bystanders::over(lab, Some(RATE))?,
            spare: vec![h5?, h6?],
            ctx,
            _unused: unused,
        };
        // What the first standby was told is in force everywhere before anything is compared.
        rig::equal(desk.switch())?;
        Ok(desk)
    }

    /// The switch.
    #[must_use]
    pub fn switch(&self) -> &Switch {
        &self.others.lab.switch
    }

    /// The lab.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.others.lab
    }

    /// A file for the case, with these contents.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn file(&self, name: &str, contents: &str) -> Result<String> {
        let path = self.ctx.files().join(name);
        fs::write(&path, contents).with_context(|| format!("write {}", path.display()))?;
        path.into_os_string()
            .into_string()
            .map_err(|path| anyhow::anyhow!("{} is no text", path.display()))
    }

    /// Types a command, words as a shell takes them apart; it must succeed.
    ///
    /// # Errors
    /// With its message when it fails.
    pub fn command(&self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.switch().cli(&words)
    }

    /// Types a command that must be refused by the switch, and say so in these words.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub fn is_refused(&self, line: &str, why: &str) -> Result<()> {
        let ended = run(self.switch(), line)?;
        let text = said(&ended);
        ensure!(
            ended.status.code() == Some(1) && text.contains(why),
            "{line:?} ended with {}, without saying {why:?}: {text}",
            ended.status
        );
        Ok(())
    }

    /// The running configuration.
    ///
    /// # Errors
    /// When no master answers.
    pub fn configuration(&self) -> Result<Value> {
        configuration(self.switch())
    }

    /// Kills the master and waits until the other module has taken over, without waiting for another standby.
    ///
    /// # Errors
    /// When nobody takes over.
    pub fn lose_master(&self, before: &Shown) -> Result<()> {
        let slot = before.slot("master")?;
        self.chassis.signal(slot, Part::Daemon, Signal::SIGKILL)?;
        self.taken_over(before).map(drop)
    }

    /// Waits until the switch has had one more master than before.
    ///
    /// # Errors
    /// When it does not.
    pub fn taken_over(&self, before: &Shown) -> Result<Shown> {
        let generation = before.generation()? + 1;
        await_shown(self.switch(), |shown| {
            shown.generation().is_ok_and(|g| g >= generation)
        })
        .context("another master")
    }

    /// Kills the master, waits until the other has taken over and is backed by a standby again, and compares all of
    /// them with the hardware.
    ///
    /// # Errors
    /// Tells what is not as it should be.
    pub fn fail_over(&self) -> Result<Shown> {
        let before = await_ready(self.switch())?;
        self.lose_master(&before)?;
        let after = await_ready(self.switch())?;
        ensure!(
            after.generation()? == before.generation()? + 1,
            "more than one failover: {after}"
        );
        rig::equal(self.switch())?;
        Ok(after)
    }

    /// Sends a frame from h5 that only h6 must get, tagged with a VLAN of both, and one back.
    ///
    /// # Errors
    /// Tells what is missing or too much.
    pub fn forwards_tagged(&self, vlan: u16) -> Result<()> {
        let (a, b) = (bystanders::address(5), bystanders::address(6));
        let tag = Tag::vid(vlan);
        for (from, to, src, dst) in [(0, 1, a, Mac::BROADCAST), (1, 0, b, a)] {
            let frame = Frame::probe(src, dst).tagged(tag);
            self.spare[from].send(&frame)?;
            let received = self.spare[to]
                .receive_until(|f| *f == frame)
                .with_context(|| format!("VLAN {vlan}, from h{} to h{}", from + 5, to + 5))?;
            assert_received(&received, &[frame])
                .with_context(|| format!("VLAN {vlan}, at h{}", to + 5))?;
        }
        Ok(())
    }

    /// A command, words as a shell takes them apart, with its output in pipes.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn hitless(&self, line: &str) -> Result<Command> {
        let mut command = self.switch().hitless()?;
        command
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// Where the case's files are.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.ctx.files().to_owned()
    }
}

/// The running configuration of a switch.
///
/// # Errors
/// When no master answers.
pub fn configuration(switch: &Switch) -> Result<Value> {
    let document = switch.json(&["show", "configuration"])?;
    ensure!(document["vlans"].is_array(), "no configuration: {document}");
    Ok(document)
}

/// Runs a command, words as a shell takes them apart, to its end.
///
/// # Errors
/// When it can not be started.
pub fn run(switch: &Switch, line: &str) -> Result<Output> {
    let mut command = switch.hitless()?;
    command.args(line.split_whitespace());
    command.output().with_context(|| format!("hitless {line}"))
}

/// Everything that a command has printed.
#[must_use]
pub fn said(ended: &Output) -> String {
    [&ended.stdout[..], &ended.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}

/// What differs between two configurations, for messages.
#[must_use]
pub fn difference(before: &Value, after: &Value) -> String {
    let (Some(a), Some(b)) = (before.as_object(), after.as_object()) else {
        return format!("{before} / {after}");
    };
    let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
    keys.filter(|key| a.get(*key) != b.get(*key))
        .map(|key| format!("{key}: {} / {}\n", before[key], after[key]))
        .collect()
}

/// Checks that two configurations are the same.
///
/// # Errors
/// When they differ, with what differs.
pub fn same(what: &str, before: &Value, after: &Value) -> Result<()> {
    if before == after {
        return Ok(());
    }
    bail!("{what}: {}", difference(before, after))
}
