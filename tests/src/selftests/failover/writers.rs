//! Who may write to the hardware of a switch, seen from outside: sampled all the time while a case does its worst.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::harness::switch::Switch;
use crate::selftests::pinned::Pinned;

/// What a watch has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often it has looked.
    pub looks: u64,
    /// How many holders of the role lock there were, one after the other.
    pub holders: u64,
}

/// Looks all the time whether a module got the role lock while its holder before still ran, or the generation falls.
#[derive(Debug)]
pub struct Watch {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Seen>>>,
}

impl Watch {
    /// Begins to look at the modules of a switch.
    ///
    /// # Errors
    /// When META can not be read.
    pub fn start(switch: &Switch) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (until, pins) = (over.clone(), switch.pins());
        let pinned = Pinned::of(switch);
        let mut generation = pinned.meta()?.generation;
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || {
                let mut seen = Seen::default();
                let mut last = None;
                while !until.load(Ordering::Relaxed) {
                    let now = holder(&pins)?;
                    if let (Some(old), Some(new)) = (last, now)
                        && old != new
                    {
                        ensure!(
                            !is_running(old),
                            "process {new} got the role lock while {old} ran"
                        );
                    }
                    if now.is_some() && now != last {
                        last = now;
                        seen.holders += 1;
                    }
                    let found = pinned.meta()?.generation;
                    ensure!(
                        found >= generation,
                        "generation {generation} was followed by {found}"
                    );
                    generation = found;
                    seen.looks += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(seen)
            })
            .context("thread that watches")?;
        Ok(Self {
            over,
            thread: Some(thread),
        })
    }

    /// Ends the watch.
    ///
    /// # Errors
    /// What it saw that must not be.
    pub fn finish(mut self) -> Result<Seen> {
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the watch was ended")?;
        thread.join().map_err(|_| anyhow!("the watch panicked"))?
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The process that holds the role lock of a switch: it alone may write.
///
/// # Errors
/// When the kernel does not tell.
pub fn holder(pins: &Path) -> Result<Option<u32>> {
    let found = fs::metadata(pins).with_context(|| format!("look at {}", pins.display()))?;
    let (dev, ino) = (found.dev(), found.ino());
    let file = format!("{:02x}:{:02x}:{ino}", libc::major(dev), libc::minor(dev));
    let locks = fs::read_to_string("/proc/locks")?;
    // `1: FLOCK  ADVISORY  WRITE 4711 00:1f:42 0 EOF`
    let mut holders = locks.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, of, ..] = words[..] else {
            return None;
        };
        (of == file).then(|| pid.parse().ok())?
    });
    Ok(holders.next())
}

/// Whether a process can still do anything: a dead one has no memory.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| !maps.is_empty())
}

/// The sockets at which a process listens.
///
/// # Errors
/// When there is no such process.
pub fn listens_at(pid: u32) -> Result<Vec<PathBuf>> {
    /// The kernel's flag of a socket that listens.
    const ACCEPTS: &str = "00010000";
    let sockets = fs::read_to_string(format!("/proc/{pid}/net/unix"))?;
    let mut own = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // One that was closed meanwhile is none.
        if let Ok(target) = fs::read_link(entry?.path()) {
            own.push(target.to_string_lossy().into_owned());
        }
    }
    // `0000000000000000: 00000002 00000000 00010000 0001 01 4711 /run/...`
    let listening = sockets.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, ACCEPTS, _, _, inode, path] = words[..] else {
            return None;
        };
        own.contains(&format!("socket:[{inode}]"))
            .then(|| PathBuf::from(path))
    });
    Ok(listening.collect())
}
