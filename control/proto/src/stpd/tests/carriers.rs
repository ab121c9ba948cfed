//! Encapsulations: what is sent on a port, and which domain takes what comes.

use super::net::*;
use crate::config::Config;
use crate::stpd::*;
use hitless_wire::bpdu::{Encapsulation, Frame};
use hitless_wire::ether::Tci;
use serde_json::json;

/// s0 on VLAN 1, `blue` by EMISTP on VLANs 10 and 11, `red` by PVST+ on VLAN 20, which is port 3's native one.
fn three_domains() -> Config {
    config(json!({
        "switch": "sw",
        "vlans": [{"id": 1}, {"id": 10}, {"id": 11}, {"id": 20}],
        "ports": [
            {"port": 1, "device": "p1", "untagged": 1, "tagged": [10, 20]},
            {"port": 2, "device": "p2", "untagged": 1, "tagged": [10, 11, 20]},
            {"port": 3, "device": "p3", "untagged": 20, "tagged": [10]},
        ],
        "stpds": [
            {"name": "s0", "enabled": true, "vlans": [1]},
            {"name": "blue", "enabled": true, "tag": 10, "vlans": [10, 11]},
            {"name": "red", "enabled": true, "tag": 20, "vlans": [20], "default_encapsulation": "pvst-plus"},
        ],
    }))
}

fn sent_on(switch: &Switch, n: u16) -> Vec<Encapsulation> {
    let frames = switch.sent.iter().filter(|frame| frame.port == port(n));
    let parsed = frames.map(|frame| Frame::parse(&frame.octets, None).unwrap());
    let mut encapsulations: Vec<_> = parsed.map(|frame| frame.encapsulation).collect();
    encapsulations.sort();
    encapsulations.dedup();
    encapsulations
}

fn pvst(n: u16, tagged: bool) -> Encapsulation {
    let vlan = vlan(n);
    Encapsulation::PvstPlus { vlan, tagged }
}

#[test]
fn every_domain_speaks_in_its_encapsulation() {
    let switch = Switch::new(1, three_domains());
    let emistp = Encapsulation::Emistp(vlan(10));
    assert_eq!(
        sent_on(&switch, 1),
        [Encapsulation::Dot1d, emistp, pvst(20, true)]
    );
    // The native VLAN's PVST+ speaks plain too.
    assert_eq!(
        sent_on(&switch, 3),
        [Encapsulation::Dot1d, emistp, pvst(20, false)]
    );
    for frame in &switch.sent {
        let parsed = Frame::parse(&frame.octets, None).unwrap();
        assert_eq!(parsed.source, facts(1, frame.port, true).mac);
    }
}

/// A port whose native VLAN is of a PVST+ domain, and which is in s0 too: plain BPDUs are s0's.
#[test]
fn plain_bpdus_are_for_the_domain_that_speaks_nothing_else() {
    let config = |s0: bool| {
        config(json!({
            "switch": "sw",
            "vlans": [{"id": 1}, {"id": 20}],
            "ports": [{"port": 1, "device": "p1", "untagged": 20, "tagged": [1]}],
            "stpds": [
                {"name": "s0", "enabled": s0, "vlans": [1]},
                {"name": "red", "enabled": true, "tag": 20, "vlans": [20], "default_encapsulation": "pvst-plus"},
            ],
        }))
    };
    let mut switch = Switch::new(1, config(true));
    assert_eq!(sent_on(&switch, 1), [Encapsulation::Dot1d, pvst(20, false)]);
    let [plain, native] = [Encapsulation::Dot1d, pvst(20, false)].map(|wanted| {
        let of =
            |frame: &&OutFrame| Frame::parse(&frame.octets, None).unwrap().encapsulation == wanted;
        switch.sent.iter().find(of).unwrap().octets.clone()
    });
    assert_eq!(
        switch
            .sent
            .iter()
            .filter(|frame| frame.octets == plain)
            .count(),
        1
    );
    // Without s0 they are red's.
    switch.sent.clear();
    switch.config = config(false);
    switch.configure();
    (0..2 * BEATS).for_each(|_| switch.beat());
    assert_eq!(sent_on(&switch, 1), [Encapsulation::Dot1d, pvst(20, false)]);
    for frame in [&plain, &native] {
        switch.hear(port(1), frame).unwrap();
    }
    let red = switch.stpds().domain(&stpd("red")).unwrap();
    let counters = red.bridge().port(port(1)).unwrap().counters;
    assert_eq!(counters.rx_rst + counters.own, 2);
}

