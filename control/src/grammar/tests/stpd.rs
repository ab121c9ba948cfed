//! Commands about spanning tree domains.

use hitless_common::VlanId;
use hitless_proto::config::{
    Config, ConfigChange, PortSelection, StpEncapsulation, StpLinkType, StpdChange, StpdMode,
    StpdName, StpdPortChange,
};
use hitless_proto::stp::CostMethod;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::changes::{parsed, ports, range, vlan};
use super::*;
use crate::northbound::api::Request;

/// Names that look like keywords and their beginnings among them.
fn name() -> impl Strategy<Value = StpdName> {
    prop_oneof![
        "[A-Za-z][A-Za-z0-9_.-]{0,31}",
        select(vec!["s0", "stpd", "ports", "all", "none", "confirmed", "p"]).prop_map(String::from),
    ]
    .prop_map(|name| parsed(&name))
}

fn port_change() -> impl Strategy<Value = StpdPortChange> {
    let guard = prop_oneof![
        Just((false, None)),
        of(1i64..=3_600).prop_map(|recovery| (true, recovery))
    ];
    prop_oneof![
        any::<bool>().prop_map(|enabled| StpdPortChange::Enabled { enabled }),
        of(select(StpEncapsulation::ALL))
            .prop_map(|encapsulation| StpdPortChange::Encapsulation { encapsulation }),
        (0i64..=240).prop_map(|priority| StpdPortChange::Priority { priority }),
        of(1i64..=200_000_000).prop_map(|cost| StpdPortChange::Cost { cost }),
        select(StpLinkType::ALL).prop_map(|link_type| StpdPortChange::LinkType { link_type }),
        any::<bool>().prop_map(|enabled| StpdPortChange::AutoEdge { enabled }),
        guard.prop_map(|(enabled, recovery)| StpdPortChange::BpduGuard { enabled, recovery }),
        any::<bool>().prop_map(|enabled| StpdPortChange::RootGuard { enabled }),
        any::<bool>().prop_map(|enabled| StpdPortChange::BpduFilter { enabled }),
        any::<bool>().prop_map(|enabled| StpdPortChange::LoopGuard { enabled }),
    ]
}

fn stpd_change() -> impl Strategy<Value = StpdChange> {
    let tag = of((1u16..=4094).prop_filter_map("id", VlanId::new));
    prop_oneof![
        any::<bool>().prop_map(|enabled| StpdChange::Enabled { enabled }),
        select(StpdMode::ALL).prop_map(|mode| StpdChange::Mode { mode }),
        tag.prop_map(|tag| StpdChange::Tag { tag }),
        (0i64..=61_440).prop_map(|priority| StpdChange::Priority { priority }),
        (1i64..=10).prop_map(|seconds| StpdChange::HelloTime { seconds }),
        (6i64..=40).prop_map(|seconds| StpdChange::MaxAge { seconds }),
        (4i64..=30).prop_map(|seconds| StpdChange::ForwardDelay { seconds }),
        (1i64..=10).prop_map(|count| StpdChange::TxHoldCount { count }),
        select(vec![CostMethod::Short, CostMethod::Long])
            .prop_map(|method| StpdChange::PathCostMethod { method }),
        select(StpEncapsulation::ALL)
            .prop_map(|encapsulation| StpdChange::DefaultEncapsulation { encapsulation }),
        vlan().prop_map(|vlan| StpdChange::AddVlan { vlan }),
        vlan().prop_map(|vlan| StpdChange::DeleteVlan { vlan }),
        (ports(), port_change()).prop_map(|(ports, change)| StpdChange::Ports { ports, change }),
    ]
}

