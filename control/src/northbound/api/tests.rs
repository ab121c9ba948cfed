//! The JSON that scripts and other versions rely on.

use std::collections::BTreeMap;
use std::path::Path;

use hitless_common::DropReason;
use hitless_common::map::counters::PortCounters;
use hitless_common::reason::REASON_SLOTS;
use serde_json::{from_str, from_value, json, to_value};

use super::*;

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
            Request::CreateFdbEntry {
                vlan: vlan.clone(),
                mac,
                target: FdbTarget::Port(port.unwrap()),
            },
            json!({"request": "create-fdb-entry", "vlan": 4094, "mac": "02:00:00:00:00:01", "target": {"port": 3}}),
        ),
        (
            Request::CreateFdbEntry {
                vlan: vlan.clone(),
                mac,
                target: FdbTarget::Blackhole,
            },
            json!({"request": "create-fdb-entry", "vlan": 4094, "mac": "02:00:00:00:00:01", "target": "blackhole"}),
        ),
        (
            Request::DeleteFdbEntry { vlan, mac },
            json!({"request": "delete-fdb-entry", "vlan": 4094, "mac": "02:00:00:00:00:01"}),
        ),
        (
            Request::ClearHardware {},
            json!({"request": "clear-hardware"}),
        ),
    ];
    for (request, wire) in cases.into_iter().chain(module_requests()) {
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

/// Requests about modules, failover and the running configuration.
fn module_requests() -> Vec<(Request, serde_json::Value)> {
    use hitless_proto::config::{LinkAction, PreserveState, SlaveConfig};
    let configure = |change, wire| {
        (
            Request::ConfigureMsmFailover { change },
            json!({"request": "configure-msm-failover", "change": wire}),
        )
    };
    vec![
        (
            Request::ShowMsmFailover {},
            json!({"request": "show-msm-failover"}),
        ),
        (
            Request::RunMsmFailover { force: true },
            json!({"request": "run-msm-failover", "force": true}),
        ),
        configure(
            MsmFailoverChange::SlaveConfig(SlaveConfig::Flash),
            json!({"slave-config": "flash"}),
        ),
        configure(
            MsmFailoverChange::LinkAction {
                action: LinkAction::KeepLinksUp,
                preserve: Some(PreserveState::L2L3),
            },
            json!({"link-action": {"action": "keep_links_up", "preserve": "l2_l3"}}),
        ),
        configure(
            MsmFailoverChange::LinkAction {
                action: LinkAction::TakeLinksDown,
                preserve: None,
            },
            json!({"link-action": {"action": "take_links_down"}}),
        ),
        configure(
            MsmFailoverChange::Timeout { seconds: -1 },
            json!({"timeout": {"seconds": -1}}),
        ),
        configure(
            MsmFailoverChange::Keepalive {
                interval_ms: Some(50),
                misses: None,
            },
            json!({"keepalive": {"interval_ms": 50}}),
        ),
        configure(
            MsmFailoverChange::Watchdog { ms: 0 },
            json!({"watchdog": {"ms": 0}}),
        ),
        configure(
            MsmFailoverChange::Freshness { ms: 100 },
            json!({"freshness": {"ms": 100}}),
        ),
        configure(
            MsmFailoverChange::Lease { ms: 3_000 },
            json!({"lease": {"ms": 3000}}),
        ),
        (
            Request::UnconfigureMsmFailover {},
            json!({"request": "unconfigure-msm-failover"}),
        ),
        (
            Request::ConfigureSysRecoveryLevel {
                level: SysRecoveryLevel::Critical,
            },
            json!({"request": "configure-sys-recovery-level", "level": "critical"}),
        ),
        (
            Request::RebootSlot {
                slot: ModuleSlot::MsmB,
                hard_reset: false,
            },
            json!({"request": "reboot-slot", "slot": "msm-b", "hard_reset": false}),
        ),
        (
            Request::CheckMsmFailover {},
            json!({"request": "check-msm-failover"}),
        ),
        (
            Request::ShowLog {
                count: 9,
                slot: Some(ModuleSlot::MsmA),
                level: Some(LogLevel::Warn),
                since: Some(7),
            },
            json!({"request": "show-log", "count": 9, "slot": "msm-a", "level": "warn", "since": 7}),
        ),
        (
            Request::ClearQuarantine {},
            json!({"request": "clear-quarantine"}),
        ),
        (Request::Save {}, json!({"request": "save"})),
        (
            Request::InjectFault {
                fault: Fault::CriticalTaskPanic,
            },
            json!({"request": "inject-fault", "fault": "critical-task-panic"}),
        ),
        (
            Request::InjectFault {
                fault: Fault::Other("map-loss".into()),
            },
            json!({"request": "inject-fault", "fault": "map-loss"}),
        ),
    ]
}

#[test]
fn only_what_shows_may_be_asked_twice() {
    let all = module_requests().into_iter();
    let harmless: Vec<String> = all
        .filter(|(request, _)| !request.is_change())
        .map(|(_, wire)| wire["request"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(
        harmless,
        ["show-msm-failover", "check-msm-failover", "show-log"]
    );
}

#[test]
fn every_fault_has_a_name() {
    for name in [
        "panic",
        "hang",
        "exit",
        "abort",
        "task-panic",
        "critical-task-panic",
        "diagnostic",
    ] {
        let fault = Fault::from(name.to_string());
        assert!(!matches!(fault, Fault::Other(_)), "{name}");
        assert_eq!(fault.to_string(), name);
    }
    assert_eq!(Fault::from("x y".to_string()).to_string(), "x y");
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
            r#"{"request":"configure-msm-failover","change":{"timeout":{"minutes":1}}}"#,
            "unknown field `minutes`",
        ),
        (
            r#"{"request":"configure-msm-failover","change":{"slave-config":"other"}}"#,
            "unknown variant `other`",
        ),
        (r#"{"request":"reboot"}"#, "unknown variant `reboot`"),
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
            r#"{"request":"delete-fdb-entry","vlan":1}"#,
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
        let error = text
            .parse::<VlanRef>()
            .unwrap()
            .resolve(&config)
            .unwrap_err();
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
               "mtu": null, "punted": 2, "learn_deferred": 3, "device_state": "waiting for the device"})
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
        config_file: "sw1.yml".into(),
        unsaved: true,
    };
    let wire = to_value(&switch).unwrap();
    assert_eq!(
        wire,
        json!({"name": "sw1", "uptime_seconds": 5,
               "modules": [{"slot": "msm-a", "role": "master", "pid": 42, "state": "ready", "version": "0.1.0"}],
               "fdb": {"size": 65536, "used": 3, "static": 1, "memory_bytes": 2_097_152, "ageing_seconds": 300, "full": 0},
               "generation": 2, "adopted": true, "hardware_writes": {"total": 4, "tables": {"FDB": 3, "VLANS": 1}},
               "repaired": 6, "config_file": "sw1.yml", "unsaved": true})
    );
    assert_eq!(from_value::<SwitchInfo>(wire).unwrap(), switch);
}

