use super::*;
use hitless_common::PortNo;
use hitless_ha::{record::Record, schema::stp_names};
use hitless_proto::stp::PortConfig;
use proptest::{prelude::*, sample::select};
use std::fmt::Debug;

fn domain() -> DomainName {
    DomainName::new("s0").unwrap()
}

/// The names of the codes, in their order.
fn names<T: Code + Copy + Debug>() -> Vec<String> {
    let all = T::ALL.iter().enumerate();
    all.map(|(code, state)| {
        assert_eq!(usize::from(state.code()), code);
        let decoded = T::decoded(state.code()).unwrap();
        assert_eq!(format!("{decoded:?}"), format!("{state:?}"));
        assert!(T::decoded(T::ALL.len() as u8).is_none());
        kebab(&format!("{state:?}"))
    })
    .collect()
}

fn kebab(name: &str) -> String {
    let words = name.char_indices().map(|(n, c)| match c {
        '_' => "-".into(),
        'A'..='Z' if n > 0 => format!("-{}", c.to_ascii_lowercase()),
        _ => c.to_ascii_lowercase().to_string(),
    });
    words.collect()
}

#[test]
fn codes_bits_and_counters_are_what_the_schema_says() {
    assert_eq!(names::<PrxState>(), stp_names::PRX);
    assert_eq!(names::<PpmState>(), stp_names::PPM);
    assert_eq!(names::<BdmState>(), stp_names::BDM);
    assert_eq!(names::<PimState>(), stp_names::PIM);
    assert_eq!(names::<PrtState>(), stp_names::PRT);
    assert_eq!(names::<PstState>(), stp_names::PST);
    assert_eq!(names::<TcmState>(), stp_names::TCM);
    assert_eq!(names::<InfoIs>(), stp_names::INFO_IS);
    assert_eq!(names::<Role>(), stp_names::ROLE);
    let counters: Vec<String> = COUNTER_NAMES.iter().map(|name| kebab(name)).collect();
    assert_eq!(counters, stp_names::COUNTERS);
    for ((bit, truth), (number, name)) in FLAGS.iter().zip(flag::ALL) {
        assert_eq!(*bit, 1 << number, "{name}");
        let mut state = SavedPort::blank(PortNo::new(1).unwrap()).state;
        for (_, other) in FLAGS {
            *other(&mut state) = false;
        }
        *truth(&mut state) = true;
        let set = format!("{name}: true")
            .replace('-', "_")
            .replace("link_up", "up");
        assert!(format!("{state:?}").contains(&set), "{set} in {state:?}");
    }
}

fn any_times() -> impl Strategy<Value = Times> {
    any::<[u16; 4]>().prop_map(|[message_age, max_age, hello, forward_delay]| Times {
        message_age,
        max_age,
        hello,
        forward_delay,
    })
}

fn any_vector() -> impl Strategy<Value = PriorityVector> {
    any::<((u16, [u8; 6]), u32, (u16, [u8; 6]), u16)>().prop_map(|(root, cost, bridge, port)| {
        let id = |(priority, mac)| BridgeId {
            priority,
            mac: Mac(mac),
        };
        PriorityVector {
            root: id(root),
            root_path_cost: cost,
            designated_bridge: id(bridge),
            designated_port: PortId(port),
        }
    })
}

prop_compose! {
    fn any_deadlines()(list in any::<[u32; 8]>()) -> Deadlines {
        let [edge_delay, fd, mdelay, rb, rcvd_info, rr, tc, guard] = list;
        Deadlines { edge_delay, fd, mdelay, rb, rcvd_info, rr, tc, guard }
    }
}