/// Any change about domains that a command makes.
pub(super) fn change() -> impl Strategy<Value = ConfigChange> {
    prop_oneof![
        1 => name().prop_map(|stpd| ConfigChange::CreateStpd { stpd }),
        1 => name().prop_map(|stpd| ConfigChange::DeleteStpd { stpd }),
        1 => name().prop_map(|stpd| ConfigChange::UnconfigureStpd { stpd }),
        20 => (name(), stpd_change())
            .prop_map(|(stpd, change)| ConfigChange::Stpd { stpd, change }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        of(name()).prop_map(|stpd| Request::ShowStpd { stpd, ports: None }),
        of(name()).prop_map(|stpd| Request::ClearStpdCounters { stpd }),
        (name(), ports()).prop_map(|(stpd, ports)| Request::RecoverStpdPorts { stpd, ports }),
        (name(), ports()).prop_map(|(stpd, ports)| Request::CheckStpdMigration { stpd, ports }),
    ]
}

proptest! {
    #[test]
    fn a_request_comes_back_from_its_command(request in request()) {
        let written = command_line(&request).unwrap_or_default();
        let line = Line::split(&written).map_err(|e| TestCaseError::fail(e.render()))?;
        let parsed = parse(&line).map_err(|e| TestCaseError::fail(e.render()))?;
        prop_assert_eq!(parsed.action, Action::Ask(request));
    }
}

#[test]
fn ports_are_shown_in_a_table_or_in_detail() {
    let stpd = StpdName::S0;
    let shown = |ports: PortSelection, detail| Action::ShowStpdPorts {
        stpd,
        ports,
        detail,
    };
    for (line, expected) in [
        ("show stpd s0 ports", shown(PortSelection::All, false)),
        ("sh st s0 po all", shown(PortSelection::All, false)),
        ("show stpd s0 ports detail", shown(PortSelection::All, true)),
        ("show stpd s0 ports 1-3", shown(parsed("1-3"), false)),
        ("sh stp s0 p 3 d", shown(parsed("3"), true)),
    ] {
        assert_eq!(action(line), expected, "{line}");
    }
    let request = Request::ShowStpd {
        stpd: Some(stpd),
        ports: Some(parsed("1-3")),
    };
    let line = command_line(&request).unwrap_or_default();
    assert_eq!(action(&line), shown(parsed("1-3"), false));
}

#[test]
fn abbreviations() {
    for (short, long) in [
        ("sh st", "show stpd"),
        ("cr st s1", "create stpd s1"),
        ("en st s0", "enable stpd s0"),
        ("en stpd s0 po 1", "enable stpd s0 ports 1"),
        ("conf st s0 mo dot1d", "configure stpd s0 mode dot1d"),
        ("conf st s0 add vl blue", "configure stpd s0 add vlan blue"),
        (
            "conf st s0 po 1 link e",
            "configure stpd s0 ports 1 link-type edge",
        ),
        (
            "conf st s0 po all bpdu-g on r 60",
            "configure stpd s0 ports all bpdu-guard on recovery-timeout 60",
        ),
        ("clear co st", "clear counters stpd"),
        (
            "clear st s0 po 1 pr",
            "clear stpd s0 ports 1 protocol-migration",
        ),
    ] {
        assert_eq!(action(short), action(long), "{short}");
    }
}

#[test]
fn mistakes() {
    for expected in [
        "configure stpd s0 hellotime 11
                            ^^
11 is not in 1 to 10
Expected: <hello> (1 to 10)",
        "configure stpd s0 ports 1 link-type egde
                                    ^^^^
\"egde\" is not understood here; did you mean edge?
Expected: auto, edge, broadcast or point-to-point",
        "show stpd 7
          ^
\"7\" is no STP domain name: it must be 1 to 32 of the characters A-Z a-z 0-9 _ - . and start with a letter
Expected: <stpd> (a spanning tree domain's name) or the end of the command",
        "clear stpd s0 ports 1
                      ^
the command is not complete
Expected: bpdu-guard or protocol-migration",
    ] {
        let line = expected.lines().next().unwrap_or_default();
        assert_eq!(mistake(line).render(), expected);
    }
}

/// A configuration made by these commands.
fn config(lines: &[&str]) -> Config {
    let changes: Vec<ConfigChange> = lines
        .iter()
        .map(|line| match action(line) {
            Action::Configure(change) => change,
            other => panic!("{line}: {other:?}"),
        })
        .collect();
    Config::factory(parsed("sw1"))
        .changed(&changes)
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn ranges_are_those_of_the_configuration() {
    let base = [
        "create vlan 1",
        "configure port 1 device eth1",
        "configure vlan 1 add ports 1",
        "configure stpd s0 mode dot1d",
    ];
    let of_port = |change| StpdChange::Ports {
        ports: PortSelection::All,
        change,
    };
    // Each with what else must be so that both ends of its range are taken, and with its steps.
    type Make<'a> = &'a dyn Fn(i64) -> StpdChange;
    let changes: [(&[&str], i64, Make<'_>); 8] = [
        (&[], 4096, &|priority| StpdChange::Priority { priority }),
        (&["configure stpd s0 maxage 22"], 1, &|seconds| {
            StpdChange::HelloTime { seconds }
        }),
        (&["configure stpd s0 forwarddelay 30"], 1, &|seconds| {
            StpdChange::MaxAge { seconds }
        }),
        (&["configure stpd s0 maxage 6"], 1, &|seconds| {
            StpdChange::ForwardDelay { seconds }
        }),
        (&[], 1, &|count| StpdChange::TxHoldCount { count }),
        (&[], 16, &|priority| {
            of_port(StpdPortChange::Priority { priority })
        }),
        (&[], 1, &|cost| {
            of_port(StpdPortChange::Cost { cost: Some(cost) })
        }),
        (&[], 1, &|recovery| {
            of_port(StpdPortChange::BpduGuard {
                enabled: true,
                recovery: Some(recovery),
            })
        }),
    ];
    for (more, step, change) in changes {
        let config = config(&[&base[..], more].concat());
        let change = |number| ConfigChange::Stpd {
            stpd: StpdName::S0,
            change: change(number),
        };
        let usual = if step == 4096 { 4096 } else { 8 };
        let (low, high) = range(&change(usual));
        for taken in [low, high] {
            let change = change(taken);
            if let Err(error) = config.changed(std::slice::from_ref(&change)) {
                panic!("{}: {error}", text(&change));
            }
        }
        for refused in [low - step, high + step] {
            let change = change(refused);
            assert!(
                config.changed(std::slice::from_ref(&change)).is_err(),
                "{}",
                text(&change)
            );
        }
    }
}

#[test]
fn help_names_domains_and_what_their_words_mean() {
    struct Switch;
    impl Live for Switch {
        fn values(&self, source: Source) -> Vec<(String, String)> {
            match source {
                Source::Stpds => vec![
                    ("s0".into(), "dot1w, enabled".into()),
                    ("lab".into(), "dot1d, disabled".into()),
                ],
                Source::Ports => vec![("1".into(), "eth1, up".into())],
                _ => Vec::new(),
            }
        }
    }
    for (line, expected) in [
        (
            "show stpd ",
            "  <stpd>   Only this domain: a spanning tree domain's name
    s0     dot1w, enabled
    lab    dot1d, disabled
  <Enter>  Show spanning tree domains, one of them, or its ports
",
        ),
        (
            "enable stpd s0 ports ",
            "  <ports>  The ports: a list such as 1-4,7 of 1 to 128
    1      eth1, up
  all      All ports of the domain
",
        ),
        (
            "clear stpd s0 ports 1 ",
            "  bpdu-guard          That BPDU guard has shut them
  protocol-migration  That their neighbours do not know RST BPDUs
",
        ),
        (
            "configure stpd s0 ports 1 ",
            "  cost         Their path cost
  priority     Their priority
  mode         How BPDUs look on them
  link-type    What is at their other end
  auto-edge    Whether they become edge ports if they hear no BPDU
  bpdu-guard   Whether edge ports that hear a BPDU are shut
  root-guard   Whether the root must not be behind them
  bpdu-filter  Whether they neither send nor take BPDUs
  loop-guard   Whether they stay closed when their neighbour falls silent
",
        ),
    ] {
        assert_eq!(
            render_help(&help(line, &Switch).unwrap_or_else(|error| panic!("{error}"))),
            expected,
            "{line:?}"
        );
    }
    let completion = complete("delete stpd l", 13, &Switch);
    let texts: Vec<String> = completion.candidates.into_iter().map(|c| c.text).collect();
    assert_eq!(texts, ["lab"]);
    // A new domain has a name that is not there yet.
    assert!(complete("create stpd ", 12, &Switch).candidates.is_empty());
}
