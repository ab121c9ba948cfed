//! Model to YAML to model, for configurations drawn at random.

use std::collections::BTreeSet;

use hitless_common::{Mac, PortNo, VlanId};
use proptest::prelude::*;

use super::read;

fn identifier(first: &'static str) -> impl Strategy<Value = String> {
    proptest::string::string_regex(&format!("{first}[A-Za-z0-9_-]{{0,14}}")).unwrap()
}

prop_compose! {
    fn a_vlan()(
        name in proptest::option::of(identifier("[A-Za-z]")),
        mac_limit in proptest::option::of(0..=16_777_216i64),
        learning: bool,
        loop_free in proptest::option::of(any::<u128>()),
    ) -> (Option<String>, Option<i64>, bool, Option<u128>) {
        (name, mac_limit, learning, loop_free)
    }
}

/// One port's VLANs, and the port as YAML, given the VLANs that exist; each VLAN is drawn absent, tagged or untagged.
fn a_port(port: u16, ids: Vec<u16>) -> impl Strategy<Value = (u16, BTreeSet<u16>, String)> {
    let part = proptest::collection::vec(any::<bool>(), ids.len());
    let untagged = proptest::option::of(proptest::sample::select(ids.clone()));
    let flags = (any::<[bool; 3]>(), 0..2usize, 0..3usize);
    let numbers = proptest::array::uniform4(proptest::option::of(1..=u32::MAX));
    (part, untagged, flags, numbers).prop_map(
        move |(part, untagged, (flags, accept, offload), numbers)| {
            let tagged: Vec<u16> = ids
                .iter()
                .zip(part)
                .filter(|&(&id, tagged)| tagged && untagged != Some(id))
                .map(|(&id, _)| id)
                .collect();
            let mut text = format!("- port: {port}\n  device: dev{port}\n  tagged: {tagged:?}\n");
            text += &format!(
                "  enabled: {}\n  ingress_filtering: {}\n  trust_far_end: {}\n",
                flags[0], flags[1], flags[2]
            );
            text += &format!(
                "  accept: {}\n  offload: {}\n",
                ["all", "tagged"][accept],
                ["auto", "xdp", "tc"][offload]
            );
            if let Some(id) = untagged {
                text += &format!("  untagged: {id}\n");
            }
            if let Some(limit) = numbers[0] {
                text += &format!("  mac_limit: {}\n", limit >> 8);
            }
            let kinds = ["broadcast", "multicast", "unknown_unicast"];
            let limits = kinds.iter().zip(&numbers[1..]);
            let limits: Vec<String> = limits
                .filter_map(|(kind, limit)| limit.map(|limit| format!("{kind}: {limit}")))
                .collect();
            text += &format!("  storm_control: {{{}}}\n", limits.join(", "));
            (port, tagged.into_iter().chain(untagged).collect(), text)
        },
    )
}

prop_compose! {
    /// A section that keeps the rules between its keys.
    fn a_failover()(
        shape in 0..6usize,
        timeout in 30..=300,
        (interval, misses) in (10..=200, 2..=100),
        watchdog in prop_oneof![Just(0), 50..=20_000],
        freshness in 100..=600_000,
        lease in 20_501..=60_000,
        critical: bool,
    ) -> String {
        let shape = [
            "slave_config: flash, link_action: take_links_down",
            "link_action: take_links_down, preserve_state: none",
            "slave_config: flash, preserve_state: none",
            "preserve_state: none",
            "link_action: keep_links_up, preserve_state: l2",
            "slave_config: inherited",
        ][shape];
        let level = if critical { "critical" } else { "all" };
        format!(
            "msm_failover: {{{shape}, timeout: {timeout}, keepalive_interval_ms: {interval}, keepalive_misses: {misses}, \
             watchdog_ms: {watchdog}, freshness_ms: {freshness}, lease_ms: {lease}, sys_recovery_level: {level}}}\n"
        )
    }
}

/// A section with what YAML could take for something else.
fn a_system() -> impl Strategy<Value = String> {
    let sysname = proptest::option::of("[!-~]{1,20}");
    let text = || proptest::option::of("[ -~]{0,40}");
    (sysname, text(), text()).prop_map(|(sysname, syscontact, syslocation)| {
        let values = [
            ("sysname", sysname),
            ("syscontact", syscontact),
            ("syslocation", syslocation),
        ];
        let values = values.into_iter().filter_map(|(key, value)| {
            value.map(|value| format!("{key}: '{}'", value.replace('\'', "''")))
        });
        format!("snmp: {{{}}}\n", values.collect::<Vec<_>>().join(", "))
    })
}

