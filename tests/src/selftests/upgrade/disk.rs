//! Disks that are too small or become full, and journals that a power cut has spoiled.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_boot::bank::Bank;
use hitless_boot::slot::Slot;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::signal::Signal;
use nix::sys::statvfs::statvfs;

use super::desk::{Desk, JOURNAL, PATIENCE, Status};
use super::rig::Rig;
use crate::harness::chassis::Part;
use crate::harness::images::Edition;
use crate::harness::ktap::{Case, Ctx};
use crate::harness::process::Process;
use crate::harness::wait::wait_for;
use crate::selftests::failover::rig::await_ready;
use crate::selftests::lab::Mode;

const LONG: Duration = Duration::from_secs(400);

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "upgrade.disk-too-small",
        "an upgrade for whose images the disk has no room is refused before anything is changed",
        too_small,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.disk-fills-install",
        "the disk becomes full while the image is installed: it is gone back from with the reason, nothing is lost, and with \
         room again it is done",
        fills_install,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.disk-fills-journal",
        "the disk becomes full before and after the failover, so that neither journal nor selection can be written: it is gone \
         back from with the reason, nothing is lost, and with room again it is done",
        fills_journal,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.disk-fills-late",
        "the disk becomes full while the other module is started and while the upgrade waits to be accepted: it is accepted, \
         or gone back from with the reason, what is on disk is what is shown, nothing is lost",
        fills_late,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.journal-spoiled",
        "the journal is empty, half or garbage, and the master that knew it is dead: one version comes into both slots, with \
         the reason, nothing is lost, and another upgrade is done",
        journal_spoiled,
    )
    .timeout(LONG),
];

/// Octets of an image of the newer version, or a little more.
fn size() -> Result<u64> {
    let program = Edition::Newer.program()?;
    let found = fs::metadata(&program).with_context(|| program.display().to_string())?;
    Ok(found.len() + 64 * 1024)
}

fn too_small(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::on_disk(ctx, Mode::Tc, size()? * 4)?;
    let tree = rig.tree()?;
    let image = rig.image(Edition::Newer, &[])?;
    let before = rig.standing()?;
    let file = image.display().to_string();
    for words in [
        &["upgrade", &file][..],
        &["upgrade", &file, "--conservative"],
    ] {
        for says in ["space: ", " octets are free in ", "make room there"] {
            rig.is_refused(words, says)?;
        }
    }
    let after = rig.standing()?;
    ensure!(before == after, "{before:?} became {after:?}");
    rig.unharmed(&tree)
}

/// A file that takes room on its disk.
struct Filler(PathBuf);

impl Filler {
    /// Leaves so much room, or less than a page.
    fn leave(directory: &Path, name: &str, room: u64) -> Result<Self> {
        let filler = Self(directory.join(name));
        let file = File::create(&filler.0)?;
        let mut end = 0;
        // The last page counts.
        for piece in [64 << 20, 1 << 20, 4096] {
            let left = || statvfs(directory).map(|found| found.blocks_free() * found.block_size());
            while left()? >= room + piece as u64
                && fallocate(&file, FallocateFlags::empty(), end, piece).is_ok()
            {
                end += piece;
            }
        }
        ensure!(end > 0, "{} was full", directory.display());
        Ok(filler)
    }

    fn remove(self) -> Result<()> {
        Ok(fs::remove_file(self.0)?)
    }
}

/// Begins an upgrade on a disk that has hardly more room than is asked for, so that the rest is soon taken.
fn begin(rig: &Rig<'_>, accept_within: &str) -> Result<(Filler, Process)> {
    let image = rig.image(Edition::Newer, &[])?;
    let enough = fs::metadata(&image)?.len() * 51 / 10;
    let padding = Filler::leave(rig.images().directory(), "padding", enough)?;
    let cli = rig.begin(&image, &["accept-within", accept_within])?;
    Ok((padding, cli))
}

/// With the disk full it was gone back from, and nothing is left of it.
fn is_back(rig: &Rig<'_>, says: &str) -> Result<()> {
    rig.await_outcome("rolled-back", says)?;
    rig.runs(Edition::Current)?;
    let images = rig.images();
    for slot in Slot::ALL {
        let (selected, _) = images.selected(slot);
        ensure!(selected == Bank::Primary, "{slot} boots {selected}");
        for bank in Bank::ALL {
            let left = images.path(slot, bank).with_extension("new");
            ensure!(!left.exists(), "{} is left", left.display());
        }
    }
    for name in ["running.image", "upgrade.reserve", "upgrade.json.new"] {
        let left = images.directory().join(name);
        ensure!(!left.exists(), "{} is left", left.display());
    }
    Ok(())
}

fn fills_install(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::on_disk(ctx, Mode::Tc, size()? * 15 / 2)?;
    let tree = rig.tree()?;
    let directory = rig.images().directory().to_owned();
    let (padding, cli) = begin(&rig, "10m")?;
    // The first of five copies.
    wait_for("the first copy", PATIENCE, || {
        Ok(directory.join("running.image").exists().then_some(()))
    })?;
    let filler = Filler::leave(&directory, "filler", 0)?;
    is_back(&rig, "make room there")?;
    drop(cli);
    [padding, filler].into_iter().try_for_each(Filler::remove)?;
    rig.go(Edition::Newer, &["accept-within", "0"])?;
    rig.runs(Edition::Newer)?;
    rig.unharmed(&tree)
}

