//! Upgrades as the master makes them: feeds the machine of [`hitless_ha::upgrade`] with what it sees, keeps the journal on
//! disk, and does what the machine says. The event loop lends it a turn whenever [`Upgrades::wake`] returns; nothing here
//! waits for a disk.

mod begin;
mod files;
mod look;
mod prepare;
mod status;

use std::collections::VecDeque;
use std::time::Duration;

use hitless_boot::slot::Slot;
use hitless_ha::fallback::{Fallback, Older, is_older};
use hitless_ha::state::Reason;
use hitless_ha::upgrade::{Action, Image, Job, Journal, Limits, Observed, Sample, Step, Upgrade};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::images::signature::Trust;
use crate::images::store::{Images, Install, Installed, Store, StoreError};
use crate::master::Master;
use crate::module::{Module, primary::Primary};
use crate::northbound::api::{ApiError, ErrorKind, Request, Response};
use crate::northbound::server::Asker;
use files::{JournalFile, Reserve, Unread};
use prepare::Prepared;

/// Between two looks at a step that is under way.
const BEAT: Duration = Duration::from_millis(20);
/// Between two looks while it waits to be accepted.
const SLOW_BEAT: Duration = Duration::from_millis(250);
/// Between two samples of the counters; six of them are the minute that a failover is measured against.
const SAMPLE_BEAT: Duration = Duration::from_secs(10);
/// Between two samples of the last seconds.
const RECENT_MS: u64 = 1_000;
/// Samples that are kept.
const SAMPLES: usize = 7;
/// Until something is tried again that the disk refused.
const RETRY: Duration = Duration::from_millis(500);

/// What a turn leads to.
pub enum Turn {
    /// Nothing else.
    GoOn,
    /// Somebody gets an answer.
    Answer(Asker, Response),
    /// The standby is to become master.
    HandOver,
}

/// Why [`Upgrades::wake`] returned.
pub struct Wake(Woken);

enum Woken {
    Beat,
    Work(Result<Done, JoinError>),
    Installed(Box<Result<Result<Installed, StoreError>, JoinError>>),
}

/// What was done on another thread.
enum Done {
    /// The journal was read.
    Loaded(Result<Option<Box<Journal>>, String>),
    /// The journal is lost, and why; the image that this master runs.
    Lost(String, Result<Image, String>),
    /// Banks were selected, and the journal was written, unless it says why not; what else is to be done.
    Written(Vec<Action>, Option<String>),
    /// That failed.
    NotWritten(String),
    /// The image that runs is in a bank.
    Preserved(Result<Install, String>),
    /// It is known whether an upgrade can be made.
    Prepared(Box<Prepared>, Asker),
    /// Whether there is still something to go back to, and the reason that was given for it.
    WayBack(Result<(), String>, Option<String>, Asker),
}

/// The upgrades of a master.
pub struct Upgrades {
    images: Option<Images>,
    file: Option<JournalFile>,
    machine: Option<Upgrade>,
    /// The journal as it is on disk.
    written: Option<Journal>,
    /// Why it is not there, as it was told last.
    unwritten: Option<String>,
    store: Option<Store>,
    install: Job,
    work: JoinSet<Done>,
    /// Whether the journal is still being read.
    loading: bool,
    /// Who asked meanwhile, and what: they are answered when it is known where an upgrade stands.
    early: VecDeque<(Request, Asker)>,
    samples: VecDeque<Sample>,
    /// Two of the last seconds: the older one is a second old at least.
    recent: [Sample; 2],
    next: Instant,
}

