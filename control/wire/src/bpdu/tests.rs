//! Golden frames both ways, the corpus of malformed ones, and octets by chance.

use super::corpus::{MALFORMED, Malformed};
use super::*;
use crate::ether::Tci;
use hitless_common::VlanId;
use proptest::prelude::*;

const SOURCE: Mac = Mac([2, 0, 0, 0, 1, 1]);

fn octets(hex: &'static str) -> Vec<u8> {
    Malformed { name: "", hex }.octets()
}

fn vlan(vid: u16) -> VlanId {
    VlanId::new(vid).unwrap()
}

fn vector(priority: u16, root_path_cost: u32) -> Vector {
    Vector {
        root: BridgeId {
            priority,
            mac: Mac([2, 0, 0, 0, 0, 1]),
        },
        root_path_cost,
        bridge: BridgeId {
            priority,
            mac: Mac([2, 0, 0, 0, 1, 0]),
        },
        port: PortId(0x8001),
        times: WireTimes {
            message_age: 0x0100,
            max_age: 20 << 8,
            hello: 2 << 8,
            forward_delay: 15 << 8,
        },
    }
}

fn rst(vector: Vector) -> Rst {
    Rst {
        vector,
        role: RstRole::Designated,
        topology_change: false,
        topology_change_ack: false,
        proposal: false,
        agreement: false,
        learning: false,
        forwarding: false,
    }
}

/// Name, frame, how it travels, what it is.
fn golden() -> Vec<(&'static str, Vec<u8>, Encapsulation, Bpdu)> {
    let config = Bpdu::Config(Config {
        vector: vector(0x8000, 19),
        topology_change: false,
        topology_change_ack: false,
    });
    let proposal = Rst {
        proposal: true,
        ..rst(vector(0x8000, 20_000))
    };
    let forwarding = Rst {
        learning: true,
        forwarding: true,
        ..rst(vector(0x8000, 20_000))
    };
    let root = BridgeId {
        priority: 0x8000,
        mac: Mac([2, 0, 0, 0, 0, 1]),
    };
    let agreement = Rst {
        role: RstRole::Root,
        agreement: true,
        learning: true,
        forwarding: true,
        vector: Vector {
            root_path_cost: 0,
            bridge: root,
            port: PortId(0x8003),
            times: WireTimes {
                message_age: 0,
                ..vector(0, 0).times
            },
            ..vector(0x8000, 0)
        },
        ..proposal
    };
    let agreement = Rst {
        proposal: false,
        ..agreement
    };
    let pvst = Rst {
        learning: true,
        forwarding: true,
        ..rst(vector(0x8064, 19))
    };
    vec![
        (
            "Config",
            octets(
                "0180c200000002000000010100264242030000000000800002000000000100000013800002000000010080010100140002000f00",
            ),
            Encapsulation::Dot1d,
            config,
        ),
        (
            "TCN",
            octets("0180c2000000020000000101000742420300000080"),
            Encapsulation::Dot1d,
            Bpdu::Tcn,
        ),
        (
            "RST, proposal",
            octets(
                "0180c20000000200000001010027424203000002020e800002000000000100004e20800002000000010080010100140002000f0000",
            ),
            Encapsulation::Dot1d,
            Bpdu::Rst(proposal),
        ),
        (
            "RST, forwarding",
            octets(
                "0180c20000000200000001010027424203000002023c800002000000000100004e20800002000000010080010100140002000f0000",
            ),
            Encapsulation::Dot1d,
            Bpdu::Rst(forwarding),
        ),
        (
            "RST, agreement",
            octets(
                "0180c20000000200000001010027424203000002027880000200000000010000000080000200000000018003 0000140002000f0000",
            ),
            Encapsulation::Dot1d,
            Bpdu::Rst(agreement),
        ),
        (
            "Config in EMISTP",
            octets(
                "0180c2000000020000000101 81000064 00264242030000000000800002000000000100000013800002000000010080010100140002000f00",
            ),
            Encapsulation::Emistp(vlan(100)),
            config,
        ),
        (
            "PVST+",
            octets(
                "01000ccccccd020000000101 81000064 0032aaaa0300000c010b000002023c806402000000000100000013806402000000010080010100140002000f0000000000020064",
            ),
            Encapsulation::PvstPlus {
                vlan: vlan(100),
                tagged: true,
            },
            Bpdu::Rst(pvst),
        ),
    ]
}

#[test]
fn golden_frames_are_read() {
    for (name, octets, encapsulation, bpdu) in golden() {
        let frame = Frame {
            source: SOURCE,
            encapsulation,
            bpdu,
        };
        assert_eq!(Frame::parse(&octets, None), Ok(frame), "{name}");
        let mut padded = octets.clone();
        padded.resize(octets.len().max(64), 0);
        assert_eq!(Frame::parse(&padded, None), Ok(frame), "{name}, padded");
    }
}

