//! The event loop of a management module: the only place that waits, and the only one that reads a clock.

use crate::{
    backplane::PeerEvent,
    blackbox::Kind,
    disk::Disk,
    hw::Ring,
    images::{desk::Desk, store::Images},
    master::Master,
    module::{self, Module, diagnostics::Diagnostics, primary::Primary, tasks},
    netlink::LinkChanges,
    northbound::{
        api::{ApiError, ErrorKind, Fault, Reply, Request, Response},
        server::{Asker, Call},
    },
    upgrade::{Turn, Upgrades},
};
use anyhow::{Context, Result};
use hitless_common::map::events::{LearnEvent, PuntHeader};
use hitless_ha::cause::Cause;
use hitless_proto::config::MsmFailoverConfig;
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};
use tracing::{error, info, warn};

/// Learning events handled before anything else gets its turn.
const LEARN_BATCH: usize = 16_384;
/// Control frames handled before what follows from them is done.
const PUNT_BATCH: usize = 64;
/// Batches handled before anything else gets its turn: all that the ring holds.
const PUNT_BATCHES: usize = 8;
/// The turn that everything else gets then.
const PUNT_PAUSE: Duration = Duration::from_millis(1);
/// Between two looks at the LEARN ring while sources keep coming.
const LEARN_PAUSE: Duration = Duration::from_millis(1);
/// Looks that find nothing before the master lets the data path wake it.
const IDLE_LOOKS: u32 = 20;

/// Milliseconds between two turns of spanning tree domains, each of which has one in ten.
const STP_BEAT_MS: u32 = 100;
/// Seconds between two self-tests.
const DIAGNOSTIC_SECONDS: u32 = 10;
/// Time that a failover which was asked for waits for the standby to acknowledge everything.
const HANDOVER_LIMIT: Duration = Duration::from_secs(1);
/// Between two signs of life meanwhile; the shortest watchdog waits 50 ms.
const HANDOVER_KICK_MS: u32 = 10;
/// Turns that other tasks get before this process ends, so that an answer is written: what a socket was given stays
/// readable. One would do, unless the asker does not read.
const ANSWER_TURNS: u32 = 8;

/// Why the event loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Asked to stop; the hardware goes on forwarding.
    Stopped,
    /// The hardware was taken down.
    Cleared,
    /// The standby was told to take over, or the slot is to start a new module.
    Reboot,
}

/// What the event loop does next.
enum Next {
    GoOn,
    End(End),
    /// Hands over to the standby; then this answer is given, if somebody asked.
    HandOver(Cause, Option<(Asker, Response)>),
}