/// Who may sign images, or nothing of it.
fn some_images() -> impl Strategy<Value = String> {
    let keys = proptest::collection::btree_set("RW[Q-T][A-Za-z0-9+/]{53}", 0..4);
    (any::<bool>(), any::<bool>(), keys).prop_map(|(there, allow, keys)| {
        let unsigned = if allow { "allow" } else { "refuse" };
        let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
        match there {
            true => format!("images: {{unsigned: {unsigned}, keys: [{keys}]}}\n"),
            false => String::new(),
        }
    })
}

/// What is drawn of a domain: a word of VLANs and one of ports, numbers, and the times that go together.
type Domain = (u64, u128, [u16; 4], usize);

fn a_domain() -> impl Strategy<Value = Domain> {
    (any::<u64>(), any::<u128>(), any::<[u16; 4]>(), 0..4usize)
}

/// Domains with some of the VLANs, each disabled, so that no port must carry BPDUs.
fn domains(domains: &[Domain], vlans: &[u16], ports: &[(u16, BTreeSet<u16>, String)]) -> String {
    let mut text = String::from("stpds:\n");
    let mut free: BTreeSet<u16> = vlans.iter().copied().collect();
    for ((bits, chosen, numbers, times), name) in domains.iter().zip(["s0", "lab.1", "null"]) {
        let own = free.iter().filter(|&id| bits >> (id % 64) & 1 != 0);
        let own: BTreeSet<u16> = own.copied().collect();
        free.retain(|id| !own.contains(id));
        text += &format!(
            "- name: \"{name}\"\n  vlans: {:?}\n",
            own.iter().collect::<Vec<_>>()
        );
        text += &format!(
            "  priority: {}\n  tx_hold_count: {}\n",
            numbers[0] & 0xf000,
            numbers[1] % 10 + 1
        );
        text += [
            "",
            "  mode: dot1d\n  hello_time: 10\n  max_age: 22\n",
            "  max_age: 6\n  forward_delay: 4\n",
            "  path_cost_method: short\n  default_encapsulation: pvst-plus\n",
        ][*times];
        if let Some(tag) = own.first().filter(|_| numbers[2] % 2 == 0) {
            text += &format!("  tag: {tag}\n");
        }
        text += "  ports:\n";
        for (port, members, _) in ports {
            if members.is_disjoint(&own) || chosen >> (port - 1) & 1 == 0 {
                continue;
            }
            let flag = |bit: u16| numbers[3].rotate_left(u32::from(*port)) >> bit & 1 != 0;
            text += &format!(
                "  - {{port: {port}, enabled: {}, auto_edge: {}, root_guard: {}, bpdu_filter: {}, loop_guard: {}, \
                 link_type: {}, priority: {}",
                flag(0),
                flag(1),
                flag(2),
                flag(3),
                flag(4),
                ["auto", "edge", "broadcast", "point-to-point"][usize::from(numbers[3] >> 5 & 3)],
                numbers[3] & 0xf0,
            );
            if flag(7) {
                text += &format!(
                    ", bpdu_guard: true, bpdu_guard_recovery: {}",
                    numbers[2] % 3_600 + 1
                );
            }
            if flag(8) {
                text += &format!(
                    ", encapsulation: emistp, cost: {}",
                    u32::from(numbers[1]).max(1)
                );
            }
            text += "}\n";
        }
    }
    text
}

