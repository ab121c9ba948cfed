//! A switch in a ring, both of whose modules run an older version from their primary banks, msm-a being master; and the
//! image of this version.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::{
    bpdus::Recorder,
    chassis::Slot,
    images::{Edition, Maker},
    ktap::Ctx,
    neighbour::Parameters,
    numbered::Broadcast,
};
use crate::selftests::failover::rig::{self, Shown};
use crate::selftests::stp::{
    failover::{Moved, await_rest},
    kernel::QUICK,
    net::{Net, Node, Ours, Plan, SETTLES},
    ring::{all_hear, everybody, hitless},
};

/// For each of these cases.
pub const LONG: Duration = Duration::from_secs(300);

/// See the module.
pub struct Place {
    net: Net,
    before: Moved,
    flows: Vec<Broadcast>,
    _ears: Vec<Recorder>,
    /// The image of the new version.
    pub new_image: String,
    /// The version that runs.
    pub old: String,
    /// The version of the image.
    pub new: String,
}

impl Place {
    /// Wires it, waits for spanning tree to settle, and lets everybody talk.
    ///
    /// # Errors
    /// When something can not be made, or does not settle.
    pub fn new(ctx: &Ctx) -> Result<Self> {
        let maker = Maker::new(ctx.files());
        let [old, new] = [Edition::Older, Edition::Current];
        let old_image = maker.edition(old, &[])?;
        let new_image: PathBuf = maker.edition(new, &[])?;
        let settings = format!("{QUICK}, path_cost_method: short");
        let a = Ours::new("a", 8192)
            .s0(&settings)
            .failover(rig::PATIENT)
            .both()
            .image(&old_image);
        // The kernel's bridge is the root, and a is between it and a port that b has closed.
        let plan = Plan::default()
            .ours([a, Ours::new("b", 12288).s0(&settings)])
            .bridge("k", Parameters::quick(4096))
            .ring(&["k", "a", "b"])
            .hosts([("k", 1), ("a", 1), ("b", 1)]);
        let net = Net::up(ctx, &plan)?;
        let node = net.node("a")?;
        if rig::shown(&node.switch)?.slot("master")? == Slot::B {
            node.command("run msm-failover")?;
            rig::await_ready(&node.switch)?;
        }
        // The guide has images from a server that is trusted for being that.
        node.command("configure image unsigned allow")?;
        node.command("save")?;
        net.await_settled(1)?;
        let ends = [("k", 2), ("k", 3), ("a", 2), ("a", 3)];
        let ears: Vec<Recorder> = ends
            .into_iter()
            .map(|end| net.hear(end))
            .collect::<Result<_>>()?;
        await_rest(ears.iter())?;
        let flows = everybody(&net)?;
        all_hear(&flows, SETTLES)?;
        let place = Self {
            before: Moved::of(&net)?,
            net,
            flows,
            _ears: ears,
            new_image: new_image.display().to_string(),
            old: old.version()?,
            new: new.version()?,
        };
        place.runs(Slot::A, &place.old, Slot::B, &place.old)?;
        Ok(place)
    }

    /// The switch.
    ///
    /// # Errors
    /// Never: it was planned.
    pub fn node(&self) -> Result<&Node> {
        self.net.node("a")
    }

    /// Types a command, which must succeed.
    ///
    /// # Errors
    /// With its message when it fails.
    pub fn command(&self, line: &str) -> Result<String> {
        self.node()?.command(line)
    }

    /// The file of a `download image`, in this bank or as the command has it by itself.
    ///
    /// # Errors
    /// When it is not loaded.
    pub fn download(&self, bank: &str) -> Result<()> {
        let text = self.command(&format!("download image {} {bank}", self.new_image))?;
        ensure!(text.contains(&self.new), "{text}");
        Ok(())
    }

    /// Waits until master and standby are these, both ready; compares them with the hardware if they are of one version.
    ///
    /// # Errors
    /// When that does not come.
    pub fn runs(&self, master: Slot, runs: &str, standby: Slot, other: &str) -> Result<Shown> {
        let shown = rig::await_shown(&self.node()?.switch, |shown| {
            let is = |role, slot: Slot, version: &str| {
                shown
                    .module(role)
                    .is_ok_and(|m| m["slot"] == slot.name() && m["version"] == version)
            };
            shown.is_ready() && is("master", master, runs) && is("standby", standby, other)
        })
        .with_context(|| format!("{master:?} with {runs}, {standby:?} with {other}, ready"))?;
        // Two versions have not the same to compare: one lacks fields of the other.
        if runs == other {
            rig::equal(&self.node()?.switch)?;
        }
        Ok(shown)
    }

