//! Whatever comes, in whatever order: the machines come to rest, the state stays consistent, and it resumes.

use super::net::{link, mac, port};
use crate::stp::*;
use hitless_wire::bpdu::{Bpdu, Frame, corpus::MALFORMED};
use proptest::prelude::*;

fn any_bpdu() -> impl Strategy<Value = Bpdu> {
    // Few bridges and ports, so that messages meet what is held; any flags, times and versions.
    let octets = (
        0u8..4,
        any::<u8>(),
        0usize..4,
        prop_oneof![Just(0u32), Just(20_000), any::<u32>()],
        (0usize..4, 1u16..4),
        any::<[u16; 4]>(),
    );
    octets.prop_filter_map(
        "no BPDU",
        |(kind, flags, root, cost, (bridge, number), times)| {
            let mut octets = vec![0, 0, 2, [0, 0x80, 2, 2][usize::from(kind)], flags];
            let id = |n: usize| [&[0x80, 0][..], &mac(n + 8).0].concat();
            octets.extend(id(root));
            octets.extend(cost.to_be_bytes());
            octets.extend(id(bridge));
            octets.extend((0x8000 | number).to_be_bytes());
            for (n, time) in times.into_iter().enumerate() {
                let time = if n == 0 { time % 0x1600 } else { time };
                octets.extend(time.to_be_bytes());
            }
            octets.push(0);
            Bpdu::parse(&octets).ok()
        },
    )
}

fn any_port_config() -> impl Strategy<Value = PortConfig> {
    let point_to_point = prop_oneof![
        Just(PointToPoint::Auto),
        Just(PointToPoint::On),
        Just(PointToPoint::Off)
    ];
    let recovery = prop::option::of(0u16..4);
    (any::<[bool; 7]>(), 0u8..16, point_to_point, recovery).prop_map(
        |([a, b, c, d, e, f, g], priority, point_to_point, recovery)| PortConfig {
            enabled: a || b,
            priority: priority * 16,
            path_cost: g.then_some(7),
            admin_edge: b && c,
            auto_edge: c,
            point_to_point,
            bpdu_guard: d && e,
            recovery,
            root_guard: e && f,
            bpdu_filter: f && g,
            loop_guard: g && a,
        },
    )
}

fn any_input() -> impl Strategy<Value = Input> {
    let port = || (1usize..=4).prop_map(port);
    let any_link = || any::<[bool; 2]>().prop_map(|[up, duplex]| link(up, duplex));
    let bridge = (any::<bool>(), 0u16..16, 1u16..=2).prop_map(|(slow, priority, hello)| {
        Input::Bridge(BridgeConfig {
            priority: priority << 12,
            hello,
            force_version: if slow {
                ForceVersion::Stp
            } else {
                ForceVersion::Rstp
            },
            ..BridgeConfig::new(mac(9))
        })
    });
    prop_oneof![
        8 => Just(Input::Tick),
        12 => (port(), any_bpdu()).prop_map(|(port, bpdu)| Input::Bpdu { port, bpdu }),
        3 => (port(), any_link()).prop_map(|(port, link)| Input::Link { port, link }),
        1 => (port(), any_port_config(), any_link())
            .prop_map(|(port, config, link)| Input::AddPort { port, config, link }),
        1 => port().prop_map(|port| Input::RemovePort { port }),
        1 => bridge,
        2 => (port(), any_port_config()).prop_map(|(port, config)| Input::Port { port, config }),
        1 => port().prop_map(|port| Input::Mcheck { port }),
        1 => port().prop_map(|port| Input::Recover { port }),
        1 => port().prop_map(|port| Input::Malformed { port }),
    ]
}

