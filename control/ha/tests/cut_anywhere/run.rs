//! A run that is recorded, and what follows when it is cut.

use super::database::{Memory, shadow};
use super::events::{Event, all_ports, vid};
use super::hardware::{Hardware, Write, no_more_open};
use super::master::{Begin, Master, addresses, wanted_of};
use hitless_common::PortNo;
use hitless_common::map::fdb::FdbKey;
use hitless_common::map::vlans::{PortSet, VlanEntry};
use hitless_ha::cause::Cause;
use hitless_ha::link::Hello;
use hitless_ha::message::HEADER;
use hitless_ha::monitor::{ConfigFrom, Settings, Situation, StateFrom, Verdict, verdict};
use hitless_ha::receiver::{self, Receiver};
use hitless_ha::record::FdbRecord;
use hitless_ha::sender::{self, Sender};
use hitless_ha::slot::ModuleSlot;
use std::collections::BTreeMap;

/// One step of a run; a cut can come after each.
#[derive(Clone, Debug)]
enum Step {
    /// An event begins.
    Begun(usize),
    /// Something was written to the hardware.
    Written(Write),
    /// Octets reached the standby.
    Told(Vec<u8>),
    /// Everything of the events up to this one is in the hardware and with the standby.
    Done(usize),
}

/// A run and its end.
pub struct Recording {
    events: Vec<Event>,
    steps: Vec<Step>,
    end: Hardware,
    model: Memory,
    number: usize,
    up: PortSet,
    ready: bool,
    waited: usize,
}

/// A standby that listens.
struct Standby {
    receiver: Receiver,
    memory: Memory,
}

impl Standby {
    fn new() -> Self {
        let hello = Hello::new(ModuleSlot::MsmB, "1", "s1", 2);
        Self {
            receiver: Receiver::new(0, &hello, receiver::Limits::default()),
            memory: Memory::default(),
        }
    }

    fn hear(&mut self, octets: &[u8]) {
        self.receiver.receive(0, octets, &mut self.memory).unwrap();
    }

    fn verdict(&self) -> Verdict {
        let situation = Situation {
            cause: Cause::SoftwareException,
            announced: true,
            states: self.receiver.states(),
            checkpoint_age_ms: Some(0),
        };
        let settings = Settings {
            inherited: true,
            preserve: true,
            freshness_ms: 1000,
        };
        verdict(&situation, &settings)
    }
}

/// Each message of these octets in two halves.
fn halves(mut octets: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while !octets.is_empty() {
        let length = u32::from_le_bytes(octets[28..32].try_into().unwrap()) as usize;
        let (message, rest) = octets.split_at(HEADER + length);
        let (first, second) = message.split_at(message.len() / 2);
        parts.extend([first.to_vec(), second.to_vec()]);
        octets = rest;
    }
    parts
}

/// What the master has to say reaches the standby, half a message at a time; what that answers reaches the master at
/// once, which then opens what waited for it.
fn deliver(master: &mut Master<'_>, standby: &mut Standby, steps: &mut Vec<Step>) {
    loop {
        let Some(sender) = &mut master.sender else {
            return;
        };
        let said = sender.outgoing().to_vec();
        sender.sent(said.len());
        let mut parts = halves(&said);
        if said.is_empty() {
            // The standby may have something to say by itself.
            parts.push(Vec::new());
        }
        let mut quiet = said.is_empty();
        for part in parts {
            standby.hear(&part);
            if !part.is_empty() {
                steps.push(Step::Told(part));
            }
            let answer = standby.receiver.outgoing().to_vec();
            standby.receiver.sent(answer.len());
            quiet &= answer.is_empty();
            if let Some(sender) = &mut master.sender {
                sender.receive(0, &answer).unwrap();
            }
            master.settle();
            note(master, steps);
        }
        if quiet {
            return;
        }
    }
}

/// Records what the master has written.
fn note(master: &mut Master<'_>, steps: &mut Vec<Step>) {
    steps.extend(master.written.drain(..).map(Step::Written));
}

fn sender() -> Sender {
    let hello = Hello::new(ModuleSlot::MsmA, "1", "s1", 1);
    Sender::new(0, &hello, sender::Limits::default())
}

