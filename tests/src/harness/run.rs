//! Names that tell which process made a thing, and removal of what dead processes left behind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cleanup::Undo;

/// Where `ip netns` keeps namespaces.
pub const NETNS_DIR: &str = "/run/netns";
/// Where switches pin their hardware.
pub const PIN_DIR: &str = "/sys/fs/bpf/hitless";
/// Where switches keep sockets and locks.
pub const STATE_DIR: &str = "/run/hitless";

const PREFIX: &str = "hlt";

static NEXT: AtomicU64 = AtomicU64::new(1);

/// One test run: a case, a bench or a demo. Its names are unique on this machine, and tell from the process id
/// and that process's start time whether the maker still lives.
#[derive(Clone, Debug)]
pub struct Run {
    number: u64,
    name: String,
}

impl Run {
    /// A new run of this process.
    ///
    /// # Errors
    /// When /proc can not be read.
    pub fn new() -> Result<Self> {
        let pid = std::process::id();
        let start = start_time(pid).context("this process is not in /proc")?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            number,
            name: format!("{PREFIX}-{pid}-{start}-{number}"),
        })
    }

    /// The run's number in this process.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// A name of this run: at most 40 letters, digits and dashes when `label` is short.
    #[must_use]
    pub fn name(&self, label: &str) -> String {
        format!("{}-{label}", self.name)
    }

    /// Registers an undo for this run.
    pub fn undo(&self, action: impl FnOnce() + Send + 'static) -> Undo {
        Undo::new(self.number, action)
    }
}

/// A directory that is removed with everything in it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _undo: Undo,
}

impl Scratch {
    /// A new, empty directory of this run below the system's directory for temporary files.
    ///
    /// # Errors
    /// When it can not be created.
    pub fn new(run: &Run, label: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(run.name(label));
        fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
        let gone = path.clone();
        let undo = run.undo(move || {
            let _ = fs::remove_dir_all(gone);
        });
        Ok(Self { path, _undo: undo })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// When the process started, in clock ticks since boot; `None` when there is no such process.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may contain anything; the fields start behind its closing parenthesis. Field 22.
    let fields = &stat[stat.rfind(')')? + 1..];
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Whether this is a name of a run whose process has gone.
fn is_orphan(name: &str) -> bool {
    let mut parts = name.split('-');
    if parts.next() != Some(PREFIX) {
        return false;
    }
    let mut number = || parts.next().and_then(|p| p.parse::<u64>().ok());
    match (number(), number(), number()) {
        (Some(pid), Some(start), Some(_)) => {
            u32::try_from(pid).ok().and_then(start_time) != Some(start)
        }
        _ => false,
    }
}

/// Removes namespaces (with the processes in them), pins, state and files of runs whose process has gone, and
/// says what it removed.
pub fn sweep() -> Vec<String> {
    let mut removed = Vec::new();
    for path in orphans(Path::new(NETNS_DIR)) {
        end_processes_in(&path);
        remove_netns(&path);
        removed.push(path.display().to_string());
    }
    for dir in [
        PathBuf::from(PIN_DIR),
        PathBuf::from(STATE_DIR),
        std::env::temp_dir(),
    ] {
        for path in orphans(&dir) {
            if fs::remove_dir_all(&path).is_ok() {
                removed.push(path.display().to_string());
            }
        }
    }
    removed
}

fn orphans(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(is_orphan))
        .map(|e| e.path())
        .collect()
}

/// Unmounts and removes a named namespace.
pub(super) fn remove_netns(path: &Path) {
    let _ = nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH);
    let _ = fs::remove_file(path);
}

/// Kills the processes whose network namespace is the one at `path`.
fn end_processes_in(path: &Path) {
    let (Ok(wanted), Ok(own)) = (fs::metadata(path), fs::metadata("/proc/self/ns/net")) else {
        return;
    };
    // A name whose mount has gone is an ordinary file: it must not match anything, least of all ourselves.
    if wanted.dev() != own.dev() || wanted.ino() == own.ino() {
        return;
    }
    let Ok(entries) = fs::read_dir("/proc") else {
        return;
    };
    for entry in entries.flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|s| s.parse::<i32>().ok());
        let net = fs::metadata(entry.path().join("ns/net"));
        if let (Some(pid), Ok(net)) = (pid, net)
            && (net.dev(), net.ino()) == (wanted.dev(), wanted.ino())
        {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_living_are_no_orphans() {
        let run = Run::new().unwrap();
        assert!(!is_orphan(&run.name("h1")));
        let other = Run::new().unwrap();
        assert_ne!(run.name("h1"), other.name("h1"));
    }

    #[test]
    fn names_of_the_dead_are_orphans() {
        let pid = std::process::id();
        let start = start_time(pid).unwrap();
        assert!(is_orphan(&format!("hlt-{pid}-{}-1-h1", start + 1)));
        assert!(is_orphan("hlt-4294967295-1-1-h1"));
        for foreign in [
            "clab-single-h1",
            "hlt",
            "hlt-1",
            "hlt-1-2-x",
            "hlt-a-b-c",
            "hltx-1-2-3",
        ] {
            assert!(!is_orphan(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_scratch_directory_goes_with_its_guard() {
        let run = Run::new().unwrap();
        let scratch = Scratch::new(&run, "t").unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("f"), "x").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
