//! `hitless chassis`: the box that both management modules sit in, for containers and labs. It starts a
//! `hitless-boot` a slot, puts back one that died, collects orphans as the first process of a container must, and
//! outlives every module: a container that is restarted loses its interfaces, and the data path with them.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use hitless_boot::directory;
use hitless_boot::slot::Slot;
use hitless_boot::status::Status;
use hitless_boot::sys;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;

use crate::config_file::banks::Banks;
use crate::hw::pins::BPFFS;
use crate::northbound::RUN_DIR;

/// Where switches keep what outlives a restart of the machine.
const STATE_DIR: &str = "/var/lib/hitless";

/// A module that was removed stays out so long before it is put back.
const OUT: Duration = Duration::from_secs(1);

/// At the start msm-b is put in so much later, so that not chance decides which module is the first master.
const HEAD_START: Duration = Duration::from_millis(200);

/// Time that a boot has to stop its module (5 s) and itself.
const STOP_TIME: Duration = Duration::from_secs(7);

/// What the chassis is to hold.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Options {
    /// Configuration file (YAML), of both modules
    #[arg(long, value_name = "FILE", default_value = "/etc/hitless/hitless.yaml")]
    pub config: PathBuf,

    /// The program hitless-boot [default: beside this program, or in PATH]
    #[arg(long, value_name = "PROGRAM")]
    pub boot: Option<PathBuf>,

    /// What both slots boot when no image bank can be used, the factory image: an image file or the program hitlessd
    /// [default: beside this program, or in PATH]
    #[arg(long, value_name = "PROGRAM")]
    pub image: Option<PathBuf>,

    /// Another factory image in slot msm-a
    #[arg(long, value_name = "PROGRAM")]
    pub image_a: Option<PathBuf>,

    /// Another factory image in slot msm-b
    #[arg(long, value_name = "PROGRAM")]
    pub image_b: Option<PathBuf>,

    /// Image banks of both slots [default: /var/lib/hitless/SWITCH/images, made when first written to]
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,

    /// Life in milliseconds after which the end of a module is no failure in a row [default: 60000]
    #[arg(long, value_name = "MS")]
    pub settled_ms: Option<u32>,

    /// Time in milliseconds that a bank's image has to arm its watchdog or tell its role, or it hangs [default: 30000]
    #[arg(long, value_name = "MS")]
    pub start_ms: Option<u32>,

    /// More options for hitlessd
    #[arg(last = true, value_name = "OPTIONS")]
    pub module: Vec<OsString>,
}

/// Holds two modules until SIGTERM or SIGINT. Then the standby ends first and the master last, and the data path goes
/// on.
///
/// # Errors
/// When the configuration can not be read, a program is not there, or the switch has a chassis already.
pub fn run(options: &Options) -> Result<()> {
    let (_, config) = Banks::new(&options.config).load_selected()?;
    let directory = Path::new(RUN_DIR).join(config.switch.as_str());
    let images = match &options.images {
        // The boots may look for it from elsewhere.
        Some(given) => path::absolute(given).with_context(|| given.display().to_string())?,
        None => Path::new(STATE_DIR)
            .join(config.switch.as_str())
            .join("images"),
    };
    let seat = |slot| Seat::new(options, slot, &directory, &images);
    let seats = [seat(Slot::A)?, seat(Slot::B)?];
    // Closed to others, who could take its lock.
    directory::make(&directory, directory::PASSAGE)
        .with_context(|| format!("make {}", directory.display()))?;
    let _lock = lock(&directory, config.switch.as_str())?;
    if std::process::id() == 1 {
        mount_bpffs()?;
    } else {
        // As process 1 orphans come by themselves.
        set_child_subreaper(true).context("become the parent of orphans")?;
    }
    let mut chassis = Chassis {
        seats,
        signals: signals().context("catch signals")?,
        directory,
        stopping: None,
    };
    chassis.run()
}

/// A place for a module.
struct Seat {
    slot: Slot,
    /// `hitless-boot` and its arguments.
    command: (PathBuf, Vec<OsString>),
    boot: Option<Pid>,
    /// When a boot is put in.
    put_in_at: Option<Instant>,
}

