//! Spanning tree from a master's domains to a standby's records, over a link.

use super::*;
use crate::module::database::Memory;
use hitless_common::Mac;
use hitless_ha::{
    digest::Digest,
    link::Hello,
    receiver::{self, Database, Receiver},
    record::Record,
    schema::Subsystem,
    sender,
    slot::ModuleSlot,
};
use hitless_proto::{
    config::Config,
    stp::Link,
    stpd::{OutFrame, PortFacts},
    switch::vlan_entries,
    time::Epoch,
};
use proptest::prelude::*;
use std::collections::VecDeque;

use super::super::super::records::stp_records;

const PORTS: u16 = 4;

/// Two domains on all ports; `blue` is as many of its settings as `round` says.
fn config(round: u8) -> Config {
    let ports: Vec<_> = (1..=PORTS)
        .map(|n| serde_json::json!({"port": n, "device": format!("p{n}"), "untagged": 1, "tagged": [10]}))
        .collect();
    let blue = match round % 3 {
        0 => serde_json::json!({"name": "blue", "enabled": true, "tag": 10, "vlans": [10]}),
        1 => serde_json::json!({
            "name": "blue", "enabled": true, "tag": 10, "vlans": [10], "mode": "dot1d",
            "ports": [{"port": 2, "enabled": false}],
        }),
        _ => serde_json::json!({"name": "blue", "tag": 10, "vlans": [10]}),
    };
    let document = serde_json::json!({
        "switch": "sw",
        "vlans": [{"id": 1}, {"id": 10}],
        "ports": ports,
        "stpds": [{"name": "s0", "enabled": true, "vlans": [1]}, blue],
    });
    serde_json::from_value(document).unwrap()
}

fn port(n: u16) -> PortNo {
    PortNo::new(n).unwrap()
}

fn facts(switch: u8, n: u16, up: bool) -> PortFacts {
    PortFacts {
        link: Link {
            up,
            mbps: 1000,
            full_duplex: true,
        },
        mac: Mac([2, 0, 0, 0, switch, n as u8]),
    }
}

/// A switch of which only spanning tree is there.
struct Switch {
    number: u8,
    config: Config,
    facts: BTreeMap<PortNo, PortFacts>,
    stpds: Stpds,
}

impl Switch {
    fn new(number: u8) -> Self {
        let all = (1..=PORTS).map(|n| (port(n), facts(number, n, true)));
        let facts: BTreeMap<_, _> = all.collect();
        let config = config(0);
        let mut stpds = Stpds::new(Mac([2, 0, 0, 0, number, 0]), Epoch::new(1));
        stpds.configure(&config, &facts).unwrap();
        Self {
            number,
            config,
            facts,
            stpds,
        }
    }

    fn configure(&mut self, round: u8) {
        self.config = config(round);
        self.stpds.configure(&self.config, &self.facts).unwrap();
    }

    fn link(&mut self, n: u16, up: bool) {
        let facts = facts(self.number, n, up);
        self.facts.insert(port(n), facts);
        self.stpds.on_port(port(n), facts);
    }
}

/// A master with a standby, and a switch beside it that is wired to it port by port.
struct Lab {
    own: Switch,
    other: Switch,
    sender: Sender,
    receiver: Receiver,
    told: BTreeMap<StpKey, StpRecord>,
    memory: Memory,
    beat: u32,
}

#[derive(Clone, Debug)]
enum Step {
    /// So many tenths of a second pass, with or without BPDUs of the other switch.
    Time(u8, bool),
    Link(u16, bool),
    Configure(u8),
    ClearCounters,
    /// The standby is transferred everything anew.
    Again,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..50u8, prop::bool::weighted(0.8)).prop_map(|(n, heard)| Step::Time(n, heard)),
        3 => (1..=PORTS, any::<bool>()).prop_map(|(n, up)| Step::Link(n, up)),
        2 => any::<u8>().prop_map(Step::Configure),
        1 => Just(Step::ClearCounters),
        1 => Just(Step::Again),
    ]
}

impl Lab {
    fn new() -> Self {
        let hello = |slot| Hello::new(slot, "0.3.0", "sw", 1);
        let mut lab = Self {
            own: Switch::new(2),
            other: Switch::new(1),
            sender: Sender::new(0, &hello(ModuleSlot::MsmA), sender::Limits::default()),
            receiver: Receiver::new(0, &hello(ModuleSlot::MsmB), receiver::Limits::default()),
            told: BTreeMap::new(),
            memory: Memory::default(),
            beat: 0,
        };
        lab.pump();
        lab.bulk();
        lab
    }

    fn pump(&mut self) {
        while !(self.sender.outgoing().is_empty() && self.receiver.outgoing().is_empty()) {
            let down = self.sender.outgoing().to_vec();
            self.sender.sent(down.len());
            self.receiver.receive(0, &down, &mut self.memory).unwrap();
            let up = self.receiver.outgoing().to_vec();
            self.receiver.sent(up.len());
            self.sender.receive(0, &up).unwrap();
        }
    }

    fn bulk(&mut self) {
        self.sender.begin_bulk(0, Subsystem::Stp);
        self.told.clear();
        let keys = self.own.stpds.all_keys();
        self.put(keys);
        self.sender.end_bulk(0, Subsystem::Stp);
        self.pump();
    }

