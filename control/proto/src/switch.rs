//! From configuration and the state of the ports to what the hardware should hold. Pure functions: the same
//! input gives the same tables on every module.

use crate::config::{AcceptFrames, Config, PortConfig, StpEncapsulation, StpdConfig};
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

/// What a protocol that keeps loops open (spanning tree) lets the ports of its VLANs do. It says nothing about ports
/// that take no part: those forward and learn as if there were no protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// The ports that take part.
    pub ports: PortSet,
    /// Those of them that forward.
    pub forwarding: PortSet,
    /// Those of them behind which addresses are learned: all that forward, and more.
    pub learning: PortSet,
    /// Those of them that can make no loop, so that they go on without a lease.
    pub fallback: PortSet,
}

impl Overlay {
    /// Of `ports`, those that take no part and those that are `allowed`.
    fn limit(&self, ports: &PortSet, allowed: &PortSet) -> PortSet {
        ports.without(&self.ports).or(&ports.and(allowed))
    }
}

/// The entries of every configured VLAN, with `up` as the ports on which frames can pass, and what a protocol lets these
/// do in each.
#[must_use]
pub fn vlan_entries(
    config: &Config,
    up: &PortSet,
    overlay_of: impl Fn(VlanId) -> Option<Overlay>,
) -> BTreeMap<VlanId, VlanEntry> {
    let new = VlanEntry {
        flags: vlan_flag::EXISTS,
        ..VlanEntry::default()
    };
    let mut entries: BTreeMap<VlanId, VlanEntry> =
        config.vlans.keys().map(|&vlan| (vlan, new)).collect();
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
    for carrier in config
        .stpds
        .values()
        .filter_map(|s| pvst_carrier(config, s))
    {
        if let Some(entry) = entries.get_mut(&carrier) {
            entry.flags |= vlan_flag::CLAIM_PVST;
        }
    }
    for (&vlan, entry) in &mut entries {
        *entry = opened(*entry, config, vlan, up, overlay_of(vlan).as_ref());
    }
    entries
}

/// The VLAN in which an enabled domain has BPDUs of PVST+ to itself, if any of its ports takes part with these.
fn pvst_carrier(config: &Config, stpd: &StpdConfig) -> Option<VlanId> {
    let carrier = stpd.tag.filter(|_| stpd.enabled)?;
    let speaks = |port| stpd.encapsulation(port) == StpEncapsulation::PvstPlus;
    let mut ports = config.ports.iter();
    ports
        .any(|(&number, port)| speaks(number) && stpd.has_port(number, port))
        .then_some(carrier)
}

