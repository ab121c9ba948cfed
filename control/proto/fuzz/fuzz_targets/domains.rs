//! A switch with three spanning tree domains, to which anything happens.
#![no_main]

use hitless_common::map::vlans::{PortSet, VlanEntry};
use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::{Config, StpdName};
use hitless_proto::stp::Link;
use hitless_proto::stpd::{BEATS, PortFacts, SavedStpd, Stpds};
use hitless_proto::switch::vlan_entries;
use hitless_proto::time::Epoch;
use hitless_wire::bpdu::{Bpdu, Encapsulation, Frame, MAX_FRAME_BYTES};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const MAC: Mac = Mac([2, 0, 0, 0, 1, 0]);

/// Two configurations: with each mode, and with guards on some ports of the second one.
static CONFIGS: LazyLock<[Config; 2]> = LazyLock::new(|| ["dot1w", "dot1d"].map(config));

fn config(mode: &str) -> Config {
    let guarded = mode == "dot1d";
    let port = |n: u16| serde_json::json!({"port": n, "device": format!("p{n}"), "untagged": 1, "tagged": [10, 20]});
    let settings = serde_json::json!([
        {"port": 1, "link_type": "edge", "bpdu_guard": guarded},
        {"port": 2, "root_guard": guarded, "link_type": "broadcast"},
        {"port": 3, "loop_guard": guarded},
    ]);
    let document = serde_json::json!({
        "switch": "sw",
        "vlans": [{"id": 1}, {"id": 10}, {"id": 20}],
        "ports": [port(1), port(2), port(3), port(4)],
        "stpds": [
            {"name": "s0", "enabled": true, "mode": mode, "vlans": [1], "ports": settings},
            {"name": "b", "enabled": true, "tag": 10, "vlans": [10], "ports": settings},
            {"name": "r", "enabled": guarded, "mode": mode, "tag": 20, "vlans": [20],
             "default_encapsulation": "pvst-plus"},
        ],
    });
    serde_json::from_value(document).expect("a configuration")
}

/// Takes octets from the front; zeros when there are none left.
struct Octets<'d>(&'d [u8]);

impl<'d> Octets<'d> {
    fn next(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    fn some(&mut self, n: usize) -> &'d [u8] {
        let (some, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        some
    }

    fn port(&mut self) -> PortNo {
        PortNo::new(u16::from(self.next() % 5) + 1).expect("a port")
    }
}

struct Switch {
    stpds: Stpds,
    config: &'static Config,
    facts: BTreeMap<PortNo, PortFacts>,
    saved: BTreeMap<StpdName, SavedStpd>,
    epoch: u32,
    beat: u32,
}

fn facts(up: bool, mbps: u32, full_duplex: bool) -> PortFacts {
    PortFacts {
        link: Link {
            up,
            mbps,
            full_duplex,
        },
        mac: MAC,
    }
}

impl Switch {
    fn new() -> Self {
        let facts: BTreeMap<_, _> = PortNo::all()
            .take(4)
            .map(|p| (p, facts(true, 1000, true)))
            .collect();
        let config = &CONFIGS[0];
        let mut stpds = Stpds::new(MAC, Epoch::new(1));
        stpds
            .configure(config, &facts)
            .expect("a checked configuration");
        Self {
            stpds,
            config,
            facts,
            saved: BTreeMap::new(),
            epoch: 1,
            beat: 0,
        }
    }

    fn happen(&mut self, octets: &mut Octets<'_>) {
        match octets.next() % 8 {
            0 => {
                for _ in 0..=octets.next() % 40 {
                    self.beat += 1;
                    self.epoch += u32::from(self.beat.is_multiple_of(BEATS));
                    self.stpds.beat(Epoch::new(self.epoch), self.beat);
                }
            }
            1 => {
                let (port, how) = (octets.next(), octets.next());
                let port = PortNo::new(u16::from(port % 4) + 1).expect("a port");
                let facts = facts(how & 1 != 0, u32::from(how), how & 2 != 0);
                self.facts.insert(port, facts);
                self.stpds.on_port(port, facts);
            }
            2 => {
                self.config = &CONFIGS[usize::from(octets.next() % 2)];
                let followed = self.stpds.configure(self.config, &self.facts);
                followed.expect("a checked configuration");
            }
            3 => self.restart(),
            4 => {
                let (port, length) = (octets.port(), octets.next());
                let _counted = self.stpds.on_frame(port, None, octets.some(length.into()));
            }
            _ => self.hear(octets),
        }
        self.look();
    }

