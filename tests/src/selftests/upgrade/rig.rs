//! A switch with both modules and image banks under traffic, spanning tree running, and upgrades of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::harness::{
    chassis::{Chassis, Slot},
    images::{Edition, Maker},
    ktap::Ctx,
    process::Process,
    switch::Switch,
    wait::wait_for,
};
use crate::selftests::bystanders::{self, Bystanders};
use crate::selftests::failover::rig::{PATIENT, Shown, await_ready, equal, lab, shown};
use crate::selftests::lab::Mode;

/// Frames a second and flow that leave the CPUs to the modules.
const RATE: u32 = 20_000;

/// How long an upgrade may take on a busy machine, its way back included.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// `show upgrade` at a moment.
#[derive(Clone, Debug)]
pub struct Status(pub Value);

impl Status {
    /// The step that it is in.
    #[must_use]
    pub fn step(&self) -> &str {
        self.0["step"].as_str().unwrap_or("none")
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Option<&str> {
        self.0["outcome"].as_str()
    }

    /// Why it was gone back from.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0["reason"].as_str().unwrap_or("")
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// See the module.
pub struct Rig<'a> {
    // In this order they end: nobody starts a module again whose hardware is being removed.
    /// Holds the modules.
    pub chassis: Chassis,
    /// The switch, and its traffic.
    pub others: Bystanders,
    /// Makes images.
    pub maker: Maker,
    ctx: &'a Ctx,
}

impl<'a> Rig<'a> {
    /// A switch that runs the current version as its slots were given it. Images need no signature. VLAN 10 is in a
    /// spanning tree domain with edge ports.
    ///
    /// # Errors
    /// When something can not be made, or a module does not become ready.
    pub fn new(ctx: &'a Ctx, mode: Mode) -> Result<Self> {
        let rest = format!(
            "fdb: {{size: 65536}}\nmsm_failover: {PATIENT}\nimages: {{unsigned: allow}}\n\
             vlans: [{{id: 10}}, {{id: 20}}]\n\
             stpds: [{{name: s0, enabled: true, vlans: [10], ports: [{{port: 1, link_type: edge}}, {{port: 2, link_type: edge}}]}}]"
        );
        let (lab, chassis) = lab(ctx, "sw", mode, &bystanders::PORTS, &rest)?;
        let rig = Self {
            chassis,
            others: Bystanders::over(lab, Some(RATE))?,
            maker: Maker::new(ctx.files()),
            ctx,
        };
        rig.at_rest()?;
        Ok(rig)
    }

    /// One whose slots run this edition from their primary banks.
    ///
    /// # Errors
    /// As [`Rig::new`], or when the upgrade to it fails.
    pub fn with(ctx: &'a Ctx, mode: Mode, edition: Edition) -> Result<Self> {
        let mut rig = Self::new(ctx, mode)?;
        if edition != Edition::Current {
            rig.go(edition, &["accept-within", "0"])?;
        }
        Ok(rig)
    }

    /// The switch.
    #[must_use]
    pub fn switch(&self) -> &Switch {
        &self.others.lab.switch
    }

    /// Waits until spanning tree is at rest.
    fn at_rest(&self) -> Result<()> {
        self.switch()
            .await_shown("stpd", |shown| shown[0]["tree"]["topology_change"] == false)
            .map(drop)
    }

    /// An image of an edition.
    ///
    /// # Errors
    /// When the edition was not built.
    pub fn image(&self, edition: Edition, more: &[&str]) -> Result<PathBuf> {
        self.maker.edition(edition, more)
    }

    /// `hitless upgrade` with these words after the file; what it printed, and its exit code.
    ///
    /// # Errors
    /// When it can not be started.
    pub fn upgrade(&self, image: &Path, words: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = self.switch().hitless()?;
        command
            .args(["--yes", "--wait", "30", "upgrade"])
            .arg(image)
            .args(words);
        let ended = command.output()?;
        let text = [ended.stdout, ended.stderr].concat();
        Ok((
            ended.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        ))
    }

    /// Begins an upgrade and goes on.
    ///
    /// # Errors
    /// When it can not be started.
    pub fn begin(&self, image: &Path, words: &[&str]) -> Result<Process> {
        let mut command = self.switch().hitless()?;
        command
            .args(["--yes", "--wait", "30", "upgrade"])
            .arg(image)
            .args(words);
        let file = std::fs::File::create(self.ctx.files().join("upgrade.txt"))?;
        command.stdout(file.try_clone()?).stderr(file);
        Process::spawn(self.ctx.run(), &mut command)
    }