prop_compose! {
    /// Any state, of every field that is not left out of what is saved.
    fn any_port()(
        number in 1..129u16,
        machines in (
            select(PrxState::ALL),
            select(PpmState::ALL),
            select(BdmState::ALL),
            select(PimState::ALL),
            select(PrtState::ALL),
            select(PstState::ALL),
            select(TcmState::ALL),
        ),
        roles in (select(Role::ALL), select(Role::ALL)),
        info_is in select(InfoIs::ALL),
        vectors in (any_vector(), any_vector()),
        times in (any_times(), any_times()),
        truths in any::<u32>(),
        mbps in any::<u32>(),
        counted in any::<[u64; COUNTERS_OF_A_PORT]>(),
        deadlines in any_deadlines(),
    ) -> SavedPort {
        let mut truths = (0..).map(|n| truths >> n & 1 == 1);
        let mut truth = || truths.next().unwrap_or_default();
        let state = PortState {
            number: PortNo::new(number).unwrap(),
            config: PortConfig::DEFAULT,
            link: Link { up: truth(), mbps, full_duplex: truth() },
            prx: machines.0,
            ppm: machines.1,
            bdm: machines.2,
            pim: machines.3,
            prt: machines.4,
            pst: machines.5,
            tcm: machines.6,
            edge_delay_while: 0,
            fd_while: 0,
            hello_when: 0,
            mdelay_while: 0,
            rb_while: 0,
            rcvd_info_while: 0,
            rr_while: 0,
            tc_while: 0,
            agree: truth(),
            agreed: truth(),
            designated_priority: vectors.0,
            designated_times: times.0,
            disputed: truth(),
            forward: truth(),
            forwarding: truth(),
            info_is,
            learn: truth(),
            learning: truth(),
            mcheck: truth(),
            new_info: truth(),
            oper_edge: truth(),
            port_priority: vectors.1,
            port_times: times.1,
            proposed: truth(),
            proposing: truth(),
            rcvd_bpdu: None,
            rcvd_msg: None,
            rcvd_rstp: truth(),
            rcvd_stp: truth(),
            rcvd_tc: truth(),
            rcvd_tc_ack: truth(),
            rcvd_tcn: truth(),
            re_root: truth(),
            reselect: truth(),
            role: roles.0,
            selected: truth(),
            selected_role: roles.1,
            send_rstp: truth(),
            sync: truth(),
            synced: truth(),
            tc_ack: truth(),
            tc_prop: truth(),
            tx_count: 0,
            updt_info: truth(),
            guard_shut: truth(),
            guard_while: 0,
            root_guarding: truth(),
            loop_guarding: truth(),
            counters: counters(&counted),
        };
        SavedPort { state, deadlines }
    }
}

prop_compose! {
    fn any_bridge()(
        mac in any::<[u8; 6]>(),
        root_priority in any_vector(),
        root_times in any_times(),
        root_port in any::<u16>(),
        numbers in any::<(u32, u32)>(),
    ) -> SavedBridge {
        let mut saved = SavedBridge::blank(Mac(mac));
        saved.state.root_priority = root_priority;
        saved.state.root_port_id = PortId(root_port);
        saved.state.root_times = root_times;
        (saved.state.topology_changes, saved.changed_at) = numbers;
        saved
    }
}

/// The record as a standby reads it.
fn transferred(record: &StpRecord) -> StpRecord {
    let mut octets = Vec::new();
    record.write(None, &mut octets);
    StpRecord::read(None, &octets).unwrap()
}

proptest! {
    #[test]
    fn ports_come_back(port in any_port()) {
        let record = port_record(domain(), &port);
        prop_assert_eq!(saved_port(&transferred(&record)), Some(port));
    }

    #[test]
    fn bridges_come_back(bridge in any_bridge()) {
        let record = bridge_record(domain(), &bridge);
        prop_assert_eq!(saved_bridge(&transferred(&record)), bridge);
        prop_assert_eq!(saved_port(&record), None);
    }

    /// A port with a state of a later version is not guessed at.
    #[test]
    fn unknown_states_make_no_port(port in any_port(), which in 0..10, code in 6u8..) {
        let mut record = port_record(domain(), &port);
        let codes = [
            &mut record.prx,
            &mut record.ppm,
            &mut record.bdm,
            &mut record.pim,
            &mut record.prt,
            &mut record.pst,
            &mut record.tcm,
            &mut record.info_is,
            &mut record.role,
            &mut record.selected_role,
        ];
        *codes.into_iter().nth(which as usize).unwrap() = code;
        prop_assert_eq!(saved_port(&record), None);
    }
}

proptest! {
    /// What is kept up with the records is what they say in the end, whatever came and went in between.
    #[test]
    fn the_saved_form_is_kept_up_with_the_records(
        steps in prop::collection::vec((0u8..3, 0u16..4, any::<u16>(), 0u8..4), 0..60),
    ) {
        let mut kept = SavedStpds::default();
        let mut records = BTreeMap::new();
        for (domain, port, mbps, what) in steps {
            let domain = DomainName::new(&format!("d{domain}")).unwrap();
            let key = StpKey { domain, port: PortNo::new(port) };
            if what == 0 {
                kept.delete(key);
                records.remove(&key);
                continue;
            }
            let mut record = StpRecord { mbps: mbps.into(), topology_changes: mbps.into(), ..StpRecord::new(key) };
            if what == 1 && key.port.is_some() {
                // Of a later version.
                record.role = 200;
            }
            kept.put(&record);
            records.insert(key, record);
        }
        let mut expected: BTreeMap<StpdName, SavedStpd> = BTreeMap::new();
        for record in records.values().filter(|record| record.key.port.is_none()) {
            let ports = records.values().filter(|r| r.key.domain == record.key.domain);
            let saved = SavedStpd { bridge: saved_bridge(record), ports: ports.filter_map(saved_port).collect() };
            expected.insert(record.key.domain.as_str().parse().unwrap(), saved);
        }
        prop_assert_eq!(kept.take(), expected);
        prop_assert!(kept.take().is_empty());
    }
}
