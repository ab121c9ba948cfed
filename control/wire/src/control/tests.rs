//! Golden frames, frames that only look like one, and octets that are none.

use super::*;
use proptest::prelude::*;

/// Frames as tshark reads them; `{n}` is for n zero octets.
const GOLDEN: &[(&str, Protocol, &str)] = &[
    (
        "Config BPDU",
        Protocol::Stp,
        "0180c20000000200000001010026424203000000000080000200000000010000001380000200000001008001 \
         0100140002000f00",
    ),
    (
        "TCN BPDU",
        Protocol::Stp,
        "0180c2000000020000000101000742420300000080",
    ),
    (
        "RST BPDU, proposal",
        Protocol::Stp,
        "0180c20000000200000001010027424203000002020e800002000000000100004e2080000200000001008001 \
         0100140002000f0000",
    ),
    (
        "RST BPDU of a resumed master",
        Protocol::Stp,
        "0180c20000000200000001010027424203000002023c800002000000000100004e2080000200000001008001 \
         0100140002000f0000",
    ),
    (
        "RST BPDU, agreement",
        Protocol::Stp,
        "0180c20000000200000001010027424203000002027880000200000000010000000080000200000000018003 \
         0000140002000f0000",
    ),
    (
        "MST BPDU",
        Protocol::Stp,
        "0180c20000000200000001010079424203000003027c800002000000000100004e2080000200000000018001 \
         0000140002000f0000005000726567696f6e31{27}ac36177f50283cd4b83821d8ab26de620000000080000200 \
         00000100147c800102000000000100004e20808014",
    ),
    (
        "PVST+ of VLAN 100, which is no reserved address",
        Protocol::Other,
        "01000ccccccd020000000101810000640032aaaa0300000c010b000002023c80640200000000010000001380 \
         6402000000010080010100140002000f0000000000020064",
    ),
    (
        "EDP, Display and Info",
        Protocol::Edp,
        "00e02b0000000200000001010048aaaa0300e02b00bb01000040840d00010000020000000100990100087377 \
         31009902002400000004000000000000000007010100ffffffff{12}99000004",
    ),
    (
        "EDP, VLAN",
        Protocol::Edp,
        "00e02b0000000200000001010031aaaa0300e02b00bb01000029f43500020000020000000100990500158000 \
         000a000000000a000a01636f72700099000004",
    ),
    (
        "ESRP hello, element of 1c octets",
        Protocol::Esrp,
        "00e02b0000020200000001010038aaaa0300e02b00bb01000030b237000300000200000001009908001c0000 \
         0064000100040a000a0102000000010000020000000099000004",
    ),
    (
        "ESRP hello to EDP's address, element of 1a octets",
        Protocol::Esrp,
        "00e02b0000000200000001010036aaaa0300e02b00bb0100002eb23b000300000200000001009908001a0000 \
         0064000100040a000a010200000001000002000099000004",
    ),
    (
        "ESRP hello with our HOLD",
        Protocol::Esrp,
        "00e02b000002020000000101004caaaa0300e02b00bb010000446967000400000200000001009908001c0000 \
         0064000100040a000a0102000000010000020000000099e500145453594e01010000001e0000000000019900 \
         0004",
    ),
    (
        "EAPS HEALTH, tagged",
        Protocol::Eaps,
        "00e02b0000040200000001018100e3e8005caaaa0300e02b00bb01000054c03700090000020000000100990b \
         0040010503e800000000020000000100000100030100002a{38}99000004",
    ),
    (
        "EAPS LINK-DOWN, tagged",
        Protocol::Eaps,
        "00e02b0000040200000001018100e3e8005caaaa0300e02b00bb01000054bb6600050000020000000200990b \
         0040010803e8000000000200000002000000000004{41}99000004",
    ),
    (
        "EAPS HEALTH in the form of RFC 3619",
        Protocol::Eaps,
        "00e02b0000040200000001018100e3e80048aaaa0300e02b00bb990b0040010503e800000000020000000100 \
         000100030100002a{38}",
    ),
    (
        "LACP",
        Protocol::Lacp,
        "0180c200000202000000010188090101011480000200000001000001800000013d0000000214ffff02000000 \
         0300000100ff00023d0000000310{66}",
    ),
    (
        "LLDP",
        Protocol::Lldp,
        "0180c200000e02000000010188cc020704020000000100040405313a31060200780a037377310000",
    ),
    (
        "VRRP version 2",
        Protocol::Other,
        "01005e00001200005e00010a080045c0002800010000ff70c6900a000a02e0000012210a6401000166f20a00 \
         0a010000000000000000",
    ),
    (
        "VRRP version 3",
        Protocol::Other,
        "01005e00001200005e00010a080045c0002000010000ff70c6980a000a02e0000012310a6401006461fe0a00 \
         0a01",
    ),
];

