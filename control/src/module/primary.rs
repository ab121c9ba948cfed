//! The master's side of redundancy: the standby that is attached, what it is told, and what waits for its answer.

mod attached;
mod check;

use super::{
    Module,
    link::{Link, Read, listen},
};
use crate::{
    logbook::unix_ms,
    master::Master,
    northbound::{
        api::{Response, TransferInfo},
        server::Asker,
    },
};
use anyhow::{Context, Result};
use attached::Attached;
use check::Check;
use hitless_common::map::vlans::VlanEntry;
use hitless_ha::{
    cause::Cause,
    fallback::{Fallback, Older},
    link::{Hello, refusal},
    message::TransactionId,
    schema::Subsystem,
    sender::{Event, FallBack, Limits, Sender},
    slot::ModuleSlot,
    state::{Reason, States, SubState},
};
use hitless_proto::bridge::table::Slot;
use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};
use tokio::net::{UnixListener, UnixStream};
use tracing::{error, info, warn};

/// Changed slots of the FDB that may wait for the next bracket.
const MAX_CHANGES: usize = 1 << 18;
/// Time that a change which lets frames through waits for the standby (design invariant 4).
const OPENING_WAIT: Duration = Duration::from_millis(50);
/// Time that an answer to an operator waits for the standby to have the change.
const ANSWER_WAIT: Duration = Duration::from_millis(500);
/// Age of an unacknowledged bracket at which the standby is dropped to a new transfer.
const LAG_LIMIT_MS: u64 = 2_000;
/// Time for a module that has connected to introduce itself.
const HELLO_LIMIT_MS: u64 = 2_000;
/// Reads handled before anything else gets its turn.
const READS: usize = 4;

/// An answer that is held until the standby has the change.
struct Held {
    reply: Asker,
    response: Response,
    from: TransactionId,
    deadline: Instant,
}

/// See the module.
pub struct Primary {
    listener: UnixListener,
    hello: Hello,
    standby: Option<Attached>,
    /// What opens waits for this bracket, and no longer than this.
    opening: Option<(TransactionId, Instant)>,
    held: Vec<Held>,
    checks: Vec<Check>,
    slots: Vec<Slot>,
    fallback: Fallback,
    /// The last transfer of everything.
    pub last_transfer: Option<TransferInfo>,
    /// How far this module was as a standby, if it was one.
    pub was: Option<States>,
}

impl Primary {
    /// Waits for a standby from now on.
    ///
    /// # Errors
    /// If the socket can not be made.
    pub fn new(module: &Module, master: &Master) -> Result<Self> {
        let path = module.socket();
        let listener = listen(&path).with_context(|| format!("listen at {}", path.display()))?;
        let mut hello = module.hello();
        hello.fdb_buckets = master.hardware.fdb_buckets;
        hello.fdb_seed = master.hardware.fdb_seed;
        Ok(Self {
            listener,
            hello,
            standby: None,
            opening: None,
            held: Vec::new(),
            checks: Vec::new(),
            slots: Vec::new(),
            fallback: Fallback::default(),
            last_transfer: None,
            was: None,
        })
    }

    /// The sender to the standby that is attached.
    #[must_use]
    pub fn sender(&self) -> Option<&Sender> {
        self.standby.as_ref().map(|standby| &standby.sender)
    }

    /// The way back to an older version.
    #[must_use]
    pub fn fallback(&self) -> &Fallback {
        &self.fallback
    }

    /// Notes how this master came to be, or that a downgrade is planned: then the standby of that version, which is
    /// there or is about to be, becomes ready though it is older.
    pub fn set_fallback(&mut self, fallback: Fallback) {
        self.fallback = fallback;
        self.judge();
    }

    /// The configuration was changed. What is to be said of it, the first time after an upgrade that could be gone back
    /// from.
    pub fn config_changed(&mut self) -> Option<String> {
        if !self.fallback.config_changed() {
            return None;
        }
        self.judge();
        let Older { slot, version } = self.fallback.older()?;
        let note = format!(
            "After this command the switch can not go back to {version}, which {slot} runs, without losing state \
             (config command); start {slot} with the new image to have a standby again."
        );
        warn!("{note}");
        Some(note)
    }

    /// The module in this slot was taken out.
    pub fn removed(&mut self, slot: ModuleSlot) {
        if self.fallback.removed(slot) {
            warn!(%slot, "the switch can not go back to the older version that was removed (hotswap)");
        }
    }