/// Runs a master until it is told to stop or hands over.
///
/// # Errors
/// If a signal handler or a ring can not be had. Trouble with a port or a client is logged and lived with.
pub async fn run(
    module: &mut Module,
    mut master: Master,
    mut primary: Primary,
    mut links: LinkChanges,
    mut calls: mpsc::Receiver<Call>,
) -> Result<End> {
    let mut learning = LearnPoll::new(&master)?;
    let mut punts = master.hardware.punt_ring()?;
    let stale = punts.drain(usize::MAX, |_| {});
    if stale > 0 {
        info!(
            frames = stale,
            "control frames that came while no master was there are dropped"
        );
    }
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    second.reset();
    let mut terminate = signal(SignalKind::terminate()).context("catch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("catch SIGINT")?;
    let mut pulse = Pulse::default();
    let mut stp_beats = None;
    let mut more_punts = None;
    let mut disk = Disk::default();
    disk.look(&master);
    let mut images = Desk::new(Images::of_boot(&module.run_dir));
    let mut upgrades = Upgrades::new(module);
    let mut diagnostics = Diagnostics::default();
    self_test(&mut diagnostics, &mut primary, &mut master);

    loop {
        pulse.follow(module, &master.config.msm_failover);
        follow_beats(&mut stp_beats, &master);
        tasks::set_level(master.config.msm_failover.sys_recovery_level);
        primary.checkpoint(&mut master, module.now_ms());
        primary.write(&mut master);
        let due = primary.deadline();
        let steps = primary.bulk_is_due(&master) || master.learning.is_settling();
        let mut next = Next::GoOn;
        tokio::select! {
            // In this order, so that a flood of learning events can not keep an operator out.
            biased;
            _ = terminate.recv() => next = Next::End(End::Stopped),
            _ = interrupt.recv() => next = Next::End(End::Stopped),
            () = tick(&mut pulse.kicks) => module.kick(),
            () = tick(&mut pulse.keepalives) => {
                master.renew_lease();
                primary.on_keepalive(&mut master, module.now_ms());
            }
            event = module.peer_event() => on_peer_event(module, &mut primary, &event),
            _ = second.tick() => {
                master.on_second().await;
                if master.epoch().get().is_multiple_of(DIAGNOSTIC_SECONDS) {
                    next = self_test(&mut diagnostics, &mut primary, &mut master);
                }
            }
            () = tick(&mut stp_beats) => master.on_stp_beat(),
            Some(change) = links.next() => {
                if let Err(e) = master.on_link_change(change).await {
                    error!("{e:#}");
                }
            }
            stream = primary.connection() => match stream {
                Ok(stream) => primary.attach(module, &mut master, stream),
                Err(e) => warn!("a standby could not be accepted: {e}"),
            },
            _ = primary.ready() => primary.read(module, &mut master),
            () = sleep_until(due.map_or_else(Instant::now, Instant::from_std)), if due.is_some() => {
                primary.settle_debts(&mut master, false);
            }
            Some(done) = disk.next(&mut master), if !disk.is_idle() => {
                if let Some((reply, response)) = done.context("read or write a configuration file")? {
                    primary.checkpoint(&mut master, module.now_ms());
                    primary.answer_when_safe(reply, response);
                }
            }
            done = images.next(), if !images.is_idle() => {
                if let Some((reply, response)) = done.context("look into the image banks")? {
                    primary.answer_when_safe(reply, response);
                }
            }
            wake = upgrades.wake() => {
                match upgrades.turn(wake, module, &mut primary, &mut master) {
                    Turn::GoOn => {}
                    Turn::Answer(reply, response) => primary.answer_when_safe(reply, response),
                    Turn::HandOver => next = Next::HandOver(Cause::OperatorCommand, None),
                }
            }
            Some(call) = calls.recv() => {
                let tested = matches!(call.request, Request::InjectFault { fault: Fault::Diagnostic });
                let reply = of_upgrades(&mut upgrades, &call.request, call.reply, module, &mut primary, &mut master);
                let reply = reply
                    .and_then(|reply| disk.begin(&master, &call.request, reply))
                    .and_then(|reply| images.begin(&master.config.images, &call.request, reply));
                next = match reply {
                    Some(reply) => {
                        let (primary, master) = (&mut primary, &mut master);
                        answer(module, primary, master, &mut images, call.request, reply).await
                    }
                    None => Next::GoOn,
                };
                if tested && module::faults_allowed().is_ok() {
                    diagnostics.fail_next();
                    next = self_test(&mut diagnostics, &mut primary, &mut master);
                }
            }
            () = punts_wait(&mut punts, more_punts) => {
                let more = take_punts(module, &mut master, &mut punts);
                more_punts = more.then(|| Instant::now() + PUNT_PAUSE);
            }
            // What is not yet known to be known would be learned anew.
            () = learning.due(), if !master.learning.is_settling() => learning.look(&mut master),
            () = tokio::task::yield_now(), if steps => {
                master.settle();
                primary.bulk(&mut master, module.now_ms());
            }
        }
        match next {
            Next::GoOn => {}
            Next::End(End::Stopped) if primary.is_ready() => {
                info!("stopping; the standby takes over");
                if hand_over(module, &mut primary, &mut master, Cause::HotRemoval).await {
                    primary.hand_over(&mut master, Cause::HotRemoval);
                }
                return Ok(End::Stopped);
            }
            Next::End(End::Stopped) => {
                info!("stopping; the hardware goes on forwarding");
                return Ok(End::Stopped);
            }
            Next::End(end) => return Ok(end),
            Next::HandOver(cause, asker) => {
                // After a hard reset there is nothing left that could be kept.
                let handed_over = hand_over(module, &mut primary, &mut master, cause).await
                    || cause == Cause::HardReset;
                if let Some((reply, response)) = asker {
                    let message = "the standby has not acknowledged everything within a second, or was lost; mastership stays here";
                    reply.send(match handed_over {
                        true => response,
                        false => ApiError::new(ErrorKind::Refused, message).into(),
                    });
                    for _ in 0..ANSWER_TURNS {
                        tokio::task::yield_now().await;
                    }
                }
                if handed_over {
                    primary.hand_over(&mut master, cause);
                    // Mastership ends with the process, and the standby waits for that.
                    std::mem::forget((master, primary));
                    return Ok(End::Reboot);
                }
            }
        }
    }
}

/// Tests this module. One that is broken hands over, if there is a standby that is not.
fn self_test(diagnostics: &mut Diagnostics, primary: &mut Primary, master: &mut Master) -> Next {
    let Err(why) = diagnostics.test(master) else {
        return Next::GoOn;
    };
    let words = format!("diagnostic failure: {why}");
    error!("{words}");
    if !primary.is_ready() {
        warn!("no standby is ready, so this module goes on as it is");
        return Next::GoOn;
    }
    primary.last_words(master, &words);
    Next::HandOver(Cause::DiagnosticFailure, None)
}

/// Has the standby acknowledge everything; whether it did. Nothing is changed in the meantime.
async fn hand_over(
    module: &mut Module,
    primary: &mut Primary,
    master: &mut Master,
    cause: Cause,
) -> bool {
    info!(%cause, "handing over to the standby");
    let deadline = Instant::now() + HANDOVER_LIMIT;
    let had_standby = primary.sender().is_some();
    // The wait is no hang.
    let mut kicks = beat(HANDOVER_KICK_MS);
    master.finish_settling();
    primary.checkpoint(master, module.now_ms());
    primary.write(master);
    while !primary.is_drained() {
        tokio::select! {
            _ = primary.ready() => primary.read(module, master),
            _ = kicks.tick() => module.kick(),
            () = sleep_until(deadline) => {
                warn!("the standby does not acknowledge what it was told");
                return false;
            }
        }
        primary.write(master);
    }
    if had_standby && primary.sender().is_none() {
        warn!("the standby was lost while it was to take over");
        return false;
    }
    module.kick();
    true
}

fn on_peer_event(module: &mut Module, primary: &mut Primary, event: &PeerEvent) {
    module.note_peer(event);
    match event {
        PeerEvent::Present => info!("the other slot has a module"),
        PeerEvent::Removed => {
            module.correct_cause(Cause::HotRemoval, module::REMOVED);
            warn!("the module in the other slot was removed");
            primary.removed(module.slot.other());
        }
        PeerEvent::Ended { cause, pid, detail } => {
            module.correct_cause(module::cause_of(*cause), detail);
            info!(
                pid,
                detail, "the module in the other slot has ended and is started again"
            );
        }
    }
}

/// The beats of a master: for its watchdog, and for its standby.
#[derive(Default)]
struct Pulse {
    watchdog_ms: Option<u32>,
    keepalive_ms: u32,
    kicks: Option<Interval>,
    keepalives: Option<Interval>,
}

impl Pulse {
    /// Follows the settings.
    fn follow(&mut self, module: &Module, settings: &MsmFailoverConfig) {
        if self.keepalive_ms != settings.keepalive_interval_ms {
            self.keepalive_ms = settings.keepalive_interval_ms;
            self.keepalives = Some(beat(self.keepalive_ms));
        }
        let watchdog_ms = settings.watchdog_ms.unwrap_or(0);
        if let Some(backplane) = &module.backplane
            && self.watchdog_ms != Some(watchdog_ms)
        {
            self.watchdog_ms = Some(watchdog_ms);
            backplane.kick();
            backplane.arm_watchdog(watchdog_ms);
            self.kicks = (watchdog_ms > 0).then(|| beat((watchdog_ms / 5).max(10)));
        }
    }
}

/// Beats for spanning tree while there is any.
fn follow_beats(beats: &mut Option<Interval>, master: &Master) {
    if master.runs_stp() != beats.is_some() {
        *beats = master.runs_stp().then(|| beat(STP_BEAT_MS));
    }
}

fn beat(ms: u32) -> Interval {
    let mut beat = interval(Duration::from_millis(ms.into()));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat
}

async fn tick(beat: &mut Option<Interval>) {
    match beat {
        Some(beat) => drop(beat.tick().await),
        None => std::future::pending().await,
    }
}

/// Answers what concerns upgrades, and refuses what must wait for one; gives the asker's way back if it is neither.
fn of_upgrades(
    upgrades: &mut Upgrades,
    request: &Request,
    reply: Asker,
    module: &Module,
    primary: &mut Primary,
    master: &mut Master,
) -> Option<Asker> {
    if let Some(refusal) = upgrades.forbids(request) {
        reply.send(refusal.into());
        return None;
    }
    match upgrades.answer(request, reply, module, primary, master) {
        Ok(Some((reply, response))) => primary.answer_when_safe(reply, response),
        Ok(None) => {}
        Err(reply) => return Some(reply),
    }
    None
}

/// Answers a request.
async fn answer(
    module: &mut Module,
    primary: &mut Primary,
    master: &mut Master,
    images: &mut Desk,
    request: Request,
    reply: Asker,
) -> Next {
    // Whether anything is to be looked up that is still being taken over.
    if !matches!(
        request,
        Request::ShowSession {} | Request::ShowMsmFailover {} | Request::ShowLog { .. }
    ) {
        master.finish_settling();
        master.review_choices().await;
    }
    let is_change = request.is_change();
    let response = match &request {
        Request::ShowSession {} => Ok(Reply::Session(module.session(master, reply.peer()))),
        Request::CheckMsmFailover {} if primary.is_ready() => {
            primary.check(module, master, reply);
            return Next::GoOn;
        }
        Request::RunMsmFailover { force } => match module.start_failover(primary, master, *force) {
            Ok(started) => {
                info!(force, "run msm-failover");
                return Next::HandOver(
                    Cause::OperatorCommand,
                    Some((reply, Response::Ok(started))),
                );
            }
            Err(e) => Err(e),
        },
        Request::RebootSlot { slot, hard_reset } => {
            match module.reboot(primary, master, *slot, *hard_reset) {
                Ok(module::Reboot::Other) => Ok(Reply::Done {}),
                Ok(module::Reboot::Own(cause)) => {
                    info!(%slot, hard_reset, "reboot");
                    return Next::HandOver(cause, Some((reply, Response::Ok(Reply::Done {}))));
                }
                Err(e) => Err(e),
            }
        }
        Request::InjectFault { .. } => answer_either(module, primary, master, &request).await,
        other => {
            let octets = serde_json::to_vec(other).unwrap_or_default();
            let answered = match module.guard(Kind::ApiRequest, &octets) {
                true => answer_either(module, primary, master, other).await,
                false => {
                    let message = "two masters have ended while they handled this very request, so it is quarantined; \
                                   `clear quarantine` takes it in again";
                    Err(ApiError::new(ErrorKind::Refused, message))
                }
            };
            module.done();
            answered
        }
    };
    let response = response.map(|reply| match reply {
        Reply::Switch(mut switch) => {
            switch.modules = module::modules(primary, module);
            Reply::Switch(switch)
        }
        Reply::Configured(mut info)
            if info.changed && !matches!(request, Request::ConfirmConfiguration {}) =>
        {
            info.notes.extend(primary.config_changed());
            Reply::Configured(info)
        }
        reply => reply,
    });
    let ends = matches!(response, Ok(Reply::HardwareCleared { .. }));
    if ends {
        info!("the hardware was taken down by request");
    }
    if let Err(ApiError {
        kind: ErrorKind::Hardware,
        message,
    }) = &response
    {
        error!("{message}");
    }
    if is_change {
        primary.checkpoint(master, module.now_ms());
        primary.answer_when_safe(reply, Response::from(response));
    } else {
        // What the banks have is looked up on another thread, and the answer sent then.
        let rest = match response {
            Ok(answer) => images.complete(answer, reply),
            Err(e) => {
                reply.send(e.into());
                None
            }
        };
        if let Some((answer, reply)) = rest {
            reply.send(Response::Ok(answer));
        }
    }
    match ends {
        true => Next::End(End::Cleared),
        false => Next::GoOn,
    }
}

/// Answers what concerns the module, or the switch.
async fn answer_either(
    module: &mut Module,
    primary: &Primary,
    master: &mut Master,
    request: &Request,
) -> Result<Reply, ApiError> {
    match module.answer_own(primary, master, request) {
        Some(answered) => answered,
        None => master.answer(request).await,
    }
}

/// Waits for control frames, or gives everybody else a turn if there are more than can be taken at once.
async fn punts_wait(ring: &mut Ring, more: Option<Instant>) {
    match more {
        Some(when) => sleep_until(when).await,
        None => ring.rung().await,
    }
}

/// Takes control frames and acts on them; whether there may be more.
fn take_punts(module: &Module, master: &mut Master, ring: &mut Ring) -> bool {
    for _ in 0..PUNT_BATCHES {
        let taken = ring.drain(PUNT_BATCH, |record| {
            if let Some((header, frame)) = punt(record) {
                // Dropped, and counted there, if two masters have died of it.
                let _ = module.guarded(Kind::ControlFrame, frame, || {
                    if module.faults {
                        poison(frame);
                    }
                    master.on_control_frame(&header, frame);
                });
            }
        });
        master.follow_stp();
        if taken < PUNT_BATCH {
            return false;
        }
    }
    true
}

/// What a test takes for a frame that breaks a parser.
const POISON: &[u8] = b"hitless-poison";

/// A parser that breaks, in a hitlessd that may be made to fail.
fn poison(frame: &[u8]) {
    let poisonous = frame.windows(POISON.len()).any(|window| window == POISON);
    assert!(
        !poisonous,
        "a frame that breaks its parser, as a test wanted"
    );
}

/// The parts of a PUNT record; `None` if the record is not one.
fn punt(record: &[u8]) -> Option<(PuntHeader, &[u8])> {
    let (header, frame) = record.split_at_checked(size_of::<PuntHeader>())?;
    let word = |at: usize| Some(u16::from_ne_bytes(header.get(at..at + 2)?.try_into().ok()?));
    let header = PuntHeader {
        when: u64::from_ne_bytes(header.get(..8)?.try_into().ok()?),
        port: word(8)?,
        tagged: word(10)?,
        tci: word(12)?,
        length: word(14)?,
    };
    Some((header, frame.get(..usize::from(header.length))?))
}

/// A LEARN record; `None` if the record is not one.
fn learn_event(record: &[u8]) -> Option<LearnEvent> {
    let key = u64::from_ne_bytes(record.get(..8)?.try_into().ok()?);
    let port = u16::from_ne_bytes(record.get(8..10)?.try_into().ok()?);
    let moved = u16::from_ne_bytes(record.get(10..12)?.try_into().ok()?);
    Some(LearnEvent {
        key: hitless_common::map::fdb::FdbKey(key),
        port,
        moved,
        reserved: 0,
    })
}

/// Adaptive polling of the LEARN ring: while sources keep coming the ring is looked at every millisecond and the
/// data path wakes nobody (its wake-ups would cost it two thirds of its rate); when none come the master sleeps
/// and the next one wakes it.
struct LearnPoll {
    ring: Ring,
    events: Vec<LearnEvent>,
    next_look: Option<Instant>,
    idle_looks: u32,
}

impl LearnPoll {
    fn new(master: &Master) -> Result<Self> {
        let ring = master.hardware.learn_ring()?;
        // The first look is at once: there may be events from before.
        Ok(Self {
            ring,
            events: Vec::with_capacity(LEARN_BATCH),
            next_look: Some(Instant::now()),
            idle_looks: 0,
        })
    }

    /// Waits until it is time to look.
    async fn due(&mut self) {
        match self.next_look {
            Some(when) => sleep_until(when).await,
            None => self.ring.rung().await,
        }
    }

    fn look(&mut self, master: &mut Master) {
        let taken = self.take(master);
        if taken > 0 {
            self.idle_looks = 0;
            let pause = if taken < LEARN_BATCH {
                LEARN_PAUSE
            } else {
                Duration::ZERO
            };
            self.next_look = Some(Instant::now() + pause);
            return;
        }
        self.idle_looks += 1;
        if self.idle_looks < IDLE_LOOKS {
            self.next_look = Some(Instant::now() + LEARN_PAUSE);
            return;
        }
        // Ask to be woken first, then look once more: an event in between is seen here or rings.
        master
            .hardware
            .meta
            .learn_asleep()
            .store(1, Ordering::SeqCst);
        if self.take(master) > 0 {
            self.idle_looks = 0;
            self.next_look = Some(Instant::now() + LEARN_PAUSE);
        } else {
            self.next_look = None;
        }
    }

    fn take(&mut self, master: &mut Master) -> usize {
        self.events.clear();
        let (events, mut strange) = (&mut self.events, 0);
        let taken = self
            .ring
            .drain(LEARN_BATCH, |record| match learn_event(record) {
                Some(event) => events.push(event),
                None => strange += 1,
            });
        if strange > 0 {
            warn!(
                strange,
                "records in the LEARN ring that are no learning events"
            );
        }
        if taken > 0 {
            master.on_learn_events(&self.events);
            master.end_learn_round();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_wrong_length_are_refused() {
        let record: Vec<u8> = [
            &7u64.to_ne_bytes()[..],
            &3u16.to_ne_bytes(),
            &1u16.to_ne_bytes(),
            &[0; 4],
        ]
        .concat();
        let event = learn_event(&record).map(|e| (e.key.0, e.port, e.moved));
        assert_eq!(event, Some((7, 3, 1)));
        for length in 0..12 {
            assert_eq!(learn_event(&record[..length]), None);
        }
    }

    #[test]
    fn a_punt_record_is_cut_to_its_length() {
        let header: Vec<u8> = [
            &9u64.to_ne_bytes()[..],
            &5u16.to_ne_bytes(),
            &1u16.to_ne_bytes(),
            &0x600au16.to_ne_bytes(),
            &3u16.to_ne_bytes(),
        ]
        .concat();
        let record = [&header[..], &[1, 2, 3, 4, 5]].concat();
        let (found, frame) = punt(&record).unwrap();
        assert_eq!(
            (found.port, found.tci, frame),
            (5, 0x600a, &[1u8, 2, 3][..])
        );
        assert!(punt(&record[..17]).is_none());
        assert!(punt(&record[..15]).is_none());
    }
}