/// The octets of a frame, padded to the shortest that Ethernet has.
fn frame(hex: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = hex.replace(' ', "");
    while !rest.is_empty() {
        if let Some(zeros) = rest.strip_prefix('{') {
            let (count, after) = zeros.split_once('}').unwrap();
            octets.extend(vec![0; count.parse().unwrap()]);
            rest = after.into();
        } else {
            octets.push(u8::from_str_radix(&rest[..2], 16).unwrap());
            rest.drain(..2);
        }
    }
    octets.resize(octets.len().max(60), 0);
    octets
}

#[test]
fn golden_frames_have_their_protocols() {
    for (name, protocol, hex) in GOLDEN {
        assert_eq!(classify(&frame(hex)), *protocol, "{name}");
    }
}

#[test]
fn a_tag_changes_nothing() {
    for (name, protocol, hex) in GOLDEN {
        let mut frame = frame(hex);
        if frame[12..14] != [0x81, 0x00] {
            frame.splice(12..12, [0x81, 0x00, 0xe0, 0x64]);
        }
        assert_eq!(classify(&frame), *protocol, "{name}");
    }
}

#[test]
fn a_cut_frame_is_named_by_what_is_left() {
    for (name, protocol, hex) in GOLDEN {
        let frame = frame(hex);
        let mut known = false;
        for n in 0..=frame.len() {
            let found = classify(&frame[..n]);
            match found {
                Protocol::Truncated => assert!(n < 18 && !known, "{name}: {n}"),
                Protocol::Reserved(_) | Protocol::EdpOther(_) => assert!(!known, "{name}: {n}"),
                // Cut before its first element, ESRP to EDP's address is not told from EDP.
                Protocol::Edp if *protocol == Protocol::Esrp => {
                    assert!(n < 40 && !known, "{name}: {n}")
                }
                _ => {
                    assert_eq!(found, *protocol, "{name}: {n}");
                    known = true;
                }
            }
        }
        assert!(known, "{name}");
    }
}

