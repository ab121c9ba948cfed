//! The event loop of a management module: the only place that waits, and the only one that reads a clock.

use crate::{
    hw::Ring,
    master::Master,
    netlink::LinkChanges,
    northbound::{
        api::{ApiError, ErrorKind, Reply, Request, Response},
        server::Call,
    },
};
use anyhow::{Context, Result};
use hitless_common::map::events::{LearnEvent, PuntHeader};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracing::{error, info, warn};

/// Learning events handled before anything else gets its turn.
const LEARN_BATCH: usize = 16_384;
/// Control frames handled before anything else gets its turn.
const PUNT_BATCH: usize = 64;
/// Between two looks at the LEARN ring while sources keep coming.
const LEARN_PAUSE: Duration = Duration::from_millis(1);
/// Looks that find nothing before the master lets the data path wake it.
const IDLE_LOOKS: u32 = 20;

/// Why the event loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Asked to stop; the hardware goes on forwarding.
    Stopped,
    /// The hardware was taken down.
    Cleared,
}

/// Runs a master until it is told to stop.
///
/// # Errors
/// If a signal handler or a ring can not be had. Trouble with a port or a client is logged and lived with.
pub async fn run(
    mut master: Master,
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

    loop {
        tokio::select! {
            // In this order, so that a flood of learning events can not keep an operator out.
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = second.tick() => master.on_second().await,
            Some(change) = links.next() => {
                if let Err(e) = master.on_link_change(change).await {
                    error!("{e:#}");
                }
            }
            Some(call) = calls.recv() => {
                if answer(&mut master, call) {
                    return Ok(End::Cleared);
                }
            }
            () = punts.rung() => take_punts(&mut master, &mut punts),
            () = learning.due() => learning.look(&mut master),
        }
    }
    info!("stopping; the hardware goes on forwarding");
    Ok(End::Stopped)
}

/// Answers a request; true if it ends the master.
fn answer(master: &mut Master, call: Call) -> bool {
    let response = master.answer(&call.request);
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
    let is_change = !matches!(
        call.request,
        Request::ShowVersion {}
            | Request::ShowSwitch {}
            | Request::ShowPorts { .. }
            | Request::ShowVlan { .. }
            | Request::ShowFdb { .. }
            | Request::ShowCounters {}
            | Request::ShowMsmFailover {}
            | Request::ShowLog { .. }
            | Request::CheckMsmFailover {}
    );
    if is_change {
        info!(request = ?call.request, done = response.is_ok(), "request");
    }
    // An asker that went away does not need the answer.
    let _ = call.reply.send(Response::from(response));
    ends
}

fn take_punts(master: &mut Master, ring: &mut Ring) {
    loop {
        let taken = ring.drain(PUNT_BATCH, |record| {
            if let Some((header, frame)) = punt(record) {
                master.on_control_frame(&header, frame);
            }
        });
        if taken < PUNT_BATCH {
            return;
        }
    }
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