impl Upgrades {
    /// Those of a master that begins: goes on with what the one before it was at.
    #[must_use]
    pub fn new(module: &Module) -> Self {
        let images = Images::of_boot(&module.run_dir);
        let file = images
            .as_ref()
            .map(|images| JournalFile::in_directory(images.banks.directory()));
        let mut work = JoinSet::new();
        if let Some((file, images)) = file.clone().zip(images.clone()) {
            let bank = look::master_runs(module).bank;
            work.spawn_blocking(move || match file.read() {
                Ok(found) => Done::Loaded(Ok(found.map(Box::new))),
                Err(Unread::Disk(why)) => Done::Loaded(Err(why)),
                Err(Unread::Lost(why)) => Done::Lost(why, prepare::from_image(&images, bank, None)),
            });
        }
        Self {
            store: images.clone().map(Store::new),
            loading: images.is_some(),
            early: VecDeque::new(),
            images,
            file,
            machine: None,
            written: None,
            unwritten: None,
            install: Job::Idle,
            work,
            samples: VecDeque::new(),
            recent: Default::default(),
            next: Instant::now(),
        }
    }

    /// What it remembers of the last upgrade.
    fn journal(&self) -> Option<&Journal> {
        self.machine.as_ref().map(Upgrade::journal)
    }

    /// Why this request has to wait until an upgrade is through with its steps; `None` if it has not.
    #[must_use]
    pub fn forbids(&self, request: &Request) -> Option<ApiError> {
        let journal = self.journal().filter(|journal| journal.is_under_way())?;
        let concerns = matches!(
            request,
            Request::Configure { .. }
                | Request::ReplaceConfiguration { .. }
                | Request::ConfirmConfiguration {}
                | Request::RollbackConfiguration {}
                | Request::UseConfiguration { .. }
                | Request::RunMsmFailover { .. }
                | Request::RebootSlot { .. }
                | Request::ClearHardware {}
                | Request::DownloadImage { .. }
                | Request::UseImage { .. }
        );
        concerns.then(|| {
            let message = format!(
                "an upgrade to {} is under way, in step {}; try again when `show upgrade` says that it waits to be \
                 accepted or is over, or end it with `rollback`",
                journal.to.version, journal.step
            );
            ApiError::new(ErrorKind::Refused, message)
        })
    }

    /// Waits until there is something to do. May be dropped while it waits.
    pub async fn wake(&mut self) -> Wake {
        let installing = self.store.as_ref().is_some_and(|store| !store.is_idle());
        let store = self.store.as_mut().filter(|_| installing);
        let installed = async {
            match store {
                Some(store) => store.finished().await,
                None => std::future::pending().await,
            }
        };
        let idle = self.work.is_empty();
        Wake(tokio::select! {
            Some(done) = self.work.join_next(), if !idle => Woken::Work(done),
            Some(result) = installed => Woken::Installed(Box::new(result)),
            () = sleep_until(self.next), if idle => Woken::Beat,
        })
    }

    /// Does what is due.
    pub fn turn(
        &mut self,
        wake: Wake,
        module: &Module,
        primary: &mut Primary,
        master: &mut Master,
    ) -> Turn {
        match wake.0 {
            Woken::Beat => match self.early.pop_front() {
                Some((request, asker)) => {
                    self.soon();
                    let answered = self.answer(&request, asker, module, primary, master);
                    if let Ok(Some((asker, response))) = answered {
                        return Turn::Answer(asker, response);
                    }
                }
                None => self.beat(module, primary, master),
            },
            Woken::Installed(result) => {
                self.install = match *result {
                    Ok(Ok(installed)) => {
                        info!(version = %installed.manifest.version(), bank = %installed.bank, "the image is in both slots");
                        Job::Done
                    }
                    Ok(Err(e)) => Job::Failed(e.to_string()),
                    Err(e) => Job::Failed(e.to_string()),
                };
                self.soon();
            }
            Woken::Work(Err(e)) => {
                error!("a part of an upgrade ended: {e}");
                self.loading = false;
                self.later(RETRY);
            }
            Woken::Work(Ok(done)) => return self.done(done, module, primary, master),
        }
        Turn::GoOn
    }

