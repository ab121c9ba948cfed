use clap::CommandFactory;
use hitless_proto::config;

use super::*;
use crate::northbound::api::LogLevel;

fn plan(line: &str) -> Result<Plan, String> {
    let words = ["hitless"].into_iter().chain(line.split_whitespace());
    let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
    arguments.command.plan()
}

fn question(line: &str) -> Question {
    match plan(line) {
        Ok(Plan::Session(Task::Ask(question))) => question,
        other => panic!("{line}: {other:?}"),
    }
}

fn vlan(text: &str) -> VlanRef {
    text.parse().unwrap()
}

fn port(number: u16) -> PortNo {
    PortNo::new(number).unwrap()
}

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

#[test]
fn clap_finds_no_fault() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command() {
    let filter = FdbFilter {
        vlan: Some(vlan("10")),
        port: Some(port(3)),
        mac: Some(MAC),
    };
    for (line, expected) in [
        ("show version", Question::Version),
        ("show switch", Question::Switch),
        ("show ports", Question::Ports(None)),
        ("show ports 3", Question::Ports(Some(port(3)))),
        ("show vlan", Question::Vlan(None)),
        ("show vlan blue", Question::Vlan(Some(vlan("blue")))),
        ("show vlan 10", Question::Vlan(Some(vlan("10")))),
        ("show counters", Question::Counters),
        ("show fdb", Question::Fdb(FdbFilter::default())),
        (
            "show fdb mac 02:00:00:00:00:01 port 3 vlan 10",
            Question::Fdb(filter),
        ),
        (
            "show fdb 02-00-00-00-00-01",
            Question::Fdb(FdbFilter {
                mac: Some(MAC),
                ..FdbFilter::default()
            }),
        ),
        ("clear fdb", Question::ClearFdb(FdbFilter::default())),
        (
            "clear fdb vlan blue",
            Question::ClearFdb(FdbFilter {
                vlan: Some(vlan("blue")),
                ..FdbFilter::default()
            }),
        ),
        (
            "create fdbentry 02:00:00:00:00:01 vlan blue port 3",
            Question::Create(NewEntry {
                vlan: vlan("blue"),
                mac: MAC,
                target: FdbTarget::Port(port(3)),
            }),
        ),
        (
            "create fdbentry 02:00:00:00:00:01 vlan 10 blackhole",
            Question::Create(NewEntry {
                vlan: vlan("10"),
                mac: MAC,
                target: FdbTarget::Blackhole,
            }),
        ),
        (
            "delete fdbentry 02:00:00:00:00:01 vlan 10",
            Question::Delete {
                vlan: vlan("10"),
                mac: MAC,
            },
        ),
        ("show msm-failover", Question::Modules),
        (
            "show log",
            Question::Log(LogArguments {
                count: 100,
                slot: None,
                level: None,
                follow: false,
            }),
        ),
        (
            "show log 7 --slot msm-b --level warn",
            Question::Log(LogArguments {
                count: 7,
                slot: Some(ModuleSlot::MsmB),
                level: Some(LogLevel::Warn),
                follow: false,
            }),
        ),
        ("unconfigure msm-failover", Question::Unconfigure),
        ("check msm-failover", Question::CheckModules),
        ("clear quarantine", Question::ClearQuarantine),
        ("save", Question::Save),
        ("debug fault task-panic", Question::Fault(Fault::TaskPanic)),
        (
            "debug fault map-loss",
            Question::Fault(Fault::Other("map-loss".into())),
        ),
        // Shortened.
        ("sh po 3", Question::Ports(Some(port(3)))),
        ("cl f", Question::ClearFdb(FdbFilter::default())),
    ] {
        assert_eq!(question(line), expected, "{line}");
    }
    assert_eq!(
        plan("clear hardware"),
        Ok(Plan::ClearHardware { yes: false })
    );
    assert_eq!(
        plan("clear hardware --yes"),
        Ok(Plan::ClearHardware { yes: true })
    );
}

#[test]
fn seed_33_to_36_settings_of_failover() {
    use MsmFailoverChange::{
        Freshness, Keepalive, Lease, LinkAction, SlaveConfig, Timeout, Watchdog,
    };
    let link_action = |action, preserve| LinkAction { action, preserve };
    let keepalive = |interval_ms, misses| Keepalive {
        interval_ms,
        misses,
    };
    for (line, change) in [
        (
            "slave-config inherited",
            SlaveConfig(config::SlaveConfig::Inherited),
        ),
        (
            "slave-config flash",
            SlaveConfig(config::SlaveConfig::Flash),
        ),
        (
            "link-action keep-links-up",
            link_action(config::LinkAction::KeepLinksUp, None),
        ),
        (
            "link-action keep-links-up preserve-state l2",
            link_action(
                config::LinkAction::KeepLinksUp,
                Some(config::PreserveState::L2),
            ),
        ),
        (
            "link-action keep-links-up preserve-state l2_l3",
            link_action(
                config::LinkAction::KeepLinksUp,
                Some(config::PreserveState::L2L3),
            ),
        ),
        (
            "link-action take-links-down",
            link_action(config::LinkAction::TakeLinksDown, None),
        ),
        ("timeout 300", Timeout { seconds: 300 }),
        // Out of range: the switch says so, with its rule.
        ("timeout -1", Timeout { seconds: -1 }),
        (
            "keepalive misses 5 interval 200",
            keepalive(Some(200), Some(5)),
        ),
        ("keepalive interval 200", keepalive(Some(200), None)),
        ("watchdog 500", Watchdog { ms: 500 }),
        ("watchdog off", Watchdog { ms: 0 }),
        ("freshness 1000", Freshness { ms: 1000 }),
        ("lease 5000", Lease { ms: 5000 }),
    ] {
        assert_eq!(
            question(&format!("configure msm-failover {line}")),
            Question::Configure(change),
            "{line}"
        );
    }
    for (line, level) in [
        ("all msm-failover", SysRecoveryLevel::All),
        ("critical msm-failover", SysRecoveryLevel::Critical),
        ("critical", SysRecoveryLevel::Critical),
    ] {
        let line = format!("configure sys-recovery-level {line}");
        assert_eq!(question(&line), Question::RecoveryLevel(level), "{line}");
    }
}