    /// Upgrades to an edition, which must succeed; all of it under the traffic.
    ///
    /// # Errors
    /// When it does not, with what it said.
    pub fn go(&mut self, edition: Edition, words: &[&str]) -> Result<()> {
        let image = self.image(edition, &[])?;
        let (code, text) = self.upgrade(&image, words)?;
        ensure!(
            code == Some(0),
            "upgrade to {edition:?} ended with {code:?}:\n{text}\n{}",
            self.log()
        );
        Ok(())
    }

    /// Where the upgrade stands.
    ///
    /// # Errors
    /// When no master answers.
    pub fn status(&self) -> Result<Status> {
        let info = self.switch().show("upgrade")?;
        Ok(Status(info["upgrade"].clone()))
    }

    /// Waits until the upgrade is like this.
    ///
    /// # Errors
    /// When it does not get there, with where it was and the log.
    pub fn await_status(&self, what: &str, is: impl Fn(&Status) -> bool) -> Result<Status> {
        let mut last = None;
        wait_for(what, PATIENCE, || {
            // Between two masters nobody answers.
            let Ok(status) = self.status() else {
                return Ok(None);
            };
            let found = is(&status).then(|| status.clone());
            last = Some(status);
            Ok(found)
        })
        .with_context(|| format!("it was {last:?}; log:\n{}", self.log()))
    }

    /// Waits until it is over, with this outcome and a reason that says that.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub fn await_outcome(&self, outcome: &str, says: &str) -> Result<Status> {
        let status = self.await_status("the end of the upgrade", |status| {
            status.outcome().is_some()
        })?;
        ensure!(
            status.outcome() == Some(outcome) && status.reason().contains(says),
            "not {outcome} because of {says:?}: {status}\n{}",
            self.log()
        );
        Ok(status)
    }

    /// Both modules run this edition and are ready, and master, standby and hardware are equal.
    ///
    /// # Errors
    /// When that does not come.
    pub fn runs(&self, edition: Edition) -> Result<()> {
        let version = edition.version()?;
        let of = |shown: &Shown, role: &str| {
            shown
                .module(role)
                .is_ok_and(|m| m["version"] == version.as_str())
        };
        wait_for("both modules with that version", PATIENCE, || {
            let shown = shown(self.switch()).ok();
            let found = shown
                .filter(|shown| shown.is_ready() && of(shown, "master") && of(shown, "standby"));
            Ok(found.map(drop))
        })
        .with_context(|| format!("{edition:?}: {:?}\n{}", shown(self.switch()), self.log()))?;
        equal(self.switch())
    }

    /// The end of the log.
    #[must_use]
    pub fn log(&self) -> String {
        crate::harness::switch::tail(self.switch().log_path())
    }

    /// What neighbours would notice of spanning tree: roles, states, and topology changes counted.
    ///
    /// # Errors
    /// When no master answers.
    pub fn tree(&self) -> Result<String> {
        let shown = self.switch().show("stpd")?;
        let counts = self
            .switch()
            .json(&["show", "stpd", "s0", "ports", "all"])?;
        let ports = counts.as_array().cloned().unwrap_or_default();
        let ports: Vec<String> = ports
            .iter()
            .map(|port| format!("{} {} {}", port["port"], port["role"], port["state"]))
            .collect();
        Ok(format!(
            "{} {} {ports:?}",
            shown[0]["tree"]["root_id"], shown[0]["tree"]["topology_changes"]
        ))
    }

    /// The switch forwards, nothing was lost, and the tree did not move.
    ///
    /// # Errors
    /// Tells what was lost, or moved.
    pub fn unharmed(&mut self, tree: &str) -> Result<()> {
        self.others.unharmed()?;
        self.others.finish()?;
        let now = self.tree()?;
        ensure!(now == tree, "the tree was {tree} and is {now}");
        Ok(())
    }

    /// The bank that each slot boots next, as `show version` has it.
    ///
    /// # Errors
    /// When no master answers.
    pub fn selected(&self) -> Result<Vec<Value>> {
        let shown = self.switch().show("version")?;
        let modules = shown["hitlessd"]["modules"]
            .as_array()
            .context("no modules")?;
        Ok(modules
            .iter()
            .map(|module| module["selected"].clone())
            .collect())
    }

    /// The slot of the master.
    ///
    /// # Errors
    /// When there is none.
    pub fn master(&self) -> Result<Slot> {
        await_ready(self.switch())?.slot("master")
    }

    /// A command that the switch must refuse in these words.
    ///
    /// # Errors
    /// When it does not.
    pub fn is_refused(&self, words: &[&str], says: &str) -> Result<()> {
        let ended = self.switch().hitless()?.arg("--yes").args(words).output()?;
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        if ended.status.code() == Some(1) && text.contains(says) {
            return Ok(());
        }
        bail!(
            "hitless {words:?} ended with {}, without saying {says:?}: {text}",
            ended.status
        )
    }
}
