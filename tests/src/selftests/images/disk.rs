//! Banks on disks that are full, and installations that end at any instant.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use hitless_boot::bank::{Bank, BankError, Banks};
use hitless_boot::slot::Slot;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;

use crate::harness::{
    images::{Maker, install_forever, put},
    ktap::{Case, Ctx},
    process::Process,
    switch::binary,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "images.full-disk",
        "an image or a selection that the disk has no room for leaves the bank and the selection as they were",
        full_disk,
    ),
    Case::new(
        "images.interrupted",
        "installations and selections that are killed at random instants leave a whole image in the bank and a whole \
         selection each time",
        interrupted,
    )
    .timeout(Duration::from_secs(180)),
];

/// How often an installation is killed.
const KILLS: u32 = 60;

/// Runs in a thread with mounts of its own, with an empty file system of this size mounted at `place`.
fn on_small_disk(place: &Path, size: &str, f: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    fs::create_dir(place)?;
    let own_mounts = || {
        unshare(CloneFlags::CLONE_NEWNS).context("mounts of its own")?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
        let options = format!("size={size}");
        let nothing = MsFlags::empty();
        mount(
            Some("tmpfs"),
            place,
            Some("tmpfs"),
            nothing,
            Some(options.as_str()),
        )?;
        f()
    };
    thread::scope(|scope| {
        let done = scope.spawn(own_mounts).join();
        done.map_err(|panic| anyhow!("{panic:?}"))?
    })
}

/// Whether this is how a full disk is told, with its file.
fn is_full(result: Result<impl Sized, BankError>) -> Result<()> {
    match result {
        Ok(_) => bail!("there was room"),
        Err(error @ BankError::Io { .. }) => {
            let text = error.to_string();
            ensure!(text.contains("make room there and try again"), "{text}");
            Ok(())
        }
        Err(error) => bail!("{error}"),
    }
}

fn full_disk(ctx: &Ctx) -> Result<()> {
    let maker = Maker::new(ctx.files());
    let program = binary("hitless-boot")?;
    let (old, new) = (
        maker.program(&program, "0.4.0")?,
        maker.program(&program, "0.5.0")?,
    );
    let size = fs::metadata(&old)?.len();
    let disk = ctx.files().join("disk");
    // For one image and a half.
    on_small_disk(&disk, &(size * 3 / 2).to_string(), || {
        let banks = Banks::new(&disk.join("images"));
        put(&banks, &[Slot::A], Bank::Primary, &old)?;
        let space = banks.space()?;
        ensure!(space < size, "there is room for {space} octets");
        let bank = banks.path(Slot::A, Bank::Primary);
        for bank in Bank::ALL {
            is_full(banks.install(Slot::A, bank, &new, |_, _| {}))?;
        }
        let whole = banks.verify(Slot::A, Bank::Primary);
        let version = whole.map_err(|error| anyhow!("{error}"))?.version();
        ensure!(version.to_string() == "0.4.0", "{version}");
        ensure!(fs::read(&bank)? == fs::read(&old)?, "the bank was changed");
        let places = Bank::ALL.map(|bank| banks.path(Slot::A, bank).with_extension("new"));
        ensure!(!places.iter().any(|place| place.exists()), "leftovers");
        ensure!(banks.space()? == space, "room was lost");
        // Not even room for a word.
        let mut filler = File::create(disk.join("filler"))?;
        let filled = (0..).try_for_each(|_| filler.write_all(&[0; 4096]));
        ensure!(filled.is_err_and(|e| e.kind() == io::ErrorKind::StorageFull));
        is_full(banks.select(Slot::A, Bank::Secondary))?;
        let selected = banks.selected(Slot::A);
        ensure!(selected == (Bank::Primary, None), "{selected:?}");
        // With room again all is well.
        drop(filler);
        fs::remove_file(disk.join("filler"))?;
        fs::remove_file(&bank)?;
        put(&banks, &[Slot::A], Bank::Secondary, &new)
    })
}

fn interrupted(ctx: &Ctx) -> Result<()> {
    let maker = Maker::new(ctx.files());
    let program = binary("hitless-boot")?;
    let images = [
        maker.program(&program, "0.4.0")?,
        maker.program(&program, "0.5.0")?,
    ];
    let banks = Banks::new(&ctx.files().join("images"));
    put(&banks, &[Slot::A], Bank::Primary, &images[0])?;
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15 ^ u64::from(std::process::id());
    let (mut versions, mut selections, mut leftovers) = ([0, 0], [0, 0], 0);
    for kill in 0..KILLS {
        let mut command = install_forever(&banks, Slot::A, &images)?;
        let installer = Process::spawn(ctx.run(), &mut command)?;
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // At some instant; it is of no account whether that is early or late.
        let failed = installer.wait(Duration::from_micros((random >> 40) % 80_000));
        ensure!(failed.is_err(), "the installer ended: {failed:?}");
        installer.signal(Signal::SIGKILL)?;
        installer.wait(crate::harness::switch::DEADLINE)?;
        let whole = banks.verify(Slot::A, Bank::Primary);
        let version = whole
            .map_err(|error| anyhow!("after kill {kill}: {error}"))?
            .version();
        versions[usize::from(version.to_string() == "0.5.0")] += 1;
        let (selected, default) = banks.selected(Slot::A);
        ensure!(default.is_none(), "after kill {kill}: {default:?}");
        selections[usize::from(selected == Bank::Secondary)] += 1;
        let new = banks.path(Slot::A, Bank::Primary).with_extension("new");
        leftovers += u32::from(new.exists());
        banks.clean(Slot::A).map_err(|error| anyhow!("{error}"))?;
        ensure!(!new.exists(), "a leftover is left over");
    }
    ctx.note(format!(
        "after {KILLS} kills: {} times the old image and {} times the new one, {leftovers} with a leftover; selections {selections:?}",
        versions[0], versions[1]
    ));
    // Otherwise it was not tried.
    ensure!(leftovers > 0, "no installation was interrupted");
    Ok(())
}
