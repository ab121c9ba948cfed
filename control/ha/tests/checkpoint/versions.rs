//! Two modules of different versions, as they are during an upgrade: each recorded schema once as the master and once as
//! the standby of this version.
//!
//! An older module is played by this version: everything that the recorded schema does not have gets numbers on its way
//! that this version does not know either.

use super::model::{Model, Pair, put_all, stp_key, stp_port, switch, vid};
use hitless_ha::message::HEADER;
use hitless_ha::record::{StpRecord, VlanRecord};
use hitless_ha::schema::Subsystem;
use hitless_ha::state::{Reason, SubState};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Added to the number of what a version does not know.
const STRANGE: u16 = 2000;

/// A recorded schema.
struct Version {
    name: String,
    /// The numbers of the fields of each subsystem, by its number.
    fields: BTreeMap<u16, BTreeSet<u16>>,
}

/// All of them but the newest, which is this version's.
fn older() -> Vec<Version> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all: Vec<Version> = files
        .map(|path| Version {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            fields: parse(&fs::read_to_string(&path).unwrap()),
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.pop();
    assert!(!all.is_empty());
    all
}

fn parse(schema: &str) -> BTreeMap<u16, BTreeSet<u16>> {
    let mut subsystem = 0;
    let mut fields: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
    for line in schema.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [code, _] if code.parse::<u16>().is_ok() => {
                subsystem = code.parse().unwrap();
                fields.entry(subsystem).or_default();
            }
            [_, "field", id, _, _] => {
                let id = id.parse().unwrap();
                fields.entry(subsystem).or_default().insert(id);
            }
            _ => {}
        }
    }
    fields
}

fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([octets[at], octets[at + 1]])
}

fn u32_at(octets: &[u8], at: usize) -> usize {
    u32::from_le_bytes(octets[at..at + 4].try_into().unwrap()) as usize
}

impl Version {
    /// The same messages with everything made strange that this version does not know.
    fn filter(&self, mut octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while !octets.is_empty() {
            let (message, rest) = octets.split_at(HEADER + u32_at(octets, 28));
            octets = rest;
            let mut message = message.to_vec();
            let subsystem = u16_at(&message, 6);
            match self.fields.get(&subsystem) {
                None => message[6..8].copy_from_slice(&(subsystem + STRANGE).to_le_bytes()),
                Some(known) => estrange(&mut message[HEADER..], known),
            }
            let mut covered = message[..32].to_vec();
            covered.extend(&message[HEADER..]);
            let checksum = crc32fast::hash(&covered);
            message[32..36].copy_from_slice(&checksum.to_le_bytes());
            out.extend(message);
        }
        out
    }
}

/// Gives fields that are not known other numbers, in all records of a body.
fn estrange(mut body: &mut [u8], known: &BTreeSet<u16>) {
    while !body.is_empty() {
        let (record, rest) = body.split_at_mut(4 + u32_at(body, 0));
        body = rest;
        let mut at = 4;
        while at < record.len() {
            let tag = u16_at(record, at);
            if !known.contains(&(tag >> 4)) {
                let strange = tag + (STRANGE << 4);
                record[at..at + 2].copy_from_slice(&strange.to_le_bytes());
            }
            at += 2 + match tag & 15 {
                1 => 1,
                2 => 2,
                3 => 4,
                4 => 6,
                5 => 8,
                6 => 2 + usize::from(u16_at(record, at + 2)),
                _ => 4 + u32_at(record, at + 2),
            };
        }
    }
}

/// Carries everything to the other side, through `version`.
fn pump(pair: &mut Pair, version: &Version) {
    while !(pair.sender.outgoing().is_empty() && pair.receiver.outgoing().is_empty()) {
        let down = pair.sender.outgoing().to_vec();
        pair.sender.sent(down.len());
        let heard = version.filter(&down);
        pair.receiver
            .receive(0, &heard, &mut pair.database)
            .unwrap();
        let up = pair.receiver.outgoing().to_vec();
        pair.receiver.sent(up.len());
        pair.sender.receive(0, &version.filter(&up)).unwrap();
    }
}