#[test]
fn golden_frames_are_written() {
    for (name, mut octets, encapsulation, bpdu) in golden() {
        let frame = Frame {
            source: SOURCE,
            encapsulation,
            bpdu,
        };
        octets.resize(octets.len().max(60), 0);
        let mut buffer = [0xa5; MAX_FRAME_BYTES + 1];
        let n = frame.emit(&mut buffer).unwrap();
        assert_eq!(buffer[..n], octets, "{name}");
        assert!(
            buffer[n..].iter().all(|&b| b == 0xa5),
            "{name}: no octet more"
        );
        let error = frame.emit(&mut buffer[..n - 1]).unwrap_err();
        assert_eq!((error.found, error.needed), (n - 1, n), "{name}");
    }
}

#[test]
fn a_tag_beside_the_frame_is_as_good_as_one_in_it() {
    for (name, octets, encapsulation, bpdu) in golden() {
        let tagged = match encapsulation {
            Encapsulation::Dot1d => continue,
            Encapsulation::Emistp(_) | Encapsulation::PvstPlus { .. } => octets,
        };
        let beside = Tci(u16::from_be_bytes([tagged[14], tagged[15]]));
        let mut bare = tagged.clone();
        bare.drain(12..16);
        let frame = Frame {
            source: SOURCE,
            encapsulation,
            bpdu,
        };
        assert_eq!(Frame::parse(&bare, Some(beside)), Ok(frame), "{name}");
        assert_eq!(
            Frame::parse(&tagged, Some(beside)),
            Err(FrameError::SecondTag),
            "{name}"
        );
    }
}

#[test]
fn an_mst_bpdu_is_the_rst_bpdu_that_it_begins_with() {
    let mut mst = octets(
        "0180c20000000200000001010079424203000003027c800002000000000100004e20800002000000000180010000140002000f0000005000726567696f6e31",
    );
    mst.extend([0; 27]);
    mst.extend(octets(
        "ac36177f50283cd4b83821d8ab26de62000000008000020000000100147c800102000000000100004e20808014",
    ));
    let frame = Frame::parse(&mst, None).unwrap();
    let Bpdu::Rst(rst) = frame.bpdu else {
        panic!("{frame:?}");
    };
    assert_eq!(rst.flags(), 0x7c);
    assert_eq!(rst.vector.root_path_cost, 20_000);
    assert_eq!(rst.vector.bridge, rst.vector.root);
}

#[test]
fn an_unknown_role_makes_a_config_bpdu() {
    let (_, mut octets, ..) = golden().swap_remove(3);
    octets[21] = 0xf3;
    let frame = Frame::parse(&octets, None).unwrap();
    assert_eq!(
        frame.bpdu,
        Bpdu::Config(Config {
            vector: vector(0x8000, 20_000),
            topology_change: true,
            topology_change_ack: true,
        })
    );
}

#[test]
fn a_later_version_of_a_known_type_is_read() {
    for version in [1, 2, 3, 4, 255] {
        let (_, mut config, ..) = golden().swap_remove(0);
        config[19] = version;
        let frame = Frame::parse(&config, None).unwrap();
        assert!(matches!(frame.bpdu, Bpdu::Config(_)), "{version}");
        let (_, mut notification, ..) = golden().swap_remove(1);
        notification[19] = version;
        assert_eq!(Frame::parse(&notification, None).unwrap().bpdu, Bpdu::Tcn);
    }
}

#[test]
fn the_malformed_are_refused_whatever_comes_beside_them() {
    for malformed in MALFORMED {
        let octets = malformed.octets();
        let tags = [None, Some(Tci(0)), Some(Tci(0x0fff)), Some(Tci(0x0065))];
        for (n, beside) in tags.into_iter().enumerate() {
            // A tag beside an untagged frame of PVST+ may be what was missing.
            let completes = n > 0 && malformed.name.contains("untagged");
            if !completes {
                let result = Frame::parse(&octets, beside);
                assert!(result.is_err(), "{}: {result:?}", malformed.name);
            }
        }
    }
}

