//! Keeping a thread on one CPU: frames sent from one CPU are processed on it, in order.

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The CPUs that this thread may use, ascending.
///
/// # Errors
/// When the kernel does not tell.
pub fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("sched_getaffinity")?;
    Ok((0..CpuSet::count())
        .filter(|&cpu| set.is_set(cpu).unwrap_or(false))
        .collect())
}

/// Keeps a process with one thread on the `index`-th CPU that this thread may use (counted around).
///
/// # Errors
/// When there is no such process or the kernel refuses.
pub fn keep_on(pid: u32, index: usize) -> Result<()> {
    let cpus = allowed()?;
    let cpu = *cpus
        .get(index % cpus.len().max(1))
        .context("no CPU is allowed to this thread")?;
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(pid.cast_signed()), &set)
        .with_context(|| format!("pin process {pid} to CPU {cpu}"))
}

/// Keeps the calling thread on one CPU until dropped. Children started meanwhile would inherit that.
#[derive(Debug)]
pub struct Pinned {
    before: CpuSet,
    cpu: usize,
    // Affinity belongs to the thread: the guard must not travel.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Pinned {
    /// Pins the calling thread to the `index`-th CPU that it may use (counted around).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(index: usize) -> Result<Self> {
        let cpus = allowed()?;
        let cpu = *cpus
            .get(index % cpus.len().max(1))
            .context("no CPU is allowed to this thread")?;
        let before = sched_getaffinity(Pid::from_raw(0)).context("sched_getaffinity")?;
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("pin to CPU {cpu}"))?;
        Ok(Self {
            before,
            cpu,
            _thread: std::marker::PhantomData,
        })
    }

    /// The CPU.
    #[must_use]
    pub fn cpu(&self) -> usize {
        self.cpu
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

/// Lets the calling thread run before all ordinary ones, for good: only for a thread that sleeps most of its
/// time, and whose pauses would otherwise be those of a busy machine.
///
/// # Errors
/// When the kernel refuses.
pub fn make_urgent() -> Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameters live until the call returns; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).context("scheduling class SCHED_FIFO");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_ends_with_its_guard() {
        let before = allowed().unwrap();
        let pin = Pinned::new(1).unwrap();
        assert_eq!(allowed().unwrap(), [pin.cpu()]);
        drop(pin);
        assert_eq!(allowed().unwrap(), before);
    }
}
