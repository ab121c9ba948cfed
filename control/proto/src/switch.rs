//! From configuration and the state of the ports to what the hardware should hold. Pure functions: the same
//! input gives the same tables on every module.

use crate::config::{AcceptFrames, Config, PortConfig};
use hitless_common::{
    PortNo, VlanId,
    map::{
        events::PUNT_RATE,
        limiter::{Bucket, PortLimiters},
        ports::{PortEntry, flag},
        vlans::{PortSet, VlanEntry, flag as vlan_flag},
    },
};
use std::{collections::BTreeMap, num::NonZeroU32};

/// A port's device, as far as the data path needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortDevice {
    /// The device's number.
    pub ifindex: u32,
    /// Octets of payload that it sends.
    pub mtu: u32,
    /// Whether frames can pass: up, with a carrier, and our program attached.
    pub link_up: bool,
    /// Whether native XDP may redirect to it.
    pub takes_redirects: bool,
}

/// The entry of a port in PORTS and EGRESS.
#[must_use]
pub fn port_entry(port: PortNo, config: &PortConfig, device: &PortDevice) -> PortEntry {
    let storm = &config.storm_control;
    let has_storm_control = [storm.broadcast, storm.multicast, storm.unknown_unicast]
        .iter()
        .any(Option::is_some);
    let bits = [
        (config.enabled, flag::ENABLED),
        (config.accept == AcceptFrames::Tagged, flag::TAGGED_ONLY),
        (config.accept == AcceptFrames::Untagged, flag::UNTAGGED_ONLY),
        (config.ingress_filtering, flag::INGRESS_FILTER),
        (device.takes_redirects, flag::XDP_OUT),
        (has_storm_control, flag::STORM),
    ];
    PortEntry {
        ifindex: device.ifindex,
        flags: bits.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum(),
        port: port.get(),
        pvid: config.untagged.map_or(0, VlanId::get),
        mtu: device.mtu,
    }
}

/// The limits of a port.
#[must_use]
pub fn limiters(config: &PortConfig) -> PortLimiters {
    let rate = |limit: Option<NonZeroU32>| {
        limit.map_or(Bucket::default(), |r| Bucket::per_second(r.get()))
    };
    let storm = &config.storm_control;
    PortLimiters {
        broadcast: rate(storm.broadcast),
        multicast: rate(storm.multicast),
        unknown: rate(storm.unknown_unicast),
        punt: Bucket::per_second(PUNT_RATE),
        learn_round: 0,
        learn_events: 0,
    }
}

/// The entries of every configured VLAN, with `up` as the ports on which frames can pass.
#[must_use]
pub fn vlan_entries(config: &Config, up: &PortSet) -> BTreeMap<VlanId, VlanEntry> {
    let mut entries: BTreeMap<VlanId, VlanEntry> = config
        .vlans
        .keys()
        .map(|&vlan| {
            (
                vlan,
                VlanEntry {
                    flags: vlan_flag::EXISTS,
                    ..VlanEntry::default()
                },
            )
        })
        .collect();
    for (&port, settings) in &config.ports {
        for vlan in settings.tagged.iter().chain(&settings.untagged) {
            if let Some(entry) = entries.get_mut(vlan) {
                entry.member.insert(port);
                if settings.untagged == Some(*vlan) {
                    entry.untagged.insert(port);
                }
            }
        }
    }
    for (vlan, entry) in &mut entries {
        entry.forwarding = entry.member.and(up);
        let config = config.vlans.get(vlan);
        if config.is_some_and(|v| v.learning) {
            // Behind a port that is no member nothing can be reached, so nothing is learned there.
            entry.learning = entry.forwarding;
        }
        let loop_free = config.and_then(|v| v.loop_free_ports.as_ref());
        let fallback = loop_free.map_or(entry.forwarding, |ports| ports.iter().copied().collect());
        *entry = entry.with_fallback(&fallback);
    }
    entries
}