/// Runs all events, with a standby that is there from the beginning.
pub fn record(events: &[Event]) -> Recording {
    let hardware = Hardware::new();
    let cells = hardware.cells();
    let mut memory = shadow();
    let begin = Begin::Adopt(&mut memory);
    let mut master = Master::start(&hardware, &cells, begin, 0, all_ports());
    let mut standby = Standby::new();
    master.sender = Some(sender());
    let mut steps = Vec::new();
    note(&mut master, &mut steps);
    let mut ready = false;
    for (number, &event) in events.iter().enumerate() {
        steps.push(Step::Begun(number));
        master.handle(event);
        note(&mut master, &mut steps);
        master.checkpoint();
        note(&mut master, &mut steps);
        let behind = [Some(&event), events.get(number + 1)];
        if behind.contains(&Some(&Event::Behind)) {
            continue;
        }
        master.bulk();
        deliver(&mut master, &mut standby, &mut steps);
        master.settle();
        note(&mut master, &mut steps);
        if master.sender.as_ref().is_some_and(Sender::ready) {
            assert_eq!(standby.memory, master.model(), "after event {number}");
            ready = true;
            steps.push(Step::Done(number));
        }
    }
    Recording {
        events: events.to_vec(),
        steps,
        end: master.hardware.clone(),
        model: master.model(),
        number: master.number,
        up: master.up,
        ready,
        waited: master.waited,
    }
}

/// Where a run was cut.
struct Cut {
    hardware: Hardware,
    /// Events that have begun.
    begun: usize,
    /// Events of which everything is done.
    done: usize,
    up: PortSet,
}

impl Recording {
    pub fn was_ready(&self) -> bool {
        self.ready
    }

    pub fn cuts(&self) -> usize {
        self.steps.len()
    }

    pub fn openings_that_waited(&self) -> usize {
        self.waited
    }

    /// Addresses of which something is known at the end that the hardware does not know.
    pub fn moved(&self) -> usize {
        let moved = |record: &&FdbRecord| record.moves > 0;
        self.model.fdb.values().filter(moved).count()
    }

    /// The most writes to the FDB in a row.
    pub fn longest_chain(&self) -> usize {
        let fdb = |step: &Step| matches!(step, Step::Written(Write::Fdb(..)));
        let runs = self.steps.split(|step| !fdb(step));
        runs.map(<[Step]>::len).max().unwrap_or(0)
    }

    /// Goes through the run and shows each point where it can be cut.
    fn walk(&self, mut look: impl FnMut(&Cut, &Standby)) {
        let mut standby = Standby::new();
        let mut cut = Cut {
            hardware: Hardware::new(),
            begun: 0,
            done: 0,
            up: all_ports(),
        };
        for step in &self.steps {
            match step {
                Step::Begun(number) => {
                    cut.begun = number + 1;
                    if let Event::Link { port, up } = self.events[*number] {
                        let port = PortNo::new(port).unwrap();
                        match up {
                            true => cut.up.insert(port),
                            false => cut.up.remove(port),
                        }
                    }
                }
                Step::Written(write) => cut.hardware.apply(*write),
                Step::Told(octets) => standby.hear(octets),
                Step::Done(number) => cut.done = number + 1,
            }
            look(&cut, &standby);
        }
    }

    /// While the standby is ready, nothing is open in the hardware that the standby does not know to be open: what
    /// opens was told before, what closes is told after (design invariant 4).
    pub fn check_order(&self) {
        self.walk(|cut, standby| {
            if !standby.receiver.ready() || cut.done == 0 {
                return;
            }
            for (id, entry) in cut.hardware.vlans.iter().enumerate().skip(1) {
                let known = standby.memory.vlans.get(&vid(id as u16));
                let known = known.map_or_else(VlanEntry::default, |record| VlanEntry {
                    forwarding: record.forwarding,
                    fallback: record.fallback,
                    ..VlanEntry::default()
                });
                assert!(
                    no_more_open(entry, &known) || cut.done < cut.begun && self.fell_back(cut),
                    "VLAN {id} is open where the standby does not know it, event {}",
                    cut.begun
                );
            }
        });
    }