/// A frame to an address, with a type or length and what follows.
fn to(destination: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend([0x02, 0, 0, 0, 0, 1]);
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

#[test]
fn address_type_and_content_decide_together() {
    let group = |n| [0x01, 0x80, 0xc2, 0, 0, n];
    let extreme = |n| [0x00, 0xe0, 0x2b, 0, 0, n];
    let edp = [&EDP_SNAP[..], &[1; 20]].concat();
    let rows: &[([u8; 6], u16, &[u8], Protocol)] = &[
        (group(0x0), 3, &STP_LLC, Protocol::Stp),
        (group(0x0), 2, &STP_LLC, Protocol::Reserved(0)),
        (group(0x0), 0x0800, &STP_LLC, Protocol::Reserved(0)),
        (group(0x0), 3, &[0x42, 0x42, 0x07], Protocol::Reserved(0)),
        (group(0x3), 3, &STP_LLC, Protocol::Reserved(3)),
        (group(0x1), 0x8808, &[0, 1], Protocol::Pause),
        (group(0x1), 0x0800, &[0, 1], Protocol::Reserved(1)),
        (group(0x2), 0x8809, &[1], Protocol::Lacp),
        (group(0x2), 0x8809, &[2], Protocol::SlowProtocol(2)),
        (group(0x2), 0x8809, &[10], Protocol::SlowProtocol(10)),
        (group(0x2), 0x8809, &[], Protocol::Reserved(2)),
        (group(0x4), 0x8809, &[1], Protocol::Reserved(4)),
        (group(0x3), 0x888e, &[], Protocol::Dot1x),
        (group(0x0), 0x888e, &[], Protocol::Dot1x),
        (group(0xe), 0x888e, &[], Protocol::Dot1x),
        (group(0xe), 0x88cc, &[], Protocol::Lldp),
        (group(0x3), 0x88cc, &[], Protocol::Lldp),
        (group(0x0), 0x88cc, &[], Protocol::Lldp),
        (group(0xd), 0x88cc, &[], Protocol::Reserved(0xd)),
        (group(0xf), 1520, &[], Protocol::Reserved(0xf)),
        (group(0x20), 3, &STP_LLC, Protocol::Other),
        (extreme(0), 28, &edp, Protocol::Edp),
        (extreme(0), 0x0800, &edp, Protocol::EdpOther(0)),
        (extreme(0), 7, &edp, Protocol::EdpOther(0)),
        (extreme(1), 28, &edp, Protocol::EdpOther(1)),
        (extreme(2), 28, &edp, Protocol::Esrp),
        (extreme(4), 28, &edp, Protocol::Eaps),
        (extreme(6), 28, &edp, Protocol::EdpOther(6)),
        (extreme(8), 28, &edp, Protocol::Esrp),
        (extreme(0xff), 28, &edp, Protocol::EdpOther(0xff)),
        ([0x00, 0xe0, 0x2b, 0, 1, 0], 28, &edp, Protocol::Other),
        ([0x00, 0xe0, 0x2c, 0, 0, 0], 28, &edp, Protocol::Other),
        ([0xff; 6], 28, &edp, Protocol::Other),
    ];
    for (destination, kind, payload, protocol) in rows {
        let frame = to(*destination, *kind, payload);
        assert_eq!(
            classify(&frame),
            *protocol,
            "{destination:02x?} {kind:04x} {payload:02x?}"
        );
    }
}

#[test]
fn names_are_short_and_differ() {
    let mut names: Vec<String> = (0..=255)
        .flat_map(|n| [Protocol::SlowProtocol(n), Protocol::EdpOther(n)])
        .chain((0..16).map(Protocol::Reserved))
        .chain([
            Protocol::Stp,
            Protocol::Pause,
            Protocol::Lacp,
            Protocol::Dot1x,
            Protocol::Lldp,
        ])
        .chain([
            Protocol::Edp,
            Protocol::Esrp,
            Protocol::Eaps,
            Protocol::Other,
            Protocol::Truncated,
        ])
        .map(|p| p.to_string())
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(names.iter().all(|n| n.len() <= 11));
    assert_eq!(format!("{:>6}", Protocol::Stp), "   stp");
}

proptest! {
    #[test]
    fn any_octets_have_an_answer(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = classify(&frame);
    }

    #[test]
    fn any_octets_to_a_control_address_have_an_answer(
        n in any::<u8>(),
        extreme in any::<bool>(),
        kind in prop_oneof![0..64u16, any::<u16>(), Just(0x8100)],
        snap in any::<bool>(),
        payload in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let destination = if extreme { [0, 0xe0, 0x2b, 0, 0, n] } else { [1, 0x80, 0xc2, 0, 0, n & 0x0f] };
        let payload = if snap { [&EDP_SNAP[..], &payload].concat() } else { payload };
        prop_assert_ne!(classify(&to(destination, kind, &payload)), Protocol::Other);
    }
}