#[test]
fn errors_name_what_was_found() {
    let refused = |name: &str| {
        let malformed = MALFORMED.iter().find(|m| m.name == name).unwrap();
        Frame::parse(&malformed.octets(), None).unwrap_err()
    };
    assert_eq!(
        refused("Config of 34 octets"),
        FrameError::Bpdu(BpduError::Truncated {
            found: 34,
            needed: 35
        })
    );
    assert_eq!(
        refused("RST in version 1"),
        FrameError::Bpdu(BpduError::Type {
            version: 1,
            kind: 2
        })
    );
    assert_eq!(
        refused("protocol identifier ff00"),
        FrameError::Bpdu(BpduError::Protocol(0xff00))
    );
    assert_eq!(
        refused("PVST+ of another VLAN than the tag's"),
        FrameError::OtherVlan {
            element: 100,
            tag: Some(vlan(101))
        }
    );
    assert_eq!(
        refused("a length beyond the frame"),
        FrameError::Cut {
            length: 38,
            found: 7
        }
    );
    assert_eq!(refused("the reserved VLAN"), FrameError::Tag(4095));
}

#[test]
fn a_notification_in_pvst_plus_has_its_vlan_from_the_tag_if_nowhere_else() {
    let octets = octets("01000ccccccd 020000000101 8100 0064 000c aaaa03 00000c010b 00000080");
    let frame = Frame::parse(&octets, None).unwrap();
    assert_eq!(
        (frame.encapsulation, frame.bpdu),
        (
            Encapsulation::PvstPlus {
                vlan: vlan(100),
                tagged: true
            },
            Bpdu::Tcn
        )
    );
}

fn any_vector() -> impl Strategy<Value = Vector> {
    let id = || {
        (any::<u16>(), any::<[u8; 6]>()).prop_map(|(priority, mac)| BridgeId {
            priority,
            mac: Mac(mac),
        })
    };
    (id(), any::<u32>(), id(), any::<u16>(), any::<[u16; 4]>()).prop_map(
        |(root, root_path_cost, bridge, port, [message_age, max_age, hello, forward_delay])| {
            Vector {
                root,
                root_path_cost,
                bridge,
                port: PortId(port),
                times: WireTimes {
                    message_age,
                    max_age,
                    hello,
                    forward_delay,
                },
            }
        },
    )
}

fn any_bpdu() -> impl Strategy<Value = Bpdu> {
    let role = prop_oneof![
        Just(RstRole::AlternateOrBackup),
        Just(RstRole::Root),
        Just(RstRole::Designated)
    ];
    prop_oneof![
        Just(Bpdu::Tcn),
        (any_vector(), any::<[bool; 2]>()).prop_map(
            |(vector, [topology_change, topology_change_ack])| {
                Bpdu::Config(Config {
                    vector,
                    topology_change,
                    topology_change_ack,
                })
            }
        ),
        (any_vector(), role, any::<[bool; 6]>()).prop_map(|(vector, role, flags)| {
            Bpdu::Rst(Rst {
                vector,
                role,
                topology_change: flags[0],
                topology_change_ack: flags[1],
                proposal: flags[2],
                agreement: flags[3],
                learning: flags[4],
                forwarding: flags[5],
            })
        }),
    ]
}

fn any_encapsulation() -> impl Strategy<Value = Encapsulation> {
    let id = || (1u16..=4094).prop_map(vlan);
    prop_oneof![
        Just(Encapsulation::Dot1d),
        id().prop_map(Encapsulation::Emistp),
        (id(), any::<bool>()).prop_map(|(vlan, tagged)| Encapsulation::PvstPlus { vlan, tagged }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(bpdu in any_bpdu(), encapsulation in any_encapsulation()) {
        let frame = Frame { source: SOURCE, encapsulation, bpdu };
        let mut buffer = [0; MAX_FRAME_BYTES];
        let n = frame.emit(&mut buffer).unwrap();
        prop_assert!((60..=MAX_FRAME_BYTES).contains(&n));
        prop_assert_eq!(Frame::parse(&buffer[..n], None), Ok(frame));
    }

    #[test]
    fn any_octets_are_a_bpdu_or_an_error(
        octets in prop::collection::vec(any::<u8>(), 0..160),
        beside in prop::option::of(any::<u16>().prop_map(Tci)),
    ) {
        let _ = Frame::parse(&octets, beside);
        if let Ok(bpdu) = Bpdu::parse(&octets) {
            prop_assert!(bpdu.bytes() <= octets.len());
        }
    }

    /// Almost-right octets reach further into the parser than chance does.
    #[test]
    fn a_damaged_frame_is_read_whole_or_refused(
        which in 0usize..7,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        keep in any::<prop::sample::Index>(),
        beside in prop::option::of(any::<u16>().prop_map(Tci)),
    ) {
        let (_, mut octets, ..) = golden().swap_remove(which);
        for (at, octet) in changes {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        octets.truncate(keep.index(octets.len() + 1));
        if let Ok(frame) = Frame::parse(&octets, beside) {
            let mut buffer = [0; MAX_FRAME_BYTES];
            let n = frame.emit(&mut buffer).unwrap();
            prop_assert_eq!(Frame::parse(&buffer[..n], None), Ok(frame));
        }
    }
}
