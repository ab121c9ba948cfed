//! Whole configurations and changes for property tests: few ids, names, devices and addresses, so that they meet.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use hitless_common::{Mac, PortNo, VlanId};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

mod stpd;

pub(super) fn vlan_id() -> impl Strategy<Value = VlanId> {
    prop_oneof![1u16..=9, Just(4094)].prop_map(|id| VlanId::new(id).unwrap())
}

pub(super) fn port_no() -> impl Strategy<Value = PortNo> {
    prop_oneof![1u16..=7, Just(128)].prop_map(|number| PortNo::new(number).unwrap())
}

fn vlan_name() -> impl Strategy<Value = VlanName> {
    // Two of them are what other VLANs are called by default.
    select(vec!["blue", "red", "green", "vlan3", "vlan4"]).prop_map(|name| name.parse().unwrap())
}

fn device() -> impl Strategy<Value = DeviceName> {
    (1u8..=9).prop_map(|i| format!("eth{i}").parse().unwrap())
}

fn mac() -> impl Strategy<Value = Mac> {
    (1u8..=5).prop_map(|i| Mac([2, 0, 0, 0, 0, i]))
}

fn limit() -> impl Strategy<Value = Option<u32>> {
    select(vec![None, Some(0), Some(7), Some(16_777_216)])
}

fn rate() -> impl Strategy<Value = Option<NonZeroU32>> {
    select(vec![None, NonZeroU32::new(1), Some(NonZeroU32::MAX)])
}

fn accept() -> impl Strategy<Value = AcceptFrames> {
    select(vec![
        AcceptFrames::All,
        AcceptFrames::Tagged,
        AcceptFrames::Untagged,
    ])
}

fn offload() -> impl Strategy<Value = OffloadMode> {
    select(vec![OffloadMode::Auto, OffloadMode::Xdp, OffloadMode::Tc])
}

fn text() -> impl Strategy<Value = DisplayText> {
    select(vec!["", "Jo, room 4", "a \"quoted\" #1: {x}", " "])
        .prop_map(|text| text.parse().unwrap())
}

fn sysname() -> impl Strategy<Value = SysName> {
    select(vec!["sw1", "core.lab", "12", "null", "~\"x\"#"]).prop_map(|name| name.parse().unwrap())
}

fn failover() -> impl Strategy<Value = MsmFailoverConfig> {
    let links = select(vec![
        (
            SlaveConfig::Flash,
            LinkAction::TakeLinksDown,
            PreserveState::None,
        ),
        (
            SlaveConfig::Flash,
            LinkAction::KeepLinksUp,
            PreserveState::None,
        ),
        (
            SlaveConfig::Inherited,
            LinkAction::TakeLinksDown,
            PreserveState::None,
        ),
        (
            SlaveConfig::Inherited,
            LinkAction::KeepLinksUp,
            PreserveState::None,
        ),
        (
            SlaveConfig::Inherited,
            LinkAction::KeepLinksUp,
            PreserveState::L2,
        ),
        (
            SlaveConfig::Inherited,
            LinkAction::KeepLinksUp,
            PreserveState::L2L3,
        ),
    ]);
    let level = select(vec![SysRecoveryLevel::All, SysRecoveryLevel::Critical]);
    let watchdog = option::of(50u32..=60_000);
    (
        links,
        30u32..=300,
        10u32..=400,
        2u32..=20,
        watchdog,
        100u32..=600_000,
        level,
        1u32..=20_000,
    )
        .prop_map(
            |(links, timeout, interval, misses, watchdog, freshness, level, more)| {
                let (slave_config, link_action, preserve_state) = links;
                let watchdog_ms = watchdog.filter(|_| more % 3 > 0);
                let least =
                    (interval * misses + TAKEOVER_ALLOWANCE_MS).max(watchdog_ms.unwrap_or(0));
                let lease_ms = (least + more).clamp(1_000, 60_000);
                MsmFailoverConfig {
                    slave_config,
                    link_action,
                    preserve_state,
                    timeout_seconds: timeout,
                    keepalive_interval_ms: interval,
                    keepalive_misses: misses,
                    watchdog_ms: watchdog_ms.filter(|&ms| ms < lease_ms),
                    freshness_ms: freshness,
                    sys_recovery_level: level,
                    lease_ms,
                }
            },
        )
}

