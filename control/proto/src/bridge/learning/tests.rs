//! Each rule of learning by itself; all of them against a plain model in [`model`].

mod adoption;
mod learned;
mod limits;
mod model;
mod resume;
mod statics;
mod sweeps;

use super::*;
use crate::bridge::cells::{BucketCells, Hardware};
use crate::bridge::shadow::shadow_memory;
use crate::bridge::table::Outcome;
use crate::config::{Damping, StaticTarget};
use hitless_common::map::fdb::buckets_for;
use hitless_common::map::vlans::{ENTRIES, PortSet, VlanEntry, flag as vlan_flag};
use std::collections::BTreeMap;

const SEED: u64 = 0xfeed;

/// Ports 1 to 4 are enabled members of VLANs 10 and 20, port 5 is a member but disabled, and port 6 is a member
/// behind which nothing is learned. VLAN 30 has no ports.
struct Switch {
    hardware: Hardware<'static>,
    vlans: Vec<VlanEntry>,
    enabled: PortSet,
}

impl Switch {
    fn new(size: u32) -> Self {
        let memory = (0..buckets_for(size)).map(|_| BucketCells::default());
        let memory: &'static [BucketCells] = Box::leak(memory.collect());
        let ports = |numbers: &[u16]| numbers.iter().map(|&n| port(n)).collect::<PortSet>();
        let mut vlans = vec![VlanEntry::default(); ENTRIES as usize];
        for id in [10, 20] {
            vlans[id] = VlanEntry {
                member: ports(&[1, 2, 3, 4, 5, 6]),
                learning: ports(&[1, 2, 3, 4, 5]),
                flags: vlan_flag::EXISTS,
                ..VlanEntry::default()
            };
        }
        vlans[30].flags = vlan_flag::EXISTS;
        Self {
            hardware: Hardware::new(memory).unwrap(),
            vlans,
            enabled: ports(&[1, 2, 3, 4, 6]),
        }
    }

    fn view(&self) -> View<'_> {
        View {
            vlans: &self.vlans,
            enabled: self.enabled,
        }
    }

    fn start(&self, rules: Rules, now: Epoch) -> (Learning<'static>, Adopted) {
        let memory = shadow_memory(&self.hardware).leak();
        Learning::adopt(self.hardware, SEED, memory, rules, &self.view(), now)
    }
}

/// A switch and its first master, in epoch 1000.
fn start(rules: Rules) -> (Switch, Learning<'static>) {
    let switch = Switch::new(64);
    let (fdb, _) = switch.start(rules, at(1000));
    (switch, fdb)
}

/// Three moves in two seconds, ten seconds of hold.
fn damped() -> Rules {
    let damping = Damping {
        moves: 3,
        within_seconds: 2,
        hold_seconds: 10,
    };
    Rules {
        damping: Some(damping),
        ..Rules::default()
    }
}

fn port(number: u16) -> PortNo {
    PortNo::new(number).unwrap()
}

fn vlan(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

fn mac(number: u16) -> Mac {
    let [high, low] = number.to_be_bytes();
    Mac([2, 0, 0, 0, high, low])
}

fn at(seconds: u32) -> Epoch {
    Epoch::new(seconds)
}

fn event(vid: u16, number: u16, on: u16) -> LearnEvent {
    raw_event(FdbKey::new(vlan(vid), mac(number)), on)
}

fn raw_event(key: FdbKey, on: u16) -> LearnEvent {
    LearnEvent {
        key,
        port: on,
        moved: 0,
        reserved: 0,
    }
}

/// Where an address is: port and kind.
fn place(fdb: &Learning<'_>, vid: u16, number: u16) -> Option<(u16, Kind)> {
    fdb.get(vlan(vid), mac(number))
        .map(|e| (e.port, Kind::of(e.flags)))
}

/// Every entry of the copy is in the hardware and nothing else.
fn assert_hardware_equals_copy(fdb: &mut Learning<'_>, now: Epoch) {
    let before = fdb.stats();
    fdb.audit_slice(now, Slot::START, u32::MAX);
    assert_eq!(fdb.stats(), before, "the audit had to repair something");
}