    /// A BPDU in one of the encapsulations, from one of few bridges.
    fn hear(&mut self, octets: &mut Octets<'_>) {
        let (port, how) = (octets.port(), octets.next());
        let mut bpdu = octets.some(36).to_vec();
        bpdu.resize(36, 0);
        bpdu[..2].fill(0);
        bpdu[3] = [0, 0x80, 2, 2][usize::from(how % 4)];
        // Whether it is this bridge's own is a matter of one octet.
        for id in [5, 17] {
            bpdu[id + 2..id + 7].copy_from_slice(&MAC.0[..5]);
        }
        let Ok(bpdu) = Bpdu::parse(&bpdu) else {
            return;
        };
        let vlan = |n| VlanId::new(n).expect("a VLAN");
        let encapsulation = match how >> 2 & 3 {
            0 | 1 => Encapsulation::Dot1d,
            2 => Encapsulation::Emistp(vlan(10)),
            _ => Encapsulation::PvstPlus {
                vlan: vlan(20),
                tagged: true,
            },
        };
        let frame = Frame {
            source: Mac([2, 0, 0, 0, 2, 0]),
            encapsulation,
            bpdu,
        };
        let mut buffer = [0; MAX_FRAME_BYTES];
        let length = frame.emit(&mut buffer).expect("a buffer for every frame");
        let _counted = self.stpds.on_frame(port, None, &buffer[..length]);
    }

    fn vlans(&self) -> BTreeMap<VlanId, VlanEntry> {
        let up = self.facts.iter().filter(|(_, facts)| facts.link.up);
        let up: PortSet = up.map(|(&port, _)| port).collect();
        vlan_entries(self.config, &up, |vlan| self.stpds.overlay(vlan))
    }

    /// Does what is to be done, and saves.
    fn look(&mut self) {
        self.stpds.take_work();
        self.stpds.take_dirty();
        for &vlan in self.config.vlans.keys() {
            let Some(overlay) = self.stpds.overlay(vlan) else {
                continue;
            };
            assert!(overlay.fallback.without(&overlay.forwarding).is_empty());
            assert!(overlay.forwarding.without(&overlay.learning).is_empty());
            assert!(overlay.learning.without(&overlay.ports).is_empty());
        }
    }

    /// Another process goes on: nothing opens that was closed, and nothing closes but what it would have closed too.
    fn restart(&mut self) {
        self.saved.clear();
        for domain in self.stpds.domains() {
            let name = *domain.name();
            let ports = domain.bridge().ports().iter();
            let port = |p: &hitless_proto::stp::PortState| self.stpds.saved_port(&name, p.number);
            let saved = SavedStpd {
                bridge: self.stpds.saved_bridge(&name).expect("a record"),
                ports: ports.map(|p| port(p).expect("a record")).collect(),
            };
            self.saved.insert(name, saved);
        }
        let before = self.vlans();
        let hardware = |vlan| before.get(&vlan).copied().unwrap_or_default();
        let (stpds, followed) = Stpds::resume(
            MAC,
            self.config,
            &self.facts,
            self.saved.clone(),
            &hardware,
            Epoch::new(self.epoch),
        );
        followed.expect("a checked configuration");
        self.stpds = stpds;
        assert_eq!(self.vlans(), before);
    }
}

fuzz_target!(|data: &[u8]| {
    let mut octets = Octets(data);
    let mut switch = Switch::new();
    while !octets.0.is_empty() {
        switch.happen(&mut octets);
    }
    switch.restart();
});