/// A whole answer about modules, in which every optional part is there or not.
fn modules(full: bool) -> MsmFailoverInfo {
    let mut module = ModuleStatus::absent(ModuleSlot::MsmA);
    if full {
        module = ModuleStatus {
            present: true,
            role: ModuleRole::Master,
            state: Some(SubState::Ready),
            reason: Some(Reason::None),
            old_state: Some(SubState::Xfr),
            old_reason: Some(Reason::BracketOverflow),
            image: Some("/usr/bin/hitlessd".into()),
            version: Some("0.1.0".into()),
            pid: Some(42),
            uptime_seconds: Some(7),
            memory_bytes: Some(1 << 20),
            subsystems: vec![SubsystemStatus {
                name: "fdb".into(),
                state: SubState::Failed,
                reason: Reason::InvalidSubtype,
                old_state: None,
                old_reason: None,
                records: 3,
            }],
            ..module
        };
    }
    MsmFailoverInfo {
        switch: "sw1".parse().unwrap(),
        generation: 2,
        modules: vec![module, ModuleStatus::absent(ModuleSlot::MsmB)],
        settings: MsmFailoverSettings::from(&hitless_proto::config::MsmFailoverConfig::default()),
        unsaved: full,
        last_failover: full.then(|| FailoverInfo {
            cause: Cause::HotRemoval,
            at_unix_ms: 1_763_691_038_123,
            duration_us: 3_214,
            from: ModuleSlot::MsmB,
            to: ModuleSlot::MsmA,
            hitless: true,
            detail: Some("its hitless-boot is gone".into()),
        }),
        failovers: full.then_some((Cause::HotRemoval, 1)).into_iter().collect(),
        checkpoint: full.then_some(CheckpointLag { records: 1, ms: 2 }),
        last_transfer: full.then_some(TransferInfo {
            at_unix_ms: 1,
            duration_ms: 2,
            records: 3,
            bytes: 4,
        }),
        timer: FailoverTimer {
            running: full,
            seconds_left: 59,
            deleted: 1,
        },
        quarantine: full
            .then(|| QuarantinedInput {
                kind: "stp frame".into(),
                digest: "0a0b".into(),
                at_unix_ms: 5,
                dropped: 6,
            })
            .into_iter()
            .collect(),
        lease: LeaseInfo {
            state: LeaseState::Valid,
            ms_left: 2_900,
        },
    }
}

