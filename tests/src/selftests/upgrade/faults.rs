//! Images that are bad in every way: the switch forwards all along and ends on the version that works.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::desk::Desk;
use super::rig::Rig;
use crate::harness::images::Edition;
use crate::harness::ktap::{Case, Ctx};
use crate::selftests::lab::Mode;

const LONG: Duration = Duration::from_secs(300);

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "upgrade.crash-at-start",
        "an image that crashes at its start is gone back from, nothing is lost (seed: 65-68)",
        |ctx| fault(ctx, "crash-at-start", &[], "unfit"),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.hang",
        "an image that hangs at its start is gone back from, nothing is lost (seed: 65-68)",
        |ctx| fault(ctx, "hang", &[], ""),
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "upgrade.never-ready",
        "an image that never becomes ready is gone back from, nothing is lost (seed: 65-68)",
        |ctx| fault(ctx, "never-ready", &[], "60 s"),
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "upgrade.panics-as-master",
        "an image that panics soon after it became master: the old version takes over and stays, nothing is lost \
         (seed: 65-68)",
        |ctx| fault(ctx, "panic-after 1", &["conservative"], "was lost"),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.panics-late",
        "an image that panics while it waits to be accepted, in both modules: the old version comes back, nothing is lost \
         (seed: 65-68)",
        |ctx| fault(ctx, "panic-after 20", &[], "was lost"),
    )
    .timeout(LONG),
];

fn fault(ctx: &Ctx, fault: &str, words: &[&str], says: &str) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    let image = rig.image(Edition::Newer, &[&format!("fault {fault}")])?;
    let (code, text) = rig.upgrade(&image, words)?;
    // It is gone back from before or after it waits to be accepted.
    ensure!(
        matches!(code, Some(0 | 5)),
        "ended with {code:?}:\n{text}\n{}",
        rig.log()
    );
    rig.await_outcome("rolled-back", says)?;
    rig.runs(Edition::Current)?;
    rig.unharmed(&tree)
}
