//! Random work of a master, over a pipe that is cut anywhere: the standby always has exactly what the master had
//! when it committed the bracket that the standby applied last.

use super::model::{Model, Pair, SLOTS, hello, learned, ports, put_all, stp_key, stp_port, vid};
use hitless_ha::receiver::{Limits, Receiver, Store};
use hitless_ha::record::{ConfigRecord, FdbRecord, PortRecord, StpRecord, VlanRecord};
use hitless_ha::schema::Subsystem;
use hitless_ha::sender::{self, FallBack};
use hitless_ha::slot::ModuleSlot;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Change {
    Config(u8, bool),
    Port(u16, bool),
    NoPort(u16),
    Vlan(u16, Vec<u16>),
    NoVlan(u16),
    Stp(u16, bool, u32),
    NoStp(u16),
    Address(u32, u16, u16),
    Moved(u32, u16),
    NoAddress(u32),
}

#[derive(Clone, Debug)]
enum Step {
    /// A bracket of these changes, committed or not.
    Bracket(Vec<Change>, bool),
    /// So many octets reach the standby.
    Down(usize),
    /// What the standby says reaches the master.
    Up,
    /// The bulk transfer goes on by a bracket.
    Bulk(usize),
    Keepalive,
    FallBack,
}

fn change() -> impl Strategy<Value = Change> {
    let vlan = || 1..6u16;
    prop_oneof![
        1 => (any::<u8>(), any::<bool>()).prop_map(|(n, saved)| Change::Config(n, saved)),
        2 => (1..5u16, any::<bool>()).prop_map(|(n, up)| Change::Port(n, up)),
        1 => (1..5u16).prop_map(Change::NoPort),
        2 => (vlan(), prop::collection::vec(1..129u16, 0..5)).prop_map(|(v, p)| Change::Vlan(v, p)),
        1 => vlan().prop_map(Change::NoVlan),
        3 => (0..4u16, any::<bool>(), 0..3u32).prop_map(|(p, f, t)| Change::Stp(p, f, t)),
        1 => (0..4u16).prop_map(Change::NoStp),
        8 => (0..50u32, any::<u16>(), 1..129u16).prop_map(|(s, m, p)| Change::Address(s, m, p)),
        4 => (0..50u32, 1..129u16).prop_map(|(s, p)| Change::Moved(s, p)),
        3 => (0..50u32).prop_map(Change::NoAddress),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop::collection::vec(change(), 0..12), prop::bool::weighted(0.9))
            .prop_map(|(changes, commit)| Step::Bracket(changes, commit)),
        6 => (0..400usize).prop_map(Step::Down),
        1 => Just(Step::Down(usize::MAX)),
        3 => Just(Step::Up),
        6 => (1..20usize).prop_map(Step::Bulk),
        1 => Just(Step::Keepalive),
        1 => Just(Step::FallBack),
    ]
}

/// A master that checkpoints its model.
struct Master {
    pair: Pair,
    model: Model,
    /// What the model was after each bracket.
    history: BTreeMap<u64, Model>,
    /// The subsystem that is transferred, and the first slot that was not.
    bulk: Option<(Subsystem, u32)>,
}

impl Master {
    fn new() -> Self {
        let limits = sender::Limits {
            queue: 6000,
            bulk: 2000,
            ..sender::Limits::default()
        };
        let mut master = Self {
            pair: Pair::with(limits, Limits::default()),
            model: Model::default(),
            history: BTreeMap::new(),
            bulk: None,
        };
        master.remember();
        master
    }

    fn remember(&mut self) {
        // A bracket of which nothing was sent has no number of its own.
        let id = self.pair.sender.committed().0;
        let model = &self.model;
        self.history.entry(id).or_insert_with(|| model.clone());
    }

    fn bracket(&mut self, changes: &[Change], commit: bool) {
        let mut model = self.model.clone();
        let mut open = self.pair.sender.begin(0);
        for change in changes {
            match change {
                Change::Config(n, saved) => {
                    let record = ConfigRecord {
                        document: vec![*n; usize::from(*n)],
                        saved: *saved,
                        ..ConfigRecord::default()
                    };
                    open.put(&record);
                    model.put(record).unwrap();
                }
                Change::Port(n, up) => {
                    let number = super::model::port(*n);
                    let new = PortRecord {
                        up: *up,
                        ifindex: 7,
                        ..PortRecord::new(number)
                    };
                    match model.ports.get(&number) {
                        Some(old) => open.update(old, &new),
                        None => open.put(&new),
                    };
                    model.put(new).unwrap();
                }
                Change::NoPort(n) => {
                    open.delete::<PortRecord>(super::model::port(*n));
                    model.ports.remove(&super::model::port(*n));
                }
                Change::Vlan(n, members) => {
                    let record = VlanRecord {
                        member: ports(members),
                        flags: 1,
                        ..VlanRecord::new(vid(*n))
                    };
                    open.put(&record);
                    model.put(record).unwrap();
                }
                Change::NoVlan(n) => {
                    open.delete::<VlanRecord>(vid(*n));
                    model.vlans.remove(&vid(*n));
                }
                Change::Stp(port, forwards, at) => {
                    let mut new = StpRecord {
                        rcvd_info: *at,
                        ..stp_port("s0", *port, *forwards)
                    };
                    new.counters[usize::from(*port)] = u64::from(*at);
                    match model.stp.get(&new.key) {
                        Some(old) => open.update(old, &new),
                        None => open.put(&new),
                    };
                    model.put(new).unwrap();
                }
                Change::NoStp(port) => {
                    open.delete::<StpRecord>(stp_key("s0", *port));
                    model.stp.remove(&stp_key("s0", *port));
                }
                Change::Address(slot, mac, port) => {
                    let record = learned(*slot, 10, *mac, *port);
                    open.put(&record);
                    model.put(record).unwrap();
                }
                Change::Moved(slot, port) => {
                    if let Some(record) = model.fdb.get_mut(slot) {
                        let new = FdbRecord {
                            port: *port,
                            moves: record.moves.wrapping_add(1),
                            ..*record
                        };
                        open.put(&new);
                        *record = new;
                    }
                }
                Change::NoAddress(slot) => {
                    open.delete::<FdbRecord>(*slot);
                    model.fdb.remove(slot);
                }
            }
        }
        if commit {
            open.commit();
            self.model = model;
            self.remember();
        }
    }