impl Seat {
    fn new(options: &Options, slot: Slot, directory: &Path, images: &Path) -> Result<Self> {
        let own = match slot {
            Slot::A => &options.image_a,
            Slot::B => &options.image_b,
        };
        let image = program("hitlessd", own.as_ref().or(options.image.as_ref()))?;
        let boot = program("hitless-boot", options.boot.as_ref())?;
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |word: &dyn AsRef<std::ffi::OsStr>| words.push(word.as_ref().to_owned());
        add(&"--slot");
        add(&slot.name());
        add(&"--backplane");
        add(&directory);
        add(&"--images");
        add(&images);
        if let Some(ms) = options.settled_ms {
            add(&"--settled-ms");
            add(&ms.to_string());
        }
        if let Some(ms) = options.start_ms {
            add(&"--start-ms");
            add(&ms.to_string());
        }
        add(&"--");
        add(&image);
        add(&"--slot");
        add(&slot.name());
        add(&"--config");
        add(&options.config);
        words.extend(options.module.iter().cloned());
        let wait = match slot {
            Slot::A => Duration::ZERO,
            Slot::B => HEAD_START,
        };
        Ok(Self {
            slot,
            command: (boot, words),
            boot: None,
            put_in_at: Some(Instant::now() + wait),
        })
    }

    fn put_in(&mut self) -> Result<()> {
        let mut command = Command::new(&self.command.0);
        command.args(&self.command.1).stdin(Stdio::null());
        sys::bind_to_us(&mut command, &[]);
        let child = command
            .spawn()
            .with_context(|| format!("start {}", self.command.0.display()))?;
        // Collected with the orphans, by its number.
        self.boot = Some(Pid::from_raw(child.id().cast_signed()));
        Ok(())
    }
}

/// The order in which the modules are still to be stopped.
struct Stopping {
    left: VecDeque<Slot>,
    /// When the first of them is killed, since it was asked to stop.
    kill_at: Option<Instant>,
}

struct Chassis {
    seats: [Seat; 2],
    signals: SignalFd,
    directory: PathBuf,
    stopping: Option<Stopping>,
}

impl Chassis {
    fn run(&mut self) -> Result<()> {
        loop {
            self.collect();
            if self.stop() {
                return Ok(());
            }
            self.put_in();
            self.wait().context("wait for events")?;
            self.take_signals();
        }
    }

    /// Waits for a signal, or until there is something to do.
    fn wait(&self) -> nix::Result<()> {
        let kill_at = self.stopping.as_ref().and_then(|s| s.kill_at);
        let times = self
            .seats
            .iter()
            .map(|seat| seat.put_in_at)
            .chain([kill_at]);
        let timeout = times
            .flatten()
            .min()
            .map(|when| TimeSpec::from_duration(when.saturating_duration_since(Instant::now())));
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, timeout, None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let is_child = signal.ssi_signo.cast_signed() == Signal::SIGCHLD as i32;
            if is_child || self.stopping.is_some() {
                continue;
            }
            let role = |slot| Status::read(&self.directory, slot).ok()?.role;
            let order = stop_order(role(Slot::A).as_deref(), role(Slot::B).as_deref());
            say(&format!("stopping {}, then {}", order[0], order[1]));
            self.stopping = Some(Stopping {
                left: order.into(),
                kill_at: None,
            });
        }
    }

    /// Collects whoever has ended: boots, and orphans.
    fn collect(&mut self) {
        while let Some((pid, how)) = sys::collect() {
            let boot = Some(Pid::from_raw(pid.cast_signed()));
            let Some(seat) = self.seats.iter_mut().find(|seat| seat.boot == boot) else {
                continue;
            };
            seat.boot = None;
            let slot = seat.slot;
            if self.stopping.is_some() {
                say(&format!("{slot} has stopped ({how})"));
            } else {
                seat.put_in_at = Some(Instant::now() + OUT);
                say(&format!(
                    "{slot} is out ({how}); put back in {} s",
                    OUT.as_secs()
                ));
            }
        }
    }

    fn put_in(&mut self) {
        let now = Instant::now();
        let due = |seat: &&mut Seat| seat.put_in_at.is_some_and(|when| when <= now);
        for seat in self.seats.iter_mut().filter(due) {
            seat.put_in_at = None;
            if let Err(error) = seat.put_in() {
                seat.put_in_at = Some(now + OUT);
                say(&format!("{}: {error:#}", seat.slot));
            }
        }
    }

    /// Takes the next step of stopping; true when everything has stopped.
    fn stop(&mut self) -> bool {
        let Some(stopping) = &mut self.stopping else {
            return false;
        };
        let now = Instant::now();
        for seat in &mut self.seats {
            seat.put_in_at = None;
        }
        while let Some(slot) = stopping.left.front() {
            let boot = self.seats.iter().find(|seat| seat.slot == *slot);
            let Some(boot) = boot.and_then(|seat| seat.boot) else {
                stopping.left.pop_front();
                stopping.kill_at = None;
                continue;
            };
            // Not waited for, so the number is still this child's.
            let _ = match stopping.kill_at {
                None => {
                    stopping.kill_at = Some(now + STOP_TIME);
                    kill(boot, Signal::SIGTERM)
                }
                Some(when) if when <= now => {
                    stopping.kill_at = Some(now + STOP_TIME);
                    kill(boot, Signal::SIGKILL)
                }
                Some(_) => Ok(()),
            };
            return false;
        }
        true
    }
}