    fn put(&mut self, keys: Vec<stpd::StpKey>) {
        let mut open = self.sender.begin(0);
        put_stp(&mut open, &self.own.stpds, &mut self.told, keys);
        open.commit();
        self.pump();
    }

    /// Carries frames until nothing is said any more, and tells the standby what changed.
    fn settle(&mut self, heard: bool) {
        let mut wires: VecDeque<(bool, OutFrame)> = VecDeque::new();
        for _ in 0..1000 {
            let own = self.own.stpds.take_work().frames.into_iter();
            wires.extend(own.map(|frame| (true, frame)));
            let other = self.other.stpds.take_work().frames.into_iter();
            wires.extend(other.map(|frame| (false, frame)));
            let Some((from_own, frame)) = wires.pop_front() else {
                break;
            };
            let up = self.own.facts[&frame.port].link.up;
            let to = match from_own {
                true => &mut self.other,
                false => &mut self.own,
            };
            if up && (heard || from_own) {
                let _one_may_have_the_domain_disabled =
                    to.stpds.on_frame(frame.port, None, &frame.octets);
            }
        }
        let dirty = self.own.stpds.take_dirty();
        self.put(dirty);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Time(beats, heard) => {
                for _ in 0..*beats {
                    self.beat += 1;
                    let epoch = Epoch::new(1 + self.beat / 10);
                    self.own.stpds.beat(epoch, self.beat);
                    self.other.stpds.beat(epoch, self.beat);
                    self.settle(*heard);
                    self.check();
                }
            }
            Step::Link(n, up) => {
                self.own.link(*n, *up);
                self.other.link(*n, *up);
            }
            Step::Configure(round) => self.own.configure(*round),
            Step::ClearCounters => self.own.stpds.clear_counters(None).unwrap(),
            Step::Again => self.bulk(),
        }
        self.settle(true);
        self.check();
    }

    /// The standby has what the master has, the counters excepted.
    fn check(&self) {
        let count = self.own.stpds.all_keys().len();
        assert_eq!(self.memory.stp.len(), count);
        assert_eq!(self.told, self.memory.stp);
        for mut now in stp_records(&self.own.stpds) {
            now.counters = self.memory.stp[&now.key].counters;
            assert_eq!(self.memory.stp[&now.key], now);
        }
        let own: Digest = stp_records(&self.own.stpds).map(|r| r.hash()).collect();
        assert_eq!(self.memory.digest(Subsystem::Stp), own);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn a_standby_has_the_state_of_every_domain(steps in prop::collection::vec(step(), 1..25)) {
        let mut lab = Lab::new();
        for step in &steps {
            lab.step(step);
        }
        // And goes on with it: whatever is open stays so, and every port has the role that it had.
        let own = &lab.own;
        let saved = lab.memory.take_stp();
        let up = own.facts.iter().filter(|(_, facts)| facts.link.up);
        let up = up.map(|(&port, _)| port).collect();
        let entries = vlan_entries(&own.config, &up, |vlan| own.stpds.overlay(vlan));
        let hardware = |vlan| entries.get(&vlan).copied().unwrap_or_default();
        let epoch = Epoch::new(1 + lab.beat / 10);
        let nobody = Mac([2, 0, 0, 0, 9, 9]);
        let (resumed, followed) =
            Stpds::resume(nobody, &own.config, &own.facts, saved, &hardware, epoch);
        prop_assert!(followed.is_ok());
        prop_assert_eq!(resumed.all_keys(), own.stpds.all_keys());
        for (old, new) in own.stpds.domains().zip(resumed.domains()) {
            prop_assert_eq!(old.overlay(), new.overlay());
            prop_assert_eq!(old.bridge().state().root_priority, new.bridge().state().root_priority);
            prop_assert_eq!(old.bridge().state().config, new.bridge().state().config);
            for (old, new) in old.bridge().ports().iter().zip(new.bridge().ports()) {
                prop_assert_eq!((old.role, old.opening()), (new.role, new.opening()));
                // Counters alone are told every half a minute.
                prop_assert!(new.counters.rx_rst <= old.counters.rx_rst);
            }
        }
    }
}

#[test]
fn what_did_not_change_is_not_sent_and_the_rest_by_fields() {
    let mut lab = Lab::new();
    lab.step(&Step::Time(200, true));
    // Both switches have come to rest. What a hello changes is how long it is good for, on the ports that hear one.
    let before = *lab.sender.counts();
    lab.step(&Step::Time(60, true));
    let counts = lab.sender.counts();
    let records = counts.records - before.records;
    let octets = (counts.octets - before.octets) / records;
    assert!(counts.brackets - before.brackets <= 2 * 4);
    assert!((1..=2 * 4 * 4).contains(&records), "{records} records");
    assert!(octets < 250, "{octets} octets each");
    let ports = lab.memory.stp.len();
    assert_eq!(ports, 2 * (1 + usize::from(PORTS)));
}

/// So it is with a standby of an older version, too.
#[test]
fn what_is_not_transferred_is_not_told() {
    let mut lab = Lab::new();
    lab.sender.enable(Subsystem::Stp, false);
    lab.pump();
    let (before, told) = (lab.sender.committed(), lab.told.clone());
    lab.own.link(1, false);
    let dirty = lab.own.stpds.take_dirty();
    assert!(!dirty.is_empty());
    lab.put(dirty);
    assert_eq!((lab.sender.committed(), lab.told), (before, told));
}
