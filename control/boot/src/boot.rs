//! The loop: the one place that waits.

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;

use crate::bank::Banks;
use crate::choice::{Choice, Chooser, EARLY_ENDS, Origin};
use crate::directory;
use crate::failure::Failure;
use crate::line::{Cause, ToBoot, ToDaemon, ToPeer};
use crate::log;
use crate::module::{Ended, Module, Program};
use crate::neighbour::{self, Event, Neighbour};
use crate::options::Options;
use crate::restart::{Kind, Restart};
use crate::slot::Slot;
use crate::socket::{self, Received};
use crate::status::{self, Status};
use crate::watchdog::Watchdog;

/// Time that a daemon has between SIGTERM and SIGKILL.
const STOP_TIME: Duration = Duration::from_secs(5);

/// How long a master that has ended is not started again, so that the standby takes over with all processors.
const HEAD_START: Duration = Duration::from_millis(50);

/// Packets of the daemon read before anything else gets its turn: more than a socket holds.
const BATCH: usize = 1024;

/// What can become readable, the most urgent first.
#[derive(Clone, Copy)]
enum Source {
    Ended,
    Packets,
    Neighbour(neighbour::Place),
    Signals,
}

/// A boot at work.
struct Boot {
    options: Options,
    signals: SignalFd,
    module: Option<Module>,
    /// For the daemons of this slot, see [`crate::PACKET_FD_VARIABLE`].
    packet_socket: Option<OwnedFd>,
    neighbour: Neighbour,
    watchdog: Watchdog,
    /// The watchdog is the boot's own: the daemon has not come so far yet.
    starting: bool,
    restart: Restart,
    /// In a slot with image banks.
    images: Option<Chooser>,
    /// When the daemon is started again.
    start_at: Option<Instant>,
    /// Since SIGTERM: when the daemon is killed.
    stopping: Option<Instant>,
    status: Status,
    /// What `status` said when it was last written.
    written: Option<Status>,
    _lock: Flock<File>,
}

/// Runs a boot until SIGTERM or SIGINT.
///
/// # Errors
/// When the slot has a boot already, or the kernel refuses what nothing can be done without.
pub fn run(options: Options) -> Result<(), Failure> {
    let directory = options.backplane.clone();
    directory::make_missing(&directory)
        .map_err(Failure::of(format!("make {}", directory.display())))?;
    let lock = lock(&lock_path(&directory, options.slot))?;
    let socket = neighbour::socket_path(&directory, options.slot);
    let mut boot = Boot {
        signals: signals().map_err(Failure::of("catch signals"))?,
        neighbour: Neighbour::new(&directory, options.slot, Instant::now())
            .map_err(Failure::of(format!("listen at {}", socket.display())))?,
        module: None,
        packet_socket: socket::packets(),
        watchdog: Watchdog::default(),
        starting: false,
        restart: Restart::new(options.settled),
        images: images(&options),
        start_at: Some(Instant::now()),
        stopping: None,
        status: Status {
            boot: std::process::id(),
            ..Status::default()
        },
        written: None,
        options,
        _lock: lock,
    };
    let result = boot.run();
    // While the lock is held: these are nobody else's. What can not be removed is replaced by the next boot.
    for path in [
        socket,
        status::path(&directory, boot.options.slot),
        lock_path(&directory, boot.options.slot),
    ] {
        let _ = fs::remove_file(path);
    }
    result
}

fn lock_path(backplane: &Path, slot: Slot) -> PathBuf {
    backplane.join(format!("backplane-{slot}.lock"))
}

/// Makes this process the slot's only boot. The lock's file may be removed by the boot before in the meantime: what
/// is locked must be what others will find.
fn lock(path: &Path) -> Result<Flock<File>, Failure> {
    let what = || format!("lock {}", path.display());
    loop {
        let file = directory::open_lock(path).map_err(Failure::of(what()))?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => {
                let busy = "another hitless-boot of this slot runs; stop it first";
                return Err(Failure::of(what())(io::Error::other(busy)));
            }
            Err((_, errno)) => return Err(Failure::of(what())(errno)),
        };
        let ours = file.metadata().map_err(Failure::of(what()))?;
        if fs::metadata(path).is_ok_and(|found| found.ino() == ours.ino()) {
            return Ok(file);
        }
    }
}

