//! A module that is not master: it follows the master there is, and takes its place when that is lost.

use super::{
    FENCE_LIMIT, Module, REMOVED, Start, Takeover, cause_of,
    claim::Claim,
    database::Memory,
    fence::{self, Fenced, fence},
    link::{Link, Read},
    verdict,
};
use crate::{
    backplane::{MAX_WATCHDOG_MS, PeerEvent},
    fault,
    hw::{Ahead, HwError, Opened, pins::SwitchDir},
    netlink::{Interfaces, LinkChange},
};
use anyhow::{Context, Result};
use hitless_ha::{
    cause::Cause,
    monitor::{Keepalives, Situation},
    receiver::{Event, Limits, Receiver},
    schema::Subsystem,
};
use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{debug, error, info, warn};

/// Between two attempts to find a master, or to become one.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two attempts after a master did not want this module, or was not understood.
const LONG_PAUSE: Duration = Duration::from_secs(1);
/// Reads handled before anything else gets its turn.
const READS: usize = 16;
/// Time for a master that listens to introduce itself, in milliseconds.
const HELLO_LIMIT_MS: u32 = 2_000;
/// Time for a master whose end of the link is closed to be gone; it is the next thing that the kernel does.
const CLOSED_GRACE: Duration = Duration::from_millis(500);
/// Signs of life of the master for one of the standby's: nothing hangs on those.
const KEEPALIVE_SIGNS: u32 = 10;
/// Time for a master that hands over to end by itself.
const HANDOVER_GRACE: Duration = Duration::from_millis(200);

/// Time that a module which has just been started leaves the master's place to the standby; shorter than a lease.
const HEIR_PATIENCE: Duration = Duration::from_secs(2);

/// The right to follow a master into its place, which one standby has. Without it a module that is started again could
/// be faster than the standby, which knows more. It decides nothing but who may try: who is master, the role lock alone
/// says.
const HEIR: &str = "heir.lock";

/// How the search for a role ended.
pub enum Ended {
    /// This module is master now.
    Master(Start),
    /// It was told to stop.
    Stopped,
}

/// Why a standby no longer follows.
enum Left {
    /// The master is lost.
    Lost(Loss),
    /// It was told to stop.
    Stopped,
    /// The master does not want this module, or says what it does not understand.
    Unwanted,
}

/// How the master was lost.
struct Loss {
    cause: Cause,
    /// Whether the master or its slot said so.
    announced: bool,
    /// Whether hitless-boot may still tell a better cause.
    provisional: bool,
    detail: Option<String>,
    noticed: Instant,
}

impl Loss {
    fn new(cause: Cause, announced: bool) -> Self {
        Self {
            cause,
            announced,
            provisional: false,
            detail: None,
            noticed: Instant::now(),
        }
    }
}