/// What holds between any two inputs.
fn consistent(bridge: &Bridge) -> Result<(), TestCaseError> {
    let roots = bridge.ports().iter().filter(|p| p.role == Role::Root);
    prop_assert_eq!(roots.count(), usize::from(!bridge.is_root()));
    for p in bridge.ports() {
        prop_assert_eq!((p.learn, p.forward), (p.learning, p.forwarding), "{:?}", p);
        prop_assert!(
            p.selected && !p.updt_info && p.role == p.selected_role,
            "{:?}",
            p
        );
        prop_assert!(p.rcvd_bpdu.is_none() && p.rcvd_msg.is_none(), "{:?}", p);
        let may_open = matches!(p.role, Role::Root | Role::Designated);
        prop_assert!(may_open || p.opening() == Opening::Discarding, "{:?}", p);
        prop_assert!(p.port_enabled() || p.role == Role::Disabled, "{:?}", p);
        prop_assert!(!(p.loop_guarding && p.role == Role::Designated && p.learn && !p.oper_edge));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_inputs_leave_a_bridge_that_goes_on(
        inputs in prop::collection::vec(any_input(), 1..120),
    ) {
        let mut bridge = Bridge::new(BridgeConfig::new(mac(9))).unwrap();
        for n in 1..=3 {
            let (port, link, config) = (port(n), link(true, true), PortConfig::DEFAULT);
            bridge.step(Input::AddPort { port, config, link }).unwrap();
        }
        for input in inputs {
            let before = bridge.checkpoint();
            let Ok(output) = bridge.step(input) else {
                prop_assert_eq!(bridge.checkpoint(), before, "what is refused changes nothing");
                continue;
            };
            prop_assert!(output.open.is_empty() || output.sync);
            consistent(&bridge)?;
        }
        let hardware: Vec<_> = bridge.ports().iter().map(|p| (p.number, p.opening())).collect();
        let (again, output) = Bridge::resume(bridge.checkpoint(), &hardware).unwrap();
        consistent(&again)?;
        prop_assert!(output.close.is_empty() && output.flush.is_empty(), "{:?}", output);
    }
}

/// What a record of another version may make of a port.
fn any_damage() -> impl Strategy<Value = (usize, [u8; 8], [bool; 16], [u16; 6])> {
    (
        0usize..4,
        any::<[u8; 8]>(),
        any::<[bool; 16]>(),
        prop::array::uniform6(0u16..80),
    )
}

fn damage(p: &mut PortState, states: [u8; 8], flags: [bool; 16], timers: [u16; 6]) {
    fn pick<T: Copy, const N: usize>(of: [T; N], which: u8) -> T {
        of[usize::from(which) % N]
    }
    use PrtState::*;
    let roles = [
        Role::Disabled,
        Role::Root,
        Role::Designated,
        Role::Alternate,
        Role::Backup,
    ];
    (p.role, p.selected_role) = (pick(roles, states[0]), pick(roles, states[1]));
    p.prt = pick(
        [
            DisablePort,
            DisabledPort,
            RootPort,
            DesignatedPort,
            BlockPort,
            AlternatePort,
        ],
        states[2],
    );
    p.pst = pick(
        [
            PstState::Discarding,
            PstState::Learning,
            PstState::Forwarding,
        ],
        states[3],
    );
    p.tcm = pick(
        [TcmState::Inactive, TcmState::Learning, TcmState::Active],
        states[4],
    );
    p.pim = pick(
        [PimState::Disabled, PimState::Aged, PimState::Current],
        states[5],
    );
    let info = [
        InfoIs::Received,
        InfoIs::Mine,
        InfoIs::Aged,
        InfoIs::Disabled,
    ];
    p.info_is = pick(info, states[6]);
    p.ppm = pick(
        [
            PpmState::CheckingRstp,
            PpmState::SelectingStp,
            PpmState::Sensing,
        ],
        states[7],
    );
    [
        p.agree,
        p.agreed,
        p.disputed,
        p.forward,
        p.forwarding,
        p.learn,
        p.learning,
        p.mcheck,
        p.new_info,
        p.oper_edge,
        p.proposed,
        p.proposing,
        p.rcvd_tc,
        p.re_root,
        p.send_rstp,
        p.sync,
    ] = flags;
    (p.synced, p.updt_info, p.tc_prop) = (flags[0] ^ flags[1], flags[2] ^ flags[3], flags[5]);
    [
        p.fd_while,
        p.mdelay_while,
        p.rb_while,
        p.rcvd_info_while,
        p.rr_while,
        p.tc_while,
    ] = timers;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_checkpoint_that_could_not_have_been_does_no_harm(
        before in prop::collection::vec(any_input(), 1..40),
        damages in prop::collection::vec(any_damage(), 1..4),
        hardware in any::<[u8; 4]>(),
        after in prop::collection::vec(any_input(), 1..40),
    ) {
        let mut bridge = Bridge::new(BridgeConfig::new(mac(9))).unwrap();
        for n in 1..=3 {
            let (port, link, config) = (port(n), link(true, true), PortConfig::DEFAULT);
            bridge.step(Input::AddPort { port, config, link }).unwrap();
        }
        for input in before {
            drop(bridge.step(input));
        }
        let mut checkpoint = bridge.checkpoint();
        for (i, states, flags, timers) in damages {
            if let Some(port) = checkpoint.ports.get_mut(i) {
                damage(port, states, flags, timers);
            }
        }
        let openings = [Opening::Discarding, Opening::Learning, Opening::Forwarding];
        let hardware: Vec<_> = checkpoint.ports.iter().zip(hardware)
            .map(|(p, o)| (p.number, openings[usize::from(o) % 3])).collect();
        let (mut bridge, output) = Bridge::resume(checkpoint, &hardware).unwrap();
        consistent(&bridge)?;
        prop_assert!(output.open.is_empty() || output.sync);
        for input in after {
            if bridge.step(input).is_ok() {
                consistent(&bridge)?;
            }
        }
    }
}

#[test]
fn the_corpus_never_reaches_a_bridge() {
    for malformed in MALFORMED {
        assert!(
            Frame::parse(&malformed.octets(), None).is_err(),
            "{}",
            malformed.name
        );
    }
}