    /// Looks whether the standby that is attached may be this master's heir.
    fn judge(&mut self) {
        let Some(standby) = &mut self.standby else {
            return;
        };
        let Some(peer) = standby.sender.peer() else {
            return;
        };
        let own = hitless_common::VERSION;
        let reason = self.fallback.judge(own, peer.slot, &peer.version);
        if reason == Reason::None {
            return standby.sender.admit();
        }
        if standby.sender.barred() != Some(reason) {
            warn!(
                standby = %peer.slot, version = peer.version, %reason,
                "the standby is not to take over: {}", reason.meaning()
            );
            standby.sender.bar(reason);
        }
    }

    /// Records of a subsystem that the standby was told.
    #[must_use]
    pub fn records_told(&self, subsystem: Subsystem, master: &Master) -> u64 {
        let Some(standby) = &self.standby else {
            return 0;
        };
        match subsystem {
            Subsystem::Config => standby.config.is_some().into(),
            Subsystem::Ports => standby.ports.len() as u64,
            Subsystem::Vlans => {
                let nothing = VlanEntry::default();
                standby.vlans.iter().filter(|v| **v != nothing).count() as u64
            }
            Subsystem::Fdb if standby.sender.status(subsystem).current.state == SubState::Ready => {
                master.learning.table().len().into()
            }
            Subsystem::Stp => standby.stp.len() as u64,
            #[cfg(feature = "edition-newer")]
            Subsystem::Census => standby.census.len() as u64,
            Subsystem::Fdb | Subsystem::Module => 0,
        }
    }

