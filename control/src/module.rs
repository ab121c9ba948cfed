//! One of the two management modules of a switch: what it is in either role.
//!
//! A module that gets the switch's role lock is master ([`primary`]); the other one follows it ([`standby`]) until it
//! takes over. A master never becomes a standby: it ends, and its slot starts a new module.

pub mod claim;
pub mod database;
pub mod diagnostics;
pub mod fence;
pub mod history;
pub mod link;
pub mod primary;
pub mod standby;
pub mod tasks;

mod answer;
mod records;

pub use answer::{faults_allowed, modules};

use crate::{
    answer::image,
    backplane::{self, Backplane, PeerEvent},
    blackbox::{Blackbox, Kind, Poison},
    config_file::banks::Banks,
    hw::{HwError, pins::SwitchDir},
    master::{Boot, Master},
    northbound::api::{
        ApiError, ErrorKind, FailoverInfo, FailoverStartedInfo, QuarantinedInput, Reply, Request,
    },
};
use anyhow::Result;
use claim::Claim;
use history::History;
use hitless_ha::{
    cause::Cause,
    fallback::Fallback,
    link::Hello,
    monitor::{ConfigFrom, NotHitless, Situation, StateFrom, Verdict},
    schema::Subsystem,
    slot::ModuleSlot,
    state::{Reason, States, SubState},
};
use hitless_proto::config::{Config, ConfigBank, LinkAction};
use primary::Primary;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// How a module was started, and what it has whatever its role.
pub struct Module {
    /// Its slot.
    pub slot: ModuleSlot,
    /// The saved configuration in use when it was started.
    pub own_config: Config,
    /// The file of its primary saved configuration.
    pub config_file: PathBuf,
    /// The saved configuration that was in use then.
    pub bank: ConfigBank,
    /// The switch's run directory.
    pub run_dir: PathBuf,
    /// Level of the data path's debug log.
    pub datapath_log: u8,
    /// The line to hitless-boot, if that started us.
    pub backplane: Option<Rc<Backplane>>,
    /// Whether the other slot has a module, as far as hitless-boot has said.
    pub peer_present: bool,
    /// The failovers of this switch.
    pub history: History,
    /// What is being handled, kept for the next master; a master has it.
    pub blackbox: Option<Blackbox>,
    /// Whether requests may bring failures about.
    pub faults: bool,
    /// When this process started.
    pub started: Instant,
    /// The right to this slot.
    claim: Option<Claim>,
    /// While hitless-boot may still tell why the last master ended.
    provisional: Option<Instant>,
}

/// What is told of a module whose hitless-boot is gone.
pub const REMOVED: &str = "the module was removed: its hitless-boot is gone";

/// Between the end of a module and what was given up with it, in the details of a failover.
const NOT_HITLESS: &str = "not hitless: ";

/// Time for hitless-boot to tell a better cause of a failover than that the link broke.
const CAUSE_WAIT: Duration = Duration::from_secs(5);

/// What rebooting a slot means.
pub enum Reboot {
    /// The other slot's module is started again.
    Other,
    /// This module hands over and is started again.
    Own(Cause),
}

impl Module {
    /// A module that has just been started.
    #[must_use]
    pub fn new(
        slot: ModuleSlot,
        own_config: Config,
        config_file: PathBuf,
        bank: ConfigBank,
        run_dir: PathBuf,
        datapath_log: u8,
        backplane: Option<Rc<Backplane>>,
    ) -> Self {
        Self {
            slot,
            own_config,
            config_file,
            bank,
            history: History::read(&run_dir),
            blackbox: None,
            run_dir,
            datapath_log,
            backplane,
            peer_present: false,
            faults: faults_allowed().is_ok(),
            started: Instant::now(),
            claim: None,
            provisional: None,
        }
    }

    /// What the first master begins with.
    #[must_use]
    pub fn first(&self, dir: SwitchDir) -> Boot {
        self.begin(dir, self.own_config.clone())
    }

    fn begin(&self, dir: SwitchDir, config: Config) -> Boot {
        Boot {
            config,
            config_file: self.config_file.clone(),
            bank: self.bank,
            unsaved: false,
            rollback: None,
            run_dir: self.run_dir.clone(),
            stp: None,
            dir,
            hardware: None,
            ahead: None,
            interfaces: None,
            alive: self.sign_of_life(),
            slot: self.slot,
            datapath_log: self.datapath_log,
            fdb: None,
            vlans: BTreeMap::new(),
            failover: false,
            reset_links: false,
            flush: false,
        }
    }

