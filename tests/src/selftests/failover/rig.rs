//! A switch with both management modules under traffic, and what is asked of it before and after every failover.

use std::fmt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use hitless_common::Mac;
use serde_json::Value;

use crate::harness::{
    chassis::{Chassis, Slot},
    features::{self, Feature},
    frames::Builder,
    ktap::Ctx,
    netns::Netns,
    probe::{Addresses, Generator, Pattern},
    process::Process,
    switch::{DEADLINE, Switch},
    wait::wait_for,
};
use crate::selftests::bystanders::{self, Bystanders};
use crate::selftests::lab::{Lab, Mode};

/// Settings of failover that a busy machine does not trip over: a module is taken for lost after whole seconds, where
/// nobody asked it to be.
pub const PATIENT: &str =
    "{watchdog_ms: 2000, keepalive_misses: 35, freshness_ms: 20000, lease_ms: 10000}";

/// `show msm-failover` at a moment.
#[derive(Clone, Debug)]
pub struct Shown(pub Value);

impl Shown {
    /// How many masters the hardware has had.
    ///
    /// # Errors
    /// When it is not shown.
    pub fn generation(&self) -> Result<u64> {
        let shown = self.0["generation"].as_u64();
        shown.with_context(|| format!("no generation: {self}"))
    }

    /// The module in a role.
    ///
    /// # Errors
    /// When there is none.
    pub fn module(&self, role: &str) -> Result<&Value> {
        let modules = self.0["modules"].as_array();
        let mut modules = modules.into_iter().flatten();
        let found = modules.find(|module| module["role"] == role);
        found.with_context(|| format!("no {role}: {self}"))
    }

    /// The slot of the module in a role.
    ///
    /// # Errors
    /// When there is none.
    pub fn slot(&self, role: &str) -> Result<Slot> {
        let name = &self.module(role)?["slot"];
        let found = Slot::ALL.into_iter().find(|slot| *name == slot.name());
        found.with_context(|| format!("slot {name}"))
    }

    /// The process of the module in a role.
    ///
    /// # Errors
    /// When there is none.
    pub fn pid(&self, role: &str) -> Result<u32> {
        let pid = self.module(role)?["pid"].as_u64();
        Ok(u32::try_from(pid.context("its process")?)?)
    }

    /// How far a subsystem of the standby is.
    ///
    /// # Errors
    /// When there is no standby, or no such subsystem.
    pub fn standby_state(&self, subsystem: &str) -> Result<&str> {
        let all = self.module("standby")?["subsystems"].as_array();
        let found = all.into_iter().flatten().find(|s| s["name"] == subsystem);
        let state = found.and_then(|s| s["state"].as_str());
        state.with_context(|| format!("no {subsystem}: {self}"))
    }

    /// Whether a master answered.
    #[must_use]
    pub fn has_master(&self) -> bool {
        self.module("master").is_ok()
    }