fn image_key() -> impl Strategy<Value = ImageKey> {
    (0u8..20).prop_map(|i| format!("RWQ{i:03}{}", "/".repeat(50)).parse().unwrap())
}

fn unsigned() -> impl Strategy<Value = UnsignedImages> {
    select(vec![UnsignedImages::Refuse, UnsignedImages::Allow])
}

fn images() -> impl Strategy<Value = ImagesConfig> {
    (unsigned(), btree_set(image_key(), 0..=MAX_IMAGE_KEYS))
        .prop_map(|(unsigned, keys)| ImagesConfig { unsigned, keys })
}

fn port(vlans: Vec<VlanId>) -> impl Strategy<Value = PortConfig> {
    let members = btree_map(select(vlans), any::<bool>(), 0..5);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let settings = (accept(), offload(), limit(), rate(), rate(), rate());
    (device(), members, flags, settings).prop_map(|(device, members, flags, settings)| {
        let (accept, offload, mac_limit, broadcast, multicast, unknown_unicast) = settings;
        // At most one can be the native one.
        let untagged = members
            .iter()
            .find(|&(_, &native)| native)
            .map(|(&id, _)| id);
        let tagged = members.keys().copied().filter(|&id| untagged != Some(id));
        let tagged: BTreeSet<VlanId> = match accept {
            AcceptFrames::Untagged => BTreeSet::new(),
            _ => tagged.collect(),
        };
        PortConfig {
            device,
            enabled: flags.0,
            untagged,
            tagged,
            accept,
            ingress_filtering: flags.1,
            offload,
            trust_far_end: flags.2,
            mac_limit,
            storm_control: StormControl {
                broadcast,
                multicast,
                unknown_unicast,
            },
        }
    })
}

fn vlans() -> impl Strategy<Value = BTreeMap<VlanId, VlanConfig>> {
    let vlan = (option::of(vlan_name()), limit(), any::<bool>());
    btree_map(vlan_id(), vlan, 1..8).prop_map(|vlans| {
        let mut names = BTreeSet::new();
        let mut kept = BTreeMap::new();
        for (id, (name, mac_limit, learning)) in vlans {
            let name = name.unwrap_or_else(|| VlanName::default_of(id));
            if names.insert(name.clone()) {
                kept.insert(
                    id,
                    VlanConfig {
                        mac_limit,
                        learning,
                        ..VlanConfig::new(name)
                    },
                );
            }
        }
        kept
    })
}

/// Any configuration of the switch sw1.
pub(crate) fn config() -> impl Strategy<Value = Config> {
    vlans().prop_flat_map(|vlans| {
        let ids: Vec<VlanId> = vlans.keys().copied().collect();
        let entries = btree_map((select(ids.clone()), mac()), option::of(port_no()), 0..6);
        let loop_free = vec(option::of(btree_set(port_no(), 0..4)), ids.len());
        let snmp = (sysname(), text(), text());
        let fdb = (
            64u32..=100,
            option::of(10u32..=1_000_000),
            0u32..3,
            1u32..3,
            1u32..3,
        );
        let sections = (snmp, fdb, failover(), images(), stpd::domains());
        (
            btree_map(port_no(), port(ids), 0..6),
            entries,
            loop_free,
            sections,
        )
            .prop_map(move |(ports, entries, loop_free, sections)| {
                whole(vlans.clone(), ports, entries, loop_free, sections)
            })
    })
}

/// What is drawn of sections: texts, numbers, and what is whole already or will be with VLANs and ports.
type Sections = (
    (SysName, DisplayText, DisplayText),
    (u32, Option<u32>, u32, u32, u32),
    MsmFailoverConfig,
    ImagesConfig,
    Vec<stpd::Domain>,
);

