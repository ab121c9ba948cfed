//! Golden texts.

use std::collections::BTreeMap;

use super::*;
use crate::cli::fake::modules as two_modules;
use crate::northbound::api::{
    Cause, CheckedTable, FallbackInfo, LogLevel, QuarantinedInput, Reason, SubState,
};
use ModuleSlot::{MsmA, MsmB};

fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "longer than 100: {line}");
    }
}

#[test]
fn seed_63_show_msm_failover() {
    let text = failover(&two_modules(MsmB, 3), Style::Plain);
    let expected = "\
Switch sw1, generation 3 of masters

Slot          msm-a                             msm-b
Role          standby                           master
State         ready                             ready
Reason        none                              none
Old state     initial (none)                    initial (none)
Version       0.1.0                             0.1.0
Process       42                                42
Uptime        01:01:01                          01:01:01
Memory        12.0 MiB                          12.0 MiB
Image msm-a   /usr/bin/hitlessd
Image msm-b   /usr/bin/hitlessd

Failover status of the subsystems
Slot   Subsystem  State  Reason  Old state  Old reason  Records
msm-a  config     ready  none    xfr        none              1
msm-a  fdb        ready  none    xfr        none        1000000
msm-b  config     ready  none    xfr        none              1
msm-b  fdb        ready  none    xfr        none        1000000

Failover configuration
Slave configuration:  inherited
Link action:          keep-links-up
Preserve state:       l2_l3
Preservation level:   6 of 6
Preserved:            configuration, link states, layer 2 FDB and states, layer 3 FDB and ARP table
Timeout:              60 s
System recovery:      after exceptions of all tasks
Keepalives:           every 100 ms, lost after 3
Watchdog:             250 ms
Freshness:            2000 ms
Lease:                3000 ms

Failover
Cause of last MSM failover:  operator command, msm-a to msm-b
                             2025-11-21T02:10:38.123Z, 3.214 ms, hitless
Failovers by cause:          2 operator command
Failover timer:              57 s left, 4 entries deleted when it ended last
Checkpoint lag:              3 records, 2 ms
Last bulk transfer:          2025-11-21T02:10:40.000Z, 1000005 records, 17.2 MiB in 210 ms
Fallback:                    none
Lease:                       valid, 2870 ms left
Quarantined inputs:          none
Configuration:               saved
";
    assert_eq!(text, expected);
    fits(&text);
}