    fn done(
        &mut self,
        done: Done,
        module: &Module,
        primary: &Primary,
        master: &mut Master,
    ) -> Turn {
        self.soon();
        match done {
            Done::Loaded(loaded) => {
                self.loading = false;
                match loaded {
                    Ok(Some(journal)) => {
                        if !journal.is_over() {
                            info!(step = %journal.step, to = journal.to.version, "an upgrade goes on");
                        }
                        self.written = Some(Journal::clone(&journal));
                        self.machine = Some(Upgrade::resume(*journal).with_limits(limits()));
                    }
                    Ok(None) => {}
                    Err(why) => error!("{why}; an upgrade that was under way stays where it is"),
                }
            }
            Done::Lost(why, own) => {
                self.loading = false;
                match (own, self.observe(module, primary, master)) {
                    (Ok(own), Some(observed)) => {
                        let why = format!(
                            "{why}; how far it was is not known, so {} of the master came into both slots",
                            own.version
                        );
                        error!("{why}");
                        let upgrade = Upgrade::lost(look::now(), own, &observed, why);
                        self.machine = Some(upgrade.with_limits(limits()));
                    }
                    (Err(own), _) => {
                        error!("{why}; an upgrade that was under way stays where it is: {own}");
                    }
                    (Ok(_), None) => {}
                }
            }
            Done::Written(actions, unwritten) => {
                let is_written = unwritten.is_none();
                self.complain(unwritten);
                let turn = self.act(actions, module, master);
                if !is_written {
                    self.later(RETRY);
                }
                return turn;
            }
            Done::NotWritten(why) => {
                if let Some(machine) = &mut self.machine {
                    machine.give_up(look::now(), &why);
                }
                self.complain(Some(why));
                self.later(RETRY);
            }
            Done::Preserved(Ok(install)) => {
                let started = self.store.as_mut().map(|store| store.start(install));
                if let Some(Err(busy)) = started {
                    self.install = Job::Failed(busy.to_string());
                }
            }
            Done::Preserved(Err(why)) => self.install = Job::Failed(why),
            Done::Prepared(prepared, asker) => {
                return self.prepared(*prepared, asker, module, primary, master);
            }
            Done::WayBack(found, reason, asker) => {
                let response = match found {
                    Ok(()) => self.go_back(reason.as_deref(), module, primary),
                    Err(why) => Err(ApiError::new(ErrorKind::Refused, why)),
                };
                return Turn::Answer(asker, Response::from(response));
            }
        }
        Turn::GoOn
    }

    /// Tells why the journal or a selection is not on disk, once; it will be tried again.
    fn complain(&mut self, unwritten: Option<String>) {
        if unwritten.is_some() {
            self.written = None;
        }
        if unwritten != self.unwritten {
            if let Some(why) = &unwritten {
                error!("{why}");
            }
            self.unwritten = unwritten;
        }
    }

    /// What the master sees; `None` if this switch has no image banks.
    fn observe(&self, module: &Module, primary: &Primary, master: &Master) -> Option<Observed> {
        let images = self.images.as_ref()?;
        Some(look::observe(
            images,
            module,
            primary,
            master,
            &self.install,
            &self.samples,
        ))
    }

    /// Looks at the switch and lets the machine decide.
    fn beat(&mut self, module: &Module, primary: &mut Primary, master: &mut Master) {
        let step = self.journal().map(|journal| journal.step);
        let active = self.machine.as_ref().filter(|m| !m.journal().is_over());
        if let Some(machine) = active {
            expect(machine, module, primary);
        }
        let observed = active.and_then(|_| self.observe(module, primary, master));
        let Some((mut observed, machine)) = observed.zip(self.machine.as_mut()) else {
            // The disk may take by now what it refused before.
            if let Some(journal) = self.journal().cloned()
                && self.written.as_ref() != Some(&journal)
            {
                self.write(journal, Vec::new());
            }
            self.sample(master);
            return self.later(SAMPLE_BEAT);
        };
        let [older, newer] = &mut self.recent;
        if observed.counters.boot_ms >= newer.boot_ms + RECENT_MS {
            *older = std::mem::replace(newer, observed.counters.clone());
        }
        if older.boot_ms > 0 {
            observed.recent = older.clone();
        }
        let actions = machine.advance(look::now(), &observed);
        let journal = machine.journal().clone();
        if step != Some(journal.step) {
            tell(&journal);
        }
        let pause = if journal.step == Step::Accept {
            SLOW_BEAT
        } else {
            BEAT
        };
        let changed = self.written.as_ref() != Some(&journal);
        if changed || !actions.is_empty() {
            self.write(journal, actions);
        }
        self.later(pause);
    }

