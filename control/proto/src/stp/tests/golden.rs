//! Golden exchanges: what is sent, octet by octet, as protocols of the field decode it.

use super::net::{link, port};
use crate::stp::*;
use hitless_common::Mac;
use hitless_wire::bpdu::{Bpdu, Encapsulation, Frame};

const ROOT: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// Up to the end of the BPDU, without padding.
fn hex(bpdu: &Bpdu) -> String {
    let frame = Frame {
        source: Mac([2, 0, 0, 0, 1, 1]),
        encapsulation: Encapsulation::Dot1d,
        bpdu: *bpdu,
    };
    let mut buffer = [0; 80];
    frame.emit(&mut buffer).unwrap();
    let octets = &buffer[..17 + bpdu.bytes()];
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn parse(hex: &'static str) -> Bpdu {
    let octets = hitless_wire::bpdu::corpus::Malformed { name: "", hex }.octets();
    Frame::parse(&octets, None).unwrap().bpdu
}

/// What the root says on the link to port 2: `0e` and `3c` with root cost 0, port 8003.
const ROOT_PROPOSES: &str = "0180c20000000200000000010027424203000002020e80000200000000010000000080000200000000018003\
     0000140002000f0000";
const ROOT_FORWARDS: &str = "0180c20000000200000000010027424203000002023c80000200000000010000000080000200000000018003\
     0000140002000f0000";

/// A bridge with port 1 to an edge of the network and port 2 towards the root, both up, nothing heard yet.
fn bridge(force_version: ForceVersion, cost: u32) -> Bridge {
    let mut bridge = Bridge::new(BridgeConfig {
        force_version,
        cost_method: if force_version == ForceVersion::Stp {
            CostMethod::Short
        } else {
            CostMethod::Long
        },
        ..BridgeConfig::new(Mac([2, 0, 0, 0, 1, 0]))
    })
    .unwrap();
    for n in [1, 2] {
        let config = PortConfig {
            path_cost: Some(cost),
            ..PortConfig::DEFAULT
        };
        let (port, link) = (port(n), link(true, true));
        bridge.step(Input::AddPort { port, config, link }).unwrap();
    }
    bridge
}

fn hear(bridge: &mut Bridge, n: usize, hex: &'static str) -> Output {
    let (port, bpdu) = (port(n), parse(hex));
    bridge.step(Input::Bpdu { port, bpdu }).unwrap()
}

fn sent(output: &Output, n: usize) -> Vec<String> {
    let here = output.send.iter().filter(|(p, _)| *p == port(n));
    here.map(|(_, bpdu)| hex(bpdu)).collect()
}

#[test]
fn proposal_agreement_and_what_a_resumed_master_sends() {
    let mut bridge = bridge(ForceVersion::Rstp, 20_000);
    let output = hear(&mut bridge, 2, ROOT_PROPOSES);
    // Vector `0e`: a designated port that proposes.
    assert_eq!(
        sent(&output, 1),
        [
            "0180c20000000200000001010027424203000002020e800002000000000100004e20800002000000010080010100140002000f0000"
        ]
    );
    // `78` and the topology change, 01: the root port agrees, is open, and says what it knows as designated bridge.
    let agreement = sent(&output, 2);
    assert_eq!(agreement.len(), 1);
    assert_eq!(&agreement[0][34..44], "0000020279");
    assert!(output.sync, "who opens or promises is checkpointed before");
    assert_eq!(output.open, [(port(2), Opening::Forwarding)]);
    // A neighbour on port 1 agrees; then vector `3c` each hello.
    let agrees = "0180c200000002000000030100274242030000020278800002000000000100009c408000020000000300800102\
         00140002000f0000";
    let output = hear(&mut bridge, 1, agrees);
    assert_eq!(output.open, [(port(1), Opening::Forwarding)]);
    let forwards = "0180c20000000200000001010027424203000002023c800002000000000100004e20800002000000010080010100140002000f0000";
    let mut hellos = Vec::new();
    for second in 0..12 {
        if second % 2 == 0 {
            hear(&mut bridge, 2, ROOT_FORWARDS);
        }
        let output = bridge.step(Input::Tick).unwrap();
        if second > 5 {
            hellos.extend(sent(&output, 1));
        }
    }
    assert_eq!(hellos, [forwards; 3]);
    // The same is the first act of who resumes.
    let hardware = [
        (port(1), Opening::Forwarding),
        (port(2), Opening::Forwarding),
    ];
    let (_, output) = Bridge::resume(bridge.checkpoint(), &hardware).unwrap();
    assert_eq!(sent(&output, 1), [forwards]);
    assert_eq!(output.send.len(), 1);
}

#[test]
fn the_agreement_of_the_root_itself_is_vector_78() {
    // Sent with the root's identifiers: what the vector shows is a BPDU of a root port, read as one.
    let bpdu = parse(
        "0180c20000000200000001010027424203000002027880000200000000010000000080000200000000018003\
         0000140002000f0000",
    );
    let mut bridge = Bridge::new(BridgeConfig::new(ROOT)).unwrap();
    let add = Input::AddPort {
        port: port(3),
        config: PortConfig::DEFAULT,
        link: link(true, true),
    };
    let output = bridge.step(add).unwrap();
    let flags = |output: &Output| {
        sent(output, 3)
            .iter()
            .map(|h| h[42..44].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(flags(&output), ["0e"]);
    // It carries this very port's identifiers: our own, come back. It opens nothing.
    let output = bridge
        .step(Input::Bpdu {
            port: port(3),
            bpdu,
        })
        .unwrap();
    assert!(output.open.is_empty());
    assert_eq!(bridge.port(port(3)).unwrap().counters.own, 1);
}

#[test]
fn the_config_bpdu_and_the_notification_of_mode_dot1d() {
    let mut bridge = bridge(ForceVersion::Stp, 19);
    let root = "0180c2000000020000000001002642420300000000008000020000000001000000008000020000000001800300001400\
         02000f00";
    let mut all = Vec::new();
    for _ in 0..32 {
        hear(&mut bridge, 2, root);
        all.push(bridge.step(Input::Tick).unwrap());
    }
    let config = "0180c2000000020000000101002642420300000000008000020000000001000000138000020000000100800101\
         00140002000f00";
    assert!(all.iter().any(|o| sent(o, 1) == [config]));
    // Port 2 opened: a change, of which the root is notified.
    assert!(
        all.iter()
            .any(|o| sent(o, 2) == ["0180c2000000020000000101000742420300000080"])
    );
}