/// The image banks, without leftovers of what was interrupted.
fn images(options: &Options) -> Option<Chooser> {
    let banks = Banks::new(options.images.as_ref()?);
    if let Err(error) = banks.clean(options.slot) {
        log::line(
            options.slot,
            format_args!("leftovers in the image banks: {error}"),
        );
    }
    Some(Chooser::new(banks, options.slot, options.settled))
}

fn signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGINT);
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

macro_rules! say {
    ($boot:expr, $($text:tt)*) => { log::line($boot.options.slot, format_args!($($text)*)) };
}

impl Boot {
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.do_due();
            if self.stopping.is_some() && self.module.is_none() {
                return Ok(());
            }
            for source in self.wait().map_err(Failure::of("wait for events"))? {
                match source {
                    Source::Ended => self.look_for_end(),
                    Source::Packets => self.packets(),
                    Source::Neighbour(place) => {
                        self.neighbour.ready(place, Instant::now());
                        self.relay();
                    }
                    Source::Signals => self.take_signals(),
                }
            }
        }
    }

    /// What is readable now or within the time that there is nothing to do.
    fn wait(&self) -> io::Result<Vec<Source>> {
        let mut wanted: Vec<(Source, BorrowedFd<'_>)> = Vec::with_capacity(8);
        if let Some(module) = &self.module {
            wanted.push((Source::Ended, module.ended()));
            wanted.extend(module.packets().map(|fd| (Source::Packets, fd)));
        }
        let places = self.neighbour.places();
        wanted.extend(places.map(|(place, fd)| (Source::Neighbour(place), fd)));
        wanted.push((Source::Signals, self.signals.as_fd()));
        let mut fds: Vec<PollFd<'_>> = wanted
            .iter()
            .map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN))
            .collect();
        let timeout = self
            .next()
            .map(|when| TimeSpec::from_duration(when.saturating_duration_since(Instant::now())));
        match ppoll(&mut fds, timeout, None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
        let ready = wanted
            .iter()
            .zip(&fds)
            .filter(|(_, fd)| fd.any() != Some(false));
        Ok(ready.map(|((source, _), _)| *source).collect())
    }

    /// When there is something to do even if nothing comes.
    fn next(&self) -> Option<Instant> {
        let times = [
            self.start_at,
            self.stopping,
            self.watchdog.next(),
            self.neighbour.next(),
        ];
        times.into_iter().flatten().min()
    }

    fn do_due(&mut self) {
        let now = Instant::now();
        if self.watchdog.next().is_some_and(|when| when <= now) {
            // Kicks that are there count, however late this wake-up is.
            self.packets();
            if let Some(limit) = self.watchdog.wake(now)
                && let Some(module) = &mut self.module
            {
                let detail = format!("no kick for {} ms", limit.as_millis());
                module.kill(Cause::Watchdog, detail);
                let pid = module.pid();
                say!(
                    self,
                    "process {pid} hangs: no kick for {} ms; killed",
                    limit.as_millis()
                );
            }
        }
        self.neighbour.wake(now);
        if self.stopping.is_some_and(|when| when <= now)
            && let Some(module) = &mut self.module
        {
            module.kill(Cause::Signal, "SIGKILL".into());
            let pid = module.pid();
            // Only once: from now on its end is waited for.
            self.stopping = Some(now + Duration::from_secs(3600));
            say!(
                self,
                "process {pid} did not stop within {} s; killed",
                STOP_TIME.as_secs()
            );
        }
        if self.start_at.is_some_and(|when| when <= now) {
            self.start(now);
        }
        self.write_status();
    }

    fn start(&mut self, now: Instant) {
        self.start_at = None;
        let origin = self.choose();
        let banks = self.images.as_ref().map(Chooser::banks);
        let (factory, arguments) = &self.options.command;
        let bank = match (banks, origin) {
            (Some(banks), Some(Origin::Bank(bank))) => Some(banks.path(self.options.slot, bank)),
            _ => None,
        };
        let program = bank
            .as_ref()
            .map_or(factory.as_os_str(), |path| path.as_os_str());
        match Module::start(&Program {
            program,
            arguments,
            packet_socket: self.packet_socket.as_ref().map(AsFd::as_fd),
            images: banks.map(Banks::directory).zip(origin),
        }) {
            Ok(module) => {
                say!(self, "started process {}", module.pid());
                self.status.daemon = Some(module.pid());
                self.module = Some(module);
                self.starting = bank.is_some();
                if self.starting {
                    self.watchdog.arm(now, self.options.start);
                }
                if self.neighbour.is_present() {
                    self.tell_daemon(&ToDaemon::PeerPresent);
                }
            }
            Err(error) => {
                let pause = self.restart.pause(Kind::Failure, Duration::ZERO);
                self.start_at = Some(now + pause);
                say!(
                    self,
                    "can not start {}: {error}; tries again in {} ms",
                    program.display(),
                    pause.as_millis()
                );
                self.judge(Cause::Exit, Kind::Failure, Duration::ZERO, false, &error);
            }
        }
    }

    /// In a slot with image banks: decides what is started, and says what is new in that.
    fn choose(&mut self) -> Option<Origin> {
        let Choice {
            origin,
            manifest,
            refused,
            unselected,
        } = self.images.as_mut()?.choose();
        for (bank, why) in refused
            .iter()
            .filter(|new| !self.status.refused.contains(new))
        {
            say!(self, "does not boot the {bank} image: {why}");
        }
        if let Some(why) = &unselected
            && self.status.unselected != unselected
        {
            say!(self, "takes the primary image for the selected one: {why}");
        }
        match manifest {
            Some(manifest) => say!(
                self,
                "boots the {origin} image: version {} ({})",
                manifest.version(),
                manifest.git()
            ),
            None if self.status.bank != Some(origin) => say!(self, "boots the factory image"),
            None => {}
        }
        self.status.bank = Some(origin);
        self.status.refused = refused;
        self.status.unselected = unselected;
        Some(origin)
    }

    /// How an image did.
    fn judge(
        &mut self,
        cause: Cause,
        kind: Kind,
        lived: Duration,
        told_role: bool,
        how: &dyn Display,
    ) {
        let Some(images) = &mut self.images else {
            return;
        };
        match images.ended(cause, kind, lived, told_role, how) {
            Some(Origin::Factory) => {
                say!(
                    self,
                    "the factory image does not live either: all are tried again"
                );
            }
            Some(Origin::Bank(bank)) => say!(
                self,
                "the {bank} image ended {EARLY_ENDS} times in a row: it is not booted before a new selection, another \
                 image, or a reset"
            ),
            None => {}
        }
    }

    /// The other slot hears of an end before anything else is done.
    fn look_for_end(&mut self) {
        // Last words are in the socket.
        self.packets();
        let Some(module) = &mut self.module else {
            return;
        };
        let Ended { end, kind, lived } = match module.end() {
            Ok(Some(ended)) => ended,
            Ok(None) => return,
            Err(error) => return say!(self, "end of process {}: {error}", module.pid()),
        };
        let told = self.neighbour.tell(&ToPeer::End(end.clone()));
        self.module = None;
        self.watchdog = Watchdog::default();
        self.status.daemon = None;
        let role = self.status.role.take();
        let told_role = role.is_some();
        self.status.version = None;
        // Somebody is about to take its place, and needs the processors more than a new start does.
        let head_start = match role.as_deref() {
            Some("master") if told => HEAD_START,
            _ => Duration::ZERO,
        };
        let told = if told { "" } else { " (nobody to tell)" };
        if self.stopping.is_some() {
            return say!(self, "process ended: {end}{told}");
        }
        let pause = self.restart.pause(kind, lived).max(head_start);
        self.start_at = Some(Instant::now() + pause);
        say!(
            self,
            "process ended: {end}{told}; starts again in {} ms",
            pause.as_millis()
        );
        self.judge(end.cause, kind, lived, told_role, &end);
    }

    fn packets(&mut self) {
        for _ in 0..BATCH {
            let Some(module) = &mut self.module else {
                return;
            };
            let packet = match module.receive() {
                Received::Packet(packet) => packet,
                Received::Nothing | Received::End => return,
            };
            match ToBoot::parse(&packet) {
                Ok(ToBoot::Kick) => self.watchdog.kick(),
                Ok(ToBoot::Watchdog(ms)) => {
                    self.starting = false;
                    let limit = Duration::from_millis(ms.into());
                    self.watchdog.arm(Instant::now(), limit);
                }
                Ok(ToBoot::State { role, version }) => {
                    if std::mem::take(&mut self.starting) {
                        self.watchdog = Watchdog::default();
                    }
                    self.status.role = Some(role);
                    self.status.version = Some(version);
                }
                Ok(ToBoot::LastWords(text)) => module.set_last_words(text),
                Ok(ToBoot::ResetPeer) => {
                    let told = self.neighbour.tell(&ToPeer::Reset);
                    let told = if told { "" } else { ", but nobody is there" };
                    say!(self, "resets {}{told}", self.options.slot.other());
                }
                Err(error) => {
                    say!(
                        self,
                        "process {} says {error}: {:?}",
                        module.pid(),
                        String::from_utf8_lossy(&packet)
                    );
                }
            }
        }
    }

    /// Passes on what the other boot did.
    fn relay(&mut self) {
        let other = self.options.slot.other();
        while let Some(event) = self.neighbour.event() {
            match event {
                Event::Ended(end) => {
                    self.tell_daemon(&ToDaemon::PeerEnded(end.clone()));
                    say!(self, "{other} ended: {end}");
                }
                Event::Removed => {
                    self.tell_daemon(&ToDaemon::PeerRemoved);
                    say!(self, "{other} was removed");
                }
                Event::Present => {
                    self.tell_daemon(&ToDaemon::PeerPresent);
                    say!(self, "{other} is present");
                }
                Event::Reset => {
                    if let Some(images) = &mut self.images {
                        images.reset();
                    }
                    if let Some(module) = &mut self.module {
                        module.kill(Cause::Reset, format!("asked for by {other}"));
                    }
                    say!(self, "{other} asks for a reset");
                }
            }
        }
    }

    fn tell_daemon(&self, line: &ToDaemon) {
        if let Some(module) = &self.module
            && let Err(error) = module.tell(line)
        {
            say!(
                self,
                "process {} does not hear {:?}: {error}",
                module.pid(),
                line.to_string()
            );
        }
    }

    fn take_signals(&mut self) {
        // A signal more while stopping changes nothing.
        while let Ok(Some(_)) = self.signals.read_signal() {
            if self.stopping.is_none() {
                self.stopping = Some(Instant::now() + STOP_TIME);
                self.start_at = None;
                // A daemon that is stopping owes no kick.
                self.watchdog = Watchdog::default();
                if let Some(module) = &self.module {
                    module.terminate();
                }
                say!(self, "stopping");
            }
        }
    }

    fn write_status(&mut self) {
        if self.written.as_ref() == Some(&self.status) {
            return;
        }
        if let Err(error) = self
            .status
            .write(&self.options.backplane, self.options.slot)
        {
            say!(self, "can not write the status file: {error}");
        }
        // Tried once a change, not once a wake-up.
        self.written = Some(self.status.clone());
    }
}