    /// Goes on with the transfer by at most so many records.
    fn transfer(&mut self, records: usize) {
        let running = self.pair.sender.bulk();
        if running.is_none() || running != self.bulk.map(|b| b.0) {
            self.bulk = self.pair.sender.next_bulk().map(|s| (s, 0));
            if let Some((subsystem, _)) = self.bulk {
                self.pair.sender.begin_bulk(0, subsystem);
                self.remember();
            }
        }
        let Some((subsystem, from)) = self.bulk else {
            return;
        };
        if self.pair.sender.room() == 0 {
            return;
        }
        let mut open = self.pair.sender.begin(0);
        let mut next = SLOTS;
        match subsystem {
            Subsystem::Module => {}
            Subsystem::Config => put_all(&mut open, self.model.config.values()),
            Subsystem::Ports => put_all(&mut open, self.model.ports.values()),
            Subsystem::Vlans => put_all(&mut open, self.model.vlans.values()),
            Subsystem::Stp => put_all(&mut open, self.model.stp.values()),
            Subsystem::Fdb => {
                for (n, (slot, record)) in self.model.fdb.range(from..).enumerate() {
                    if n == records {
                        next = *slot;
                        break;
                    }
                    open.put(record);
                }
            }
        }
        open.commit();
        self.remember();
        self.bulk = Some((subsystem, next));
        if next == SLOTS {
            self.pair.sender.end_bulk(0, subsystem);
            self.bulk = None;
            self.remember();
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Bracket(changes, commit) => self.bracket(changes, *commit),
            Step::Down(octets) => self.pair.down(*octets),
            Step::Up => self.pair.up(),
            Step::Bulk(records) => self.transfer(*records),
            Step::Keepalive => self.pair.sender.keepalive(),
            Step::FallBack => {
                self.pair.sender.fall_back(FallBack::NoAnswer);
                self.remember();
            }
        }
    }

    /// What a standby that is ready has is what the master had.
    fn check(&self) {
        if self.pair.receiver.ready() {
            let closed = self.pair.receiver.closed();
            let expected = &self.history[&closed.0];
            assert_eq!(&self.pair.database, expected, "after bracket {closed}");
        }
    }
}

fn run(steps: &[Step]) -> Master {
    let mut master = Master::new();
    for step in steps {
        master.step(step);
        master.check();
    }
    master
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn seed_47_the_standby_has_what_the_master_had_after_the_last_closed_bracket(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let mut master = run(&steps);
        // Let everything come to rest.
        for _ in 0..200 {
            master.pair.pump();
            master.transfer(1000);
        }
        prop_assert!(master.pair.sender.ready() && master.pair.receiver.ready());
        prop_assert_eq!(&master.pair.database, &master.model);
    }

    #[test]
    fn damaged_octets_never_change_the_database_to_something_that_never_was(
        steps in prop::collection::vec(step(), 1..60),
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 0..40),
        cut in any::<bool>(),
    ) {
        let mut master = run(&steps);
        master.bracket(&[Change::Address(1, 2, 3), Change::NoVlan(1), Change::Port(1, true)], true);
        let mut bytes = master.pair.sender.outgoing().to_vec();
        let at = at.index(bytes.len() + 1);
        if cut {
            bytes.truncate(at);
        }
        for (old, new) in bytes.iter_mut().skip(at).zip(&with) {
            *old = *new;
        }
        let received = master.pair.receiver.receive(0, &bytes, &mut master.pair.database);
        master.check();
        if received.is_err() {
            let before = master.pair.database.clone();
            let again = master.pair.receiver.receive(0, &bytes, &mut master.pair.database);
            prop_assert_eq!(received, again);
            prop_assert_eq!(before, master.pair.database);
        }
    }

    #[test]
    fn random_octets_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut receiver = Receiver::new(0, &hello(ModuleSlot::MsmB), Limits::default());
        let mut database = Model::default();
        let received = receiver.receive(0, &bytes, &mut database);
        prop_assert!(received.is_err() || bytes.len() < 4);
        prop_assert_eq!(database, Model::default());
        let mut sender = sender::Sender::new(0, &hello(ModuleSlot::MsmA), sender::Limits::default());
        prop_assert!(sender.receive(0, &bytes).is_err() || bytes.len() < 4);
    }
}
