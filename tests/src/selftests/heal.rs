//! Hardware that somebody else wrote to: the master finds it and repairs it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aya::maps::Array;
use hitless_common::VlanId;
use hitless_common::map::fdb::{FdbBucket, FdbKey};
use hitless_common::map::name;
use hitless_common::map::ports::PortEntry;
use hitless_common::map::vlans::{PortSet, VlanEntry, flag};

use super::bystanders::{Bystanders, address};
use super::lab::Mode;
use super::pinned::Pinned;
use crate::harness::{
    ktap::{Case, Ctx},
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "heal.every-table",
        "entries of the hardware that somebody else wrote to are found, repaired and counted (seed: 50)",
        healed,
    )
    // Every entry is looked at once in a minute.
    .timeout(Duration::from_secs(180)),
    Case::new(
        "heal.links",
        "a port whose program somebody took away is attached again (seed: 50)",
        links,
    ),
];

/// Whole passes of the audit take a minute; a busy machine makes it longer.
const HEAL_DEADLINE: Duration = Duration::from_secs(150);

fn healed(ctx: &Ctx) -> Result<()> {
    let mut others = Bystanders::start(ctx, Mode::Tc)?;
    let pinned = Pinned::of(&others.lab.switch);
    let before = pinned.state()?;
    let port = before
        .egress
        .get(&4)
        .copied()
        .context("EGRESS has port 4")?;
    let slot = before
        .ports
        .iter()
        .find(|(_, entry)| entry.port == 4)
        .map(|(slot, _)| *slot);
    let slot = slot.context("PORTS has port 4")?;

    // What h3 and h4 need, and openings that nobody configured: VLAN 3000, and VLAN 10 towards h4.
    let mut vlans: Array<_, VlanEntry> = pinned.array(name::VLANS)?;
    let everybody = PortSet([u64::MAX; 2]);
    let open = VlanEntry {
        forwarding: everybody,
        untagged: everybody,
        learning: everybody,
        member: everybody,
        fallback: everybody,
        flags: flag::EXISTS,
    };
    vlans.set(20, VlanEntry::default(), 0)?;
    vlans.set(3000, open, 0)?;
    let mut egress: Array<_, PortEntry> = pinned.array(name::EGRESS)?;
    egress.set(
        4,
        PortEntry {
            ifindex: 0xdead,
            pvid: 10,
            ..port
        },
        0,
    )?;
    let mut ports: Array<_, PortEntry> = pinned.array(name::PORTS)?;
    ports.set(
        slot,
        PortEntry {
            pvid: 10,
            flags: 0,
            ..port
        },
        0,
    )?;
    let vlan = VlanId::new(20).context("a VLAN id")?;
    misdirect(&pinned, FdbKey::new(vlan, address(4)))?;
    ensure!(pinned.state()? != before, "the damage is not there");

    wait_for("the hardware to be as it was", HEAL_DEADLINE, || {
        Ok((pinned.state()? == before).then_some(()))
    })?;
    let shown = others.lab.switch.show("switch")?;
    let writes = &shown["hardware_writes"]["tables"];
    for table in [name::VLANS, name::EGRESS, name::PORTS, name::FDB] {
        ensure!(
            writes[table].as_u64() > Some(0),
            "no write to {table}: {writes}"
        );
    }
    ensure!(
        shown["repaired"].as_u64() >= Some(5),
        "the repairs are not counted: {shown}"
    );
    let log = others.lab.switch.log()?;
    ensure!(
        log.contains("the hardware differed from the software copy and was repaired"),
        "the repair is not in the log:\n{log}"
    );
    others.unharmed()?;
    others.finish()
}

fn links(ctx: &Ctx) -> Result<()> {
    for mode in [Mode::Tc, Mode::Xdp] {
        let mut others = Bystanders::start(ctx, mode)?;
        let hook = if mode == Mode::Xdp { "xdp" } else { "tc" };
        // Without its pin nothing holds the link, and the program leaves the device of h4.
        let layout = format!("v{}", hitless_common::map::meta::LAYOUT);
        let pin = others
            .lab
            .switch
            .pins()
            .join(layout)
            .join(format!("link_4_{hook}"));
        std::fs::remove_file(&pin).with_context(|| format!("remove {}", pin.display()))?;
        others
            .lab
            .switch
            .await_shown("switch", |s| s["repaired"].as_u64() > Some(0))?;
        ensure!(pin.exists(), "{} is not there again", pin.display());
        others.unharmed()?;
        others.finish()?;
    }
    Ok(())
}

/// Lets an address of the FDB be behind port 120, which there is not.
fn misdirect(pinned: &Pinned, key: FdbKey) -> Result<()> {
    let mut fdb: Array<_, FdbBucket> = pinned.array(name::FDB)?;
    for index in 0..fdb.len() {
        let mut bucket = fdb.get(&index, 0)?;
        if let Some(entry) = bucket.0.iter_mut().find(|entry| entry.key == key) {
            entry.port = 120;
            return Ok(fdb.set(index, bucket, 0)?);
        }
    }
    bail!("{} is not in the FDB", key.mac())
}