fn task(line: &str) -> Task {
    match plan(line) {
        Ok(Plan::Session(task)) => task,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn commands_that_are_more_than_a_question() {
    let every = Duration::from_millis(1500);
    let live = |question| Task::Live { question, every };
    assert_eq!(task("show ports --every 1.5"), live(Question::Ports(None)));
    assert_eq!(
        task("show --every 1.5 msm-failover"),
        live(Question::Modules)
    );
    assert_eq!(
        task("show log --follow --slot msm-a"),
        Task::FollowLog(LogArguments {
            count: 100,
            slot: Some(ModuleSlot::MsmA),
            level: None,
            follow: true,
        })
    );
    assert_eq!(task("run msm-failover"), Task::Failover { force: false });
    assert_eq!(
        task("run msm-failover --force"),
        Task::Failover { force: true }
    );
    let reboot = |slot, hard_reset, yes| Task::Reboot {
        slot,
        hard_reset,
        yes,
    };
    assert_eq!(
        task("reboot slot msm-b"),
        reboot(ModuleSlot::MsmB, false, false)
    );
    assert_eq!(
        task("reboot slot msm-a hard-reset --yes"),
        reboot(ModuleSlot::MsmA, true, true)
    );
}

#[test]
fn options_may_stand_anywhere() {
    for line in [
        "--json --switch sw1 --socket /x show fdb vlan 10",
        "show fdb vlan 10 --json --switch sw1 --socket /x",
        "show --switch sw1 fdb --socket /x vlan --json 10",
    ] {
        let words = ["hitless"].into_iter().chain(line.split_whitespace());
        let arguments = Arguments::try_parse_from(words).unwrap();
        assert!(arguments.json, "{line}");
        assert_eq!(arguments.switch, Some("sw1".parse().unwrap()));
        assert_eq!(arguments.socket, Some("/x".into()));
        let filter = FdbFilter {
            vlan: Some(vlan("10")),
            ..FdbFilter::default()
        };
        assert_eq!(
            arguments.command.plan(),
            Ok(Plan::Session(Task::Ask(Question::Fdb(filter))))
        );
    }
}

#[test]
fn wrong_words_are_named() {
    for (line, expected) in [
        ("show", "subcommand"),
        ("show v", "'v'"),
        ("show ports 0", "port 0 is not in 1 to 128"),
        ("show ports x", "is not a port number"),
        ("show vlan 4095", "4095 is reserved"),
        ("show vlan 1x", "is not a VLAN id"),
        ("show fdb vlan", "vlan needs a value"),
        ("show fdb vlan 0", "vlan: VLAN id 0 marks"),
        ("show fdb vlan 1 vlan 2", "vlan is given twice"),
        ("show fdb colour 1", "\"colour\" is not understood"),
        ("clear fdb port 129", "port: port 129 is not in"),
        ("clear fdb mac 02", "mac: \"02\" is not a MAC address"),
        ("clear", "subcommand"),
        (
            "create fdbentry 02:00:00:00:00:01 vlan 10",
            "expected <MAC> vlan <VLAN> port <PORT>",
        ),
        (
            "create fdbentry 02:00:00:00:00:01 10 port 1",
            "is not understood",
        ),
        (
            "create fdbentry x vlan 10 port 1",
            "mac: \"x\" is not a MAC address",
        ),
        ("create fdbentry", "required"),
        (
            "delete fdbentry 02:00:00:00:00:01",
            "expected <MAC> vlan <VLAN>",
        ),
        ("--switch ../x show version", "is no switch name"),
        ("show version extra", "unexpected argument"),
        ("show log 0", "0 is not in 1..=1000"),
        ("show log --slot msm-c", "use msm-a or msm-b"),
        (
            "show log --level loud",
            "\"loud\" is no log level; expected error, warn",
        ),
        ("show log --follow --every 1", "exclude each other"),
        ("show ports --every 0.05", "less than 0.1 s"),
        ("show ports --every often", "no number of seconds"),
        ("show ports --wait -1", "unexpected argument"),
        ("clear fdb --every 1", "unexpected argument"),
        ("reboot slot msm-c", "use msm-a or msm-b"),
        ("reboot slot msm-a soft", "hard-reset"),
        ("run", "subcommand"),
        (
            "configure msm-failover link-action keep-links-up preserve-state l3",
            "expected keep-links-up [preserve-state l2|l2_l3]",
        ),
        (
            "configure msm-failover link-action take-links-down preserve-state l2",
            "is not understood",
        ),
        ("configure msm-failover slave-config other", "inherited"),
        (
            "configure msm-failover keepalive often",
            "expected interval <MS> or misses",
        ),
        (
            "configure msm-failover keepalive misses 3 misses 4",
            "given twice",
        ),
        ("configure msm-failover watchdog never", "watchdog: "),
        ("configure msm-failover timeout soon", "invalid digit"),
        (
            "configure sys-recovery-level most",
            "expected all or critical",
        ),
    ] {
        let error = plan(line).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
}
