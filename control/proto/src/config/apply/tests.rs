//! What changes do, and what they leave alone.

use std::time::Instant;

use super::*;
use crate::config::arbitrary::{change, config as any_config};
use proptest::prelude::*;
use serde_json::{Value, json};

mod effects;
mod stpd;

fn config(document: Value) -> Config {
    let document: Document = serde_json::from_value(document).unwrap();
    document.check().unwrap()
}

fn change_of(value: Value) -> ConfigChange {
    serde_json::from_value(value).unwrap()
}

/// After one change.
fn after(config: &Config, change: Value) -> Result<Config, String> {
    config
        .changed(&[change_of(change)])
        .map_err(|error| error.to_string())
}

/// What of a configuration a change is about.
#[derive(PartialEq)]
enum Part {
    Members,
    Fdb,
    Snmp,
    Failover,
    Stp,
}

fn part(change: &ConfigChange) -> Part {
    match change {
        ConfigChange::Fdb(_) => Part::Fdb,
        ConfigChange::Snmp(_) | ConfigChange::UnconfigureSnmp => Part::Snmp,
        ConfigChange::MsmFailover(_)
        | ConfigChange::UnconfigureMsmFailover
        | ConfigChange::SysRecoveryLevel { .. } => Part::Failover,
        ConfigChange::CreateStpd { .. }
        | ConfigChange::DeleteStpd { .. }
        | ConfigChange::UnconfigureStpd { .. }
        | ConfigChange::Stpd { .. } => Part::Stp,
        _ => Part::Members,
    }
}

