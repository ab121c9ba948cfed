//! "Performing a Hitless Upgrade".

use anyhow::{Result, ensure};

use super::place::{LONG, Place};
use crate::harness::{
    chassis::Slot,
    ktap::{Case, Ctx},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "guide.standard",
        "the standard upgrade of the T-sync guide under numbered traffic in a ring: both modules end on the new version, \
         nothing is lost, no neighbour moves (seed: 53, 54, 55, 56, 66, 67)",
        standard,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "guide.conservative",
        "the conservative upgrade step by step, and the failback by another failover: nothing is lost either way (seed: 54, \
         55, 57, 58, 59, 67)",
        conservative,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "guide.qualified",
        "after a conservative upgrade the new image is kept: use image secondary, and both modules run it after the next \
         start (seed: 57)",
        qualified,
    )
    .timeout(LONG)
    .waits(),
];

fn standard(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    // 1. Download the new image to the primary image space, from which both modules run: that is to be said.
    let download = format!("download image {}", place.new_image);
    place
        .node()?
        .is_refused(&download, "was booted from it; name it")?;
    place.download("primary")?;
    // 2. Reboot the slave.
    place.command("reboot slot msm-b")?;
    place.runs(Slot::A, &place.old, Slot::B, &place.new)?;
    place.logged("Slave MSM initialized for hitless failover operation.")?;
    // 3. Verify that the correct version is loaded.
    let (a, b) = (place.images(Slot::A)?, place.images(Slot::B)?);
    ensure!(
        a["version"] == place.old && b["version"] == place.new,
        "{a} {b}"
    );
    ensure!(
        [&a, &b].iter().all(|slot| slot["booted"] == "primary"
            && slot["selected"] == "primary"
            && slot["banks"][0]["image"]["version"] == place.new),
        "{a} {b}"
    );
    // 4. Initiate failover.
    place.command("run msm-failover")?;
    // 5. Verify the slave state.
    let shown = place.runs(Slot::B, &place.new, Slot::A, &place.new)?;
    ensure!(
        shown.0["fallback"].is_null() && shown.last()["hitless"] == true,
        "{shown}"
    );
    place.nothing_happened()
}

fn conservative(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.upgrade_conservatively()?;
    // Back: "enter the run msm-failover command".
    place.command("run msm-failover")?;
    let shown = place.runs(Slot::A, &place.old, Slot::B, &place.old)?;
    ensure!(
        shown.0["fallback"].is_null() && shown.last()["hitless"] == true,
        "{shown}"
    );
    place.nothing_happened()
}

fn qualified(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.upgrade_conservatively()?;
    place.command("use image secondary")?;
    place.command("reboot slot msm-a")?;
    let shown = place.runs(Slot::B, &place.new, Slot::A, &place.new)?;
    ensure!(shown.0["fallback"].is_null(), "{shown}");
    place.command("run msm-failover")?;
    place.runs(Slot::A, &place.new, Slot::B, &place.new)?;
    ensure!(place.images(Slot::B)?["booted"] == "secondary");
    place.nothing_happened()
}