    /// Whether the master has given the standby up, which does not know it yet.
    fn fell_back(&self, cut: &Cut) -> bool {
        self.events[cut.done..cut.begun].contains(&Event::FallBack)
    }

    /// Drops the master after each step, and goes on with a new one.
    pub fn resume_from_every_cut(&self) {
        self.walk(|cut, standby| self.resume(cut, standby));
    }

    fn resume(&self, cut: &Cut, standby: &Standby) {
        let verdict = standby.verdict();
        let own_file = 0;
        let number = match verdict.config {
            ConfigFrom::Checkpoint => standby.memory.config_number().unwrap(),
            ConfigFrom::OwnFile => own_file,
        };
        let cells = cut.hardware.cells();
        let mut memory = shadow();
        let begin = match verdict.state {
            StateFrom::Checkpoint => Begin::Resume(standby.memory.replica(&mut memory)),
            StateFrom::Hardware => Begin::Adopt(&mut memory),
            StateFrom::Nothing => panic!("{verdict:?}"),
        };
        let mut master = Master::start(&cut.hardware, &cells, begin, number, cut.up);
        let at = format!(
            "cut in event {} of {:?}, {verdict:?}",
            cut.begun,
            cut.begun.checked_sub(1).map(|n| self.events[n])
        );
        if cut.begun == cut.done && verdict.is_hitless() {
            assert_eq!(master.written, [], "a takeover at rest wrote: {at}");
        }
        let now = wanted_of(number, &cut.up);
        assert_eq!(master.hardware.vlans, now, "{at}");

        // The operator misses what was in no file.
        let lost = verdict.config == ConfigFrom::OwnFile;
        let config = |event: &&Event| matches!(event, Event::Config(_));
        if lost && let Some(&last) = self.events[..cut.begun].iter().rfind(config) {
            self.event(&mut master, last);
        }
        for &event in &self.events[cut.done..] {
            self.event(&mut master, event);
        }
        assert_eq!(master.number, self.number, "{at}");
        assert_eq!(master.up, self.up, "{at}");
        assert_eq!(master.hardware.vlans, self.end.vlans, "{at}");
        if !lost {
            let found = addresses(&master.hardware.fdb);
            assert_eq!(found, addresses(&self.end.fdb), "{at}");
            if verdict.is_hitless() {
                self.compare_damping(cut, &master.model(), &at);
            }
        }
        self.transfer(&mut master, &at);
    }

    /// An event that happens to the new master. Time does not pass twice.
    fn event(&self, master: &mut Master<'_>, event: Event) {
        if event == Event::Tick && master.hardware.epoch >= self.end.epoch {
            return;
        }
        master.handle(event);
        master.checkpoint();
    }

    /// What only the software copy knows is the same for all addresses but that of the event that was cut.
    fn compare_damping(&self, cut: &Cut, model: &Memory, at: &str) {
        let pending = &self.events[cut.done..cut.begun];
        let touched = match pending {
            [] => None,
            [Event::Frame { mac, .. }] => Some(*mac),
            _ => return,
        };
        let known = |memory: &Memory| -> BTreeMap<FdbKey, (u16, u32, bool)> {
            let rows = memory.fdb.values().filter(|record: &&FdbRecord| {
                let octets = record.mac.0;
                Some(u16::from_be_bytes([octets[4], octets[5]])) != touched
            });
            rows.map(|r| (r.fdb_key(), (r.moves, r.since, r.held)))
                .collect()
        };
        assert_eq!(known(model), known(&self.model), "{at}");
    }

    /// The new master's own standby gets all that the master has.
    fn transfer(&self, master: &mut Master<'_>, at: &str) {
        let mut standby = Standby::new();
        master.sender = Some(sender());
        let mut steps = Vec::new();
        for _ in 0..20 {
            deliver(master, &mut standby, &mut steps);
            master.bulk();
            master.checkpoint();
        }
        assert!(standby.receiver.ready(), "{at}");
        assert_eq!(standby.memory, master.model(), "{at}");
    }
}
