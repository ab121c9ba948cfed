//! Abbreviations, quotes, comments, filters in any order, and what is said about mistakes.

use hitless_common::PortNo;
use hitless_proto::config::{
    ConfigChange, FdbChange, MsmFailoverChange, PortSelection, SnmpChange,
};

use super::*;
use crate::northbound::api::{Fault, LogLevel, ModuleSlot, Request};

#[test]
fn abbreviations() {
    for (short, long) in [
        ("sh msm", "show msm-failover"),
        ("conf msm t 60", "configure msm-failover timeout 60"),
        ("sh po 1 st", "show ports 1 statistics"),
        ("show port 1", "show ports 1"),
        ("sh conf", "show configuration"),
        ("sh conf d s", "show configuration diff secondary"),
        ("en po 1", "enable ports 1"),
        ("dis po all", "disable ports all"),
        ("r s msm-b", "reboot slot msm-b"),
        ("cr v 5", "create vlan 5"),
        ("conf v blue ta 5", "configure vlan blue tag 5"),
        ("c v blue add p 1", "configure vlan blue add ports 1"),
        ("conf port 1 dev eth1", "configure port 1 device eth1"),
        ("conf po 1 off xdp", "configure ports 1 offload xdp"),
        ("conf sys a", "configure sys-recovery-level all"),
        ("unc m", "unconfigure msm-failover"),
        ("us c p", "use configuration primary"),
        ("ex", "exit"),
        ("SHOW Vlan", "show vlan"),
        ("run msm --force", "run msm-failover force"),
        (
            "show log --follow --level warn 5",
            "show log 5 level warn follow",
        ),
        (
            "conf msm li ke pr l2",
            "configure msm-failover link-action keep-links-up preserve-state l2",
        ),
        (
            "conf sn sysn x conf 10",
            "configure snmp sysname x confirmed 10",
        ),
    ] {
        assert_eq!(action(short), action(long), "{short}");
    }
}

#[test]
fn an_abbreviation_of_several_words_names_them() {
    for (line, word, names) in [
        ("s", "s", "save and show"),
        ("s x", "s", "save and show"),
        ("conf po 1", "po", "port and ports"),
        ("u c p", "u", "upgrade, upload and use"),
        ("c v blue ta 5", "c", "configure and create"),
        (
            "configure vlan blue l",
            "l",
            "learning, limit-learning and loop-free-ports",
        ),
        ("c v blue", "c", "configure and create"),
        ("configure msm-failover l", "l", "lease and link-action"),
    ] {
        let error = mistake(line);
        assert_eq!(error.problem, Problem::Ambiguous, "{line}: {error}");
        assert_eq!(&line[error.start..error.end], word);
        assert_eq!(
            error.message,
            format!("{word:?} is short for more than one word: {names}")
        );
    }
    // The rest of the line leaves one of them.
    assert_eq!(
        action("configure vlan blue l off"),
        action("configure vlan blue learning off")
    );
}

#[test]
fn a_keyword_spelled_out_wins_over_longer_ones() {
    let ConfigChange::PortDevice { port, .. } = changed("configure port 1 device eth1") else {
        panic!("configure port is not configure ports");
    };
    assert_eq!(PortNo::new(1), Some(port));
    assert_ne!(
        action("configure msm link keep pres l2"),
        action("configure msm link keep pres l2_l3")
    );
}

fn changed(line: &str) -> ConfigChange {
    match action(line) {
        Action::Configure(change) => change,
        other => panic!("{other:?}"),
    }
}

#[test]
fn quoted_words_are_never_keywords() {
    assert_eq!(
        changed("configure snmp syslocation \"Rack 5, \\\"left\\\" # 2\""),
        ConfigChange::Snmp(SnmpChange::Syslocation {
            text: "Rack 5, \"left\" # 2".into()
        })
    );
    let error = mistake("show \"ports\"");
    assert_eq!(error.start, 5);
    assert!(
        error.message.contains("in quotes is never a keyword"),
        "{error}"
    );
    assert_eq!(
        action("debug fault pan"),
        Action::Ask(Request::InjectFault {
            fault: Fault::Panic
        })
    );
    assert_eq!(
        action("debug fault \"pan\""),
        Action::Ask(Request::InjectFault {
            fault: Fault::Other("pan".into())
        })
    );
}