    /// What a master begins with that takes the place of another one, and what is to be said of it.
    pub fn take_over(&mut self, takeover: Takeover) -> (Boot, Failover) {
        let Takeover {
            dir,
            mut database,
            mut states,
            from,
            from_version,
            cause,
            cause_is_provisional,
            detail,
            verdict,
            noticed,
        } = takeover;
        self.provisional = cause_is_provisional.then(|| Instant::now() + CAUSE_WAIT);
        let known = standby::summary(&database);
        let checkpoint = match (verdict.config, &database.config) {
            (ConfigFrom::Checkpoint, Some(record)) => {
                let saved = record.saved;
                database.take_running().map(|running| (running, saved))
            }
            _ => None,
        };
        let mut boot = match checkpoint {
            Some((running, saved)) => Boot {
                unsaved: !saved,
                rollback: database.take_rollback(),
                ..self.begin(dir, running)
            },
            None => self.first(dir),
        };
        boot.failover = true;
        boot.hardware = database.hardware.take();
        boot.ahead = database.ahead.take();
        boot.interfaces = database.interfaces.take();
        if verdict.config == ConfigFrom::OwnFile {
            // As it is now, which may not be as it was when this module started.
            match Banks::new(&self.config_file).load_selected() {
                Ok((bank, config)) if config.switch == boot.config.switch => {
                    (boot.bank, boot.config) = (bank, config);
                }
                Ok(_) => {
                    warn!("the configuration file is another switch's now; it is taken as it was")
                }
                Err(e) => warn!(
                    "the configuration file is taken as it was at the start of this module: {e}"
                ),
            }
        }
        (boot.fdb, boot.stp) = match verdict.state {
            StateFrom::Checkpoint => (database.fdb.take(), Some(database.take_stp())),
            StateFrom::Hardware | StateFrom::Nothing => (None, None),
        };
        if verdict.state != StateFrom::Nothing {
            boot.vlans = database.vlan_entries();
        }
        boot.flush = verdict.state == StateFrom::Nothing;
        boot.reset_links = boot.config.msm_failover.link_action == LinkAction::TakeLinksDown;
        if let Some(NotHitless::Stale { .. }) = verdict.not_hitless {
            // As the patent has it: a standby that thinks a hitless takeover imprudent is failed.
            let reason = match cause {
                Cause::WatchdogTimeout => Reason::Watchdog,
                _ => Reason::Keepalive,
            };
            for subsystem in Subsystem::CHECKPOINTED {
                states.set(subsystem, SubState::Failed, reason);
            }
        }
        let why = verdict
            .not_hitless
            .map(|why| format!("{NOT_HITLESS}{why}; discarded: {}", verdict.discards()));
        match &why {
            None => info!(%cause, %from, known, "taking over"),
            Some(why) => warn!(%cause, %from, known, "taking over, {why}"),
        }
        let detail: Vec<String> = detail.into_iter().chain(why).collect();
        let info = FailoverInfo {
            hitless: verdict.is_hitless(),
            detail: (!detail.is_empty()).then(|| detail.join("; ")),
            ..history::failover(cause, from, self.slot)
        };
        let fallback = Fallback::after_failover(
            hitless_common::VERSION,
            from,
            from_version.as_deref(),
            cause,
        );
        let failover = Failover {
            info,
            noticed,
            states,
            fallback,
            _rest: database,
        };
        (boot, failover)
    }

    /// Notes that the new master is in charge.
    pub fn took_over(&mut self, failover: Failover, primary: &mut Primary) {
        let mut info = failover.info;
        info.duration_us = failover.noticed.elapsed().as_micros() as u64;
        info!(
            cause = %info.cause,
            us = info.duration_us,
            hitless = info.hitless,
            "this module is master now"
        );
        primary.was = Some(failover.states);
        primary.set_fallback(failover.fallback);
        self.history.refresh();
        self.history.add(info);
    }

    /// hitless-boot tells why a module ended: perhaps the master before.
    pub fn correct_cause(&mut self, cause: Cause, detail: &str) {
        if self
            .provisional
            .take()
            .is_some_and(|until| Instant::now() < until)
        {
            info!(%cause, detail, "the cause of the failover");
            // What the takeover has given up stays true.
            let old = self.history.last().and_then(|last| last.detail.as_deref());
            let given_up = old.and_then(|old| Some(&old[old.find(NOT_HITLESS)?..]));
            let detail: Vec<&str> = [detail].into_iter().chain(given_up).collect();
            self.history.correct(cause, Some(detail.join("; ")));
        }
    }

