//! What is known about the labs of this machine: one file per lab, and a lock while one is being changed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error};
use crate::process::ProcessId;

/// Version of the file's form.
const VERSION: u32 = 1;

/// Directory of the state files; also the directory that a node's own mounts are built on.
pub(crate) const DIRECTORY: &str = "/run/hitless-topo";

/// How long a lock may outlive its holder: a child that was forked but has not called exec yet shares it.
const DEAD_HOLDER: Duration = Duration::from_secs(5);

/// Everything needed to use a lab, and to take it down after a crash of anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    version: u32,
    pub lab: String,
    pub file: PathBuf,
    /// Process ids of another boot mean nothing.
    boot_id: String,
    /// Whether `up` came to its end.
    pub complete: bool,
    pub nodes: Vec<NodeState>,
    pub links: Vec<String>,
}

/// Recorded before anything of the node exists, and again with each thing that it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeState {
    pub name: String,
    pub netns: String,
    pub image: String,
    /// What runs in it, empty for an idle node.
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub log: PathBuf,
    pub init: Option<ProcessId>,
    /// Inode of the network namespace.
    pub netns_inode: Option<u64>,
}

impl State {
    pub fn new(
        lab: &str,
        file: &Path,
        nodes: Vec<NodeState>,
        links: Vec<String>,
    ) -> Result<Self, Error> {
        Ok(Self {
            version: VERSION,
            lab: lab.into(),
            file: file.into(),
            boot_id: boot_id()?,
            complete: false,
            nodes,
            links,
        })
    }

    /// The node's first process, when it is alive.
    pub fn live_init(&self, node: &NodeState) -> Result<Option<ProcessId>, Error> {
        let same_boot = self.boot_id == boot_id()?;
        Ok(node.init.filter(|init| same_boot && init.is_alive()))
    }
}

fn boot_id() -> Result<String, Error> {
    let file = "/proc/sys/kernel/random/boot_id";
    let id = fs::read_to_string(file).context(|| format!("read {file}"))?;
    Ok(id.trim().into())
}

/// The directory with the states of all labs.
#[derive(Clone, Debug)]
pub(crate) struct Store(PathBuf);

impl Default for Store {
    fn default() -> Self {
        Self(DIRECTORY.into())
    }
}

impl Store {
    #[cfg(test)]
    fn at(directory: &Path) -> Self {
        Self(directory.into())
    }

    fn path(&self, lab: &str) -> PathBuf {
        self.0.join(format!("{lab}.json"))
    }

    /// Directory of the lab's log files.
    pub fn logs(&self, lab: &str) -> PathBuf {
        self.0.join("logs").join(lab)
    }

    /// The state of a lab, `None` when it is not up.
    pub fn read(&self, lab: &str) -> Result<Option<State>, Error> {
        let path = self.path(lab);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).context(|| format!("read {}", path.display())),
        };
        let state: Result<State, _> = serde_json::from_slice(&text);
        let reason = match state {
            Ok(state) if state.version == VERSION && state.lab == lab => return Ok(Some(state)),
            Ok(state) => format!("version {} of lab '{}'", state.version, state.lab),
            Err(e) => e.to_string(),
        };
        Err(Error::State { path, reason })
    }

    /// The next state while it is being written.
    fn new_path(&self, lab: &str) -> PathBuf {
        self.0.join(format!("{lab}.json.new"))
    }

    /// Writes the state so that a reader sees either the old or the new one.
    pub fn write(&self, state: &State) -> Result<(), Error> {
        let path = self.path(&state.lab);
        let new = self.new_path(&state.lab);
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            serde_json::to_writer_pretty(&mut file, state)?;
            file.write_all(b"\n")?;
            fs::rename(&new, &path)
        };
        write().context(|| format!("write {}", path.display()))
    }

    /// Removes the logs and the state, as far as there are any.
    pub fn remove(&self, lab: &str) -> Result<(), Error> {
        let logs = self.logs(lab);
        absent(fs::remove_dir_all(&logs)).context(|| format!("remove {}", logs.display()))?;
        for file in [self.new_path(lab), self.path(lab)] {
            absent(fs::remove_file(&file)).context(|| format!("remove {}", file.display()))?;
        }
        Ok(())
    }

    /// The states of all labs, by name.
    pub fn all(&self) -> Result<Vec<State>, Error> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).context(|| format!("read {}", self.0.display())),
        };
        let mut labs: Vec<String> = entries
            .filter_map(|entry| {
                Some(
                    entry
                        .ok()?
                        .file_name()
                        .to_str()?
                        .strip_suffix(".json")?
                        .into(),
                )
            })
            .collect();
        labs.sort();
        let states = labs.iter().map(|lab| self.read(lab));
        states.filter_map(Result::transpose).collect()
    }

    /// Makes this process the only one that may change the lab, until the lock is dropped.
    pub fn lock(&self, lab: &str) -> Result<Lock, Error> {
        let path = self.0.join(format!("{lab}.lock"));
        fs::create_dir_all(&self.0).context(|| format!("create {}", self.0.display()))?;
        let deadline = Instant::now() + DEAD_HOLDER;
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .context(|| format!("open {}", path.display()))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    // A file that can not be read has no pid in it either.
                    let _ = file.read_to_string(&mut holder);
                    let pid = holder.trim().parse().unwrap_or(0);
                    if ProcessId::of(pid).is_some() || Instant::now() >= deadline {
                        let lab = lab.into();
                        return Err(Error::Busy { lab, pid });
                    }
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                Err(TryLockError::Error(e)) => {
                    return Err(e).context(|| format!("lock {}", path.display()));
                }
            }
            // The last holder may have removed the file after we opened it; then the lock is of no use.
            let ours = file
                .metadata()
                .context(|| format!("examine {}", path.display()))?;
            if fs::metadata(&path).is_ok_and(|now| now.ino() == ours.ino()) {
                let pid = std::process::id().to_string();
                file.set_len(0)
                    .and_then(|()| file.write_all(pid.as_bytes()))
                    .context(|| format!("write {}", path.display()))?;
                return Ok(Lock { path, _file: file });
            }
        }
    }
}

