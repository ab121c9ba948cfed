//! Who writes to the hardware of a switch, seen from outside: sampled all the time while a case does its worst.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::harness::{
    chassis::{Module, Slot},
    switch::Switch,
};
use crate::selftests::pinned::Pinned;

/// Looks all the time whether there are two writers, or the generation falls.
#[derive(Debug)]
pub struct Watch {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<u64>>>,
}

impl Watch {
    /// Begins to look at the modules of a switch.
    ///
    /// # Errors
    /// When META can not be read.
    pub fn start(switch: &Switch) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (until, state) = (over.clone(), switch.state());
        let pinned = Pinned::of(switch);
        let mut generation = pinned.meta()?.generation;
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || {
                let mut looks = 0;
                while !until.load(Ordering::Relaxed) {
                    let daemons: Vec<u32> = Slot::ALL
                        .into_iter()
                        .filter_map(|slot| Module::read(&state, slot).ok()?.daemon)
                        .collect();
                    if let [a, b] = daemons[..] {
                        // The first one again: it may have ended before the second one began.
                        let both = has_hardware(a) && has_hardware(b) && has_hardware(a);
                        ensure!(
                            !both,
                            "processes {a} and {b} both have the FDB open for writing"
                        );
                    }
                    let now = pinned.meta()?.generation;
                    ensure!(
                        now >= generation,
                        "generation {generation} was followed by {now}"
                    );
                    generation = now;
                    looks += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(looks)
            })
            .context("thread that watches")?;
        Ok(Self {
            over,
            thread: Some(thread),
        })
    }

    /// Ends the watch; how often it has looked.
    ///
    /// # Errors
    /// What it saw.
    pub fn finish(mut self) -> Result<u64> {
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

/// Whether a living process has mapped the hardware's tables for writing. A dead one has no memory.
#[must_use]
pub fn has_hardware(pid: u32) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.lines()
        .any(|line| line.contains("bpf-map") && line.contains(" rw-s "))
}
