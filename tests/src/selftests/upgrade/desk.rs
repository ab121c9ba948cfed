//! What an operator does with upgrades and is told of them, at whatever switch.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use hitless_boot::bank::Banks;
use serde_json::Value;

use crate::harness::{
    chassis::Slot,
    images::{Edition, Maker},
    ktap::Ctx,
    process::Process,
    switch::Switch,
    wait::wait_for,
};
use crate::selftests::failover::rig::{Shown, await_ready, equal, shown};

/// Name of the journal, beside the banks.
pub const JOURNAL: &str = "upgrade.json";

/// How long an upgrade may take on a busy machine, its way back included.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// `show upgrade` at a moment.
#[derive(Clone, Debug)]
pub struct Status(pub Value);

impl Status {
    /// The step that it is in.
    #[must_use]
    pub fn step(&self) -> &str {
        self.0["step"].as_str().unwrap_or("none")
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Option<&str> {
        self.0["outcome"].as_str()
    }

    /// Why it was gone back from.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0["reason"].as_str().unwrap_or("")
    }
}

impl Status {
    /// It was in this step at that time, in milliseconds since 1970. In words: how far in the step that was.
    ///
    /// # Errors
    /// When it was not.
    pub fn was_in(&self, step: &str, at: u64) -> Result<String> {
        let was = |time: &Value| {
            let began = time["began_unix_ms"].as_u64()?;
            // It may still be in it. Two clocks are read one after the other.
            let took = time["took_ms"].as_u64().unwrap_or(u64::MAX);
            let ended = began.saturating_add(took).saturating_add(5);
            let is_it = time["step"] == step && (began..=ended).contains(&at);
            is_it.then(|| format!("after {} of {took} ms of {step}", at - began))
        };
        let steps = self.0["steps"].as_array().context("no steps")?;
        let found = steps.iter().find_map(was);
        found.with_context(|| format!("it was not in {step} at {at}: {self}"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// See [`Desk::standing`].
#[derive(Debug, PartialEq)]
pub struct Standing {
    shown: Value,
    upgrade: Value,
    generation: u64,
    modules: [u32; 2],
    /// Length and time of change of everything in the directory of the images.
    files: BTreeMap<PathBuf, (u64, i64, i64)>,
}

/// Everything below a directory; nothing if there is none.
fn list(directory: &Path, into: &mut BTreeMap<PathBuf, (u64, i64, i64)>) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let found = fs::symlink_metadata(&path)?;
        if found.is_dir() {
            list(&path, into)?;
        }
        into.insert(path, (found.len(), found.ctime(), found.ctime_nsec()));
    }
    Ok(())
}

/// This moment in milliseconds since 1970, as a switch tells it.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// A switch with both modules and image banks, and an operator at it.
pub trait Desk {
    /// The switch.
    fn switch(&self) -> &Switch;

    /// The case.
    fn ctx(&self) -> &Ctx;

    /// Makes images.
    fn maker(&self) -> &Maker;

    /// Its image banks.
    fn images(&self) -> Banks {
        self.switch().images()
    }

    /// The journal of the upgrade as it is on disk now, which is sooner than anybody could be asked; `None` if there is
    /// none yet.
    ///
    /// # Errors
    /// When it can not be read.
    fn journal(&self) -> Result<Option<Status>> {
        let path = self.images().directory().join(JOURNAL);
        match fs::read(&path) {
            Ok(octets) => Ok(Some(Status(serde_json::from_slice(&octets)?))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| path.display().to_string()),
        }
    }

    /// An image of an edition.
    ///
    /// # Errors
    /// When the edition was not built.
    fn image(&self, edition: Edition, more: &[&str]) -> Result<PathBuf> {
        self.maker().edition(edition, more)
    }

    /// `hitless upgrade` with these words after the file; what it printed, and its exit code.
    ///
    /// # Errors
    /// When it can not be started.
    fn upgrade(&self, image: &Path, words: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = self.switch().hitless()?;
        command
            .args(["--yes", "--wait", "30", "upgrade"])
            .arg(image)
            .args(words);
        let ended = command.output()?;
        let text = [ended.stdout, ended.stderr].concat();
        Ok((
            ended.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        ))
    }

    /// Begins an upgrade and goes on.
    ///
    /// # Errors
    /// When it can not be started.
    fn begin(&self, image: &Path, words: &[&str]) -> Result<Process> {
        let mut command = self.switch().hitless()?;
        command
            .args(["--yes", "--wait", "30", "upgrade"])
            .arg(image)
            .args(words);
        let file = fs::File::create(self.ctx().files().join("upgrade.txt"))?;
        command.stdout(file.try_clone()?).stderr(file);
        Process::spawn(self.ctx().run(), &mut command)
    }

    /// Waits until the upgrade is in this step, by its journal, and gives that back.
    ///
    /// # Errors
    /// When it does not get there.
    fn await_step(&self, step: &str) -> Result<Status> {
        wait_for(&format!("step {step}"), PATIENCE, || {
            Ok(self.journal()?.filter(|journal| journal.step() == step))
        })
        .with_context(|| format!("{:?}; log:\n{}", self.journal(), self.log()))
    }

    /// Upgrades to an edition, which must succeed; all of it under the traffic.
    ///
    /// # Errors
    /// When it does not, with what it said.
    fn go(&mut self, edition: Edition, words: &[&str]) -> Result<()> {
        let image = self.image(edition, &[])?;
        let (code, text) = self.upgrade(&image, words)?;
        ensure!(
            code == Some(0),
            "upgrade to {edition:?} ended with {code:?}:\n{text}\n{}",
            self.log()
        );
        Ok(())
    }

    /// Where the upgrade stands.
    ///
    /// # Errors
    /// When no master answers.
    fn status(&self) -> Result<Status> {
        let info = self.switch().show("upgrade")?;
        Ok(Status(info["upgrade"].clone()))
    }

    /// Waits until the upgrade is like this.
    ///
    /// # Errors
    /// When it does not get there, with where it was and the log.
    fn await_status(&self, what: &str, is: impl Fn(&Status) -> bool) -> Result<Status> {
        let mut last = None;
        wait_for(what, PATIENCE, || {
            // Between two masters nobody answers.
            let Ok(status) = self.status() else {
                return Ok(None);
            };
            let found = is(&status).then(|| status.clone());
            last = Some(status);
            Ok(found)
        })
        .with_context(|| format!("it was {last:?}; log:\n{}", self.log()))
    }

    /// Waits until it is over, with this outcome and a reason that says that.
    ///
    /// # Errors
    /// When it ends otherwise.
    fn await_outcome(&self, outcome: &str, says: &str) -> Result<Status> {
        let status = self.await_status("the end of the upgrade", |status| {
            status.outcome().is_some()
        })?;
        ensure!(
            status.outcome() == Some(outcome) && status.reason().contains(says),
            "not {outcome} because of {says:?}: {status}\n{}",
            self.log()
        );
        Ok(status)
    }

    /// Both modules run this edition and are ready, and master, standby and hardware are equal.
    ///
    /// # Errors
    /// When that does not come.
    fn runs(&self, edition: Edition) -> Result<()> {
        let version = edition.version()?;
        let of = |shown: &Shown, role: &str| {
            shown
                .module(role)
                .is_ok_and(|m| m["version"] == version.as_str())
        };
        wait_for("both modules with that version", PATIENCE, || {
            let shown = shown(self.switch()).ok();
            let found = shown
                .filter(|shown| shown.is_ready() && of(shown, "master") && of(shown, "standby"));
            Ok(found.map(drop))
        })
        .with_context(|| format!("{edition:?}: {:?}\n{}", shown(self.switch()), self.log()))?;
        equal(self.switch())
    }

    /// The end of the log.
    #[must_use]
    fn log(&self) -> String {
        crate::harness::switch::tail(self.switch().log_path())
    }

    /// The bank that each slot boots next, as `show version` has it.
    ///
    /// # Errors
    /// When no master answers.
    fn selected(&self) -> Result<Vec<Value>> {
        let shown = self.switch().show("version")?;
        let modules = shown["hitlessd"]["modules"]
            .as_array()
            .context("no modules")?;
        Ok(modules
            .iter()
            .map(|module| module["selected"].clone())
            .collect())
    }

    /// The slot of the master.
    ///
    /// # Errors
    /// When there is none.
    fn master(&self) -> Result<Slot> {
        await_ready(self.switch())?.slot("master")
    }

    /// What something that is refused must not change.
    ///
    /// # Errors
    /// When no master answers.
    fn standing(&self) -> Result<Standing> {
        let failover = await_ready(self.switch())?;
        let mut files = BTreeMap::new();
        list(self.images().directory(), &mut files)?;
        Ok(Standing {
            shown: self.switch().show("version")?,
            upgrade: self.status()?.0,
            generation: failover.generation()?,
            modules: [failover.pid("master")?, failover.pid("standby")?],
            files,
        })
    }

    /// A command that the switch must refuse in these words.
    ///
    /// # Errors
    /// When it does not.
    fn is_refused(&self, words: &[&str], says: &str) -> Result<()> {
        let ended = self.switch().hitless()?.arg("--yes").args(words).output()?;
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        if ended.status.code() == Some(1) && text.contains(says) {
            return Ok(());
        }
        bail!(
            "hitless {words:?} ended with {}, without saying {says:?}: {text}",
            ended.status
        )
    }
}