    /// Whether a standby could take over hitlessly now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.sender().is_some_and(Sender::ready)
    }

    /// The next module that connects.
    pub async fn connection(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Waits until the standby has said something, or takes more.
    pub async fn ready(&self) -> io::Result<()> {
        match &self.standby {
            Some(standby) => {
                let writing = !standby.sender.outgoing().is_empty();
                standby.link.ready(writing).await
            }
            None => std::future::pending().await,
        }
    }

    /// When something stops waiting for the standby.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let held = self.held.iter().map(|held| held.deadline);
        held.chain(self.opening.map(|(_, deadline)| deadline)).min()
    }

    /// Takes a module as standby, unless there is one.
    pub fn attach(&mut self, module: &Module, master: &mut Master, stream: UnixStream) {
        // The one that was there may be gone, and this one be its successor.
        self.read(module, master);
        let now = module.now_ms();
        if let Some(standby) = &self.standby {
            let slot = standby.sender.peer().map_or_else(
                || "a module that has not introduced itself".to_owned(),
                |peer| peer.slot.to_string(),
            );
            warn!("a further module wants to be standby and is refused: {slot} is");
            let _ = stream.try_write(&refusal(&format!(
                "{slot} is the standby; a switch has one"
            )));
            return;
        }
        match Link::new(stream) {
            Ok(link) => {
                self.standby = Some(Attached {
                    link,
                    sender: Sender::new(now, &self.hello, Limits::default()),
                    config: None,
                    ports: BTreeMap::new(),
                    vlans: Vec::new(),
                    stp: BTreeMap::new(),
                    #[cfg(feature = "edition-newer")]
                    census: BTreeMap::new(),
                    fdb_next: 0,
                    counted: (0, 0),
                    since: now,
                });
            }
            Err(e) => warn!("a module connected and was gone at once: {e}"),
        }
    }

    /// Lets the standby go: it is gone, or is not understood.
    fn detach(&mut self, master: &mut Master, why: &str) {
        let Some(standby) = self.standby.take() else {
            return;
        };
        let slot = standby.sender.peer().map(|peer| peer.slot.to_string());
        let slot = slot.as_deref().unwrap_or("a module without a name");
        warn!(standby = slot, "the standby is lost: {why}");
        master.learning.follow(0);
        self.settle_debts(master, true);
        for check in self.checks.drain(..) {
            let why = "the standby was lost during the check";
            check.reply.send(super::answer::no_standby(why).into());
        }
    }

    /// Reads what the standby has said, and acts on it.
    pub fn read(&mut self, module: &Module, master: &mut Master) {
        for _ in 0..READS {
            let Some(standby) = &mut self.standby else {
                return;
            };
            match standby.link.read() {
                Ok(Read::Nothing) => return,
                Ok(Read::Closed) => return self.detach(master, "its link is closed"),
                Err(e) => return self.detach(master, &e.to_string()),
                Ok(Read::Octets(octets)) => {
                    let received = standby.link.received(octets);
                    let understood = standby.sender.receive(module.now_ms(), received);
                    let events = standby.sender.take_events();
                    for event in events {
                        self.event(module, master, event);
                    }
                    if let Err(e) = understood {
                        self.detach(master, &format!("what it says is not understood: {e}"));
                    }
                }
            }
        }
    }

    fn event(&mut self, module: &Module, master: &mut Master, event: Event) {
        match event {
            Event::Hello(peer) => {
                if peer.slot == module.slot {
                    self.refuse(&format!("{} is the master's own slot", peer.slot));
                    self.detach(master, "it says that it is in the master's own slot");
                } else if peer.switch != self.hello.switch {
                    self.refuse(&format!("this is switch {}", self.hello.switch));
                    self.detach(master, &format!("it belongs to switch {}", peer.switch));
                } else {
                    info!(standby = %peer.slot, pid = peer.pid, version = peer.version, "a standby is there");
                    self.judge();
                }
            }
            Event::Ready(subsystem) => {
                info!(
                    subsystem = subsystem.name(),
                    "database transferred to the standby"
                );
            }
            Event::AllReady { took_ms } => {
                if let Some(standby) = &self.standby {
                    let counts = standby.sender.counts();
                    self.last_transfer = Some(TransferInfo {
                        at_unix_ms: unix_ms(),
                        duration_ms: took_ms,
                        records: counts.records - standby.counted.0,
                        bytes: counts.octets - standby.counted.1,
                    });
                }
                info!(
                    took_ms,
                    "Slave MSM initialized for hitless failover operation."
                );
            }
            Event::Failed {
                subsystem,
                reason,
                resync,
            } => {
                let subsystem = subsystem.name();
                match resync {
                    true => info!(subsystem, %reason, "the standby asks for the database again"),
                    false => error!(subsystem, %reason, "the database failed on the standby"),
                }
            }
            Event::FellBack { why, dropped } => {
                master.learning.follow(0);
                warn!(
                    ?why,
                    dropped,
                    "the standby does not keep up: everything is transferred anew when it has caught up"
                );
            }
            Event::TooLong { subsystem, octets } => error!(
                subsystem = subsystem.name(),
                octets, "a record is too long for the checkpoint"
            ),
            Event::Digest { digests, .. } => self.finish_check(&digests),
            Event::Goodbye(why) => info!("the standby leaves: {why}"),
        }
    }

    fn refuse(&self, why: &str) {
        if let Some(standby) = &self.standby {
            let _ = standby.link.write(&refusal(why));
        }
    }

    /// Whether a step of a bulk transfer can be made now.
    #[must_use]
    pub fn bulk_is_due(&self, master: &Master) -> bool {
        let Some(standby) = &self.standby else {
            return false;
        };
        let sender = &standby.sender;
        let next = sender.bulk().or_else(|| sender.next_bulk());
        match next {
            Some(Subsystem::Fdb) => sender.room() > 0 && !master.learning.is_settling(),
            Some(_) => sender.room() > 0,
            None => false,
        }
    }

    /// Makes a step of the bulk transfer that is due.
    pub fn bulk(&mut self, master: &mut Master, now: u64) {
        let Some(standby) = &mut self.standby else {
            return;
        };
        if standby.sender.bulk().is_none() {
            let Some(subsystem) = standby.sender.next_bulk() else {
                return;
            };
            if subsystem == Subsystem::Config {
                let counts = standby.sender.counts();
                standby.counted = (counts.records, counts.octets);
            }
            standby.sender.begin_bulk(now, subsystem);
            if subsystem == Subsystem::Fdb {
                standby.fdb_next = 0;
                master.learning.follow(MAX_CHANGES);
            }
        }
        match standby.sender.bulk() {
            Some(Subsystem::Config) => standby.config = None,
            Some(Subsystem::Ports) => standby.ports.clear(),
            Some(Subsystem::Vlans) => standby.vlans.clear(),
            #[cfg(feature = "edition-newer")]
            Some(Subsystem::Census) => standby.census.clear(),
            Some(Subsystem::Stp) => return standby.bulk_stp(master, now),
            Some(Subsystem::Fdb) => return standby.bulk_fdb(master, now),
            Some(Subsystem::Module) | None => return,
        }
        let subsystem = standby.sender.bulk();
        standby.tables(master, now);
        if let Some(subsystem) = subsystem {
            standby.sender.end_bulk(now, subsystem);
        }
    }

    /// Tells the standby what has changed, in one bracket, and opens what does not have to wait for it. To be called
    /// after everything that may have changed something.
    pub fn checkpoint(&mut self, master: &mut Master, now: u64) {
        let mut tables = false;
        if let Some(standby) = &mut self.standby {
            tables = standby.changes(master, now, &mut self.slots);
            for event in standby.sender.take_events() {
                if let Event::FellBack { why, dropped } = event {
                    master.learning.follow(0);
                    warn!(
                        ?why,
                        dropped, "the standby does not keep up: everything is transferred anew"
                    );
                }
            }
        } else {
            // The next standby gets everything.
            master.stp.take_dirty();
        }
        // One that comes while another one waits has a bracket of its own; both wait for that, no longer than the first.
        if master.opening_waits() && (tables || self.opening.is_none()) {
            let id = self
                .sender()
                .filter(|sender| sender.ready())
                .map(Sender::committed);
            let deadline = self.opening.map(|(_, deadline)| deadline);
            self.opening = id.map(|id| {
                (
                    id,
                    deadline.unwrap_or_else(|| Instant::now() + OPENING_WAIT),
                )
            });
            if self.opening.is_none() {
                master.open();
            }
        }
        self.settle_debts(master, false);
    }

    /// Writes what waits for the standby, as much as it takes.
    pub fn write(&mut self, master: &mut Master) {
        let Some(standby) = &mut self.standby else {
            return;
        };
        match standby.link.write(standby.sender.outgoing()) {
            Ok(octets) => standby.sender.sent(octets),
            // Reading tells that it is gone.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
            Err(e) => self.detach(master, &e.to_string()),
        }
    }

    /// Says that the master lives, and looks whether the standby does.
    pub fn on_keepalive(&mut self, master: &mut Master, now: u64) {
        let Some(standby) = &mut self.standby else {
            return;
        };
        if standby.sender.peer().is_none() && now.saturating_sub(standby.since) > HELLO_LIMIT_MS {
            return self.detach(master, "it has not introduced itself");
        }
        standby.sender.keepalive();
        if standby.sender.ready() && standby.sender.lag(now).ms > LAG_LIMIT_MS {
            standby.sender.fall_back(FallBack::NoAnswer);
        }
    }

    /// Gives what waits for the standby: what was acknowledged, what waited too long, or all of it.
    pub fn settle_debts(&mut self, master: &mut Master, all: bool) {
        let acked = self.sender().filter(|s| s.ready()).map(Sender::acked);
        let now = Instant::now();
        let due = |id: TransactionId, deadline: Instant| {
            all || now >= deadline || acked.is_none_or(|acked| acked >= id)
        };
        if let Some((id, deadline)) = self.opening
            && due(id, deadline)
        {
            self.opening = None;
            master.open();
            if acked.is_some_and(|acked| acked < id)
                && let Some(standby) = &mut self.standby
            {
                standby.sender.fall_back(FallBack::NoAnswer);
            }
        }
        let (done, wait) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|held| due(held.from, held.deadline));
        self.held = wait;
        for Held {
            reply, response, ..
        } in done
        {
            reply.send(response);
        }
    }

    /// Answers as soon as the standby has what was changed, so that a failover right after the answer keeps it.
    pub fn answer_when_safe(&mut self, mut reply: Asker, response: Response) {
        reply.note(&response);
        match self.sender().filter(|sender| sender.ready()) {
            Some(sender) if sender.acked() < sender.committed() => self.held.push(Held {
                reply,
                response,
                from: sender.committed(),
                deadline: Instant::now() + ANSWER_WAIT,
            }),
            _ => reply.send(response),
        }
    }

    /// Whether the standby has acknowledged everything, and nothing waits to be sent.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.standby.as_ref().is_none_or(|standby| {
            let sender = &standby.sender;
            sender.outgoing().is_empty() && sender.acked() >= sender.committed()
        })
    }

    /// Tells the standby to take over.
    pub fn hand_over(&mut self, master: &mut Master, cause: Cause) {
        if let Some(standby) = &mut self.standby {
            standby.sender.handover(cause);
        }
        self.write(master);
    }

    /// Tells the standby why the master dies.
    pub fn last_words(&mut self, master: &mut Master, words: &str) {
        if let Some(standby) = &mut self.standby {
            standby.sender.last_words(words);
        }
        self.write(master);
    }
}