    /// Whether the operator's failover can be made.
    pub fn start_failover(
        &self,
        primary: &Primary,
        master: &Master,
        force: bool,
    ) -> Result<Reply, ApiError> {
        let refuse = |why: String| Err(ApiError::new(ErrorKind::Refused, why));
        let Some(sender) = primary.sender() else {
            return refuse(format!(
                "{} is master and there is no standby that could take over; `show msm-failover` shows both slots",
                self.slot
            ));
        };
        if let (Some(reason), false) = (sender.barred(), force) {
            let version = sender.peer().map_or("", |peer| &peer.version);
            let slot = self.slot.other();
            return refuse(format!(
                "{slot} runs {version} and can not take over from {}: {reason} ({}); select another image for it (use \
                 image) and start it again with `reboot slot {slot}`, or lose what is not saved with --force",
                hitless_common::VERSION,
                reason.meaning(),
            ));
        }
        if !sender.ready() && !force {
            return refuse(format!(
                "the standby is not ready: {}; wait until `show msm-failover` says ready, or lose what is missing \
                 with --force",
                sender.states().missing()
            ));
        }
        Ok(Reply::FailoverStarted(FailoverStartedInfo {
            from: self.slot,
            to: self.slot.other(),
            generation: master.generation,
        }))
    }

    /// Starts a slot again.
    pub fn reboot(
        &self,
        primary: &Primary,
        master: &Master,
        slot: ModuleSlot,
        hard_reset: bool,
    ) -> Result<Reboot, ApiError> {
        let Some(backplane) = &self.backplane else {
            return Err(ApiError::new(
                ErrorKind::Refused,
                format!(
                    "no hitless-boot runs in {} that could start hitlessd again; end and start it yourself",
                    self.slot
                ),
            ));
        };
        if slot != self.slot {
            if !self.peer_present {
                return Err(ApiError::new(
                    ErrorKind::NotFound,
                    format!("slot {slot} is empty: no hitless-boot runs in it"),
                ));
            }
            backplane.reset_peer();
            return Ok(Reboot::Other);
        }
        if hard_reset {
            master
                .hardware
                .clear()
                .map_err(|e| ApiError::new(ErrorKind::Hardware, e.to_string()))?;
            warn!("hard reset: the hardware is taken down and built anew");
            return Ok(Reboot::Own(Cause::HardReset));
        }
        if primary.sender().is_some() && !primary.is_ready() {
            self.start_failover(primary, master, false)?;
        }
        Ok(Reboot::Own(Cause::OperatorCommand))
    }

    /// Answers what concerns modules; `None` for anything else.
    pub fn answer_own(
        &mut self,
        primary: &Primary,
        master: &Master,
        request: &Request,
    ) -> Option<Result<Reply, ApiError>> {
        Some(match request {
            Request::ShowVersion {} => Ok(Reply::Version(image::versions(self, primary))),
            Request::ShowMsmFailover {} => Ok(Reply::MsmFailover(Box::new(answer::show(
                self, primary, master,
            )))),
            Request::ShowLog { .. } => answer::log(self, request).map(Reply::Log),
            Request::CheckMsmFailover {} => Err(answer::no_standby(
                "there is no standby that is ready and could be compared with; `show msm-failover` shows both slots",
            )),
            Request::ClearQuarantine {} => Ok(Reply::QuarantineCleared {
                removed: self.blackbox.as_ref().map_or(0, |b| b.forget(None)) as u64,
            }),
            Request::InjectFault { fault } => answer::inject(fault),
            _ => return None,
        })
    }

    /// Opens the record of what is being handled, and looks at what the last master was handling when it ended;
    /// `announced` if it ended in order, or there was none.
    pub fn open_blackbox(&mut self, announced: bool) {
        let blackbox = Blackbox::open(&self.run_dir);
        if let Some(poison) = blackbox.examine(!announced) {
            warn!(
                kind = %poison.kind, deaths = poison.deaths, quarantined = poison.is_quarantined(),
                "the last master ended while it handled this input"
            );
        }
        self.blackbox = Some(blackbox);
    }

    /// Runs `handle` with the input noted for the case that it is the last thing this process does; not at all if two
    /// masters have ended that way.
    pub fn guarded<T>(&self, kind: Kind, bytes: &[u8], handle: impl FnOnce() -> T) -> Option<T> {
        let result = self.guard(kind, bytes).then(handle);
        self.done();
        result
    }

    /// Notes an input that is handled from now on; false if it is not to be handled at all. [`Module::done`] follows.
    #[must_use]
    pub fn guard(&self, kind: Kind, bytes: &[u8]) -> bool {
        let Some(blackbox) = &self.blackbox else {
            return true;
        };
        let sound = !blackbox.is_quarantined(kind, bytes);
        if sound {
            blackbox.handling(kind, bytes);
        }
        sound
    }

    /// The input that was noted is handled.
    pub fn done(&self) {
        if let Some(blackbox) = &self.blackbox {
            blackbox.done();
        }
    }