    /// Whether there are a master and a standby, and the standby could take over.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        ["master", "standby"]
            .iter()
            .all(|role| self.module(role).is_ok_and(|m| m["state"] == "ready"))
    }

    /// The last failover.
    #[must_use]
    pub fn last(&self) -> &Value {
        &self.0["last_failover"]
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `show msm-failover` of a switch.
///
/// # Errors
/// When no master answers.
pub fn shown(switch: &Switch) -> Result<Shown> {
    switch.show("msm-failover").map(Shown)
}

/// Waits until `show msm-failover` satisfies `is`.
///
/// # Errors
/// When it does not; with what was shown last.
pub fn await_shown(switch: &Switch, is: impl Fn(&Shown) -> bool) -> Result<Shown> {
    let mut last = None;
    wait_for("a state of `show msm-failover`", DEADLINE, || {
        let now = shown(switch)?;
        let found = is(&now).then(|| now.clone());
        last = Some(now);
        Ok(found)
    })
    .with_context(|| last.map_or("nothing was shown".into(), |last| last.to_string()))
}

/// Waits until both modules are there and the standby is ready.
///
/// # Errors
/// When that does not come; with what was shown last.
pub fn await_ready(switch: &Switch) -> Result<Shown> {
    await_shown(switch, Shown::is_ready).context("a master and a standby that is ready")
}

/// Compares master, standby and hardware, whole contents.
///
/// # Errors
/// When they differ, with the table.
pub fn equal(switch: &Switch) -> Result<()> {
    let checked = switch.json(&["check", "msm-failover"])?;
    ensure!(checked["equal"] == true, "they differ: {checked}");
    Ok(())
}

/// As [`equal`], once there is a ready standby to compare with: one that was killed an instant ago may still be shown.
///
/// # Errors
/// As [`equal`], or when none becomes ready.
pub fn await_equal(switch: &Switch) -> Result<()> {
    let checked = wait_for("a standby to compare with", DEADLINE, || {
        switch.json(&["check", "msm-failover"]).map(Some)
    })?;
    ensure!(checked["equal"] == true, "they differ: {checked}");
    Ok(())
}

/// The chassis of a switch whose modules may be made to fail, and are started again at once however often they do.
///
/// # Errors
/// When the binary is missing.
pub fn chassis_command(switch: &Switch) -> Result<Command> {
    let mut command = Chassis::command(switch)?;
    command
        .env("HITLESS_FAULTS", "1")
        .args(["--settled-ms", "0"]);
    Ok(command)
}

/// A lab whose switch has both modules.
///
/// # Errors
/// As [`Lab::new`], or when the standby does not become ready.
pub fn lab(
    ctx: &Ctx,
    label: &str,
    mode: Mode,
    ports: &[&str],
    rest: &str,
) -> Result<(Lab, Chassis)> {
    let (lab, chassis) = Lab::started(ctx, label, mode, ports, rest, |switch| {
        let mut command = chassis_command(switch)?;
        Chassis::spawn(ctx.run(), switch, &mut command)
    })?;
    await_ready(&lab.switch)?;
    Ok((lab, chassis))
}

/// See the module. Stations of [`Bystanders`] at ports 1 to 4; crowds of stations at ports 5 and 6, in VLAN 30.
pub struct Rig<'a> {
    // In this order they end: nobody starts a module again whose hardware is being removed.
    /// Holds the modules.
    pub chassis: Chassis,
    /// The switch, and its traffic.
    pub others: Bystanders,
    ctx: &'a Ctx,
}

impl<'a> Rig<'a> {
    /// A switch with this section `msm_failover` and so many frames a second and flow, or as many as there can be.
    ///
    /// # Errors
    /// When something can not be made, or a module does not become ready.
    pub fn new(ctx: &'a Ctx, mode: Mode, settings: &str, rate: Option<u32>) -> Result<Self> {
        Self::with(ctx, mode, settings, rate, |_| Ok(()))
    }

    /// The same with other arguments or another environment for its chassis.
    ///
    /// # Errors
    /// As [`Rig::new`].
    pub fn with(
        ctx: &'a Ctx,
        mode: Mode,
        settings: &str,
        rate: Option<u32>,
        adjust: impl FnOnce(&mut Command) -> Result<()>,
    ) -> Result<Self> {
        let ports: Vec<&str> = [&bystanders::PORTS[..], &["untagged: 30"; 2]].concat();
        // With a loop-free port set a lease that runs out stops the flows of VLAN 10: no failover may take so long.
        let rest = format!(
            "fdb: {{size: 524288, ageing_seconds: 0}}\nmsm_failover: {settings}\n\
             vlans: [{{id: 10, loop_free_ports: [1]}}, {{id: 20}}, {{id: 30}}]"
        );
        let (lab, chassis) = Lab::started(ctx, "sw", mode, &ports, &rest, |switch| {
            let mut command = chassis_command(switch)?;
            adjust(&mut command)?;
            Chassis::spawn(ctx.run(), switch, &mut command)
        })?;
        // One of another version loads its programs first, for which a busy machine takes longer than for all else.
        let again = |_| await_ready(&lab.switch);
        await_ready(&lab.switch).or_else(again).or_else(again)?;
        for port in ["p5", "p6"] {
            // Frames of a generator come in there.
            features::set(&lab.netns, port, Feature::Gro, true)?;
        }
        Ok(Self {
            chassis,
            others: Bystanders::over(lab, rate)?,
            ctx,
        })
    }

