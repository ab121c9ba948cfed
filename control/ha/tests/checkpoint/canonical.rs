//! Canonical messages: what versions that know different fields make of each other's records.

use super::model::{Model, learned, port, ports, stp_key, stp_port, vid};
use super::raw::*;
use hitless_common::Mac;
use hitless_ha::receiver::{Event, Store};
use hitless_ha::record::{
    ConfigRecord, DomainName, FdbRecord, PortRecord, Record, StpKey, StpRecord, VlanRecord,
};
use hitless_ha::schema::Subsystem;
use hitless_ha::state::{Reason, SubState};
use proptest::prelude::*;

#[test]
fn seed_46_a_field_that_is_missing_in_a_put_has_its_default() {
    let mut standby = Standby::ready();
    standby.whole(
        VLANS,
        PUT,
        &[record(&[u16(1, 10), short(2, &[0b11]), u64(7, 1)])],
    );
    let as_it_was = VlanRecord {
        fallback: ports(&[1]),
        learning: ports(&[2]),
        ..VlanRecord::new(vid(20))
    };
    standby.database.put(as_it_was).unwrap();
    standby.whole(VLANS, PUT, &[record(&[u16(1, 20), short(4, &[1])])]);
    let mut expected = Model::default();
    expected
        .put(VlanRecord {
            member: ports(&[1, 2]),
            flags: 1,
            ..VlanRecord::new(vid(10))
        })
        .unwrap();
    expected
        .put(VlanRecord {
            forwarding: ports(&[1]),
            ..VlanRecord::new(vid(20))
        })
        .unwrap();
    assert_eq!(standby.database, expected);
}

/// The patent's example (figure 8): the slave's structure has a variable that the master does not know.
#[test]
fn seed_46_a_field_that_is_missing_in_an_update_keeps_its_value() {
    let mut standby = Standby::ready();
    let before = PortRecord {
        device: "eth7".into(),
        ifindex: 12,
        enabled: true,
        offload: 2,
        ..PortRecord::new(port(7))
    };
    standby.database.put(before.clone()).unwrap();
    standby.whole(PORTS, UPDATE, &[record(&[u16(1, 7), u8(4, 1), u8(7, 1)])]);
    let after = PortRecord {
        link_up: true,
        up: true,
        ..before
    };
    assert_eq!(standby.database.find(port(7)), Some(after));

    let moved = FdbRecord {
        moves: 3,
        since: 99,
        ..learned(8, 10, 1, 1)
    };
    standby.database.put(moved).unwrap();
    standby.whole(FDB, UPDATE, &[record(&[u32(1, 8), u16(4, 2)])]);
    assert_eq!(standby.database.fdb[&8], FdbRecord { port: 2, ..moved });
}

#[test]
fn seed_46_fields_that_nobody_knows_are_skipped_whatever_their_kind() {
    let mut standby = Standby::ready();
    let unknown = [
        u8(99, 1),
        u16(100, 2),
        u32(4095, 3),
        mac(101, 4),
        u64(102, 5),
        short(103, b"six"),
        long(104, 7, b"seven"),
        long(105, 0, b"none yet"),
        long(106, 15, b"none yet"),
    ];
    for (n, strange) in unknown.iter().enumerate() {
        let fields = [
            strange.clone(),
            u32(1, n as u32),
            u16(2, 10),
            strange.clone(),
            mac(3, 0x0200_0000_0000),
            u16(4, 1),
            strange.clone(),
        ];
        standby.whole(FDB, PUT, &[record(&fields)]);
        assert_eq!(
            standby.database.fdb[&(n as u32)],
            learned(n as u32, 10, 0, 1)
        );
    }
    assert!(standby.receiver.ready());
}

#[test]
fn a_number_is_read_whatever_its_width() {
    let mut standby = Standby::ready();
    let fields = [
        u64(1, 4),
        u8(2, 10),
        u64(3, 0x0200_0000_0007),
        u8(4, 3),
        u32(8, 1),
    ];
    standby.whole(FDB, PUT, &[record(&fields)]);
    let expected = FdbRecord {
        held: true,
        ..learned(4, 10, 7, 3)
    };
    assert_eq!(standby.database.fdb[&4], expected);
}