    /// Has the slave in msm-a started again, and waits until the new one is there.
    ///
    /// # Errors
    /// When it does not come.
    pub fn restart_slave(&self) -> Result<()> {
        let switch = &self.node()?.switch;
        let before = rig::shown(switch)?.pid("standby")?;
        self.command("reboot slot msm-a")?;
        let other = |shown: &Shown| shown.pid("standby").is_ok_and(|pid| pid != before);
        rig::await_shown(switch, other).map(drop)
    }

    /// Waits until the standby has failed for this reason, in all of its subsystems.
    ///
    /// # Errors
    /// When it does not.
    pub fn failed(&self, reason: &str) -> Result<Shown> {
        rig::await_shown(&self.node()?.switch, |shown| {
            let Ok(standby) = shown.module("standby") else {
                return false;
            };
            let failed = |of: &Value| of["state"] == "failed" && of["reason"] == reason;
            let all = standby["subsystems"].as_array();
            failed(standby) && all.is_some_and(|all| all.iter().all(failed))
        })
        .with_context(|| format!("a standby that has failed: {reason}"))
    }

    /// The images of a slot, as `show version` has them.
    ///
    /// # Errors
    /// When they are not shown.
    pub fn images(&self, slot: Slot) -> Result<Value> {
        let shown = self.node()?.switch.show("version")?;
        let modules = shown["hitlessd"]["modules"].as_array();
        let mut modules = modules.into_iter().flatten();
        let found = modules.find(|module| module["slot"] == slot.name());
        found
            .cloned()
            .with_context(|| format!("no {slot:?}: {shown}"))
    }

    /// Whether this was said in the log.
    ///
    /// # Errors
    /// When it was not.
    pub fn logged(&self, words: &str) -> Result<()> {
        let log = self.command("show log 1000")?;
        ensure!(log.contains(words), "{words:?} is not in the log:\n{log}");
        Ok(())
    }

    /// The conservative upgrade of the guide, step by step: msm-b is master with the new version, and msm-a waits with
    /// the old one.
    ///
    /// # Errors
    /// When a step fails.
    pub fn upgrade_conservatively(&self) -> Result<()> {
        // 1. Choose the secondary image.
        let said = self.command("use image secondary")?;
        ensure!(said.contains("is empty"), "{said}");
        // 2. Download the new image to the secondary image space.
        self.download("")?;
        // 3. Verify.
        for slot in Slot::ALL {
            let images = self.images(slot)?;
            ensure!(
                images["version"] == self.old
                    && images["booted"] == "primary"
                    && images["selected"] == "secondary"
                    && images["banks"][1]["image"]["version"] == self.new,
                "{images}"
            );
        }
        let shown = self.command("show switch")?;
        ensure!(
            shown.contains("msm-a primary booted, secondary selected"),
            "{shown}"
        );
        // 4. Force the slave to boot up using the new version.
        self.command("reboot slot msm-b")?;
        self.runs(Slot::A, &self.old, Slot::B, &self.new)?;
        ensure!(self.images(Slot::B)?["booted"] == "secondary");
        self.logged("Slave MSM initialized for hitless failover operation.")?;
        // 5. Select the primary image (that now contains the older software release).
        self.command("use image primary")?;
        // 6. Initiate failover.
        self.command("run msm-failover")?;
        let shown = self.runs(Slot::B, &self.new, Slot::A, &self.old)?;
        ensure!(
            shown.0["fallback"]["slot"] == "msm-a"
                && shown.0["fallback"]["version"] == self.old
                && shown.0["fallback"]["reason"] == "none",
            "{shown}"
        );
        Ok(())
    }

    /// Ends the traffic: nothing was lost, and no neighbour has seen anything move.
    ///
    /// # Errors
    /// When something was.
    pub fn nothing_happened(self) -> Result<()> {
        all_hear(&self.flows, SETTLES)?;
        let after = Moved::of(&self.net)?;
        ensure!(
            after == self.before,
            "something moved: {:?} became {after:?}",
            self.before
        );
        hitless(self.flows)
    }
}