/// A transfer of everything and a change, between this version and `version`.
fn upgrade(version: &Version) -> (Pair, Model) {
    let mut model = switch();
    let mut pair = Pair::new();
    pump(&mut pair, version);
    while let Some(subsystem) = pair.sender.next_bulk() {
        pair.sender.begin_bulk(0, subsystem);
        let mut open = pair.sender.begin(0);
        put_all(&mut open, model.config.values());
        put_all(&mut open, model.ports.values());
        put_all(&mut open, model.vlans.values());
        put_all(&mut open, model.stp.values());
        put_all(&mut open, model.fdb.values());
        open.commit();
        pair.sender.end_bulk(0, subsystem);
        pump(&mut pair, version);
    }
    // A port opens: what both sides know and what only one knows, in one bracket.
    let old = model.vlans[&vid(10)];
    let vlan = VlanRecord {
        forwarding: old.member,
        ..old
    };
    let shut = model.stp[&stp_key("s0", 64)];
    let opened = stp_port("s0", 64, true);
    let mut open = pair.sender.begin(0);
    open.update(&shut, &opened)
        .update(&old, &vlan)
        .delete::<StpRecord>(stp_key("s0", 1));
    open.commit();
    pump(&mut pair, version);
    model.vlans.insert(vid(10), vlan);
    model.stp.insert(opened.key, opened);
    model.stp.remove(&stp_key("s0", 1));
    (pair, model)
}

/// The same link seen from both ends: what one of them does not say, neither waits for.
#[test]
fn seed_46_modules_of_different_versions_become_ready_with_what_both_know() {
    for version in older() {
        let (pair, model) = upgrade(&version);
        let name = &version.name;
        assert!(pair.sender.ready(), "this version as master of {name}");
        assert!(pair.receiver.ready(), "this version as standby of {name}");
        assert_eq!(pair.sender.acked(), pair.sender.committed(), "{name}");
        for subsystem in Subsystem::CHECKPOINTED {
            let known = version.fields.contains_key(&subsystem.code());
            let expected = match known {
                true => (SubState::Ready, Reason::None),
                false => (SubState::Disable, Reason::NoSupport),
            };
            for states in [pair.sender.states(), pair.receiver.states()] {
                let standing = states.get(subsystem).current;
                assert_eq!((standing.state, standing.reason), expected, "{name}");
            }
        }
        let database = &pair.database;
        assert_eq!(database.vlans, model.vlans, "{name}");
        assert_eq!(database.ports, model.ports, "{name}");
        assert_eq!(database.fdb, model.fdb, "{name}");
        assert!(database.stp.is_empty(), "{name}");
    }
}

/// The older standby can not ask for what it does not know, and settings of the master do not change that.
#[test]
fn what_the_other_module_does_not_know_can_not_be_switched_on() {
    let version = &older()[0];
    let (mut pair, _) = upgrade(version);
    pair.sender.enable(Subsystem::Stp, true);
    assert_eq!(pair.sender.next_bulk(), None);
    assert!(pair.sender.ready());
    pair.sender.enable(Subsystem::Fdb, false);
    pair.sender.enable(Subsystem::Fdb, true);
    assert_eq!(pair.sender.next_bulk(), Some(Subsystem::Fdb));
}

/// An older standby of this version's master, should it be sent what it does not know: it keeps the rest.
#[test]
fn messages_of_an_unknown_subsystem_cost_nothing() {
    let version = &older()[0];
    let model = switch();
    let mut pair = Pair::new();
    pair.pump();
    let before = pair.receiver.counts().unknown;
    let open = pair.sender.begin(0);
    assert!(!open.sends(Subsystem::Stp));
    open.commit();
    for subsystem in Subsystem::CHECKPOINTED {
        pair.sender.begin_bulk(0, subsystem);
        let mut open = pair.sender.begin(0);
        put_all(&mut open, model.stp.values());
        put_all(&mut open, model.vlans.values());
        open.commit();
        pair.sender.end_bulk(0, subsystem);
    }
    pump(&mut pair, version);
    assert!(pair.sender.ready(), "everything is acknowledged");
    assert!(pair.receiver.counts().unknown > before);
    assert!(pair.database.stp.is_empty());
    assert_eq!(pair.database.vlans, model.vlans);
}