/// The signals that end a module.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("catch SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("catch SIGINT")?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Becomes master if there is none; else follows the one there is until its place is free.
///
/// # Errors
/// If the switch's directory can not be had, or a master runs in this very slot.
pub async fn find_role(module: &mut Module) -> Result<Ended> {
    let mut stop = Stop::new()?;
    let mut memory = Memory::default();
    // As long as this process lives.
    module.claim = Claim::stake(&module.run_dir, &format!("module-{}.lock", module.slot))?;
    if module.claim.is_none() {
        return Err(module.busy());
    }
    let mut heir = None;
    let mut alone_since = Instant::now();
    loop {
        if heir.is_none() {
            heir = Claim::stake(&module.run_dir, HEIR)?;
        }
        // The place of a master that has just ended belongs to the standby that followed it.
        if heir.is_some() || alone_since.elapsed() > HEIR_PATIENCE {
            match SwitchDir::lock(module.own_config.switch.as_str()) {
                Ok(dir) => return Ok(Ended::Master(Start::First(dir))),
                Err(HwError::Busy { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let mut pause = PAUSE;
        match Link::connect(&module.socket()).await {
            Ok(link) => {
                let mut following = Following::new(module, link, memory);
                match following.follow(&mut stop).await? {
                    Left::Stopped => return Ok(Ended::Stopped),
                    Left::Unwanted => pause = LONG_PAUSE,
                    Left::Lost(loss) => match following.take_over(loss)? {
                        Some(takeover) => {
                            return Ok(Ended::Master(Start::TakeOver(Box::new(takeover))));
                        }
                        None => info!("another module has become master"),
                    },
                }
                memory = following.memory;
                alone_since = Instant::now();
            }
            // It has not begun to listen, or it is just ending.
            Err(e) => debug!("no master answers: {e}"),
        }
        module.kick();
        tokio::select! {
            () = stop.asked() => return Ok(Ended::Stopped),
            () = sleep(pause) => {}
            event = module.peer_event() => module.note_peer(&event),
        }
    }
}

/// Waits until what is being built ahead of a takeover is there. With the ticks it could not be noticed: as long as the
/// master is heard there are none.
async fn built(ahead: Option<&Ahead>) {
    match ahead {
        Some(ahead) if !ahead.is_finished() => ahead.finished().await,
        _ => std::future::pending().await,
    }
}

/// The next change of the interfaces that are kept up with.
async fn next_change(interfaces: Option<&mut Interfaces>) -> Option<LinkChange> {
    match interfaces {
        Some(interfaces) => interfaces.next().await,
        None => std::future::pending().await,
    }
}

/// A standby and its master.
struct Following<'m> {
    module: &'m mut Module,
    link: Link,
    receiver: Receiver,
    memory: Memory,
    last_words: Option<String>,
}

impl<'m> Following<'m> {
    fn new(module: &'m mut Module, link: Link, memory: Memory) -> Self {
        let receiver = Receiver::new(module.now_ms(), &module.hello(), Limits::default());
        Self {
            module,
            link,
            receiver,
            memory,
            last_words: None,
        }
    }

    /// The settings in force: those of the master once they are known.
    fn config(&self) -> &hitless_proto::config::Config {
        self.memory.running().unwrap_or(&self.module.own_config)
    }

    async fn follow(&mut self, stop: &mut Stop) -> Result<Left> {
        let mut interval_ms = 0;
        let mut ticks = interval(Duration::from_secs(1));
        let mut kick_ms = 0;
        let mut kicks = interval(Duration::from_secs(1));
        let mut keepalives = Keepalives::new(u32::MAX);
        let mut signs = 0u32;
        if self.memory.interfaces.is_none() {
            match Interfaces::open().await {
                Ok(interfaces) => self.memory.interfaces = Some(interfaces),
                Err(e) => warn!("a takeover will have to list the interfaces: {e:#}"),
            }
        }
        loop {
            let settings = self.config().msm_failover;
            if interval_ms != settings.keepalive_interval_ms {
                interval_ms = settings.keepalive_interval_ms;
                ticks = interval(Duration::from_millis(interval_ms.into()));
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                ticks.reset();
                // The timer begins anew with each sign of life, so the interval in which that came is no miss.
                keepalives = Keepalives::new(settings.keepalive_misses.saturating_sub(1));
            }
            let watchdog_ms = settings.watchdog_ms.map_or(0, patience);
            if kick_ms != watchdog_ms {
                kick_ms = watchdog_ms;
                if let Some(backplane) = &self.module.backplane {
                    backplane.kick();
                    backplane.arm_watchdog(watchdog_ms);
                }
                kicks = interval(Duration::from_millis((watchdog_ms / 5).max(10).into()));
                kicks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            }
            let heard = self.receiver.heard();
            self.let_go();
            tokio::select! {
                biased;
                () = stop.asked() => {
                    self.receiver.goodbye("stopped");
                    let _ = self.link.write(self.receiver.outgoing());
                    info!("stopping; the master goes on alone");
                    return Ok(Left::Stopped);
                }
                event = self.module.peer_event() => {
                    self.module.note_peer(&event);
                    if let Some(loss) = self.peer_loss(event) {
                        return Ok(Left::Lost(loss));
                    }
                }
                ready = self.link.ready(self.is_writing()) => {
                    ready.context("wait for the master")?;
                    if let Some(left) = self.exchange()? {
                        return Ok(left);
                    }
                }
                () = built(self.memory.ahead.as_ref()) => {}
                change = next_change(self.memory.interfaces.as_mut()) => {
                    self.memory.follow_interfaces(change).await;
                }
                _ = ticks.tick() => {
                    // What has come already counts.
                    if let Some(left) = self.exchange()? {
                        return Ok(left);
                    }
                    self.write()?;
                    let silent = keepalives.tick();
                    let ms = interval_ms.saturating_mul(keepalives.missed());
                    // One that is busy with its start may take longer to introduce itself.
                    if silent && (self.receiver.peer().is_some() || ms > HELLO_LIMIT_MS) {
                        return Ok(Left::Lost(Loss {
                            detail: Some(format!("nothing was heard of the master for {ms} ms")),
                            ..Loss::new(Cause::KeepaliveFailure, false)
                        }));
                    }
                }
                _ = kicks.tick(), if kick_ms > 0 => self.module.kick(),
            }
            if self.receiver.heard() != heard {
                keepalives.heard();
                ticks.reset();
                signs = signs.wrapping_add(1);
                if signs.is_multiple_of(KEEPALIVE_SIGNS) {
                    self.receiver.keepalive();
                    self.write()?;
                    self.memory.make_room();
                }
            }
        }
    }

    /// Acknowledges what came while programs were loaded, once they are.
    fn let_go(&mut self) {
        if self.memory.ahead.as_ref().is_none_or(Ahead::is_finished) {
            self.receiver.hold(fault::never_ready());
        }
    }

    /// Whether something waits to be written.
    fn is_writing(&self) -> bool {
        self.receiver.peer().is_some() && !self.receiver.outgoing().is_empty()
    }

    /// Whether the other slot's report is that of our master's end.
    fn peer_loss(&self, event: PeerEvent) -> Option<Loss> {
        match event {
            PeerEvent::Present => None,
            PeerEvent::Removed => Some(Loss {
                detail: Some(REMOVED.into()),
                ..Loss::new(Cause::HotRemoval, true)
            }),
            PeerEvent::Ended { cause, pid, detail } => {
                let ours = self.receiver.peer().is_some_and(|master| master.pid == pid);
                let cause = cause_of(cause);
                ours.then(|| Loss {
                    detail: Some(detail),
                    ..Loss::new(cause, cause != Cause::WatchdogTimeout)
                })
            }
        }
    }

    /// Reads what has come, and writes what waits.
    fn exchange(&mut self) -> Result<Option<Left>> {
        for _ in 0..READS {
            match self.link.read().context("read from the master")? {
                Read::Nothing => break,
                Read::Closed => return self.closed().map(Some),
                Read::Octets(octets) => {
                    if let Some(left) = self.receive(octets)? {
                        return Ok(Some(left));
                    }
                }
            }
        }
        self.receiver.tick();
        self.write()?;
        Ok(None)
    }

    /// The master's end of the link is closed: it has ended, or it does not want this module any more.
    fn closed(&mut self) -> Result<Left> {
        let loss = Loss {
            provisional: true,
            ..Loss::new(Cause::SoftwareException, true)
        };
        let gone = match self.link.peer() {
            Some(master) => {
                fence::is_gone(master, CLOSED_GRACE).context("look at the old master")?
            }
            None => true,
        };
        if !gone {
            warn!("the master has closed the link and lives on");
            return Ok(Left::Unwanted);
        }
        Ok(Left::Lost(Loss {
            detail: self.last_words.take(),
            ..loss
        }))
    }

    fn receive(&mut self, octets: usize) -> Result<Option<Left>> {
        if fault::never_ready() {
            self.receiver.hold(true);
        }
        let now = self.module.now_ms();
        let received = self
            .receiver
            .receive(now, self.link.received(octets), &mut self.memory);
        for event in self.receiver.take_events() {
            if let Some(left) = self.event(event)? {
                return Ok(Some(left));
            }
        }
        if let Err(e) = received {
            error!("the master is not understood and the link is closed: {e}");
            return Ok(Some(Left::Unwanted));
        }
        Ok(None)
    }

    /// Writes what waits. Not before the master has introduced itself: our own introduction starts the transfer, and
    /// the size of its tables has to be known by then.
    fn write(&mut self) -> Result<()> {
        if self.receiver.peer().is_none() {
            return Ok(());
        }
        match self.link.write(self.receiver.outgoing()) {
            Ok(octets) => self.receiver.sent(octets),
            // Reading tells more: what the master said last.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
            Err(e) => return Err(e).context("write to the master"),
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<Option<Left>> {
        match event {
            Event::Hello(master) => {
                if master.slot == self.module.slot {
                    return Err(self.module.busy());
                }
                if master.fdb_buckets.is_power_of_two()
                    && let Err(e) = self.memory.size_fdb(master.fdb_buckets)
                {
                    error!(buckets = master.fdb_buckets, "no memory for the FDB: {e}");
                }
                // What has to be built takes longer than the transfer.
                self.open_hardware();
                self.module.tell_role("standby");
                info!(
                    master = %master.slot, pid = master.pid, version = master.version,
                    "this module is the standby"
                );
            }
            Event::Ready(subsystem) => {
                info!(
                    subsystem = subsystem.name(),
                    records = self.memory.count(subsystem),
                    "database received from the master"
                );
            }
            Event::AllReady => {
                if self.memory.hardware.is_none() && self.memory.ahead.is_none() {
                    self.open_hardware();
                }
                self.memory.make_room();
                info!("Slave MSM initialized for hitless failover operation.");
            }
            Event::Failed {
                subsystem,
                reason,
                detail,
            } => {
                warn!(subsystem = subsystem.name(), %reason, "the database failed: {detail}");
            }
            Event::FellBack => info!("the master transfers everything anew"),
            Event::Handover(cause) => {
                return Ok(Some(Left::Lost(Loss::new(cause, true))));
            }
            Event::LastWords(words) => {
                warn!("last words of the master: {words}");
                self.last_words = Some(words);
            }
            Event::Refused(why) => {
                warn!("the master does not take this module as its standby: {why}");
                return Ok(Some(Left::Unwanted));
            }
            Event::Goodbye(why) => info!("the master closes the link: {why}"),
        }
        Ok(None)
    }

    /// Opens the hardware to look at, so that taking it will not wait for that.
    fn open_hardware(&mut self) {
        let switch = self.module.own_config.switch.as_str();
        let log_level = self.module.datapath_log;
        let slot = self.module.slot.to_string();
        Ahead::remove_old(switch, &slot);
        self.memory.ahead = None;
        let ours = match Opened::beside(switch, log_level) {
            Ok(opened) => {
                let ours = opened.runs_ours();
                self.memory.hardware = Some(opened);
                ours
            }
            Err(HwError::OtherSchema { maps }) => {
                info!(
                    maps = maps.join(" "),
                    "the hardware is of another version: a takeover migrates these maps"
                );
                false
            }
            Err(e) => {
                warn!("the hardware can not be opened ahead of a takeover: {e}");
                true
            }
        };
        if !ours {
            match Ahead::begin(switch, &slot, log_level) {
                Ok(ahead) => {
                    // A takeover would wait for the kernel's verifier, and a switch with it.
                    self.receiver.hold(true);
                    self.memory.ahead = Some(ahead);
                }
                Err(e) => warn!("nothing is built ahead of a takeover: {e}"),
            }
        }
    }

    /// Takes the master's place, after it is certainly gone; `None` if somebody else was faster.
    fn take_over(&mut self, mut loss: Loss) -> Result<Option<Takeover>> {
        let age = self.receiver.checkpoint_age(self.module.now_ms());
        self.fence(&loss)?;
        // What it wrote before its end: perhaps the last bracket of all.
        while let Read::Octets(octets) = self.link.read().unwrap_or(Read::Closed) {
            match self.receive(octets)? {
                None => {}
                // It has handed over, and its slot was quicker to tell of its end.
                Some(Left::Lost(handover)) => {
                    let noticed = loss.noticed;
                    loss = Loss {
                        noticed,
                        ..handover
                    };
                    break;
                }
                Some(_) => break,
            }
        }
        let dir = match SwitchDir::lock(self.module.own_config.switch.as_str()) {
            Ok(dir) => dir,
            Err(HwError::Busy { .. }) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        // A link that closes does not tell how the master was before. One that had fallen silent hung and was ended for
        // it: it may have done things of which it could not tell.
        let silence = 2 * u64::from(self.config().msm_failover.keepalive_interval_ms);
        let hung = loss.provisional && age.is_none_or(|age| age > silence);
        let verdict = verdict(
            self.config(),
            &Situation {
                cause: match hung {
                    true => Cause::WatchdogTimeout,
                    false => loss.cause,
                },
                announced: loss.announced && !hung,
                states: self.receiver.states(),
                checkpoint_age_ms: age,
            },
        );
        let master = self.receiver.peer();
        let from = master.map(|master| master.slot);
        let from_version = master.map(|master| master.version.clone());
        Ok(Some(Takeover {
            dir,
            database: std::mem::take(&mut self.memory),
            states: *self.receiver.states(),
            from: from.unwrap_or(self.module.slot.other()),
            from_version,
            cause: loss.cause,
            cause_is_provisional: loss.provisional,
            detail: loss.detail.or_else(|| self.last_words.take()),
            verdict,
            noticed: loss.noticed,
        }))
    }

    /// Makes sure that the master is gone.
    fn fence(&self, loss: &Loss) -> Result<()> {
        let Some(master) = self.link.peer() else {
            return Ok(());
        };
        // One that hands over is ending by itself, and its slot should not take that for a failure.
        let grace = match loss.cause {
            Cause::OperatorCommand | Cause::DiagnosticFailure | Cause::HardReset => HANDOVER_GRACE,
            _ => Duration::ZERO,
        };
        if fence::is_gone(master, grace).context("look at the old master")? {
            return Ok(());
        }
        if self.kill(master)? == Fenced::Killed {
            info!(cause = %loss.cause, "the old master was killed");
        }
        Ok(())
    }

    /// Kills the old master. Our own watchdog must not take the wait for a hang.
    fn kill(&self, master: BorrowedFd<'_>) -> Result<Fenced> {
        let deadline = Instant::now() + FENCE_LIMIT;
        loop {
            match fence(master, PAUSE) {
                Err(e) if e.kind() == io::ErrorKind::TimedOut && Instant::now() < deadline => {
                    self.module.kick();
                }
                Err(e) => {
                    return Err(e).context(
                        "the old master can not be killed, so this module can not take its place",
                    );
                }
                Ok(fenced) => return Ok(fenced),
            }
        }
    }
}

/// The watchdog of a standby, in milliseconds: nobody waits for it, and its kicks cost the idle module most.
fn patience(watchdog_ms: u32) -> u32 {
    watchdog_ms.saturating_mul(8).clamp(2_000, MAX_WATCHDOG_MS)
}

/// What a standby knows, for the log of a takeover.
pub fn summary(memory: &Memory) -> String {
    Subsystem::CHECKPOINTED
        .map(|subsystem| format!("{} {}", memory.count(subsystem), subsystem.name()))
        .join(", ")
}