/// Success also when there was nothing to remove.
pub(crate) fn absent(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|e| match e.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(e),
    })
}

/// The right to change a lab; the kernel takes it back when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before the lock is released, see `Store::lock`. A file that stays does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> State {
        let node = NodeState {
            name: "h1".into(),
            netns: "clab-x-h1".into(),
            image: "alpine:3".into(),
            command: vec!["sleep".into(), "9".into()],
            env: [("A".into(), "b".into())].into(),
            log: "/run/h1.log".into(),
            init: ProcessId::of(std::process::id() as i32),
            netns_inode: Some(7),
        };
        State::new(
            "x",
            Path::new("/x.clab.yml"),
            vec![node],
            vec!["h1:eth1 -- h2:eth1".into()],
        )
        .unwrap()
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        assert!(store.read("x").unwrap().is_none());
        assert!(store.all().unwrap().is_empty());
        let state = sample();
        store.write(&state).unwrap();
        assert_eq!(store.read("x").unwrap().unwrap(), state);
        assert_eq!(store.all().unwrap(), [state]);
        fs::create_dir_all(store.logs("x")).unwrap();
        fs::write(store.logs("x").join("h1.log"), "text").unwrap();
        // Left by a writer that was killed.
        fs::write(store.new_path("x"), "{").unwrap();
        store.remove("x").unwrap();
        store.remove("x").unwrap();
        assert!(store.read("x").unwrap().is_none());
        assert!(!store.logs("x").exists() && !store.new_path("x").exists());
    }

    #[test]
    fn a_first_process_of_another_boot_or_start_is_dead() {
        let mut state = sample();
        let node = state.nodes[0].clone();
        assert_eq!(state.live_init(&node).unwrap(), node.init);
        state.boot_id = "other".into();
        assert_eq!(state.live_init(&node).unwrap(), None);
    }

    #[test]
    fn foreign_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let mut state = sample();
        state.version = 2;
        let newer = serde_json::to_string(&state).unwrap();
        for text in ["", "{}", "null", "{\"version\":1}", &newer] {
            fs::write(store.path("x"), text).unwrap();
            assert!(
                matches!(store.read("x"), Err(Error::State { .. })),
                "{text}"
            );
            assert!(store.all().is_err());
        }
        // The name inside must be the file's.
        store.write(&sample()).unwrap();
        fs::rename(store.path("x"), store.path("y")).unwrap();
        assert!(matches!(store.read("y"), Err(Error::State { .. })));
    }

    #[test]
    fn one_holder_at_a_time_and_nothing_left() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let lock = store.lock("x").unwrap();
        let me = std::process::id() as i32;
        assert!(matches!(store.lock("x"), Err(Error::Busy { pid, .. }) if pid == me));
        let _other = store.lock("y").unwrap();
        drop(lock);
        assert!(!dir.path().join("x.lock").exists());
        drop(store.lock("x").unwrap());
    }

    #[test]
    fn a_lock_that_outlives_its_holder_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let path = dir.path().join("x.lock");
        // No process can have this pid.
        fs::write(&path, i32::MAX.to_string()).unwrap();
        let child = File::open(&path).unwrap();
        child.lock().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.lock("x").map(drop));
            scope.spawn(move || drop(child));
            waiting.join().unwrap().unwrap();
        });
    }
}
