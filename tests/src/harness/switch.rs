//! The switch under test: the shipped binaries, run as a user would run them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hitless_boot::bank::Banks;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::cleanup::Undo;
use super::netns::Netns;
use super::process::{Process, output};
use super::run::{PIN_DIR, Run, STATE_DIR};
use super::wait::wait_for;

/// How long the switch may take to answer or to end. A busy machine, not a slow switch, needs so long.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Lines of a log that [`tail`] shows.
const TAIL_LINES: usize = 40;

/// A switch with a name of its own. When dropped it is killed, and its hardware and state are removed.
#[derive(Debug)]
pub struct Switch {
    process: Option<Process>,
    name: String,
    netns: Netns,
    run: Run,
    config: PathBuf,
    log: PathBuf,
    _state: Undo,
}

impl Switch {
    /// Starts a switch in a namespace and waits until it answers. `config` is the configuration without the
    /// line `switch:`; file and log are kept in `files`, named after `label`.
    ///
    /// # Errors
    /// When the binaries or bpffs are missing, or the switch does not answer; with the end of its log.
    pub fn start(
        run: &Run,
        files: &Path,
        netns: &Netns,
        label: &str,
        config: &str,
    ) -> Result<Self> {
        let mut switch = Self::prepare(run, files, netns, label, config)?;
        switch.run()?;
        Ok(switch)
    }

    /// The switch without its process, for tests that start it in another way.
    ///
    /// # Errors
    /// When bpffs is missing or a file can not be written.
    pub fn prepare(
        run: &Run,
        files: &Path,
        netns: &Netns,
        label: &str,
        config: &str,
    ) -> Result<Self> {
        ensure_bpffs()?;
        let name = run.name(label);
        let gone = [PIN_DIR, STATE_DIR].map(|dir| Path::new(dir).join(&name));
        let state = run.undo(move || {
            for path in gone {
                let _ = fs::remove_dir_all(path);
            }
        });
        let switch = Self {
            process: None,
            netns: Netns::open(netns.name())?,
            run: run.clone(),
            config: files.join(format!("{label}.yaml")),
            log: files.join(format!("{label}.log")),
            name,
            _state: state,
        };
        switch.write_config(config)?;
        Ok(switch)
    }

