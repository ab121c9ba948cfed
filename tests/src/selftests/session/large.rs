//! A configuration as large as there can be: 4,094 VLANs on several ports.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::desk::{Desk, same};
use crate::harness::{
    ktap::{Case, Ctx},
    process::output,
};
use crate::selftests::failover::rig::{await_ready, equal};
use crate::selftests::lab::Mode;

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "session.large",
    "4,094 VLANs on several ports load by download configuration in less than 2 s and are saved in less than 1 s; they \
     forward, the standby has them, no failover comes of it, and other flows lose nothing (seed: 27, 29, 40)",
    large,
)
.timeout(Duration::from_secs(300))];

const VLANS: u16 = 4094;
/// The VLANs that the switch had before, which the other flows use.
const OLD: [u16; 4] = [10, 20, 30, 50];

/// What a load and a save may take.
const LOAD: Duration = Duration::from_secs(2);
const SAVE: Duration = Duration::from_secs(1);
/// On a busy machine the best of so many counts.
const TRIES: usize = 3;

fn large(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let base = desk.configuration()?;
    let generation = await_ready(desk.switch())?.generation()?;
    let small = desk.file("small.txt", "")?;
    desk.command(&format!("upload configuration {small} commands"))?;
    let mut text = fs::read_to_string(&small)?;
    for id in (1..=VLANS).filter(|id| !OLD.contains(id)) {
        let _ = writeln!(text, "create vlan net-{id} tag {id}");
        let _ = writeln!(text, "configure vlan net-{id} add ports 5-7 tagged");
    }
    let commands = desk.file("large.txt", &text)?;

    // Once as commands, and as the switch writes it after that.
    desk.others.phase("commands")?;
    let mut loads = vec![timed(&desk, &format!("download configuration {commands}"))?];
    let yaml = desk.file("large.yaml", "")?;
    desk.command(&format!("upload configuration {yaml} yaml"))?;
    let full = desk.configuration()?;
    let known = desk.switch().show("vlan")?;
    ensure!(
        known.as_array().map(Vec::len) == Some(usize::from(VLANS)),
        "not {VLANS} VLANs"
    );
    let mut saves = Vec::new();
    for number in 0..TRIES {
        desk.others.phase(&format!("YAML {number}"))?;
        desk.command(&format!("download configuration {small}"))?;
        same("small again", &base, &desk.configuration()?)?;
        let path = if number % 2 == 0 { &yaml } else { &commands };
        loads.push(timed(&desk, &format!("download configuration {path}"))?);
        same("large again", &full, &desk.configuration()?)?;
        saves.push(timed(&desk, "save")?);
        equal(desk.switch()).context("the standby has all of it")?;
    }
    ctx.note(format!("loads: {loads:?}, saves: {saves:?}"));
    ensure!(
        loads.iter().any(|took| *took < LOAD),
        "no load took less than {LOAD:?}: {loads:?}"
    );
    ensure!(
        saves.iter().any(|took| *took < SAVE),
        "no save took less than {SAVE:?}: {saves:?}"
    );

    desk.others.phase("in use")?;
    for vlan in [1, 2, 50, 2047, 4093, 4094] {
        desk.forwards_tagged(vlan)?;
    }
    let after = await_ready(desk.switch())?;
    ensure!(
        after.generation()? == generation,
        "it has cost the master its mastership: {after}"
    );
    // The file is what the switch starts from.
    output(desk.switch().daemon()?.arg("--check"))?;
    desk.fail_over()?;
    same("on the next master", &full, &desk.configuration()?)?;
    desk.forwards_tagged(4094)?;
    desk.others.unharmed()?;
    desk.others.finish()
}

/// Runs a command as an operator does, the start of the program included.
fn timed(desk: &Desk<'_>, line: &str) -> Result<Duration> {
    let start = Instant::now();
    desk.command(line)?;
    Ok(start.elapsed())
}