    /// Inputs that ended two masters.
    fn quarantined(&self) -> Vec<QuarantinedInput> {
        let poison = self.blackbox.iter().flat_map(Blackbox::list);
        poison
            .filter(Poison::is_quarantined)
            .map(|poison| QuarantinedInput {
                kind: poison.kind.to_string(),
                digest: format!("{:016x}", poison.hash),
                at_unix_ms: poison.at_unix_ms,
                dropped: poison.drops,
            })
            .collect()
    }

    /// Milliseconds since this module was started: the clock of everything between modules.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// The socket on which a master waits for a standby.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(&self.run_dir)
    }

    /// How this module introduces itself.
    #[must_use]
    pub fn hello(&self) -> Hello {
        Hello {
            image: std::env::current_exe()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            ..Hello::new(
                self.slot,
                hitless_common::VERSION,
                self.own_config.switch.as_str(),
                std::process::id(),
            )
        }
    }

    /// The next thing that hitless-boot tells of the other slot; never without one.
    pub async fn peer_event(&self) -> PeerEvent {
        match &self.backplane {
            Some(backplane) => backplane.next().await,
            None => std::future::pending().await,
        }
    }

    /// The error of a module whose slot is taken.
    fn busy(&self) -> anyhow::Error {
        let switch = self.own_config.switch.to_string();
        HwError::Busy { switch }.into()
    }

    /// Tells the watchdog that this module lives.
    pub fn kick(&self) {
        if let Some(backplane) = &self.backplane {
            backplane.kick();
        }
    }

    /// What tells the watchdog that this module lives, for who has no module at hand.
    fn sign_of_life(&self) -> Box<dyn FnMut()> {
        let backplane = self.backplane.clone();
        Box::new(move || {
            if let Some(backplane) = &backplane {
                backplane.kick();
            }
        })
    }

    /// Tells hitless-boot what this module is.
    pub fn tell_role(&self, role: &str) {
        if let Some(backplane) = &self.backplane {
            backplane.state(role, hitless_common::VERSION);
        }
    }

    /// Notes whether the other slot has a module.
    pub fn note_peer(&mut self, event: &PeerEvent) {
        self.peer_present = !matches!(event, PeerEvent::Removed);
    }
}

fn socket(run_dir: &Path) -> PathBuf {
    run_dir.join("modules.sock")
}

/// The cause of a failover by what hitless-boot reports of a module's end.
#[must_use]
pub fn cause_of(end: backplane::Cause) -> Cause {
    match end {
        backplane::Cause::Watchdog => Cause::WatchdogTimeout,
        backplane::Cause::Reset => Cause::HardReset,
        backplane::Cause::Exit | backplane::Cause::Signal | backplane::Cause::Panic => {
            Cause::SoftwareException
        }
    }
}

/// What a standby takes over with.
pub struct Takeover {
    /// The switch's directory, and with it mastership.
    pub dir: SwitchDir,
    /// What it knows of the last master's state.
    pub database: database::Memory,
    /// How far that was transferred.
    pub states: States,
    /// Who was master, if that is known.
    pub from: ModuleSlot,
    /// Its version, if it had said so.
    pub from_version: Option<String>,
    /// Why.
    pub cause: Cause,
    /// Whether hitless-boot may still tell a better cause.
    pub cause_is_provisional: bool,
    /// More about the cause.
    pub detail: Option<String>,
    /// Whether anything is lost.
    pub verdict: Verdict,
    /// When the loss was noticed.
    pub noticed: Instant,
}

impl Takeover {
    /// Whether the last master gave its place up in order.
    #[must_use]
    pub const fn is_announced(&self) -> bool {
        matches!(
            self.cause,
            Cause::OperatorCommand | Cause::DiagnosticFailure | Cause::HardReset
        )
    }
}

/// A failover that is under way.
pub struct Failover {
    info: FailoverInfo,
    noticed: Instant,
    states: States,
    fallback: Fallback,
    /// What of the database is of no more use: with many records it takes a while to let go of them, so that comes last.
    _rest: database::Memory,
}

/// How a module becomes master.
pub enum Start {
    /// As the first one: with its own configuration and the hardware as it is.
    First(SwitchDir),
    /// In the place of a master that was lost.
    TakeOver(Box<Takeover>),
}

/// Time for a fenced master to be gone. What keeps a killed process alive is a broken device.
const FENCE_LIMIT: Duration = Duration::from_secs(10);

/// The settings as the verdict wants them.
fn verdict(config: &Config, situation: &Situation<'_>) -> Verdict {
    use hitless_proto::config::SlaveConfig;
    let settings = &config.msm_failover;
    hitless_ha::monitor::verdict(
        situation,
        &hitless_ha::monitor::Settings {
            inherited: settings.slave_config == SlaveConfig::Inherited,
            preserve: settings.preservation_level().is_hitless(),
            freshness_ms: settings.freshness_ms.into(),
        },
    )
}