#[test]
fn a_subsystem_of_a_later_version_is_ignored_and_its_brackets_are_kept() {
    let mut standby = Standby::ready();
    standby.part(60, PUT, BEGIN, b"whatever it is");
    standby.part(FDB, PUT, 0, &address(1, 10, 1, 1));
    assert!(standby.database.fdb.is_empty());
    standby.part(700, 9, END, &[]);
    assert_eq!(standby.database.fdb.len(), 1);
    assert!(standby.receiver.ready());
    assert_eq!(standby.receiver.counts().unknown, 2);
    // A message about the link of a later version.
    standby.message(1, 300, 0, 0, b"?");
    assert!(standby.receiver.ready());
    assert_eq!(standby.receiver.counts().unknown, 3);
}

#[test]
fn seed_65_a_kind_of_message_that_is_unknown_fails_its_subsystem_and_no_other() {
    let mut standby = Standby::ready();
    standby.part(VLANS, 6, BEGIN, &record(&[u16(1, 10)]));
    standby.part(FDB, PUT, END, &address(1, 10, 1, 1));
    let vlans = standby.receiver.status(Subsystem::Vlans);
    assert_eq!(vlans.current.state, SubState::Failed);
    assert_eq!(vlans.current.reason, Reason::InvalidSubtype);
    assert_eq!(vlans.old.state, SubState::Ready);
    assert_eq!(standby.database.fdb.len(), 1);
    let others = Subsystem::CHECKPOINTED
        .into_iter()
        .filter(|s| *s != Subsystem::Vlans);
    for subsystem in others {
        assert_eq!(standby.receiver.states().state(subsystem), SubState::Ready);
    }
    // What comes for a failed subsystem changes nothing any more.
    standby.whole(VLANS, PUT, &[record(&[u16(1, 10)])]);
    assert!(standby.database.vlans.is_empty());
}

#[test]
fn impossible_values_fail_the_subsystem_and_say_why() {
    let good = || [u32(1, 1), u16(2, 10), mac(3, 0x0200_0000_0000), u16(4, 1)];
    let with = |n: usize, field: Vec<u8>| {
        let mut fields = good();
        fields[n] = field;
        record(&fields)
    };
    let cases: [(u16, Vec<u8>, &str); 22] = [
        (FDB, with(1, u16(2, 0)), "vlan 0 is no VLAN id"),
        (FDB, with(1, u16(2, 5000)), "vlan 5000 is no VLAN id"),
        (
            FDB,
            with(1, u64(2, 1 << 40)),
            "vlan 1099511627776 is no VLAN id",
        ),
        (FDB, with(1, vec![]), "vlan is missing"),
        (FDB, with(0, vec![]), "slot is missing"),
        (FDB, with(2, vec![]), "mac is missing"),
        (FDB, with(3, vec![]), "port is missing"),
        (FDB, with(3, u16(4, 129)), "port 129 is above 128"),
        (
            FDB,
            with(2, u64(3, 1 << 48)),
            "mac 281474976710656 is above",
        ),
        (FDB, with(2, short(3, b"012345")), "mac is not a U48"),
        (FDB, with(0, u32(1, 1 << 16)), "refused a record: memory"),
        (PORTS, record(&[u16(1, 0)]), "port 0 is no port number"),
        (
            PORTS,
            record(&[u16(1, 1), u8(4, 2)]),
            "link-up 2 is above 1",
        ),
        (
            PORTS,
            record(&[u16(1, 1), short(2, &[0xff])]),
            "device is not UTF-8",
        ),
        (VLANS, record(&[u16(1, 1), short(2, &[0; 17])]), ""),
        (
            VLANS,
            record(&[u16(1, 1), short(2, &[1; 17])]),
            "member names ports above 128",
        ),
        (STP, record(&[u16(2, 1)]), "domain is missing"),
        (
            STP,
            record(&[short(1, b"")]),
            "domain has 0 octets; 1 to 32 are allowed",
        ),
        (
            STP,
            record(&[short(1, &[b'x'; 33])]),
            "domain has 33 octets; 1 to 32",
        ),
        (
            STP,
            record(&[short(1, b"s0"), u16(2, 129)]),
            "port 129 is no port number",
        ),
        (
            STP,
            record(&[short(1, b"s0"), u32(11, 1)]),
            "designated-priority is not a Bytes16",
        ),
        (CONFIG, record(&[u8(1, 1)]), "document is not a Bytes32"),
    ];
    for (subsystem, body, expected) in cases {
        let mut standby = Standby::ready();
        standby.whole(subsystem, PUT, &[body]);
        if expected.is_empty() {
            assert!(standby.receiver.ready());
            continue;
        }
        let events = standby.receiver.take_events();
        let [
            Event::Failed {
                detail,
                subsystem: failed,
                reason,
            },
        ] = &events[..]
        else {
            panic!("{expected}: {events:?}");
        };
        assert!(detail.contains(expected), "{detail}");
        assert_eq!(failed.code(), subsystem);
        assert!(matches!(reason, Reason::CommError | Reason::Memory));
        let ready = Subsystem::CHECKPOINTED
            .iter()
            .filter(|&&s| standby.receiver.states().state(s) == SubState::Ready);
        assert_eq!(ready.count(), 4);
    }
}

