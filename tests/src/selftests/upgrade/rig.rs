//! A switch with both modules and image banks under traffic, spanning tree running, and upgrades of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use hitless_boot::bank::Banks;

use super::desk::Desk;
use crate::harness::{chassis::Chassis, images::Maker, ktap::Ctx, switch::Switch};
use crate::selftests::bystanders::{self, Bystanders};
use crate::selftests::failover::rig::{PATIENT, await_ready, chassis_command};
use crate::selftests::lab::{Lab, Mode};
use crate::selftests::stp::view;
use crate::selftests::trial::in_own_mounts;

/// Frames a second and flow that leave the CPUs to the modules.
const RATE: u32 = 20_000;

/// See the module.
pub struct Rig<'a> {
    // In this order they end: nobody starts a module again whose hardware is being removed.
    /// Holds the modules.
    pub chassis: Chassis,
    /// The switch, and its traffic.
    pub others: Bystanders,
    maker: Maker,
    ctx: &'a Ctx,
    /// Whether the images are on a disk that only the switch sees.
    hidden: bool,
}

impl Desk for Rig<'_> {
    fn switch(&self) -> &Switch {
        &self.others.lab.switch
    }

    fn ctx(&self) -> &Ctx {
        self.ctx
    }

    fn maker(&self) -> &Maker {
        &self.maker
    }

    fn images(&self) -> Banks {
        let images = self.switch().images();
        if !self.hidden {
            return images;
        }
        let root = format!("/proc/{}/root", self.chassis.process().pid());
        Banks::new(Path::new(&format!(
            "{root}{}",
            images.directory().display()
        )))
    }
}

impl<'a> Rig<'a> {
    /// A switch that runs the current version as its slots were given it. Images need no signature. VLAN 10 is in a
    /// spanning tree domain with edge ports.
    ///
    /// # Errors
    /// When something can not be made, or a module does not become ready.
    pub fn new(ctx: &'a Ctx, mode: Mode) -> Result<Self> {
        Self::of(ctx, mode, None)
    }

    /// The same with a disk of so many octets for its images, which only the switch sees.
    ///
    /// # Errors
    /// As [`Rig::new`].
    pub fn on_disk(ctx: &'a Ctx, mode: Mode, octets: u64) -> Result<Self> {
        Self::of(ctx, mode, Some(octets))
    }

    fn of(ctx: &'a Ctx, mode: Mode, disk: Option<u64>) -> Result<Self> {
        let rest = format!(
            "fdb: {{size: 65536}}\nmsm_failover: {PATIENT}\nimages: {{unsigned: allow}}\n\
             vlans: [{{id: 10}}, {{id: 20}}]\n\
             stpds: [{{name: s0, enabled: true, vlans: [10], ports: [{{port: 1, link_type: edge}}, {{port: 2, link_type: edge}}]}}]"
        );
        let ports = &bystanders::PORTS;
        let (lab, chassis) = Lab::started(ctx, "sw", mode, ports, &rest, |switch| {
            let mut command = match disk {
                Some(octets) => with_disk(switch, octets)?,
                None => chassis_command(switch)?,
            };
            Chassis::spawn(ctx.run(), switch, &mut command)
        })?;
        await_ready(&lab.switch)?;
        let rig = Self {
            chassis,
            others: Bystanders::over(lab, Some(RATE))?,
            maker: Maker::new(ctx.files()),
            ctx,
            hidden: disk.is_some(),
        };
        rig.at_rest()?;
        Ok(rig)
    }

    /// Waits until spanning tree is at rest.
    fn at_rest(&self) -> Result<()> {
        self.switch()
            .await_shown("stpd", |shown| shown[0]["tree"]["topology_change"] == false)
            .map(drop)
    }

    /// What neighbours would notice of spanning tree: roles, states, and topology changes counted.
    ///
    /// # Errors
    /// When no master answers.
    pub fn tree(&self) -> Result<String> {
        Ok(format!("{:?}", view::tree(self.switch(), "s0")?))
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
}

/// The chassis of a switch with an empty disk of this size for its images.
fn with_disk(switch: &Switch, octets: u64) -> Result<Command> {
    let images = switch.images();
    let directory = images.directory();
    std::fs::create_dir(directory)?;
    let words = in_own_mounts(&format!(
        "mount -t tmpfs -o size={octets} tmpfs '{}'",
        directory.display()
    ));
    let inner = chassis_command(switch)?;
    let mut command = switch.inside_any(&words[0])?;
    command.args(&words[1..]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Ok(command)
}