#[test]
fn seed_64_an_absent_module_and_a_failed_subsystem() {
    let mut info = two_modules(MsmA, 1);
    info.modules[1] = ModuleStatus::absent(MsmB);
    info.checkpoint = None;
    info.last_transfer = None;
    let text = failover(&info, Style::Plain);
    for line in [
        "Role          master                            absent\n",
        "State         ready                             <not available>\n",
        "Reason        none                              <not available>\n",
        "Process       42                                -\n",
        "Cause of last MSM failover:  none\n",
        "Checkpoint lag:              no standby\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
    fits(&text);

    // Every state and every reason of the guide fits.
    let mut info = two_modules(MsmA, 1);
    let module = &mut info.modules[1];
    let template = module.subsystems[0].clone();
    module.subsystems.clear();
    for (i, &reason) in Reason::ALL.iter().enumerate() {
        let mut subsystem = template.clone();
        subsystem.state = SubState::ALL[i % SubState::ALL.len()];
        subsystem.reason = reason;
        subsystem.old_state = None;
        subsystem.old_reason = Some(Reason::Revision);
        module.subsystems.push(subsystem);
    }
    let text = failover(&info, Style::Plain);
    for line in [
        "msm-b  config     disable  none             -          rev(M) > rev(S)        1\n",
        "msm-b  config     failed   L2,L3 failed     -          rev(M) > rev(S)        1\n",
        "msm-b  config     initial  invalid subtype  -          rev(M) > rev(S)        1\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
    fits(&text);
}

#[test]
fn seed_28_the_asterisk_stands_in_front() {
    let mut info = two_modules(MsmB, 2);
    info.unsaved = true;
    let text = failover(&info, Style::Plain);
    assert!(text.starts_with("* Switch sw1"), "{text}");
    assert!(text.ends_with("Configuration:               * has changes that are not saved\n"));
}

#[test]
fn seed_65_a_failover_that_went_wrong_says_why() {
    let mut info = two_modules(MsmB, 3);
    info.failovers = BTreeMap::from([(Cause::OperatorCommand, 1), (Cause::WatchdogTimeout, 1)]);
    if let Some(failover) = &mut info.last_failover {
        failover.cause = Cause::WatchdogTimeout;
        failover.hitless = false;
        failover.duration_us = 1_000_007;
        failover.detail = Some("the last checkpoint was 2400 ms old\nlimit 2000 ms".into());
    }
    info.quarantine = vec![QuarantinedInput {
        kind: "stp frame\x1b[2J".into(),
        digest: "0123456789abcdef".into(),
        at_unix_ms: 0,
        dropped: 9,
    }];
    info.lease.state = LeaseState::Expired;
    let text = failover(&info, Style::Plain);
    for part in [
        "Cause of last MSM failover:  watchdog timeout, msm-a to msm-b\n                             \
         2025-11-21T02:10:38.123Z, 1000.007 ms, not hitless\n                             \
         the last checkpoint was 2400 ms old limit 2000 ms\n",
        "Failovers by cause:          1 operator command, 1 watchdog timeout\n",
        "Quarantined inputs:          1\n  stp frame [2J 0123456789abcdef, since 1970-01-01T00:00:00.000Z, 9 dropped\n",
        "Lease:                       expired\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_change_of_settings() {
    let mut info = ConfiguredInfo {
        changed: true,
        unsaved: true,
        notes: vec!["A note.".into()],
        rollback_seconds: Some(60),
    };
    let rollback =
        "The configuration before is in force again in 60 s, unless you `confirm configuration`.\n";
    let unsaved =
        "* The running configuration has changes that are not saved; `save` keeps them.\n";
    assert_eq!(
        configured("", &info, true),
        format!("A note.\n{rollback}{unsaved}")
    );
    assert_eq!(
        configured("Confirmed.", &info, false),
        format!("Confirmed.\nA note.\n{rollback}")
    );
    info = ConfiguredInfo {
        changed: false,
        unsaved: false,
        notes: Vec::new(),
        rollback_seconds: None,
    };
    assert_eq!(configured("", &info, true), "");
}

#[test]
fn what_was_saved_where() {
    let mut info = SavedInfo {
        bank: hitless_proto::config::ConfigBank::Primary,
        path: "/etc/sw1.yml".into(),
        previous: Some("/etc/sw1.yml.previous".into()),
        in_place: false,
    };
    let text = "Saved to /etc/sw1.yml.\nThe file before is /etc/sw1.yml.previous.\n";
    assert_eq!(saved(&info), text);
    info.in_place = true;
    assert!(saved(&info).ends_with("it was overwritten where it is.\n"));
}

#[test]
fn check_msm_failover() {
    let table = |name: &str, standby, differences| CheckedTable {
        table: name.into(),
        master: 12,
        standby,
        hardware: Some(12),
        differences,
        examples: Vec::new(),
    };
    let mut info = MsmCheckInfo {
        equal: true,
        standby: MsmB,
        tables: vec![table("FDB", Some(12), 0), table("VLANS", None, 0)],
    };
    assert_eq!(
        check(&info, Style::Plain),
        "Table  Master  Standby  Hardware  Differences\n\
         FDB        12       12        12            0\n\
         VLANS      12        -        12            0\n\
         Master, standby msm-b and hardware are equal.\n"
    );
    info.equal = false;
    info.tables[0].differences = 1;
    info.tables[0].examples = vec!["the standby lacks 02:00:00:00:00:01 in VLAN 10".into()];
    assert!(check(&info, Style::Plain).ends_with(
        "FDB: the standby lacks 02:00:00:00:00:01 in VLAN 10\nMaster, standby msm-b and hardware differ.\n"
    ));
}

#[test]
fn seed_66_lines_of_the_log() {
    let line = LogLine {
        at_unix_ms: 1_763_691_038_007,
        slot: MsmB,
        pid: 7,
        level: LogLevel::Info,
        message: "Slave MSM initialized for hitless failover operation.".into(),
        fields: BTreeMap::from([
            ("records".into(), "12".into()),
            ("text".into(), "a\nb".into()),
        ]),
    };
    assert_eq!(
        log(&LogPage {
            lines: vec![line.clone(), line],
            next: 9
        }),
        "2025-11-21T02:10:38.007Z msm-b info  Slave MSM initialized for hitless failover operation. records=12 text=a b\n"
            .repeat(2)
    );
}

#[test]
fn a_line_about_a_change_is_its_text() {
    let line = LogLine {
        at_unix_ms: 1_763_691_038_007,
        slot: MsmA,
        pid: 7,
        level: LogLevel::Info,
        message: "admin: alice (uid 1001) from pts/3 (pid 4711, hitless): save: done".into(),
        fields: BTreeMap::from([
            ("audit".into(), "true".into()),
            ("user".into(), "alice".into()),
        ]),
    };
    assert_eq!(
        log_line(&line),
        "2025-11-21T02:10:38.007Z msm-a info  admin: alice (uid 1001) from pts/3 (pid 4711, hitless): save: done\n"
    );
}

#[test]
fn masters_that_come_without_a_failover() {
    let mut after = two_modules(MsmA, 2);
    after.last_failover = None;
    let text = new_master(Some(MsmA), &after, Duration::from_millis(12));
    assert_eq!(
        text,
        "msm-a is master again.\nIt took over from nobody: the hardware was found without a master.\n\
         It answered here 12 ms after the command.\n"
    );
    let mut changed = MasterChange {
        master: Some(MsmA),
        failover: None,
        gap_ms: 12,
    };
    assert!(change(&changed).contains("started again in msm-a without a failover"));
    changed.master = None;
    assert_eq!(
        change(&changed),
        "--- another hitlessd answers, after 12 ms"
    );
}

#[test]
fn quarantine_cleared_counts() {
    let texts = [0, 1, 2].map(quarantine_cleared);
    assert_eq!(
        texts,
        [
            "Nothing was quarantined.\n",
            "1 input is taken in again.\n",
            "2 inputs are taken in again.\n"
        ]
    );
}

#[test]
fn the_way_back_is_shown() {
    let mut info = two_modules(MsmB, 2);
    for (reason, expected) in [
        (
            Reason::None,
            "Fallback:                    0.3.99 in msm-a\n",
        ),
        (
            Reason::ConfigCommand,
            "Fallback:                    0.3.99 in msm-a is not possible any more (config command)\n",
        ),
    ] {
        info.fallback = Some(FallbackInfo {
            slot: MsmA,
            version: "0.3.99".into(),
            reason,
        });
        let text = failover(&info, Style::Plain);
        assert!(text.contains(expected), "{text}");
    }
}