#[test]
fn records_and_fields_that_are_cut_fail_the_subsystem() {
    let whole = address(1, 10, 1, 1);
    for length in 1..whole.len() {
        let mut standby = Standby::ready();
        standby.whole(FDB, PUT, &[whole[..length].to_vec()]);
        assert!(!standby.receiver.ready(), "{length} octets");
        assert!(standby.database.fdb.is_empty());
        // The same with a length that tells of the cut.
        if length >= 4 {
            let mut standby = Standby::ready();
            standby.whole(FDB, PUT, &[record(&[whole[4..length].to_vec()])]);
            assert!(!standby.receiver.ready(), "{length} octets");
        }
    }
}

#[test]
fn an_update_of_what_is_not_there_asks_for_a_transfer() {
    let mut standby = Standby::ready();
    standby.whole(VLANS, UPDATE, &[record(&[u16(1, 10), u64(7, 1)])]);
    let events = standby.receiver.take_events();
    assert!(
        matches!(&events[..], [Event::Failed { subsystem: Subsystem::Vlans, detail, .. }]
            if detail.contains("is to be updated and is not there")),
        "{events:?}"
    );
}

#[test]
fn deletions_name_keys_and_deleting_nothing_is_fine() {
    let mut standby = Standby::ready();
    standby.whole(FDB, PUT, &[address(1, 10, 1, 1), address(2, 10, 2, 1)]);
    standby.whole(FDB, DELETE, &[record(&[u32(1, 1)]), record(&[u32(1, 7)])]);
    assert_eq!(
        standby.database.fdb.keys().copied().collect::<Vec<_>>(),
        [2]
    );
    standby.whole(CONFIG, PUT, &[record(&[long(1, 7, b"x")])]);
    standby.whole(CONFIG, DELETE, &[record(&[])]);
    assert!(standby.database.config.is_empty());
    assert!(standby.receiver.ready());
}

fn vlan_fields() -> impl Strategy<Value = (VlanRecord, Vec<Vec<u8>>)> {
    let set = || prop::array::uniform16(any::<u8>());
    (1..4095u16, set(), set(), set(), set(), set(), any::<u64>()).prop_map(
        |(id, member, untagged, forwarding, learning, fallback, flags)| {
            let set = |octets: [u8; 16]| {
                let (low, high) = (
                    octets[..8].try_into().unwrap(),
                    octets[8..].try_into().unwrap(),
                );
                hitless_common::map::vlans::PortSet([
                    u64::from_le_bytes(low),
                    u64::from_le_bytes(high),
                ])
            };
            let record = VlanRecord {
                member: set(member),
                untagged: set(untagged),
                forwarding: set(forwarding),
                learning: set(learning),
                fallback: set(fallback),
                flags,
                ..VlanRecord::new(vid(id))
            };
            let fields = vec![
                u16(1, id),
                short(2, &member),
                short(3, &untagged),
                short(4, &forwarding),
                short(5, &learning),
                short(6, &fallback),
                u64(7, flags),
                u64(50, 50),
                short(51, b"later"),
                long(52, 9, b"much later"),
            ];
            (record, fields)
        },
    )
}