fn whole(
    mut vlans: BTreeMap<VlanId, VlanConfig>,
    mut ports: BTreeMap<PortNo, PortConfig>,
    entries: BTreeMap<(VlanId, Mac), Option<PortNo>>,
    loop_free: Vec<Option<BTreeSet<PortNo>>>,
    (snmp, fdb, msm_failover, images, domains): Sections,
) -> Config {
    let mut devices = BTreeSet::new();
    ports.retain(|_, port| devices.insert(port.device.clone()));
    let stpds = stpd::stpds(domains, &vlans, &mut ports);
    let is_member = |port: &PortNo, vlan| ports.get(port).is_some_and(|p| p.is_member(vlan));
    for ((&id, vlan), ports) in vlans.iter_mut().zip(loop_free) {
        vlan.loop_free_ports =
            ports.map(|ports| ports.into_iter().filter(|p| is_member(p, id)).collect());
    }
    let entries = entries
        .into_iter()
        .filter_map(|((vlan, mac), port)| match port {
            None => Some(((vlan, mac), StaticTarget::Blackhole)),
            Some(port) if is_member(&port, vlan) => Some(((vlan, mac), StaticTarget::Port(port))),
            Some(_) => None,
        });
    let fdb = FdbConfig {
        size: fdb.0,
        ageing_seconds: fdb.1,
        damping: Damping {
            moves: fdb.2,
            within_seconds: fdb.3,
            hold_seconds: fdb.4,
        },
        static_entries: entries.collect(),
    };
    Config {
        switch: "sw1".parse().unwrap(),
        snmp: SnmpConfig {
            sysname: snmp.0,
            syscontact: snmp.1,
            syslocation: snmp.2,
        },
        fdb,
        msm_failover,
        images,
        stpds,
        vlans,
        ports,
    }
}

fn vlan_ref() -> impl Strategy<Value = VlanRef> {
    prop_oneof![
        vlan_id().prop_map(VlanRef::Id),
        vlan_name().prop_map(VlanRef::Name)
    ]
}

fn list() -> impl Strategy<Value = PortList> {
    btree_set(port_no(), 1..3).prop_map(|ports| PortList::new(ports).unwrap())
}

fn selection() -> impl Strategy<Value = PortSelection> {
    prop_oneof![1 => Just(PortSelection::All), 5 => list().prop_map(PortSelection::List)]
}

/// Numbers in and out of every range.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        -1i64..400,
        Just(4094),
        Just(4095),
        Just(i64::MAX),
        Just(i64::MIN)
    ]
}

fn vlan_change() -> impl Strategy<Value = VlanChange> {
    prop_oneof![
        prop_oneof![1i64..10, number()].prop_map(|id| VlanChange::Tag { id }),
        vlan_name().prop_map(|name| VlanChange::Name { name }),
        (
            selection(),
            select(vec![Tagging::Tagged, Tagging::Untagged])
        )
            .prop_map(|(ports, tagging)| VlanChange::AddPorts { ports, tagging }),
        selection().prop_map(|ports| VlanChange::DeletePorts { ports }),
        option::of(number()).prop_map(|limit| VlanChange::LimitLearning { limit }),
        any::<bool>().prop_map(|enabled| VlanChange::Learning { enabled }),
        prop_oneof![
            Just(LoopFreePorts::All),
            Just(LoopFreePorts::None),
            list().prop_map(LoopFreePorts::List)
        ]
        .prop_map(|ports| VlanChange::LoopFreePorts { ports }),
    ]
}

fn port_change() -> impl Strategy<Value = PortChange> {
    let kind = select(vec![
        StormKind::Broadcast,
        StormKind::Multicast,
        StormKind::UnknownUnicast,
    ]);
    prop_oneof![
        any::<bool>().prop_map(|enabled| PortChange::Enabled { enabled }),
        accept().prop_map(|frames| PortChange::AcceptFrames { frames }),
        any::<bool>().prop_map(|enabled| PortChange::IngressFiltering { enabled }),
        offload().prop_map(|mode| PortChange::Offload { mode }),
        any::<bool>().prop_map(|enabled| PortChange::TrustFarEnd { enabled }),
        option::of(number()).prop_map(|limit| PortChange::LimitLearning { limit }),
        (kind, option::of(number())).prop_map(|(kind, rate)| PortChange::RateLimit { kind, rate }),
    ]
}