#[test]
fn comments_and_empty_lines() {
    for line in ["", "  ", "# show", " \t# x \"", "#"] {
        assert!(Line::split(line).unwrap().is_empty(), "{line:?}");
        assert_eq!(mistake(line).problem, Problem::Incomplete);
    }
    assert_eq!(action("show vlan # \"blue"), action("show vlan"));
    let ConfigChange::PortDevice { device, .. } = changed("configure port 1 device a#b") else {
        panic!("no device");
    };
    assert_eq!(device.as_str(), "a#b");
}

#[test]
fn quotes_that_make_no_sense() {
    for (line, start, says) in [
        ("show \"po", 5, "is not closed"),
        ("show \"a\\qb\"", 7, "\\q means nothing"),
        ("show \"\\u{110000}\"", 6, "means nothing"),
        ("\"", 0, "is not closed"),
        ("\"\\", 1, "means nothing"),
        ("\"\\u{", 1, "means nothing"),
    ] {
        let error = mistake(line);
        assert_eq!(
            (error.problem, error.start),
            (Problem::Quote, start),
            "{line}: {error}"
        );
        assert!(error.message.contains(says), "{error}");
    }
}

#[test]
fn filters_in_any_order_each_at_most_once() {
    let all = [
        "vlan blue port 3 mac 02:00:00:00:00:01",
        "port 3 vlan blue 02:00:00:00:00:01",
        "02-00-00-00-00-01 port 3 vlan blue",
        "mac 02:00:00:00:00:01 vlan blue port 3",
    ];
    for filters in all {
        assert_eq!(
            action(&format!("show fdb {filters}")),
            action(&format!("show fdb {}", all[0]))
        );
        assert_eq!(
            action(&format!("clear fdb {filters}")),
            action(&format!("clear fdb {}", all[0]))
        );
    }
    for twice in [
        "port 3 port 4",
        "vlan 1 mac 02:00:00:00:00:01 vlan 2",
        "02:00:00:00:00:01 mac 02:00:00:00:00:01",
    ] {
        let error = mistake(&format!("show fdb {twice}"));
        assert!(
            !error.expected.is_empty() && error.problem == Problem::Word,
            "{error}"
        );
    }
    assert_eq!(
        action("show log level warn 7 follow slot msm-b"),
        Action::ShowLog(LogQuery {
            count: 7,
            slot: Some(ModuleSlot::MsmB),
            level: Some(LogLevel::Warn),
            follow: true
        })
    );
}

