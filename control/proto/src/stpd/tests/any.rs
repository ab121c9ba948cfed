//! Any configuration after any other, whatever comes between.

use super::net::*;
use crate::config::{Config, arbitrary};
use crate::stpd::BEATS;
use hitless_wire::bpdu::{
    Bpdu, BridgeId, Encapsulation, Frame, MAX_FRAME_BYTES, PortId, Rst, RstRole, Vector, WireTimes,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Config(Box<Config>),
    Beats(u32),
    Link(u16, bool),
    Hear(u16, Vec<u8>),
    Restart,
}

/// A BPDU of a better bridge or of a worse one, in any encapsulation; some are cut.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let id = any::<bool>().prop_map(|better| BridgeId {
        priority: if better { 0 } else { 0xffff },
        mac: system_mac(200),
    });
    let encapsulation = prop_oneof![
        Just(Encapsulation::Dot1d),
        (1u16..4).prop_map(|n| Encapsulation::Emistp(vlan(n))),
        (1u16..4, any::<bool>()).prop_map(|(n, tagged)| {
            let vlan = vlan(n);
            Encapsulation::PvstPlus { vlan, tagged }
        }),
    ];
    (id, encapsulation, any::<[bool; 4]>(), 0usize..120).prop_map(
        |(id, encapsulation, flags, cut)| {
            let frame = Frame {
                source: system_mac(200),
                encapsulation,
                bpdu: Bpdu::Rst(Rst {
                    vector: Vector {
                        root: id,
                        root_path_cost: 0,
                        bridge: id,
                        port: PortId(0x8001),
                        times: WireTimes {
                            message_age: 0,
                            max_age: 20 << 8,
                            hello: 2 << 8,
                            forward_delay: 15 << 8,
                        },
                    },
                    role: RstRole::Designated,
                    topology_change: flags[0],
                    topology_change_ack: false,
                    proposal: flags[1],
                    agreement: flags[2],
                    learning: flags[3],
                    forwarding: flags[3],
                }),
            };
            let mut buffer = [0; MAX_FRAME_BYTES];
            let length = frame.emit(&mut buffer).unwrap();
            buffer[..length.min(cut)].to_vec()
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => arbitrary::config().prop_map(|config| Step::Config(Box::new(config))),
        2 => (1..3 * BEATS).prop_map(Step::Beats),
        1 => (1u16..9, any::<bool>()).prop_map(|(n, up)| Step::Link(n, up)),
        4 => (1u16..9, frame()).prop_map(|(n, octets)| Step::Hear(n, octets)),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn domains_follow_whatever_is_configured(
        first in arbitrary::config(),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut switch = Switch::new(1, first);
        switch.check();
        for step in steps {
            match step {
                Step::Config(config) => {
                    switch.config = *config;
                    for &number in switch.config.ports.keys() {
                        let up = facts(1, number, number.get() % 3 != 0);
                        switch.facts.entry(number).or_insert(up);
                    }
                    switch.configure();
                }
                Step::Beats(n) => (0..n).for_each(|_| switch.beat()),
                Step::Link(n, up) if switch.facts.contains_key(&port(n)) => {
                    switch.set_link(port(n), up);
                }
                Step::Link(..) => {}
                // What is not taken is counted somewhere.
                Step::Hear(n, octets) => drop(switch.hear(port(n), &octets)),
                Step::Restart => switch.resume(),
            }
            switch.check();
        }
    }
}
