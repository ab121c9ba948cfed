//! Interfaces that change when there is no master to see it: the next one knows of it from the standby that it was.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::rig::{PATIENT, Rig, await_ready, await_shown};
use crate::harness::{
    chassis::Part,
    frames::Frame,
    ktap::{Case, Ctx},
    port::Port,
};
use crate::selftests::bystanders::address;
use crate::selftests::lab::Mode;

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "failover.interfaces",
    "devices that go and return while the master is stopped: the standby that takes over knows them as they are",
    interfaces,
)];

const RATE: u32 = 20_000;

fn interfaces(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc, PATIENT, Some(RATE))?;
    let before = await_ready(rig.switch())?;
    let master = before.slot("master")?;
    rig.chassis.signal(master, Part::Daemon, Signal::SIGSTOP)?;
    let lab = &rig.others.lab;
    for port in ["p5", "p6"] {
        lab.netns.ip(&["link", "delete", port])?;
    }
    let host = &lab.hosts[5];
    lab.netns.veth("p6", host, "eth1")?;
    rig.chassis.signal(master, Part::Daemon, Signal::SIGKILL)?;
    let generation = before.generation()?;
    await_shown(rig.switch(), |shown| {
        shown.has_master() && shown.generation().is_ok_and(|now| now > generation)
    })?;
    rig.switch().await_shown("ports", |ports| {
        ports[4]["link"] == "absent"
            && ports[5]["device_state"] == "attached"
            && ports[5]["link"] == "up"
    })?;
    Port::open(host, "eth1")?.send(&Frame::probe(address(6), address(5)))?;
    rig.others.lab.await_learned(30, address(6), 6)?;
    await_ready(rig.switch())?;
    rig.others.unharmed().context("other ports")?;
    rig.others.finish()
}