fn fills_journal(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::on_disk(ctx, Mode::Tc, size()? * 19 / 2)?;
    let tree = rig.tree()?;
    for step in ["start-standby", "verify"] {
        rig.others.phase(step)?;
        let (padding, cli) = begin(&rig, "10m")?;
        rig.await_step(step)?;
        let filler = Filler::leave(rig.images().directory(), "filler", 0)?;
        is_back(&rig, "No space left").with_context(|| step.to_owned())?;
        drop(cli);
        // What is on disk is what is shown.
        let journal = rig.journal()?.context("no journal")?;
        ensure!(
            journal.outcome() == Some("rolled-back"),
            "{step}: {journal}"
        );
        [padding, filler].into_iter().try_for_each(Filler::remove)?;
    }
    rig.go(Edition::Newer, &["accept-within", "0"])?;
    rig.runs(Edition::Newer)?;
    rig.unharmed(&tree)
}

/// See [`fills_late`].
const ATTEMPTS: u32 = 5;

/// What becomes of an upgrade whose disk becomes full when the new version is master already.
fn fills_late(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::on_disk(ctx, Mode::Tc, size()? * 19 / 2)?;
    let tree = rig.tree()?;
    let full = |rig: &Rig<'_>| Filler::leave(rig.images().directory(), "filler", 0);
    let room = |fillers: Vec<Filler>| fillers.into_iter().try_for_each(Filler::remove);

    rig.others.phase("start-other")?;
    for attempt in 1.. {
        let (padding, cli) = begin(&rig, "10m")?;
        rig.await_step("verify")?;
        // The rest is taken before anything else is written in the step.
        let most = Filler::leave(rig.images().directory(), "most", 128 * 1024)?;
        rig.await_step("start-other")?;
        let filler = full(&rig)?;
        let stands = |status: &Status| status.outcome().is_some() || status.step() == "accept";
        let status = rig.await_status("acceptance or an end", stands)?;
        drop(cli);
        if status.outcome().is_some() {
            is_back(&rig, "No space left").context("start-other")?;
            room(vec![padding, most, filler])?;
            break;
        }
        // A journal was just being replaced: the place of the one before is enough for all that follow.
        ensure!(attempt < ATTEMPTS, "the disk never was full: {status}");
        room(vec![padding, most, filler])?;
        rig.switch().cli(&["--yes", "rollback"])?;
        rig.await_outcome("rolled-back", "by command")?;
        rig.runs(Edition::Current)?;
    }

    rig.others.phase("nobody accepts it")?;
    let (padding, cli) = begin(&rig, "3s")?;
    rig.await_step("accept")?;
    let filler = full(&rig)?;
    is_back(&rig, "nobody accepted it within 3 s").context("accept")?;
    drop(cli);
    room(vec![padding, filler])?;

    rig.others.phase("accepted")?;
    let (padding, cli) = begin(&rig, "10m")?;
    rig.await_step("accept")?;
    let filler = full(&rig)?;
    rig.switch().cli(&["upgrade", "accept"])?;
    rig.await_outcome("accepted", "")?;
    drop(cli);
    // Whoever is master next reads the same.
    wait_for("the journal", PATIENCE, || {
        let journal = rig.journal()?;
        Ok(journal.filter(|journal| journal.outcome() == Some("accepted")))
    })
    .with_context(|| rig.log())?;
    rig.runs(Edition::Newer)?;
    room(vec![padding, filler])?;
    rig.go(Edition::Current, &["accept-within", "0"])?;
    rig.runs(Edition::Current)?;
    rig.unharmed(&tree)
}

/// A step, what becomes of the journal in it, and how that comes about.
type Accident = (&'static str, &'static str, fn(&mut Vec<u8>));

/// See [`journal_spoiled`].
const ACCIDENTS: &[Accident] = &[
    ("start-standby", "empty", |octets| octets.clear()),
    ("verify", "half", |octets| octets.truncate(octets.len() / 2)),
    ("accept", "garbage", |octets| {
        octets.iter_mut().for_each(|octet| *octet ^= 0xa5)
    }),
];

fn journal_spoiled(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    for (step, what, spoil) in ACCIDENTS {
        let name = format!("{what} in {step}");
        rig.others.phase(&name)?;
        let image = rig.image(Edition::Newer, &[])?;
        let cli = rig.begin(&image, &["accept-within", "10m"])?;
        rig.await_step(step)?;
        let master = rig.chassis.master()?;
        // What it writes no more can not be whole again.
        rig.chassis.signal(master, Part::Daemon, Signal::SIGSTOP)?;
        let path = rig.images().directory().join(JOURNAL);
        let mut octets = fs::read(&path)?;
        spoil(&mut octets);
        fs::write(&path, octets)?;
        rig.chassis.signal(master, Part::Daemon, Signal::SIGKILL)?;
        let status = rig
            .await_outcome("rolled-back", "is not understood")
            .with_context(|| name.clone())?;
        drop(cli);
        // Whichever version the next master has: both are good ones.
        let shown = await_ready(rig.switch())?;
        let version = shown.module("master")?["version"].clone();
        let editions = [Edition::Current, Edition::Newer];
        let mut found = None;
        for edition in editions {
            if version == edition.version()? {
                found = Some(edition);
            }
        }
        let edition = found.with_context(|| format!("{name}: {version} runs"))?;
        rig.runs(edition).with_context(|| name.clone())?;
        ctx.tell(format!("{name}: {edition:?}; {}", status.reason()));
        rig.others.unharmed().with_context(|| name.clone())?;
        // Another upgrade, to the version that the next accident begins with.
        if edition == Edition::Current {
            rig.go(Edition::Newer, &["accept-within", "0"])?;
            rig.runs(Edition::Newer)?;
        }
        rig.go(Edition::Current, &["accept-within", "0"])?;
        rig.runs(Edition::Current)?;
    }
    rig.others.unharmed()?;
    rig.others.finish()
}