#[test]
fn seed_63_the_shape_of_show_msm_failover() {
    for full in [true, false] {
        let reply = Reply::MsmFailover(Box::new(modules(full)));
        let wire = to_value(&reply).unwrap();
        assert_eq!(from_value::<Reply>(wire).unwrap(), reply);
    }
    let wire = to_value(modules(true)).unwrap();
    assert_eq!(
        wire["modules"][0],
        json!({"slot": "msm-a", "present": true, "role": "master", "state": "ready", "reason": "none",
               "old_state": "xfr", "old_reason": "bracket-overflow", "image": "/usr/bin/hitlessd",
               "version": "0.1.0", "pid": 42, "uptime_seconds": 7, "memory_bytes": 1_048_576,
               "subsystems": [{"name": "fdb", "state": "failed", "reason": "invalid-subtype",
                               "old_state": null, "old_reason": null, "records": 3}]})
    );
    assert_eq!(
        wire["settings"],
        json!({"slave_config": "inherited", "link_action": "keep_links_up", "preserve_state": "l2_l3",
               "timeout_seconds": 60, "keepalive_interval_ms": 100, "keepalive_misses": 3,
               "watchdog_ms": 250, "freshness_ms": 2000, "sys_recovery_level": "all", "lease_ms": 3000,
               "preservation_level": 6, "hitless": true,
               "preservation": "configuration, link states, layer 2 FDB and states, layer 3 FDB and ARP table"})
    );
    assert_eq!(wire["failovers"], json!({"hot-removal": 1}));
    assert_eq!(
        wire["last_failover"],
        json!({"cause": "hot-removal", "at_unix_ms": 1_763_691_038_123u64, "duration_us": 3214,
               "from": "msm-b", "to": "msm-a", "hitless": true, "detail": "its hitless-boot is gone"})
    );
    // "<not available>" is null.
    assert_eq!(wire["modules"][1]["state"], json!(null));
    assert_eq!(wire["unsaved"], true);
}

#[test]
fn the_shapes_of_other_answers_about_modules() {
    let started = FailoverStartedInfo {
        from: ModuleSlot::MsmA,
        to: ModuleSlot::MsmB,
        generation: 4,
    };
    let configured = ConfiguredInfo {
        changed: true,
        unsaved: true,
        settings: modules(false).settings,
        notes: vec!["A note.".into()],
    };
    let check = MsmCheckInfo {
        equal: false,
        standby: ModuleSlot::MsmB,
        tables: vec![CheckedTable {
            table: "FDB".into(),
            master: 2,
            standby: Some(1),
            hardware: None,
            differences: 1,
            examples: vec!["one".into()],
        }],
    };
    let page = LogPage {
        lines: vec![LogLine {
            at_unix_ms: 1,
            slot: ModuleSlot::MsmB,
            pid: 2,
            level: LogLevel::Info,
            message: "m".into(),
            fields: BTreeMap::from([("k".into(), "v".into())]),
        }],
        next: 3,
    };
    let saved = SavedInfo {
        path: "/a".into(),
        previous: Some("/a.previous".into()),
        in_place: false,
    };
    for (reply, wire) in [
        (
            Reply::FailoverStarted(started),
            json!({"failover-started": {"from": "msm-a", "to": "msm-b", "generation": 4}}),
        ),
        (
            Reply::MsmCheck(Box::new(check)),
            json!({"msm-check": {"equal": false, "standby": "msm-b", "tables": [
                {"table": "FDB", "master": 2, "standby": 1, "hardware": null, "differences": 1, "examples": ["one"]}]}}),
        ),
        (
            Reply::Log(page),
            json!({"log": {"lines": [{"at_unix_ms": 1, "slot": "msm-b", "pid": 2, "level": "info",
                                      "message": "m", "fields": {"k": "v"}}], "next": 3}}),
        ),
        (
            Reply::QuarantineCleared { removed: 1 },
            json!({"quarantine-cleared": {"removed": 1}}),
        ),
        (
            Reply::Saved(saved),
            json!({"saved": {"path": "/a", "previous": "/a.previous", "in_place": false}}),
        ),
    ] {
        assert_eq!(to_value(&reply).unwrap(), wire);
        assert_eq!(from_value::<Reply>(wire).unwrap(), reply);
    }
    let reply = Reply::Configured(Box::new(configured));
    let wire = to_value(&reply).unwrap();
    assert_eq!(wire["configured"]["notes"], json!(["A note."]));
    assert_eq!(from_value::<Reply>(wire).unwrap(), reply);
}