/// The master last, so that stopping is no failover; `msm-a` last when the roles are unknown.
fn stop_order(role_a: Option<&str>, role_b: Option<&str>) -> [Slot; 2] {
    const MASTER: Option<&str> = Some("master");
    if role_b == MASTER && role_a != MASTER {
        [Slot::A, Slot::B]
    } else {
        [Slot::B, Slot::A]
    }
}

/// A program of ours: the one that is given, or the one beside this program, or the first in PATH.
fn program(name: &str, given: Option<&PathBuf>) -> Result<PathBuf> {
    let candidates: Vec<PathBuf> = match given {
        Some(path) => vec![path.clone()],
        None => {
            let own = env::current_exe().ok();
            let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
            let path = env::var_os("PATH").unwrap_or_default();
            let directories = beside.into_iter().chain(env::split_paths(&path));
            directories.map(|dir| dir.join(name)).collect()
        }
    };
    match candidates.iter().find(|path| path.is_file()) {
        Some(found) => fs::canonicalize(found).with_context(|| found.display().to_string()),
        None if given.is_some() => bail!("no program {}", candidates[0].display()),
        None => bail!("no {name} beside this program or in PATH; name it with an option"),
    }
}

/// Makes this process the switch's only chassis.
fn lock(directory: &Path, switch: &str) -> Result<Flock<File>> {
    let file = File::open(directory).with_context(|| format!("open {}", directory.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, Errno::EWOULDBLOCK)) => {
            bail!("switch {switch} already has a running hitless chassis; stop it first")
        }
        Err((_, errno)) => Err(errno).with_context(|| format!("lock {}", directory.display())),
    }
}

/// A container comes without bpffs.
fn mount_bpffs() -> Result<()> {
    if statfs(BPFFS).is_ok_and(|fs| fs.filesystem_type() == BPF_FS_MAGIC) {
        return Ok(());
    }
    mount(
        Some("bpf"),
        BPFFS,
        Some("bpf"),
        MsFlags::empty(),
        None::<&str>,
    )
    .with_context(|| format!("mount bpffs at {BPFFS}; is the container privileged?"))
}

fn signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

fn say(text: &str) {
    // There is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "hitless chassis: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_master_stops_last() {
        use Slot::{A, B};
        for (a, b, order) in [
            (Some("master"), Some("standby"), [B, A]),
            (Some("standby"), Some("master"), [A, B]),
            (None, Some("master"), [A, B]),
            (Some("master"), None, [B, A]),
            (None, None, [B, A]),
            (Some("standby"), None, [B, A]),
            (Some("master"), Some("master"), [B, A]),
        ] {
            assert_eq!(stop_order(a, b), order, "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_program_is_found_or_named() {
        let given = PathBuf::from("/nonexistent/hitlessd");
        let error = program("hitlessd", Some(&given)).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/hitlessd"));
        assert!(program("sh", None).unwrap().is_absolute());
        let error = program("hitless-nonesuch", None).unwrap_err();
        assert!(error.to_string().contains("hitless-nonesuch"), "{error}");
    }
}