fn failover_change() -> impl Strategy<Value = MsmFailoverChange> {
    let preserve = option::of(select(vec![
        PreserveState::None,
        PreserveState::L2,
        PreserveState::L2L3,
    ]));
    let action = select(vec![LinkAction::KeepLinksUp, LinkAction::TakeLinksDown]);
    prop_oneof![
        select(vec![SlaveConfig::Inherited, SlaveConfig::Flash])
            .prop_map(MsmFailoverChange::SlaveConfig),
        (action, preserve)
            .prop_map(|(action, preserve)| MsmFailoverChange::LinkAction { action, preserve }),
        number().prop_map(|seconds| MsmFailoverChange::Timeout { seconds }),
        (option::of(number()), option::of(number())).prop_map(|(interval_ms, misses)| {
            MsmFailoverChange::Keepalive {
                interval_ms,
                misses,
            }
        }),
        number().prop_map(|ms| MsmFailoverChange::Watchdog { ms }),
        number().prop_map(|ms| MsmFailoverChange::Freshness { ms }),
        number().prop_map(|ms| MsmFailoverChange::Lease { ms }),
    ]
}

/// Any change, sensible or not.
pub(super) fn change() -> impl Strategy<Value = ConfigChange> {
    let words = || select(vec!["sw1", "", "two words", "tab\t"]).prop_map(String::from);
    let target = prop_oneof![
        Just(StaticTarget::Blackhole),
        port_no().prop_map(StaticTarget::Port)
    ];
    let tag = option::of(prop_oneof![1i64..10, number()]);
    let any_mac = prop_oneof![4 => mac(), 1 => Just(Mac::BROADCAST)];
    let fdb = prop_oneof![
        number().prop_map(|seconds| FdbChange::AgingTime { seconds }),
        number().prop_map(|entries| FdbChange::Size { entries }),
        Just(FdbChange::DampingOff),
        (number(), number(), number()).prop_map(|(moves, within_seconds, hold_seconds)| {
            FdbChange::Damping {
                moves,
                within_seconds,
                hold_seconds,
            }
        }),
    ];
    let snmp = prop_oneof![
        words().prop_map(|text| SnmpChange::Sysname { text }),
        words().prop_map(|text| SnmpChange::Syscontact { text }),
        words().prop_map(|text| SnmpChange::Syslocation { text }),
    ];
    let image = prop_oneof![
        unsigned().prop_map(|policy| ImageChange::Unsigned { policy }),
        image_key().prop_map(|key| ImageChange::AddKey { key }),
        image_key().prop_map(|key| ImageChange::DeleteKey { key }),
    ];
    prop_oneof![
        1 => (option::of(vlan_name()), tag)
            .prop_map(|(name, tag)| ConfigChange::CreateVlan { name, tag }),
        1 => vlan_ref().prop_map(|vlan| ConfigChange::DeleteVlan { vlan }),
        4 => (vlan_ref(), vlan_change())
            .prop_map(|(vlan, change)| ConfigChange::Vlan { vlan, change }),
        1 => (port_no(), device()).prop_map(|(port, device)| ConfigChange::PortDevice { port, device }),
        4 => (selection(), port_change())
            .prop_map(|(ports, change)| ConfigChange::Ports { ports, change }),
        1 => selection().prop_map(|ports| ConfigChange::UnconfigurePorts { ports }),
        2 => (any_mac, vlan_ref(), target)
            .prop_map(|(mac, vlan, target)| ConfigChange::CreateFdbEntry { mac, vlan, target }),
        1 => (mac(), vlan_ref()).prop_map(|(mac, vlan)| ConfigChange::DeleteFdbEntry { mac, vlan }),
        1 => fdb.prop_map(ConfigChange::Fdb),
        1 => snmp.prop_map(ConfigChange::Snmp),
        1 => Just(ConfigChange::UnconfigureSnmp),
        2 => failover_change().prop_map(ConfigChange::MsmFailover),
        1 => Just(ConfigChange::UnconfigureMsmFailover),
        1 => select(vec![SysRecoveryLevel::All, SysRecoveryLevel::Critical])
            .prop_map(|level| ConfigChange::SysRecoveryLevel { level }),
        1 => image.prop_map(ConfigChange::Image),
        6 => stpd::change(),
    ]
}