/// The YAML of a correct configuration.
fn a_configuration() -> impl Strategy<Value = String> {
    let vlans = proptest::collection::btree_map(1..=4094u16, a_vlan(), 1..40);
    let numbers = proptest::collection::btree_set(1..=128u16, 0..12);
    (vlans, numbers, identifier("[A-Za-z0-9_]")).prop_flat_map(|(vlans, numbers, switch)| {
        let ids: Vec<u16> = vlans.keys().copied().collect();
        let ports: Vec<_> = numbers.into_iter().map(|n| a_port(n, ids.clone())).collect();
        let holes = proptest::collection::btree_set((proptest::sample::select(ids), 0..1u64 << 40), 0..20);
        let fdb = (64..=16_777_216u32, prop_oneof![Just(0), 10..=1_000_000], 0..=1_000_000, 1..=3_600, 1..=86_400);
        let stpds = proptest::collection::vec(a_domain(), 0..4);
        (ports, holes, fdb, a_failover(), (a_system(), some_images()), stpds).prop_map(move |(ports, holes, (size, ageing, moves, within, hold), failover, (system, images), stpds)| {
            let mut text = format!("switch: \"{switch}\"\nfdb:\n  size: {size}\n  ageing_seconds: {ageing}\n");
            text += &format!("  damping: {{moves: {moves}, within_seconds: {within}, hold_seconds: {hold}}}\n  static:\n");
            for (vlan, mac) in &holes {
                // The first octet 02 keeps these apart from group and control addresses.
                let mac = Mac::from_u64(0x0200_0000_0000 | mac);
                text += &format!("  - {{vlan: {vlan}, mac: \"{mac}\", blackhole: true}}\n");
            }
            text += &failover;
            text += &system;
            text += &images;
            text += "vlans:\n";
            let mut names = BTreeSet::new();
            for (id, (name, mac_limit, learning, loop_free)) in &vlans {
                text += &format!("- id: {id}\n  learning: {learning}\n");
                // A drawn name counts only if it is new and no default of another VLAN.
                let name = name.as_ref().filter(|n| !n.starts_with("vlan"));
                if let Some(name) = name.filter(|n| names.insert((*n).clone())) {
                    text += &format!("  name: \"{name}\"\n");
                }
                if let Some(limit) = mac_limit {
                    text += &format!("  mac_limit: {limit}\n");
                }
                if let Some(chosen) = loop_free {
                    let members = ports.iter().filter(|(_, vlans, _)| vlans.contains(id));
                    let members = members.map(|&(port, ..)| port);
                    let chosen: Vec<u16> = members.filter(|port| chosen >> (port - 1) & 1 != 0).collect();
                    text += &format!("  loop_free_ports: {chosen:?}\n");
                }
            }
            text += "ports:\n";
            ports.iter().for_each(|(_, _, port)| text += port);
            if !stpds.is_empty() {
                let ids: Vec<u16> = vlans.keys().copied().collect();
                text += &domains(&stpds, &ids, &ports);
            }
            text
        })
    })
}

proptest! {
    #[test]
    fn a_configuration_survives_the_way_to_yaml_and_back(text in a_configuration()) {
        let config = read(&text).unwrap();
        let written = serde_yaml::to_string(&config).unwrap();
        prop_assert_eq!(read(&written).unwrap(), config, "{}", written);
    }
}

/// A file from before there were domains is written back as it was.
#[test]
fn the_domain_of_the_factory_is_not_written() {
    for text in [
        "switch: a\n",
        "switch: a\nvlans: [{id: 1}, {id: 2}]\nports: [{port: 1, device: a, untagged: 1}]\n",
    ] {
        let written = serde_yaml::to_string(&read(text).unwrap()).unwrap();
        assert!(!written.contains("stp"), "{written}");
    }
    let text =
        "switch: a\nvlans: [{id: 1}, {id: 2}]\nstpds: [{name: s0, enabled: true, vlans: [1-2]}]\n";
    let written = serde_yaml::to_string(&read(text).unwrap()).unwrap();
    let section = "stpds:\n- name: s0\n  enabled: true\n  mode: dot1w\n  vlans:\n  - 1\n  - 2\n";
    assert!(written.ends_with(section), "{written}");
}

#[test]
fn written_ranges_are_short() {
    let vlans: String = (1..=4094).map(|id| format!("- {{id: {id}}}\n")).collect();
    let text = format!(
        "switch: a\nvlans:\n{vlans}ports:\n- {{port: 1, device: a, untagged: 7, tagged: [1-6, 8-4094]}}\n"
    );
    let config = read(&text).unwrap();
    assert!(config.ports[&PortNo::new(1).unwrap()].is_member(VlanId::MAX));
    let written = serde_yaml::to_string(&config).unwrap();
    assert!(
        written.contains("  tagged:\n  - 1-6\n  - 8-4094\n"),
        "{written}"
    );
}