    /// The switch.
    #[must_use]
    pub fn switch(&self) -> &Switch {
        &self.others.lab.switch
    }

    /// A command of the operator that goes on by itself, and the file that has what it prints.
    ///
    /// # Errors
    /// When it can not be started.
    pub fn background(&self, words: &[&str]) -> Result<(Process, std::path::PathBuf)> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.ctx.files().join(format!("{}-{number}.txt", words[0]));
        let file = std::fs::File::create(&path)?;
        let mut command = self.switch().hitless()?;
        command.args(words).stdout(file.try_clone()?).stderr(file);
        Ok((Process::spawn(self.ctx.run(), &mut command)?, path))
    }

    /// A command that must be refused by the switch, and say so in these words.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub fn is_refused(&self, words: &[&str], why: &str) -> Result<()> {
        let ended = self.switch().hitless()?.args(words).output()?;
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        if ended.status.code() == Some(1) && text.contains(why) {
            return Ok(());
        }
        bail!(
            "hitless {words:?} ended with {}, without saying {why:?}: {text}",
            ended.status
        )
    }

    /// The number of addresses that the master knows. It answers this by itself, without a look at its image banks, for
    /// which a thread would wait for its turn on processors that are busy with traffic.
    ///
    /// # Errors
    /// When no master answers.
    pub fn known(&self) -> Result<u64> {
        let shown = shown(self.switch())?;
        let subsystems = shown.module("master")?["subsystems"].as_array();
        let fdb = subsystems.and_then(|all| all.iter().find(|s| s["name"] == "fdb"));
        fdb.and_then(|fdb| fdb["records"].as_u64())
            .with_context(|| format!("the records of the master's fdb: {shown}"))
    }
}

/// Many stations behind one port.
pub struct Crowd {
    generator: Generator,
    size: u32,
}

impl Crowd {
    /// Stations in a namespace; `number` tells crowds apart.
    ///
    /// # Errors
    /// When the generator can not be loaded.
    pub fn new(host: &Netns, number: u8, size: u32) -> Result<Self> {
        let first = Mac([0x02, 0x33, number, 0, 0, 0]);
        let nobody = Mac([0x02, 0x34, 0, 0, 0, 0]);
        let pattern = Pattern::Sequential {
            src: Addresses { first, count: size },
            dst: Addresses {
                first: nobody,
                count: 1,
            },
        };
        let frame = Builder::new(first, nobody).build();
        Ok(Self {
            generator: Generator::new(host, "eth1", frame, pattern)?,
            size,
        })
    }

    /// So many of them send a frame each, the next ones in turn.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn send(&mut self, count: u32) -> Result<()> {
        self.generator.send(count).map(drop)
    }

    /// All of them send, until the switch knows so many addresses in all.
    ///
    /// # Errors
    /// When it never does.
    pub fn until_known(&mut self, rig: &Rig<'_>, wanted: u64) -> Result<()> {
        wait_for(&format!("{wanted} known addresses"), DEADLINE, || {
            let known = rig.known()?;
            if known >= wanted {
                return Ok(Some(()));
            }
            // A whole round: which of them are missing, nobody tells.
            self.send(self.size)?;
            Ok(None)
        })
        .with_context(|| format!("known: {:?}", rig.known()))
    }
}