/// The entry of a configured VLAN with the same members, and what these may do now.
#[must_use]
pub fn opened(
    mut entry: VlanEntry,
    config: &Config,
    vlan: VlanId,
    up: &PortSet,
    overlay: Option<&Overlay>,
) -> VlanEntry {
    let limit = |ports: &PortSet, allowed: fn(&Overlay) -> &PortSet| match overlay {
        Some(overlay) => overlay.limit(ports, allowed(overlay)),
        None => *ports,
    };
    let settings = config.vlans.get(&vlan);
    let passing = entry.member.and(up);
    entry.forwarding = limit(&passing, |o| &o.forwarding);
    // Behind a port that is no member nothing can be reached, so nothing is learned there.
    entry.learning = if settings.is_some_and(|v| v.learning) {
        limit(&passing, |o| &o.learning)
    } else {
        PortSet::EMPTY
    };
    let mut fallback = limit(&entry.forwarding, |o| &o.fallback);
    if let Some(loop_free) = settings.and_then(|v| v.loop_free_ports.as_ref()) {
        fallback = fallback.and(&loop_free.iter().copied().collect());
    }
    entry.with_fallback(&fallback)
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
    use crate::config::{StpdName, StpdPortConfig};
    use proptest::prelude::*;

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
    fn config(loop_free: &str) -> Config {
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
        serde_json::from_value(document).unwrap()
    }

    fn entries(loop_free: &str, up: &[u16]) -> BTreeMap<VlanId, VlanEntry> {
        vlan_entries(&config(loop_free), &ports(up), |_| None)
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
    fn in_a_domain_only_what_it_lets_forward_does() {
        let vlan = VlanId::new(10).unwrap();
        let overlay = Overlay {
            ports: ports(&[1, 2]),
            forwarding: ports(&[1]),
            learning: ports(&[1, 2]),
            fallback: PortSet::EMPTY,
        };
        let up = ports(&[1, 2, 3, 4]);
        let in_domain = |config: &Config| vlan_entries(config, &up, |_| Some(overlay))[&vlan];
        // Port 2 learns only; port 3 takes no part.
        let entry = in_domain(&config("null"));
        assert_eq!(entry.member, ports(&[1, 2, 3]));
        assert_eq!(entry.forwarding, ports(&[1, 3]));
        assert_eq!(entry.learning, ports(&[1, 2, 3]));
        assert_eq!(entry.fallback, ports(&[3]));
        assert_eq!(entry.flags, vlan_flag::EXISTS | vlan_flag::GUARDED);
        // The configuration says that port 3 can make a loop: nothing goes on.
        assert!(in_domain(&config("[1]")).fallback.is_empty());
        // Where nothing is learned a protocol does not change that.
        let mut silent = config("null");
        silent.vlans.get_mut(&vlan).unwrap().learning = false;
        assert!(in_domain(&silent).learning.is_empty());
    }

    #[test]
    fn pvst_is_claimed_where_an_enabled_domain_speaks_it() {
        let claimed = |change: &dyn Fn(&mut StpdConfig)| -> Vec<u16> {
            let mut config = config("null");
            let name: StpdName = "blue".parse().unwrap();
            let mut stpd = StpdConfig {
                enabled: true,
                tag: VlanId::new(20),
                vlans: VlanId::new(20).into_iter().collect(),
                default_encapsulation: StpEncapsulation::PvstPlus,
                ..StpdConfig::new(name)
            };
            change(&mut stpd);
            config.stpds.insert(name, stpd);
            let entries = vlan_entries(&config, &PortSet::EMPTY, |_| None);
            let claims = |e: &VlanEntry| e.flags & vlan_flag::CLAIM_PVST != 0;
            let claimed = entries.iter().filter(|(_, entry)| claims(entry));
            claimed.map(|(vlan, _)| vlan.get()).collect()
        };
        // Whatever the state of its ports.
        assert_eq!(claimed(&|_| ()), [20]);
        assert!(claimed(&|stpd| stpd.enabled = false).is_empty());
        let emistp = claimed(&|stpd| stpd.default_encapsulation = StpEncapsulation::Emistp);
        assert!(emistp.is_empty());
        // One port is enough, if it takes part.
        let one_of_two = |stpd: &mut StpdConfig, enabled| {
            stpd.default_encapsulation = StpEncapsulation::Emistp;
            let port = StpdPortConfig {
                enabled,
                encapsulation: Some(StpEncapsulation::PvstPlus),
                ..StpdPortConfig::default()
            };
            stpd.ports.insert(PortNo::new(1).unwrap(), port);
        };
        assert_eq!(claimed(&|stpd| one_of_two(stpd, true)), [20]);
        assert!(claimed(&|stpd| one_of_two(stpd, false)).is_empty());
    }

    fn any_ports() -> impl Strategy<Value = PortSet> {
        any::<u8>().prop_map(|bits| {
            (1..=8)
                .filter(|n| bits >> (n - 1) & 1 != 0)
                .filter_map(PortNo::new)
                .collect()
        })
    }

    /// VLANs 10 and 20 on ports 1 to 3 in any way.
    fn any_config() -> impl Strategy<Value = Config> {
        let port = (any::<[bool; 2]>(), 0..3usize);
        let vlan = || (any::<bool>(), proptest::option::of(any_ports()));
        ([port.clone(), port.clone(), port], [vlan(), vlan()]).prop_map(|(members, vlans)| {
            let mut config = config("null");
            let ids: Vec<VlanId> = config.vlans.keys().copied().collect();
            for (port, (tagged, untagged)) in config.ports.values_mut().zip(members) {
                port.untagged = ids.get(untagged).copied();
                let tagged = ids.iter().zip(tagged).filter(|(_, is)| *is);
                port.tagged = tagged.map(|(&id, _)| id).collect();
            }
            for (vlan, (learning, loop_free)) in config.vlans.values_mut().zip(vlans) {
                vlan.learning = learning;
                vlan.loop_free_ports = loop_free.map(|set| set.iter().collect());
            }
            config
        })
    }

    proptest! {
        /// Each port judged on its own gives the same sets, and so does an entry that was opened otherwise before.
        #[test]
        fn every_port_does_what_it_may(
            config in any_config(),
            up in any_ports(),
            (part, forwards, learns, goes_on) in (any_ports(), any_ports(), any_ports(), any_ports()),
        ) {
            let overlay = Overlay {
                ports: part,
                forwarding: forwards.and(&part),
                learning: forwards.or(&learns).and(&part),
                fallback: goes_on.and(&part),
            };
            let with = |vlan: VlanId| (vlan.get() == 10).then_some(overlay);
            let entries = vlan_entries(&config, &up, with);
            let before = vlan_entries(&config, &goes_on, |_| None);
            prop_assert!(entries.keys().eq(config.vlans.keys()));
            for (&vlan, entry) in &entries {
                prop_assert_eq!(*entry, opened(before[&vlan], &config, vlan, &up, with(vlan).as_ref()));
                let settings = &config.vlans[&vlan];
                let overlay = with(vlan);
                for port in PortNo::all() {
                    let n = port.get();
                    let member = config.ports.get(&port).is_some_and(|p| {
                        p.untagged == Some(vlan) || p.tagged.contains(&vlan)
                    });
                    let takes_part = overlay.is_some() && part.has(n);
                    let may = |set: &PortSet| member && up.has(n) && (!takes_part || set.has(n));
                    let safe = settings.loop_free_ports.as_ref().is_none_or(|l| l.contains(&port));
                    prop_assert_eq!(entry.member.has(n), member);
                    prop_assert_eq!(entry.forwarding.has(n), may(&forwards));
                    prop_assert_eq!(entry.learning.has(n), settings.learning && may(&forwards.or(&learns)));
                    prop_assert_eq!(entry.fallback.has(n), may(&forwards) && may(&goes_on) && safe);
                }
            }
        }
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
