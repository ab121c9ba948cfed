use clap::CommandFactory;

use super::*;

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
    ] {
        let error = plan(line).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
}
