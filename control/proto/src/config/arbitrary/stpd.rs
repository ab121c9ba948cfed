//! Spanning tree domains for property tests. What breaks a rule of encapsulations is mended in one way or another, so
//! that many domains are enabled.

use super::*;
use crate::config::stpd::DEFAULT_VLAN;
use crate::stp::CostMethod;

fn name() -> impl Strategy<Value = StpdName> {
    select(vec!["s0", "a", "b"]).prop_map(|name| name.parse().unwrap())
}

fn encapsulation() -> impl Strategy<Value = StpEncapsulation> {
    select(StpEncapsulation::ALL)
}

fn mode() -> impl Strategy<Value = StpdMode> {
    select(StpdMode::ALL)
}

fn method() -> impl Strategy<Value = CostMethod> {
    select(vec![CostMethod::Short, CostMethod::Long])
}

fn link_type() -> impl Strategy<Value = StpLinkType> {
    select(StpLinkType::ALL)
}

/// A domain that knows neither VLANs nor ports yet.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    name: StpdName,
    /// Times, numbers and what else stands for itself; the ports are those that could have settings.
    config: StpdConfig,
    /// The VLANs that it takes if no other has them, a bit each, and the one that carries its BPDUs.
    vlans: u8,
    tag: Option<usize>,
    /// How what breaks a rule is mended.
    mend: u8,
}

fn times() -> impl Strategy<Value = (StpdMode, u16, u16, u16)> {
    (mode(), 1u16..=10, 6u16..=40, 4u16..=30).prop_map(|(mode, hello, age, delay)| {
        let hello = match mode {
            StpdMode::Dot1d => hello,
            StpdMode::Dot1w => hello.min(2),
        };
        let age = age.max(2 * (hello + 1));
        (mode, hello, age, delay.max(age.div_ceil(2) + 1))
    })
}

fn port() -> impl Strategy<Value = StpdPortConfig> {
    let numbers = (
        (0u8..=15).prop_map(|n| n * 16),
        option::of(select(vec![1u32, 19, 65_535, 200_000_000])),
    );
    let guard = prop_oneof![
        Just((false, None)),
        option::of(1u16..=3_600).prop_map(|recovery| (true, recovery))
    ];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let enabled = prop::bool::weighted(0.8);
    (
        enabled,
        option::of(encapsulation()),
        numbers,
        link_type(),
        guard,
        flags,
    )
        .prop_map(
            |(enabled, encapsulation, (priority, cost), link_type, guard, flags)| StpdPortConfig {
                enabled,
                encapsulation,
                priority,
                cost,
                link_type,
                auto_edge: flags.0,
                bpdu_guard: guard.0,
                bpdu_guard_recovery: guard.1,
                root_guard: flags.1,
                bpdu_filter: flags.2,
                loop_guard: flags.3,
            },
        )
}

fn domain() -> impl Strategy<Value = Domain> {
    let settings = (
        prop::bool::weighted(0.7),
        (0u16..=15).prop_map(|n| n * 4096),
        1u8..=10,
        method(),
        option::of(encapsulation()),
        times(),
    );
    let vlans = (any::<u8>(), option::weighted(0.8, 0usize..8));
    let ports = btree_map(port_no(), port(), 0..4);
    (name(), settings, vlans, ports, any::<u8>()).prop_map(
        |(name, settings, (vlans, tag), ports, mend)| {
            let (enabled, priority, tx_hold_count, method, encapsulation, times) = settings;
            let defaults = StpdConfig::new(name);
            let config = StpdConfig {
                enabled,
                priority,
                tx_hold_count,
                path_cost_method: method,
                mode: times.0,
                hello_time: times.1,
                max_age: times.2,
                forward_delay: times.3,
                default_encapsulation: encapsulation.unwrap_or(defaults.default_encapsulation),
                ports,
                ..defaults
            };
            Domain {
                name,
                config,
                vlans,
                tag,
                mend,
            }
        },
    )
}

pub(super) fn domains() -> impl Strategy<Value = Vec<Domain>> {
    vec(domain(), 0..6)
}

/// The domains, valid with these VLANs and ports, which may become members of what carries BPDUs.
pub(super) fn stpds(
    domains: Vec<Domain>,
    vlans: &BTreeMap<VlanId, VlanConfig>,
    ports: &mut BTreeMap<PortNo, PortConfig>,
) -> BTreeMap<StpdName, StpdConfig> {
    let mut stpds = Config::factory("sw1".parse().unwrap()).stpds;
    let mut free: BTreeSet<VlanId> = vlans.keys().copied().collect();
    let mut how = 0;
    for domain in domains {
        let mut stpd = domain.config;
        let taken = vlans.keys().enumerate();
        let taken =
            taken.filter(|&(i, vlan)| domain.vlans >> (i % 8) & 1 == 1 && free.contains(vlan));
        stpd.vlans = taken.map(|(_, &vlan)| vlan).collect();
        stpd.tag = domain
            .tag
            .and_then(|i| stpd.vlans.iter().nth(i % stpd.vlans.len().max(1)).copied());
        free.retain(|vlan| !stpd.vlans.contains(vlan));
        if let Some(old) = stpds.insert(domain.name, stpd) {
            free.extend(old.vlans);
        }
        how ^= domain.mend;
    }
    let s0 = stpds.get_mut(&StpdName::S0).unwrap();
    if free.contains(&DEFAULT_VLAN) && s0.vlans.is_empty() {
        s0.vlans.insert(DEFAULT_VLAN);
    }
    mend(how, &mut stpds, ports);
    stpds
}