#[test]
fn ports_by_list_and_all() {
    let ports = |line: &str| match changed(line) {
        ConfigChange::Ports { ports, .. } => ports.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(ports("enable ports 1-4,7"), "1-4,7");
    assert_eq!(ports("configure ports 7 accept-frames all"), "7");
    assert_eq!(ports("configure ports all accept-frames tagged"), "all");
    assert_eq!(
        action("show ports 2"),
        Action::ShowPorts {
            ports: PortNo::new(2).map(PortSelection::from),
            view: PortsView::Summary
        }
    );
    assert_eq!(
        action("show ports all util"),
        action("show ports utilization")
    );
}

#[test]
fn zero_is_a_word_where_it_means_never() {
    assert_eq!(
        changed("configure fdb agingtime 0"),
        ConfigChange::Fdb(FdbChange::AgingTime { seconds: 0 })
    );
    assert_eq!(
        changed("configure msm-failover watchdog off"),
        ConfigChange::MsmFailover(MsmFailoverChange::Watchdog { ms: 0 })
    );
}

#[test]
fn confirmed_is_for_changes_of_the_configuration_only() {
    assert_eq!(
        understood("create vlan blue confirmed 60").confirmed,
        Some(60)
    );
    assert_eq!(understood("create vlan blue").confirmed, None);
    assert_eq!(
        mistake("create vlan blue confirmed 9").message,
        "9 is not in 10 to 86400"
    );
    assert_eq!(mistake("save confirmed 60").start, 5);
}

#[test]
fn words_of_the_program_s_command_line() {
    let line = Line::from_arguments(["configure", "snmp", "syslocation", "Rack 5"]);
    assert_eq!(line.text, "configure snmp syslocation \"Rack 5\"");
    assert_eq!(
        parse(&line).unwrap().action,
        action("configure snmp syslocation \"Rack 5\"")
    );
    let error = parse(&Line::from_arguments(["show", "", "x"])).unwrap_err();
    assert_eq!(
        (error.line.as_str(), error.start, error.end),
        ("show \"\" x", 5, 7)
    );
    let error = parse(&Line::from_arguments(["run", "msm-failover", "--forse"])).unwrap_err();
    assert_eq!(error.did_you_mean.as_deref(), Some("force"));
}

#[test]
fn errors_as_people_see_them() {
    for expected in [
        "show prots
     ^^^^^
\"prots\" is not understood here; did you mean ports?
Expected: version, switch, ports, vlan, stpd, fdb, counters, msm-failover, log, upgrade, configuration or download",
        "configure msm-failover timeout 500
                               ^^^
500 is not in 30 to 300
Expected: <time> (30 to 300)",
        "configure msm-failover watchdog 10
                                ^^
10 is not in 50 to 60000
Expected: off or <ms> (50 to 60000)",
        "configure vlan 4095 tag 5
               ^^^^
VLAN id 4095 is reserved (IEEE 802.1Q 9.6); use 1 to 4094
Expected: <vlan> (a VLAN's name, or its id, 1 to 4094)",
        "reboot slot msm-c
            ^^^^^
\"msm-c\" is not understood here; did you mean msm-a?
Expected: msm-a or msm-b",
        "configure msm-failover link-action keep-links-up preserve-state
                                                                ^
the command is not complete
Expected: l2 or l2_l3",
        "save primary now
             ^^^
\"now\" is one word too many: the command ends before it",
        "create fdbentry 02:00:00:00:00 vlan blue blackhole
                ^^^^^^^^^^^^^^
\"02:00:00:00:00\" is not a MAC address such as 02:00:00:00:01:0a
Expected: <mac> (six octets such as 02:00:00:00:01:0a)",
        "show vlan 漢字 x
          ^^^^
\"漢字\" is no VLAN name: it must be 1 to 32 of the characters A-Z a-z 0-9 _ - . and start with a letter
Expected: <vlan> (a VLAN's name, or its id, 1 to 4094) or the end of the command",
    ] {
        let line = expected.lines().next().unwrap_or_default();
        assert_eq!(mistake(line).render(), expected);
    }
}

#[test]
fn an_error_leads_no_terminal_astray() {
    let error = mistake("show \u{1b}[2J\tfdb");
    let text = error.render();
    assert!(!text.contains('\u{1b}') && !text.contains('\t'), "{text:?}");
    assert_eq!(text.lines().nth(1), Some("     ^^^^"));
}

#[test]
fn errors_as_programs_see_them() {
    let json = mistake("show prots").to_json();
    assert_eq!(json["kind"], "usage");
    assert_eq!(json["problem"], "word");
    assert_eq!(json["line"], "show prots");
    assert_eq!(
        (json["start"].as_u64(), json["end"].as_u64()),
        (Some(5), Some(10))
    );
    assert_eq!(json["did_you_mean"], "ports");
    assert_eq!(json["expected"][0], "version");
}

/// Two VLANs, one of them with a name that has to be quoted by no rule but is a keyword.
struct Switch;

impl Live for Switch {
    fn values(&self, source: Source) -> Vec<(String, String)> {
        let rows: &[(&str, &str)] = match source {
            Source::Vlans => &[("blue", "10"), ("tag", "20")],
            Source::Ports => &[("1", "eth1"), ("2", "eth2"), ("10", "eth10")],
            Source::Devices => &[("eth1", "up"), ("odd\"name", "down")],
            Source::Macs | Source::StaticMacs => &[("02:00:00:00:00:01", "")],
            Source::Stpds => &[("s0", "")],
            Source::Files => &[("my file.yaml", "")],
        };
        rows.iter()
            .map(|(a, b)| ((*a).into(), (*b).into()))
            .collect()
    }
}

fn offered(line: &str) -> (String, Vec<String>) {
    let completion = complete(line, line.len(), &Switch);
    let texts = completion.candidates.into_iter().map(|c| c.text).collect();
    (line[completion.replace].into(), texts)
}

fn offer(line: &str, replaced: &str, texts: &[&str]) {
    let (was, candidates) = offered(line);
    assert_eq!(
        (was.as_str(), candidates),
        (replaced, texts.iter().map(|t| String::from(*t)).collect()),
        "{line:?}"
    );
}

#[test]
fn completion_knows_the_switch() {
    offer("delete vlan ", "", &["blue", "tag"]);
    offer("delete vlan b", "b", &["blue"]);
    offer("show vlan t", "t", &["tag"]);
    offer("en ports ", "", &["all", "1", "2", "10"]);
    offer("en ports 1", "1", &["1", "10"]);
    offer("en ports 1,", "1,", &["1,1", "1,2", "1,10"]);
    offer("en ports 1-1", "1-1", &["1-1", "1-10"]);
    offer("upgrade x probe 1:1", "1:1", &["1:1", "1:10"]);
    offer("configure port 3 device ", "", &["eth1", "\"odd\\\"name\""]);
    offer("configure port 3 device \"o", "\"o", &["\"odd\\\"name\""]);
    offer("download configuration m", "m", &["\"my file.yaml\""]);
    offer(
        "show fdb ",
        "",
        &["vlan", "port", "mac", "02:00:00:00:00:01"],
    );
    offer(
        "show fdb vlan blue ",
        "",
        &["port", "mac", "02:00:00:00:00:01"],
    );
    offer("show fdb vlan blue m", "m", &["mac"]);
    offer("create vlan blue ", "", &["tag", "confirmed"]);
    offer(
        "help configure msm-failover l",
        "l",
        &["link-action", "lease"],
    );
    offer("help sh", "sh", &["show"]);
}

#[test]
fn completion_where_nothing_can_stand() {
    offer("show # vl", "show # vl".get(..0).unwrap_or(""), &[]);
    offer("nonsense ", "", &[]);
    offer("show version detail ", "", &[]);
    offer("show \"ver", "\"ver", &[]);
    offer("d", "d", &["delete", "disable", "download"]);
    offer("debug ", "", &["fault"]);
    // The cursor stands within the line.
    let completion = complete("sh fdb", 2, &());
    assert_eq!((completion.replace, completion.candidates.len()), (0..2, 1));
    assert_eq!(
        complete("é", 1, &()).candidates.len(),
        complete("", 0, &()).candidates.len()
    );
}

#[test]
fn help_pages_of_the_question_mark() {
    for (line, expected) in [
        (
            "configure msm-failover l",
            "  link-action  What becomes of ports and state
  lease        How long the data path trusts a silent master
",
        ),
        (
            "configure msm-failover timeout ",
            "  <time>  Seconds: 30 to 300
",
        ),
        (
            "show vlan ",
            "  <vlan>   Only this VLAN: a VLAN's name, or its id, 1 to 4094
    blue   10
    tag    20
  <Enter>  Show all VLANs, or one
",
        ),
        (
            "configure msm-failover link-action keep-links-up ",
            "  preserve-state  State is preserved
  confirmed       Take the change back unless `confirm configuration` follows
  <Enter>         Say what becomes of ports and state at a failover
",
        ),
    ] {
        assert_eq!(
            render_help(&help(line, &Switch).unwrap()),
            expected,
            "{line:?}"
        );
    }
    let error = help("show nothing", &()).unwrap_err();
    assert_eq!(error.start, 5);
    assert_eq!(help("nonsense ", &()).unwrap_err().start, 0);
    assert_eq!(help("show # ", &()), Ok(Vec::new()));
}

#[test]
fn another_number_is_no_suggestion() {
    assert_eq!(mistake("configure fdb agingtime 5").did_you_mean, None);
}