/// The counters of what was received, by domain and port.
fn heard(switch: &Switch, name: &str, n: u16) -> (u64, u64) {
    let domain = switch.stpds().domain(&stpd(name)).unwrap();
    let counters = domain.bridge().port(port(n)).unwrap().counters;
    (counters.rx_rst, counters.malformed)
}

#[test]
fn a_frame_is_for_the_domain_of_its_encapsulation() {
    let mut switch = Switch::new(1, three_domains());
    let other = Switch::new(2, three_domains());
    let from_port = |n, wanted| {
        let of = |frame: &&OutFrame| {
            let parsed = Frame::parse(&frame.octets, None).unwrap();
            frame.port == port(n) && parsed.encapsulation == wanted
        };
        other.sent.iter().find(of).unwrap().octets.clone()
    };
    let plain = from_port(1, Encapsulation::Dot1d);
    let blue = from_port(1, Encapsulation::Emistp(vlan(10)));
    let red = from_port(1, pvst(20, true));
    let native = from_port(3, pvst(20, false));
    switch.hear(port(1), &plain).unwrap();
    assert_eq!(heard(&switch, "s0", 1), (1, 0));
    switch.hear(port(1), &blue).unwrap();
    assert_eq!(heard(&switch, "blue", 1), (1, 0));
    switch.hear(port(1), &red).unwrap();
    assert_eq!(heard(&switch, "red", 1), (1, 0));
    // On port 3 both forms are red's.
    switch.hear(port(3), &native).unwrap();
    switch.hear(port(3), &plain).unwrap();
    assert_eq!(heard(&switch, "red", 3), (2, 0));
    // The tag may come beside the frame.
    let mut stripped = blue.to_vec();
    stripped.drain(12..16);
    let tag = Some(Tci::new(vlan(10), 7));
    let stpds = switch.stpds.as_mut().unwrap();
    stpds.on_frame(port(1), tag, &stripped).unwrap();
    assert_eq!(heard(&switch, "blue", 1), (2, 0));
    // A tag of another VLAN, the native form on a port with another native VLAN, a port that there is not.
    let stpds = switch.stpds.as_mut().unwrap();
    let other_tag = Some(Tci::new(vlan(11), 7));
    let taken = stpds.on_frame(port(1), other_tag, &stripped);
    assert_eq!(taken, Err(NotTaken::NoDomain(port(1))));
    for (n, frame) in [(1, &native), (9, &plain)] {
        let taken = switch.hear(port(n), frame);
        assert_eq!(taken, Err(NotTaken::NoDomain(port(n))));
    }
    assert_eq!(switch.stpds().not_taken().no_domain, 3);
}

#[test]
fn what_is_no_bpdu_is_counted_where_it_was_meant_for() {
    let mut switch = Switch::new(1, three_domains());
    let sent = switch.sent.clone();
    for frame in &sent {
        // No protocol has that identifier.
        let mut octets = frame.octets.to_vec();
        let parsed = Frame::parse(&octets, None).unwrap();
        let at = match parsed.encapsulation {
            Encapsulation::Dot1d => 17,
            Encapsulation::Emistp(_) => 21,
            Encapsulation::PvstPlus { tagged, .. } => 22 + if tagged { 4 } else { 0 },
        };
        octets[at] = 0xff;
        let taken = switch.hear(frame.port, &octets);
        assert!(matches!(taken, Err(NotTaken::Malformed(_))), "{taken:?}");
        let name = match parsed.encapsulation {
            Encapsulation::Emistp(_) => "blue",
            Encapsulation::Dot1d if frame.port != port(3) => "s0",
            _ => "red",
        };
        assert!(heard(&switch, name, frame.port.get()).1 > 0, "{frame:?}");
    }
    assert_eq!(switch.stpds().not_taken().malformed, 0);
    let octets = &sent[0].octets[..16];
    assert!(switch.hear(port(9), octets).is_err());
    assert_eq!(switch.stpds().not_taken().malformed, 1);
    for malformed in hitless_wire::bpdu::corpus::MALFORMED {
        let taken = switch.hear(port(1), &malformed.octets());
        assert!(matches!(taken, Err(NotTaken::Malformed(_))), "{taken:?}");
    }
}