fn mend(
    how: u8,
    stpds: &mut BTreeMap<StpdName, StpdConfig>,
    ports: &mut BTreeMap<PortNo, PortConfig>,
) {
    use StpEncapsulation::{Dot1d, Emistp, PvstPlus};
    let mut plain = BTreeSet::new();
    for stpd in stpds.values_mut() {
        let short = stpd.path_cost_method == CostMethod::Short;
        if stpd.tag.is_none() && stpd.default_encapsulation != Dot1d {
            stpd.default_encapsulation = Dot1d;
        }
        if stpd.default_encapsulation == PvstPlus && stpd.vlans.len() != 1 {
            stpd.default_encapsulation = Emistp;
        }
        let members = ports.iter_mut();
        for (&number, member) in members {
            if !member.is_member_of_any(&stpd.vlans) {
                stpd.ports.remove(&number);
                continue;
            }
            let mut port = stpd.port(number);
            port.cost = port
                .cost
                .map(|cost| if short { cost.min(65_535) } else { cost });
            match port.encapsulation {
                Some(Emistp) if stpd.tag.is_none() => port.encapsulation = None,
                Some(PvstPlus) if stpd.tag.is_none() || stpd.vlans.len() != 1 => {
                    port.encapsulation = Some(Dot1d);
                }
                _ => {}
            }
            let encapsulation = port.encapsulation.unwrap_or(stpd.default_encapsulation);
            if let (Emistp, Some(tag)) = (encapsulation, stpd.tag)
                && !member.tagged.contains(&tag)
                && port.enabled
            {
                match how.wrapping_add(number.get() as u8) % 3 {
                    0 => port.enabled = false,
                    1 => port.encapsulation = Some(Dot1d),
                    _ if member.accept == AcceptFrames::Untagged => port.enabled = false,
                    _ => {
                        member.untagged = member.untagged.filter(|&vlan| vlan != tag);
                        member.tagged.insert(tag);
                    }
                }
            }
            let encapsulation = port.encapsulation.unwrap_or(stpd.default_encapsulation);
            if stpd.enabled && port.enabled && encapsulation == Dot1d {
                port.enabled = plain.insert(number);
            }
            stpd.ports.insert(number, port);
            if port == StpdPortConfig::default() {
                stpd.ports.remove(&number);
            }
        }
        let members = ports
            .iter()
            .filter(|(_, p)| p.is_member_of_any(&stpd.vlans));
        let members: BTreeSet<PortNo> = members.map(|(&number, _)| number).collect();
        stpd.ports.retain(|number, _| members.contains(number));
    }
}

fn stpd_change() -> impl Strategy<Value = StpdChange> {
    let priority = prop_oneof![(0i64..=16).prop_map(|n| n * 4096), number()];
    let seconds = || prop_oneof![5 => 1i64..41, 1 => number()];
    prop_oneof![
        4 => any::<bool>().prop_map(|enabled| StpdChange::Enabled { enabled }),
        1 => mode().prop_map(|mode| StpdChange::Mode { mode }),
        3 => option::of(vlan_id()).prop_map(|tag| StpdChange::Tag { tag }),
        1 => priority.prop_map(|priority| StpdChange::Priority { priority }),
        1 => seconds().prop_map(|seconds| StpdChange::HelloTime { seconds }),
        1 => seconds().prop_map(|seconds| StpdChange::MaxAge { seconds }),
        1 => seconds().prop_map(|seconds| StpdChange::ForwardDelay { seconds }),
        1 => seconds().prop_map(|count| StpdChange::TxHoldCount { count }),
        1 => method().prop_map(|method| StpdChange::PathCostMethod { method }),
        2 => encapsulation()
            .prop_map(|encapsulation| StpdChange::DefaultEncapsulation { encapsulation }),
        4 => vlan_ref().prop_map(|vlan| StpdChange::AddVlan { vlan }),
        2 => vlan_ref().prop_map(|vlan| StpdChange::DeleteVlan { vlan }),
        8 => (selection(), stpd_port_change())
            .prop_map(|(ports, change)| StpdChange::Ports { ports, change }),
    ]
}

fn stpd_port_change() -> impl Strategy<Value = StpdPortChange> {
    let priority = prop_oneof![(0i64..=16).prop_map(|n| n * 16), number()];
    prop_oneof![
        any::<bool>().prop_map(|enabled| StpdPortChange::Enabled { enabled }),
        option::of(encapsulation())
            .prop_map(|encapsulation| StpdPortChange::Encapsulation { encapsulation }),
        priority.prop_map(|priority| StpdPortChange::Priority { priority }),
        option::of(prop_oneof![number(), Just(65_536), Just(200_000_000)])
            .prop_map(|cost| StpdPortChange::Cost { cost }),
        link_type().prop_map(|link_type| StpdPortChange::LinkType { link_type }),
        any::<bool>().prop_map(|enabled| StpdPortChange::AutoEdge { enabled }),
        (prop::bool::weighted(0.7), option::of(number()))
            .prop_map(|(enabled, recovery)| StpdPortChange::BpduGuard { enabled, recovery }),
        any::<bool>().prop_map(|enabled| StpdPortChange::RootGuard { enabled }),
        any::<bool>().prop_map(|enabled| StpdPortChange::BpduFilter { enabled }),
        any::<bool>().prop_map(|enabled| StpdPortChange::LoopGuard { enabled }),
    ]
}

/// Any change of domains, sensible or not.
pub(super) fn change() -> impl Strategy<Value = ConfigChange> {
    prop_oneof![
        1 => name().prop_map(|stpd| ConfigChange::CreateStpd { stpd }),
        1 => name().prop_map(|stpd| ConfigChange::DeleteStpd { stpd }),
        1 => name().prop_map(|stpd| ConfigChange::UnconfigureStpd { stpd }),
        9 => (name(), stpd_change())
            .prop_map(|(stpd, change)| ConfigChange::Stpd { stpd, change }),
    ]
}
