//! Modules, failover and the running configuration.

use super::*;

/// Requests about modules, failover and the running configuration.
pub(super) fn requests() -> Vec<(Request, serde_json::Value)> {
    use hitless_proto::config::{LinkAction, PreserveState, SlaveConfig, SysRecoveryLevel};
    let configure = |change, wire| {
        (
            Request::Configure {
                changes: vec![ConfigChange::MsmFailover(change)],
                confirmed_seconds: None,
            },
            json!({"request": "configure", "changes": [{"msm-failover": wire}]}),
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
            Request::Configure {
                changes: vec![
                    ConfigChange::UnconfigureMsmFailover,
                    ConfigChange::SysRecoveryLevel {
                        level: SysRecoveryLevel::Critical,
                    },
                ],
                confirmed_seconds: Some(60),
            },
            json!({"request": "configure", "confirmed_seconds": 60,
                   "changes": ["unconfigure-msm-failover", {"sys-recovery-level": {"level": "critical"}}]}),
        ),
        (
            Request::ShowConfiguration {
                which: ConfigurationSource::Secondary,
            },
            json!({"request": "show-configuration", "which": "secondary"}),
        ),
        (
            Request::ConfirmConfiguration {},
            json!({"request": "confirm-configuration"}),
        ),
        (
            Request::RollbackConfiguration {},
            json!({"request": "rollback-configuration"}),
        ),
        (
            Request::UseConfiguration {
                bank: ConfigBank::Primary,
            },
            json!({"request": "use-configuration", "bank": "primary"}),
        ),
        (
            Request::Save {
                bank: Some(ConfigBank::Secondary),
            },
            json!({"request": "save", "bank": "secondary"}),
        ),
        (
            Request::RebootSlot {
                slot: ModuleSlot::MsmB,
                hard_reset: false,
            },
            json!({"request": "reboot-slot", "slot": "msm-b", "hard_reset": false}),
        ),
        (
            Request::Upgrade {
                file: "/x.img".into(),
                conservative: true,
                dry_run: false,
                accept_degraded: true,
                accept_within_seconds: Some(90),
            },
            json!({"request": "upgrade", "file": "/x.img", "conservative": true, "dry_run": false,
                   "accept_degraded": true, "accept_within_seconds": 90}),
        ),
        (Request::ShowUpgrade {}, json!({"request": "show-upgrade"})),
        (
            Request::AcceptUpgrade {},
            json!({"request": "accept-upgrade"}),
        ),
        (
            Request::RollBackUpgrade { reason: None },
            json!({"request": "roll-back-upgrade"}),
        ),
        (
            Request::RollBackUpgrade {
                reason: Some("frames were lost".into()),
            },
            json!({"request": "roll-back-upgrade", "reason": "frames were lost"}),
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
        (Request::Save { bank: None }, json!({"request": "save"})),
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
    let all = requests().into_iter();
    let harmless: Vec<String> = all
        .filter(|(request, _)| !request.is_change())
        .map(|(_, wire)| wire["request"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(
        harmless,
        [
            "show-msm-failover",
            "show-configuration",
            "show-upgrade",
            "check-msm-failover",
            "show-log"
        ]
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
        fallback: full.then(|| FallbackInfo {
            slot: ModuleSlot::MsmB,
            version: "0.3.99".into(),
            reason: Reason::ConfigCommand,
        }),
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
    assert_eq!(
        wire["fallback"],
        json!({"slot": "msm-b", "version": "0.3.99", "reason": "config-command"})
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
        notes: vec!["A note.".into()],
        rollback_seconds: Some(7),
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
        bank: ConfigBank::Primary,
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
            json!({"saved": {"bank": "primary", "path": "/a", "previous": "/a.previous", "in_place": false}}),
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