/// Settings that domains have of ports that are no members of their VLANs.
fn forget_strangers(config: &mut Config) {
    for stpd in config.stpds.values_mut() {
        stpd.ports.retain(|port, _| {
            let port = config.ports.get(port);
            port.is_some_and(|port| stpd.vlans.iter().any(|&vlan| port.is_member(vlan)))
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_change_changes_nothing_else(before in any_config(), change in change()) {
        let Ok(after) = before.changed(std::slice::from_ref(&change)) else { return Ok(()) };
        let part = part(&change);
        prop_assert_eq!(&after.switch, &before.switch);
        prop_assert!(part == Part::Snmp || after.snmp == before.snmp);
        prop_assert!(part == Part::Failover || after.msm_failover == before.msm_failover);
        let settings = |config: &Config| FdbDoc::settings(&config.fdb);
        prop_assert!(part == Part::Fdb || settings(&after) == settings(&before));
        prop_assert!(matches!(part, Part::Stp | Part::Members) || after.stpds == before.stpds);
        let entries = |config: &Config| config.fdb.static_entries.clone();
        let members = |config: &Config| (config.vlans.clone(), config.ports.clone());
        match &change {
            ConfigChange::Ports { ports, .. } => {
                prop_assert_eq!(&after.vlans, &before.vlans);
                prop_assert_eq!(&after.stpds, &before.stpds);
                prop_assert_eq!(entries(&after), entries(&before));
                for (number, port) in &before.ports {
                    let meant = match ports {
                        PortSelection::All => true,
                        PortSelection::List(list) => list.ports().contains(number),
                    };
                    prop_assert!(meant || after.ports.get(number) == Some(port));
                }
            }
            ConfigChange::PortDevice { port, .. } => {
                prop_assert_eq!(&after.vlans, &before.vlans);
                prop_assert_eq!(&after.stpds, &before.stpds);
                prop_assert_eq!(entries(&after), entries(&before));
                let mut others = after.ports.clone();
                others.remove(port);
                others.extend(before.ports.get(port).map(|config| (*port, config.clone())));
                prop_assert_eq!(&others, &before.ports);
            }
            ConfigChange::CreateFdbEntry { mac, .. } | ConfigChange::DeleteFdbEntry { mac, .. } => {
                prop_assert_eq!(members(&after), members(&before));
                prop_assert_eq!(&after.stpds, &before.stpds);
                let others = |config: &Config| {
                    let mut entries = entries(config);
                    entries.retain(|(_, other), _| other != mac);
                    entries
                };
                prop_assert_eq!(others(&after), others(&before));
            }
            ConfigChange::Vlan { vlan, change } => {
                let vlan = vlan.resolve(&before).unwrap();
                let others = |config: &Config| {
                    let mut config = config.clone();
                    let now = match change {
                        VlanChange::Tag { id } => VlanId::try_new(*id).unwrap(),
                        _ => vlan,
                    };
                    config.vlans.retain(|&id, _| id != vlan && id != now);
                    for port in config.ports.values_mut() {
                        port.untagged = port.untagged.filter(|&id| id != vlan && id != now);
                        port.tagged.retain(|&id| id != vlan && id != now);
                    }
                    config.fdb.static_entries.retain(|&(id, _), _| id != vlan && id != now);
                    for stpd in config.stpds.values_mut() {
                        if stpd.vlans.remove(&vlan) | stpd.vlans.remove(&now) {
                            stpd.tag = stpd.tag.filter(|&tag| tag != vlan && tag != now);
                            stpd.ports.clear();
                        }
                    }
                    config
                };
                prop_assert_eq!(others(&after), others(&before));
            }
            ConfigChange::CreateVlan { .. } => {
                prop_assert_eq!(&after.ports, &before.ports);
                prop_assert_eq!(entries(&after), entries(&before));
                for (id, vlan) in &before.vlans {
                    prop_assert_eq!(after.vlans.get(id), Some(vlan));
                }
                let mut stpds = before.stpds.clone();
                if after.vlans.contains_key(&DEFAULT_VLAN) && !before.vlans.contains_key(&DEFAULT_VLAN) {
                    stpds.get_mut(&StpdName::S0).unwrap().vlans.insert(DEFAULT_VLAN);
                }
                prop_assert_eq!(&after.stpds, &stpds);
            }
            ConfigChange::DeleteVlan { vlan } => {
                let vlan = vlan.resolve(&before).unwrap();
                let mut others = before.clone();
                others.vlans.remove(&vlan);
                for port in others.ports.values_mut() {
                    port.untagged = port.untagged.filter(|&id| id != vlan);
                    port.tagged.remove(&vlan);
                }
                others.fdb.static_entries.retain(|&(id, _), _| id != vlan);
                for stpd in others.stpds.values_mut() {
                    stpd.vlans.remove(&vlan);
                    stpd.tag = stpd.tag.filter(|&tag| tag != vlan);
                }
                forget_strangers(&mut others);
                prop_assert_eq!(&after, &others);
            }
            ConfigChange::UnconfigurePorts { .. } => {
                let mut others = before.clone();
                others.ports.retain(|number, _| after.ports.contains_key(number));
                for vlan in others.vlans.values_mut() {
                    if let Some(ports) = &mut vlan.loop_free_ports {
                        ports.retain(|number| after.ports.contains_key(number));
                    }
                }
                others.fdb.static_entries.retain(|_, target| match target {
                    StaticTarget::Port(number) => after.ports.contains_key(number),
                    StaticTarget::Blackhole => true,
                });
                forget_strangers(&mut others);
                prop_assert_eq!(&after, &others);
            }
            _ => {
                prop_assert_eq!(members(&after), members(&before));
                prop_assert_eq!(entries(&after), entries(&before));
                let others = |config: &Config| {
                    let mut stpds = config.stpds.clone();
                    if let ConfigChange::CreateStpd { stpd }
                    | ConfigChange::DeleteStpd { stpd }
                    | ConfigChange::UnconfigureStpd { stpd }
                    | ConfigChange::Stpd { stpd, .. } = &change
                    {
                        stpds.remove(stpd);
                    }
                    stpds
                };
                prop_assert_eq!(others(&after), others(&before));
            }
        }
    }

    #[test]
    fn a_change_to_what_is_so_changes_nothing(before in any_config(), change in change()) {
        let changes = std::slice::from_ref(&change);
        let Ok(after) = before.changed(changes) else { return Ok(()) };
        // One that asks for a new VLAN, whatever its id, gets another one.
        if change == (ConfigChange::CreateVlan { name: None, tag: None }) {
            return Ok(());
        }
        match after.changed(changes) {
            Ok(again) => prop_assert_eq!(again, after),
            // What was removed or has another name now is not found.
            Err(error) => prop_assert!(error.is_not_found(), "{}", error),
        }
    }

    #[test]
    fn together_they_do_what_they_do_one_by_one(
        before in any_config(),
        changes in prop::collection::vec(change(), 0..8),
    ) {
        let mut one_by_one = before.clone();
        for change in &changes {
            match one_by_one.changed(std::slice::from_ref(change)) {
                Ok(next) => one_by_one = next,
                Err(_) => return Ok(()),
            }
        }
        prop_assert_eq!(before.changed(&changes).unwrap(), one_by_one);
    }

    /// Whatever is asked, the answer is a valid configuration or a reason.
    #[test]
    fn nothing_gets_past_the_rules(
        before in any_config(),
        changes in prop::collection::vec(change(), 0..8),
    ) {
        match before.changed(&changes) {
            Ok(after) => prop_assert_eq!(Document::from(after.clone()).check().unwrap(), after),
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.len() > 10, "{}", text);
                prop_assert!(error.index.is_none_or(|index| index < changes.len()));
            }
        }
    }

    #[test]
    fn changes_come_back_from_json(change in change()) {
        let json = serde_json::to_string(&change).unwrap();
        prop_assert_eq!(serde_json::from_str::<ConfigChange>(&json).unwrap(), change);
    }
}

#[test]
fn an_unknown_field_is_refused() {
    for text in [
        r#"{"create-vlan": {"name": "blue", "id": 10}}"#,
        r#"{"vlan": {"vlan": 10, "change": {"tag": {"id": 9, "force": true}}}}"#,
        r#"{"ports": {"ports": "1", "change": {"enabled": {"enabled": true, "x": 1}}}}"#,
        r#"{"snmp": {"sysdescr": {"text": "x"}}}"#,
    ] {
        assert!(
            serde_json::from_str::<ConfigChange>(text).is_err(),
            "{text}"
        );
    }
}

/// Every VLAN, tagged on every port.
fn full_switch() -> Vec<ConfigChange> {
    let devices = PortNo::all().map(|port| ConfigChange::PortDevice {
        port,
        device: format!("eth{port}").parse().unwrap(),
    });
    let vlans = (1..=4094).map(|id| ConfigChange::CreateVlan {
        name: None,
        tag: Some(id),
    });
    let members = (1..=4094).map(|id| ConfigChange::Vlan {
        vlan: VlanRef::Id(VlanId::new(id).unwrap()),
        change: VlanChange::AddPorts {
            ports: PortSelection::All,
            tagging: Tagging::Tagged,
        },
    });
    devices.chain(vlans).chain(members).collect()
}

/// In a time far longer than they take, on the slowest of machines, and far shorter than they would if each change
/// checked the whole: that is hours.
#[test]
fn thousands_of_changes_are_checked_once() {
    let began = Instant::now();
    let factory = Config::factory("sw1".parse().unwrap());
    let full = factory.changed(&full_switch()).unwrap();
    assert_eq!(full.ports.len() * full.vlans.len(), 128 * 4094);

    // Ids by themselves, one after the other, on a switch that has them all but for one at a time.
    let changes: Vec<ConfigChange> = (1..=10_000u16)
        .flat_map(|i| {
            let id = VlanId::new(i % 4094 + 1).unwrap();
            [
                ConfigChange::DeleteVlan { vlan: id.into() },
                ConfigChange::CreateVlan {
                    name: Some(format!("v{i}").parse().unwrap()),
                    tag: None,
                },
            ]
        })
        .collect();
    let renamed = full.changed(&changes).unwrap();
    assert_eq!(renamed.vlans.len(), 4094);
    assert!(
        renamed
            .vlans
            .values()
            .all(|vlan| vlan.name.as_str().starts_with("v"))
    );

    let back = diff_of(&renamed, &full);
    assert_eq!(renamed.changed(&back).unwrap(), full);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

fn diff_of(from: &Config, to: &Config) -> Vec<ConfigChange> {
    crate::config::diff(from, to)
}