/// What stays open when one entry takes the place of another: the first of the two steps of a change, so that
/// what closes is programmed before what opens (design invariant 4).
#[must_use]
pub fn narrowed(installed: &VlanEntry, wanted: &VlanEntry) -> VlanEntry {
    VlanEntry {
        forwarding: installed.forwarding.and(&wanted.forwarding),
        learning: installed.learning.and(&wanted.learning),
        ..*wanted
    }
    .with_fallback(&installed.fallback.and(&wanted.fallback))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(numbers: &[u16]) -> PortSet {
        numbers.iter().filter_map(|&n| PortNo::new(n)).collect()
    }

    #[test]
    fn narrowing_never_opens() {
        let installed = VlanEntry {
            forwarding: ports(&[1, 2]),
            learning: ports(&[2]),
            ..VlanEntry::default()
        };
        let wanted = VlanEntry {
            forwarding: ports(&[2, 3]),
            learning: ports(&[3]),
            member: ports(&[2, 3]),
            ..VlanEntry::default()
        };
        let step = narrowed(&installed, &wanted);
        assert_eq!(step.forwarding, ports(&[2]));
        assert!(step.learning.is_empty());
        assert_eq!(step.member, wanted.member);
    }

    /// VLAN 10 on ports 1 to 3, VLAN 20 on ports 1 and 2.
    fn entries(loop_free: &str, up: &[u16]) -> BTreeMap<VlanId, VlanEntry> {
        let document = serde_json::json!({
            "switch": "sw",
            "vlans": [
                {"id": 10, "loop_free_ports": serde_json::from_str::<serde_json::Value>(loop_free).unwrap()},
                {"id": 20},
            ],
            "ports": [
                {"port": 1, "device": "p1", "tagged": [10, 20]},
                {"port": 2, "device": "p2", "tagged": [10, 20]},
                {"port": 3, "device": "p3", "untagged": 10},
            ],
        });
        let config: Config = serde_json::from_value(document).unwrap();
        vlan_entries(&config, &ports(up))
    }

    #[test]
    fn only_loop_free_ports_go_on_without_a_lease() {
        let vlan = |id| VlanId::new(id).unwrap();
        let all = entries("[2, 3]", &[1, 2, 3]);
        assert_eq!(all[&vlan(10)].fallback, ports(&[2, 3]));
        assert_eq!(all[&vlan(10)].flags, vlan_flag::EXISTS | vlan_flag::GUARDED);
        // Nothing is guarded where nothing is configured, or where it makes no difference.
        assert_eq!(all[&vlan(20)].fallback, ports(&[1, 2]));
        assert_eq!(all[&vlan(20)].flags, vlan_flag::EXISTS);
        let without_port_1 = &entries("[2, 3]", &[2, 3])[&vlan(10)];
        assert_eq!(without_port_1.fallback, ports(&[2, 3]));
        assert_eq!(without_port_1.flags, vlan_flag::EXISTS);
        // A port that is down goes on with nothing.
        assert_eq!(entries("[2, 3]", &[1, 3])[&vlan(10)].fallback, ports(&[3]));
        assert!(entries("[]", &[1, 2])[&vlan(10)].fallback.is_empty());
    }

    #[test]
    fn narrowing_closes_what_goes_on_without_a_lease() {
        let entry = |forwarding: &[u16], fallback: &[u16]| {
            VlanEntry {
                forwarding: ports(forwarding),
                flags: vlan_flag::EXISTS,
                ..VlanEntry::default()
            }
            .with_fallback(&ports(fallback))
        };
        let cases = [
            // From all ports to some: closing alone.
            (
                entry(&[1, 2], &[1, 2]),
                entry(&[1, 2], &[1]),
                entry(&[1, 2], &[1]),
            ),
            // From some ports to all: opening alone.
            (
                entry(&[1, 2], &[1]),
                entry(&[1, 2], &[1, 2]),
                entry(&[1, 2], &[1]),
            ),
            // Another one: first none.
            (
                entry(&[1, 2], &[1]),
                entry(&[1, 2], &[2]),
                entry(&[1, 2], &[]),
            ),
            // What stops forwarding altogether does not go on either.
            (entry(&[1, 2], &[1]), entry(&[2, 3], &[3]), entry(&[2], &[])),
            // The guard goes when it makes no difference any more.
            (entry(&[1, 2], &[1]), entry(&[1], &[1]), entry(&[1], &[1])),
        ];
        for (installed, wanted, between) in cases {
            assert_eq!(
                narrowed(&installed, &wanted),
                between,
                "{installed:?} {wanted:?}"
            );
        }
    }
}