    /// Writes the journal, then selects banks, on another thread.
    fn write(&mut self, journal: Journal, actions: Vec<Action>) {
        let (Some(file), Some(images)) = (self.file.clone(), self.images.clone()) else {
            return;
        };
        let changed = self.written.as_ref() != Some(&journal);
        self.written = Some(journal.clone());
        self.work.spawn_blocking(move || {
            match files::write_down(&file, &images.banks, &journal, changed, &actions) {
                Ok(unwritten) => Done::Written(actions, unwritten),
                Err(why) => Done::NotWritten(why),
            }
        });
    }

    /// Does what needs no disk.
    fn act(&mut self, actions: Vec<Action>, module: &Module, master: &Master) -> Turn {
        for action in actions {
            match action {
                Action::Select { slot, bank } => info!(%slot, %bank, "bank selected"),
                Action::Install => self.begin_install(master),
                Action::Reboot { slot } => {
                    info!(%slot, "the standby is started again");
                    if let Some(backplane) = &module.backplane {
                        backplane.reset_peer();
                    }
                }
                Action::Failover => return Turn::HandOver,
            }
        }
        Turn::GoOn
    }

    fn begin_install(&mut self, master: &Master) {
        self.install = Job::Running;
        let (Some(journal), Some(images)) = (self.journal().cloned(), self.images.clone()) else {
            return;
        };
        let trust = trust(master);
        self.work.spawn_blocking(move || {
            let install = trust.and_then(|trust| {
                Reserve::in_directory(images.banks.directory()).hold()?;
                if journal.from.factory {
                    files::preserve(&images.banks, look::boot_bank(journal.from.bank))?;
                }
                Ok(Install {
                    file: journal.file.into(),
                    bank: look::boot_bank(journal.to.bank),
                    slots: Slot::ALL.into(),
                    trust,
                })
            });
            Done::Preserved(install)
        });
    }

    /// Counts what is counted, for the minute before a failover.
    fn sample(&mut self, master: &Master) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(look::sample(master));
    }

    fn soon(&mut self) {
        self.next = Instant::now();
    }

    fn later(&mut self, pause: Duration) {
        self.next = Instant::now() + pause;
    }
}

/// Whose images are let in.
fn trust(master: &Master) -> Result<Trust, String> {
    let config = &master.config.images;
    let allow = config.unsigned == hitless_proto::config::UnsignedImages::Allow;
    Trust::new(allow, config.keys.iter().map(ToString::to_string)).map_err(|e| e.to_string())
}

/// Lets an older module become the heir, if the upgrade wants it to be one and the operator has not closed that way.
fn expect(machine: &Upgrade, module: &Module, primary: &mut Primary) {
    let Some(image) = machine.awaits() else {
        return;
    };
    let older = Older {
        slot: module.slot.other(),
        version: image.version.clone(),
    };
    let known = primary.fallback();
    // A module that was taken out in the middle of it is wanted back; what was configured since may be more than it knows.
    let closed = match known {
        Fallback::Closed(_, Reason::Hotswap) => !machine.journal().is_under_way(),
        known => matches!(known, Fallback::Closed(..)),
    };
    let is_expected = known.older() == Some(&older) && !matches!(known, Fallback::Closed(..));
    if is_older(&older.version, hitless_common::VERSION) && !closed && !is_expected {
        primary.set_fallback(Fallback::Planned(older));
    }
}

/// The limits in force.
fn limits() -> Limits {
    Limits::default()
}

/// Logs where an upgrade is.
fn tell(journal: &Journal) {
    let (step, to) = (journal.step, &journal.to.version);
    match (&journal.outcome, &journal.reason) {
        (Some(outcome), reason) => {
            let reason = reason.as_deref().unwrap_or("");
            warn!(?outcome, to, reason, "the upgrade is over");
        }
        (None, Some(reason)) => warn!(%step, to, "going back: {reason}"),
        (None, None) => info!(%step, to, "upgrade"),
    }
}