    /// The switch's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it pins its hardware.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        Path::new(PIN_DIR).join(&self.name)
    }

    /// Where it keeps its control socket and lock.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        Path::new(STATE_DIR).join(&self.name)
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Its image banks, which are not there before something is written: beside the configuration file.
    #[must_use]
    pub fn images(&self) -> Banks {
        Banks::new(&self.config.with_extension("images"))
    }

    /// Its log so far; all starts in one.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(&self.log).with_context(|| format!("read {}", self.log.display()))
    }

    /// Replaces the configuration file; the next start reads it.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn write_config(&self, config: &str) -> Result<()> {
        fs::write(&self.config, format!("switch: {}\n{config}", self.name))
            .with_context(|| format!("write {}", self.config.display()))
    }

    /// `hitlessd` as this switch runs it, inside its namespace; for tests that expect it to refuse.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn daemon(&self) -> Result<Command> {
        let mut command = self.inside("hitlessd")?;
        command
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// A shipped program that will run inside this switch's namespace.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn inside(&self, program: &str) -> Result<Command> {
        self.netns.command(binary(program)?)
    }

    /// Any program, found in PATH, that will run inside this switch's namespace.
    ///
    /// # Errors
    /// When the namespace's descriptor can not be duplicated.
    pub fn inside_any(&self, program: &str) -> Result<Command> {
        self.netns.command(program)
    }

    /// Where its log is.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Errors
    /// When it runs already, ends at once or does not answer; with the end of its log.
    pub fn run(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "switch {} runs already", self.name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open {}", self.log.display()))?;
        let mut command = self.daemon()?;
        command.stdout(log.try_clone()?).stderr(log);
        let process = Process::spawn(&self.run, &mut command)?;
        let pid = process.pid();
        self.process = Some(process);
        let answered = wait_for("the switch to answer", DEADLINE, || {
            if let Some(status) = self.ended()? {
                return Ok(Some(Err(status)));
            }
            let switch = self.show("switch")?;
            // The process before may still be answering.
            let pids = switch["modules"].as_array().into_iter().flatten();
            Ok(pids
                .filter_map(|m| m["pid"].as_u64())
                .any(|p| p == u64::from(pid))
                .then_some(Ok(())))
        });
        match answered {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!(
                "hitlessd of {} ended with {status}:\n{}",
                self.name,
                tail(&self.log)
            ),
            Err(error) => Err(error.context(format!("log of {}:\n{}", self.name, tail(&self.log)))),
        }
    }

    /// The process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// How the process ended by itself, if it did.
    ///
    /// # Errors
    /// When the kernel can not tell.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        match &self.process {
            Some(process) => process.ended(),
            None => bail!("switch {} has no process", self.name),
        }
    }

    /// Ends the process by a signal and waits for its end.
    ///
    /// # Errors
    /// When there is none or it does not end.
    pub fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        let process = self
            .process
            .take()
            .with_context(|| format!("switch {} has no process", self.name))?;
        process.signal(signal)?;
        process.wait(DEADLINE)
    }

    /// SIGKILL, as a crash.
    ///
    /// # Errors
    /// As [`Switch::end`].
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::SIGKILL).map(drop)
    }

    /// SIGTERM, as a service manager stops it.
    ///
    /// # Errors
    /// As [`Switch::end`]; and when the exit code is not 0.
    pub fn terminate(&mut self) -> Result<()> {
        let status = self.end(Signal::SIGTERM)?;
        ensure!(
            status.success(),
            "hitlessd of {} ended with {status} after SIGTERM:\n{}",
            self.name,
            tail(&self.log)
        );
        Ok(())
    }

    /// The command line tool for this switch, without arguments.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn hitless(&self) -> Result<Command> {
        let mut command = Command::new(binary("hitless")?);
        command.args(["--switch", &self.name]).stdin(Stdio::null());
        Ok(command)
    }

    /// What `hitless ...` prints.
    ///
    /// # Errors
    /// With its message when it fails.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        output(self.hitless()?.args(args))
    }

    /// What `hitless ... --json` answers.
    ///
    /// # Errors
    /// With its message when it fails; when it does not print JSON.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let text = output(self.hitless()?.args(args).arg("--json"))?;
        serde_json::from_str(&text).with_context(|| format!("hitless {args:?} printed {text:?}"))
    }

    /// What `hitless show <what> --json` answers.
    ///
    /// # Errors
    /// As [`Switch::json`].
    pub fn show(&self, what: &str) -> Result<Value> {
        self.json(&["show", what])
    }

    /// Waits until what is shown satisfies `is`, and returns it.
    ///
    /// # Errors
    /// When it does not; with what was shown last.
    pub fn await_shown(&self, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        wait_for(&format!("a state of `show {what}`"), DEADLINE, || {
            last = self.show(what)?;
            Ok(is(&last).then(|| last.clone()))
        })
        .with_context(|| format!("show {what} of {}: {last}", self.name))
    }
}

/// The end of a file, for messages.
#[must_use]
pub fn tail(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
        }
        Err(error) => format!("{}: {error}", path.display()),
    }
}

/// A shipped binary: in HITLESS_BIN_DIR, or beside this program (or one directory up: there cargo keeps tests).
///
/// # Errors
/// When it is not there.
pub fn binary(name: &str) -> Result<PathBuf> {
    let candidates = match std::env::var_os("HITLESS_BIN_DIR") {
        Some(dir) => vec![PathBuf::from(dir)],
        None => {
            let own = std::env::current_exe().context("path of this program")?;
            own.ancestors()
                .skip(1)
                .take(2)
                .map(Path::to_owned)
                .collect()
        }
    };
    candidates
        .iter()
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .with_context(|| {
            format!("no {name} in {candidates:?}: run `cargo xtask build`, or set HITLESS_BIN_DIR")
        })
}

fn ensure_bpffs() -> Result<()> {
    const BPFFS: &str = "/sys/fs/bpf";
    let stat = nix::sys::statfs::statfs(BPFFS).with_context(|| format!("look at {BPFFS}"))?;
    ensure!(
        stat.filesystem_type() == nix::sys::statfs::BPF_FS_MAGIC,
        "no BPF file system is mounted at {BPFFS}: run `cargo xtask setup` or `mount -t bpf bpf {BPFFS}`"
    );
    Ok(())
}
