//! The JSON that scripts and other versions rely on.

use std::collections::BTreeMap;
use std::path::Path;

use hitless_common::DropReason;
use hitless_common::VlanId;
use hitless_common::map::counters::PortCounters;
use hitless_common::reason::REASON_SLOTS;
use serde_json::{from_str, from_value, json, to_value};

use super::*;

mod images;
mod modules;
mod stpd;

fn request(text: &str) -> Result<Request, String> {
    from_str(text).map_err(|e| e.to_string())
}

#[test]
fn requests_on_the_wire() {
    let vlan = VlanRef::Id(VlanId::MAX);
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let port = PortNo::new(3);
    let cases = [
        (Request::ShowVersion {}, json!({"request": "show-version"})),
        (Request::ShowSwitch {}, json!({"request": "show-switch"})),
        (
            Request::ShowPorts { port: None },
            json!({"request": "show-ports"}),
        ),
        (
            Request::ShowPorts { port },
            json!({"request": "show-ports", "port": 3}),
        ),
        (
            Request::ShowVlan {
                vlan: Some("blue".parse().unwrap()),
            },
            json!({"request": "show-vlan", "vlan": "blue"}),
        ),
        (
            Request::ShowFdb {
                vlan: Some(vlan.clone()),
                port,
                mac: Some(mac),
                cursor: 7,
                limit: 9,
            },
            json!({"request": "show-fdb", "vlan": 4094, "port": 3, "mac": "02:00:00:00:00:01", "cursor": 7, "limit": 9}),
        ),
        (
            Request::ShowCounters {},
            json!({"request": "show-counters"}),
        ),
        (
            Request::ClearFdb {
                vlan: None,
                port: None,
                mac: Some(mac),
            },
            json!({"request": "clear-fdb", "mac": "02:00:00:00:00:01"}),
        ),
        (
            Request::Configure {
                changes: vec![
                    ConfigChange::CreateFdbEntry {
                        vlan: vlan.clone(),
                        mac,
                        target: hitless_proto::config::StaticTarget::Port(port.unwrap()),
                    },
                    ConfigChange::DeleteFdbEntry { vlan, mac },
                ],
                confirmed_seconds: None,
            },
            json!({"request": "configure", "changes": [
                {"create-fdb-entry": {"vlan": 4094, "mac": "02:00:00:00:00:01", "target": {"port": 3}}},
                {"delete-fdb-entry": {"vlan": 4094, "mac": "02:00:00:00:00:01"}}]}),
        ),
        (
            Request::ClearHardware {},
            json!({"request": "clear-hardware"}),
        ),
    ];
    let more = modules::requests()
        .into_iter()
        .chain(stpd::requests())
        .chain(images::requests());
    for (request, wire) in cases.into_iter().chain(more) {
        assert_eq!(to_value(&request).unwrap(), wire);
        assert_eq!(from_value::<Request>(wire).unwrap(), request);
    }
    let minimal = Request::ShowFdb {
        vlan: None,
        port: None,
        mac: None,
        cursor: 0,
        limit: 0,
    };
    assert_eq!(request(r#"{"request":"show-fdb"}"#), Ok(minimal));
}

#[test]
fn wrong_requests_are_refused_with_the_reason() {
    for (text, reason) in [
        (
            r#"{"request":"clear-fdb","Vlan":10}"#,
            "unknown field `Vlan`",
        ),
        (
            r#"{"request":"show-version","port":1}"#,
            "unknown field `port`",
        ),
        (
            r#"{"request":"reboot-slot","slot":"msm-c"}"#,
            "unknown variant `msm-c`",
        ),
        (
            r#"{"request":"configure","changes":[{"msm-failover":{"timeout":{"minutes":1}}}]}"#,
            "unknown field `minutes`",
        ),
        (
            r#"{"request":"configure","changes":[{"msm-failover":{"slave-config":"other"}}]}"#,
            "unknown variant `other`",
        ),
        (r#"{"request":"reboot"}"#, "unknown variant `reboot`"),
        (
            r#"{"request":"show-stpd","port":1}"#,
            "unknown field `port`",
        ),
        (
            r#"{"request":"show-stpd","stpd":"0"}"#,
            "no STP domain name",
        ),
        (
            r#"{"request":"recover-stpd-ports","stpd":"s0"}"#,
            "missing field `ports`",
        ),
        (r#"{"port":1}"#, "missing field `request`"),
        (
            r#"{"request":"show-ports","port":0}"#,
            "port 0 is not in 1 to 128",
        ),
        (r#"{"request":"show-vlan","vlan":4095}"#, "4095 is reserved"),
        (
            r#"{"request":"show-vlan","vlan":18446744073709551615}"#,
            "is not in 1 to 4094",
        ),
        (r#"{"request":"show-vlan","vlan":"-x"}"#, "no VLAN name"),
        (r#"{"request":"show-fdb","mac":"02"}"#, "not a MAC address"),
        (
            r#"{"request":"configure","changes":[{"delete-fdb-entry":{"vlan":1}}]}"#,
            "missing field `mac`",
        ),
    ] {
        let error = request(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn vlans_by_id_and_name() {
    assert_eq!("10".parse(), Ok(VlanRef::Id(VlanId::new(10).unwrap())));
    assert!(matches!("blue".parse(), Ok(VlanRef::Name(_))));
    assert!(matches!("0".parse::<VlanRef>(), Err(InvalidVlanRef::Id(_))));
    assert!(matches!(
        "10x".parse::<VlanRef>(),
        Err(InvalidVlanRef::Id(_))
    ));
    assert!(matches!(
        "b lue".parse::<VlanRef>(),
        Err(InvalidVlanRef::Name(_))
    ));
    // A text of digits in JSON is an id as well.
    assert_eq!(
        from_str::<VlanRef>("\"10\"").unwrap(),
        "10".parse().unwrap()
    );

    let yaml = b"switch: a\nvlans: [{id: 10, name: blue}]\n";
    let config = crate::config_file::parse(yaml, Path::new("a.yml")).unwrap();
    for text in ["10", "blue"] {
        assert_eq!(
            text.parse::<VlanRef>().unwrap().resolve(&config),
            Ok(VlanId::new(10).unwrap())
        );
    }
    for text in ["11", "vlan10"] {
        let error: ApiError = text
            .parse::<VlanRef>()
            .unwrap()
            .resolve(&config)
            .unwrap_err()
            .into();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.message.contains(text), "{error}");
    }
}

#[test]
fn answers_on_the_wire() {
    let error = Response::from(Err(ApiError::new(ErrorKind::NotFound, "no")));
    assert_eq!(
        to_value(&error).unwrap(),
        json!({"error": {"kind": "not-found", "message": "no"}})
    );
    let done = Response::from(Ok(Reply::Done {}));
    assert_eq!(to_value(&done).unwrap(), json!({"ok": {"done": {}}}));
    let page = FdbPage {
        entries: vec![FdbRow {
            vlan: VlanId::MIN,
            mac: Mac([2, 0, 0, 0, 0, 1]),
            port: None,
            kind: FdbKind::Blackhole,
            age_seconds: 0,
        }],
        next: Some(1 << 60),
    };
    assert_eq!(
        to_value(Reply::Fdb(page)).unwrap(),
        json!({"fdb": {
            "entries": [{"vlan": 1, "mac": "02:00:00:00:00:01", "port": null, "kind": "blackhole", "age_seconds": 0}],
            "next": 1u64 << 60,
        }})
    );
}

#[test]
fn a_newer_switch_is_understood_as_far_as_possible() {
    let row = json!({"vlan": 1, "mac": "02:00:00:00:00:01", "port": 1, "kind": "router", "age_seconds": 0, "hits": 9});
    assert_eq!(from_value::<FdbRow>(row).unwrap().kind, FdbKind::Unknown);
    assert_eq!(
        from_str::<LinkState>("\"testing\"").unwrap(),
        LinkState::Unknown
    );
    assert_eq!(
        from_str::<OffloadState>("\"nic\"").unwrap(),
        OffloadState::Unknown
    );
    assert_eq!(
        from_str::<ErrorKind>("\"locked\"").unwrap(),
        ErrorKind::Unknown
    );
    assert_eq!(
        from_str::<ModuleRole>("\"observer\"").unwrap(),
        ModuleRole::Newer
    );
    assert_eq!(from_str::<LogLevel>("\"notice\"").unwrap(), LogLevel::Newer);
}

fn counters(rx_frames: u64, drops: &[(DropReason, u64)]) -> CounterSet {
    let mut all = PortCounters {
        rx_frames,
        rx_bytes: 60 * rx_frames,
        tx_frames: 1,
        tx_bytes: 60,
        punted: 2,
        learn_deferred: 3,
        drops: [0; REASON_SLOTS],
    };
    for &(reason, frames) in drops {
        all.drops[reason as usize] = frames;
    }
    CounterSet::from(&all)
}

#[test]
fn counters_name_only_what_happened_and_add_up() {
    let one = counters(10, &[(DropReason::SamePort, 4)]);
    assert_eq!(
        to_value(&one).unwrap(),
        json!({"rx_frames": 10, "rx_bytes": 600, "tx_frames": 1, "tx_bytes": 60, "punted": 2,
               "learn_deferred": 3, "drops": {"same-port": 4}})
    );
    let two = counters(5, &[(DropReason::SamePort, 1), (DropReason::Truncated, 2)]);
    let port = |number, counters| PortCounterSet {
        port: PortNo::new(number).unwrap(),
        counters,
    };
    let no_port = counters(1, &[(DropReason::UnknownPort, 1)]);
    let info = CountersInfo::new(
        vec![port(1, one), port(2, two)],
        no_port,
        BTreeMap::new(),
        LearningInfo::default(),
    );
    assert_eq!(
        (
            info.totals.rx_frames,
            info.totals.tx_bytes,
            info.totals.dropped()
        ),
        (16, 180, 8)
    );
    assert_eq!(info.reasons.len(), DropReason::ALL.len());
    let frames = |name: &str| {
        info.reasons
            .iter()
            .find(|r| r.reason == name)
            .unwrap()
            .frames
    };
    assert_eq!(
        (
            frames("same-port"),
            frames("truncated"),
            frames("unknown-port")
        ),
        (5, 2, 1)
    );
    assert_eq!(frames("blackhole"), 0);
}

#[test]
fn the_fixed_shapes() {
    let port = PortInfo {
        port: PortNo::new(1).unwrap(),
        device: "eth1".into(),
        enabled: true,
        link: LinkState::Absent,
        device_state: "waiting for the device".into(),
        offload: OffloadState::None,
        offload_reason: "There is no device.".into(),
        configured_offload: hitless_proto::config::OffloadMode::Auto,
        mtu: None,
        speed_mbps: None,
        pvid: None,
        tagged: vec![VlanId::MIN],
        counters: counters(7, &[(DropReason::SamePort, 4)]),
    };
    let wire = to_value(&port).unwrap();
    assert_eq!(
        wire,
        json!({"port": 1, "device": "eth1", "link": "absent", "offload": "none", "rx_frames": 7, "tx_frames": 1,
               "drops": {"same-port": 4}, "enabled": true, "offload_reason": "There is no device.",
               "configured_offload": "auto", "rx_bytes": 420, "tx_bytes": 60, "pvid": null, "tagged": [1],
               "mtu": null, "speed_mbps": null, "punted": 2, "learn_deferred": 3, "device_state": "waiting for the device"})
    );
    assert_eq!(from_value::<PortInfo>(wire).unwrap(), port);

    let switch = SwitchInfo {
        name: "sw1".parse().unwrap(),
        uptime_seconds: 5,
        modules: vec![ModuleInfo {
            slot: ModuleSlot::MsmA,
            role: ModuleRole::Master,
            pid: 42,
            state: SubState::Ready,
            version: "0.1.0".into(),
            image_booted: None,
            image_selected: Some(ImageBank::Secondary),
        }],
        fdb: FdbInfo {
            size: 65_536,
            used: 3,
            static_entries: 1,
            memory_bytes: 2_097_152,
            ageing_seconds: 300,
            full: 0,
        },
        generation: 2,
        adopted: true,
        hardware_writes: [("FDB".to_string(), 3), ("VLANS".to_string(), 1)]
            .into_iter()
            .collect(),
        repaired: 6,
        sysname: "core".into(),
        syscontact: "noc".into(),
        syslocation: String::new(),
        configuration: ConfigBank::Primary,
        config_file: "sw1.yml".into(),
        unsaved: true,
        rollback_seconds: None,
    };
    let wire = to_value(&switch).unwrap();
    assert_eq!(
        wire,
        json!({"name": "sw1", "uptime_seconds": 5,
               "modules": [{"slot": "msm-a", "role": "master", "pid": 42, "state": "ready", "version": "0.1.0",
                            "image_booted": null, "image_selected": "secondary"}],
               "fdb": {"size": 65536, "used": 3, "static": 1, "memory_bytes": 2_097_152, "ageing_seconds": 300, "full": 0},
               "generation": 2, "adopted": true, "hardware_writes": {"total": 4, "tables": {"FDB": 3, "VLANS": 1}},
               "repaired": 6, "sysname": "core", "syscontact": "noc", "syslocation": "",
               "configuration": "primary", "config_file": "sw1.yml", "unsaved": true, "rollback_seconds": null})
    );
    assert_eq!(from_value::<SwitchInfo>(wire).unwrap(), switch);
}