fn any_fdb() -> impl Strategy<Value = FdbRecord> {
    (
        any::<u32>(),
        1..4095u16,
        0..1u64 << 48,
        0..=128u16,
        any::<(u16, u16, u32, bool)>(),
    )
        .prop_map(
            |(slot, vlan, mac, port, (flags, moves, since, held))| FdbRecord {
                slot,
                vlan: vid(vlan),
                mac: Mac::from_u64(mac),
                port,
                flags,
                moves,
                since,
                held,
            },
        )
}

fn any_port() -> impl Strategy<Value = PortRecord> {
    (
        1..129u16,
        "[a-z0-9]{0,15}",
        any::<(u32, u8, bool, bool, bool)>(),
    )
        .prop_map(
            |(number, device, (ifindex, offload, link_up, enabled, up))| PortRecord {
                port: port(number),
                device,
                ifindex,
                link_up,
                enabled,
                offload,
                up,
            },
        )
}

fn any_config() -> impl Strategy<Value = ConfigRecord> {
    (
        prop::collection::vec(any::<u8>(), 0..300),
        any::<bool>(),
        ".{0,20}",
        prop::collection::vec(any::<u8>(), 0..300),
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(
            |(document, saved, file, rollback, rollback_saved, rollback_at)| ConfigRecord {
                document,
                saved,
                file,
                rollback,
                rollback_saved,
                rollback_at,
            },
        )
}

fn any_stp() -> impl Strategy<Value = StpRecord> {
    let vector = || prop::array::uniform22(any::<u8>());
    let times = || prop::array::uniform8(any::<u8>());
    (
        ("[a-zA-Z0-9._-]{1,32}", prop::option::of(1..129u16)),
        (prop::array::uniform6(any::<u8>()), any::<(u16, u32, u32)>()),
        (vector(), vector(), vector()),
        (times(), times(), times()),
        any::<(u32, u64)>(),
        prop::array::uniform10(any::<u8>()),
        prop::array::uniform8(any::<u32>()),
        prop::array::uniform20(prop_oneof![Just(0), any::<u64>()]),
    )
        .prop_map(
            |(key, bridge, vectors, times, (mbps, flags), codes, ends, counters)| {
                let key = StpKey {
                    domain: DomainName::new(&key.0).unwrap(),
                    port: key.1.map(port),
                };
                let (mac, (root_port, topology_changes, topology_change_at)) = bridge;
                let [
                    prx,
                    ppm,
                    bdm,
                    pim,
                    prt,
                    pst,
                    tcm,
                    info_is,
                    role,
                    selected_role,
                ] = codes;
                let [edge_delay, fd, mdelay, rb, rcvd_info, rr, tc, guard] = ends;
                StpRecord {
                    key,
                    mac: Mac(mac),
                    root_priority: vectors.0,
                    root_port,
                    root_times: times.0,
                    topology_changes,
                    topology_change_at,
                    mbps,
                    flags,
                    designated_priority: vectors.1,
                    designated_times: times.1,
                    port_priority: vectors.2,
                    port_times: times.2,
                    prx,
                    ppm,
                    bdm,
                    pim,
                    prt,
                    pst,
                    tcm,
                    info_is,
                    role,
                    selected_role,
                    edge_delay,
                    fd,
                    mdelay,
                    rb,
                    rcvd_info,
                    rr,
                    tc,
                    guard,
                    counters,
                }
            },
        )
}

#[test]
fn counters_are_told_and_do_not_count_as_a_difference() {
    let old = stp_port("s0", 1, true);
    let mut new = old;
    new.counters[0] = 7;
    assert_eq!(old.hash(), new.hash());
    let (mut none, mut some) = (Vec::new(), Vec::new());
    old.write(Some(&old), &mut none);
    new.write(Some(&old), &mut some);
    assert_eq!(
        some.len(),
        none.len() + 2 + 2 + 1,
        "without zeros at the end"
    );
    assert_eq!(StpRecord::read(Some(&old), &some), Ok(new));
    let other = StpRecord { fd: 1, ..old };
    assert_ne!(old.hash(), other.hash());
}

/// A later version may append to vectors and counters.
#[test]
fn lists_may_be_shorter_or_longer_than_they_are_here() {
    let octets: Vec<u8> = (0..200).map(|n| 1 + n as u8).collect();
    let record = [
        short(1, b"s0"),
        short(4, &octets[..5]),
        short(6, &octets[..9]),
        short(33, &octets),
    ];
    let read = StpRecord::read(None, &record.concat()).unwrap();
    assert_eq!(read.key, stp_key("s0", 0));
    assert_eq!(read.root_priority[..6], [1, 2, 3, 4, 5, 0]);
    assert_eq!(read.root_times, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(
        read.counters[0],
        u64::from_le_bytes([1, 2, 3, 4, 5, 6, 7, 8])
    );
    assert_eq!(read.counters[19] as u8, 153);
}

#[test]
fn domains_and_their_bridges_are_told_apart() {
    let mut keys = [
        stp_key("s1", 1),
        stp_key("s10", 0),
        stp_key("s1", 0),
        stp_key("s0", 128),
    ];
    keys.sort();
    let [a, b, c, d] = keys.map(|key| (key.domain.as_str().to_owned(), key.port));
    assert_eq!(a, ("s0".into(), Some(port(128))));
    assert_eq!((b, c), (("s1".into(), None), ("s1".into(), Some(port(1)))));
    assert_eq!(d, ("s10".into(), None));
    assert_eq!(DomainName::new(""), None);
    assert_eq!(DomainName::new(&"x".repeat(33)), None);
    let longest = "x".repeat(32);
    assert_eq!(DomainName::new(&longest).unwrap().as_str(), longest);
}

/// What is written is read again: whole as a put, and over any other record of the same key as an update.
fn comes_back<R: Record + Clone + PartialEq + std::fmt::Debug>(old: &R, new: &R) {
    let (mut put, mut update, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    new.write(None, &mut put);
    assert_eq!(&R::read(None, &put).unwrap(), new);
    new.write(Some(old), &mut update);
    assert_eq!(&R::read(Some(old), &update).unwrap(), new);
    new.write(Some(new), &mut nothing);
    let mut key = Vec::new();
    R::write_key(new.key(), &mut key);
    assert_eq!(nothing, key, "what did not change is not sent");
}

proptest! {
    #[test]
    fn seed_46_the_order_of_the_fields_is_free(
        (expected, fields) in vlan_fields().prop_flat_map(|(record, fields)| {
            (Just(record), Just(fields).prop_shuffle())
        })
    ) {
        prop_assert_eq!(VlanRecord::read(None, &fields.concat()), Ok(expected));
    }

    #[test]
    fn records_come_back(
        fdb in (any_fdb(), any_fdb()),
        ports in (any_port(), any_port()),
        vlans in (vlan_fields(), vlan_fields()),
        configs in (any_config(), any_config()),
        stps in (any_stp(), any_stp()),
    ) {
        comes_back(&FdbRecord { slot: fdb.1.slot, ..fdb.0 }, &fdb.1);
        comes_back(&PortRecord { port: ports.1.port, ..ports.0.clone() }, &ports.1);
        comes_back(&VlanRecord { vlan: vlans.1.0.vlan, ..vlans.0.0 }, &vlans.1.0);
        comes_back(&configs.0, &configs.1);
        comes_back(&StpRecord { key: stps.1.key, ..stps.0 }, &stps.1);
        prop_assert_eq!(fdb.0 == fdb.1, fdb.0.hash() == fdb.1.hash());
        prop_assert_eq!(ports.0 == ports.1, ports.0.hash() == ports.1.hash());
    }

    #[test]
    fn no_octets_make_a_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = FdbRecord::read(None, &octets);
        let _ = VlanRecord::read(None, &octets);
        let _ = PortRecord::read(None, &octets);
        let _ = ConfigRecord::read(None, &octets);
        let _ = StpRecord::read(None, &octets);
        let mut standby = Standby::ready();
        for subsystem in [CONFIG, PORTS, VLANS, STP, FDB] {
            for subtype in 0..8 {
                standby.part(subsystem, subtype, WHOLE, &octets);
            }
        }
        for subtype in 0..16 {
            standby.sequence += 1;
            let raw = Raw { subsystem: 1, subtype, flags: 0, transaction: 1, body: octets.clone() };
            let bytes = raw.bytes(standby.sequence);
            let _ = standby.hear(&bytes);
        }
    }
}
