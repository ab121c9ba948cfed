use std::cell::Cell;

use hitless_common::{PortNo, VlanId};

use super::probe::Counted;
use super::*;
use crate::cli::fake::{Act, Outcome as Ran, Switch, answer, refuse};
use crate::northbound::api::*;
use crate::probe::Count;

fn image(version: &str, bank: UpgradeBank) -> UpgradeImage {
    UpgradeImage {
        version: version.into(),
        git: String::new(),
        bank,
    }
}

fn plan(verdict: UpgradeVerdict, passed: bool) -> Act {
    answer(Reply::UpgradePlan(Box::new(UpgradePlan {
        file: "/x.img".into(),
        mode: Mode::Standard,
        from: image("0.4.0", UpgradeBank::Primary),
        to: Some(image("0.5.0", UpgradeBank::Secondary)),
        verdict: Some(verdict),
        checks: vec![UpgradeCheck {
            check: "standby".into(),
            passed,
            detail: "it is what it is".into(),
        }],
        items: vec![UpgradeItem {
            direction: Direction::Back,
            what: "records of snooping".into(),
            consequence: "they are lost".into(),
        }],
        steps: vec!["Install it.".into()],
    })))
}

fn status(step: Step, outcome: Option<Outcome>) -> Act {
    let under_way = |of| step == of && outcome.is_none();
    let steps = [Step::Install, step];
    answer(Reply::Upgrade(Box::new(UpgradeInfo {
        upgrade: Some(UpgradeStatus {
            file: "/x.img".into(),
            mode: Mode::Standard,
            from: image("0.4.0", UpgradeBank::Primary),
            to: image("0.5.0", UpgradeBank::Secondary),
            direction: Direction::Forward,
            step,
            steps: steps
                .map(|step| UpgradeStep {
                    step,
                    began_unix_ms: 1,
                    took_ms: 1_234,
                    under_way: under_way(step),
                })
                .into(),
            waiting: None,
            installed: None,
            accept_seconds_left: (step == Step::Accept).then_some(2_700),
            without_master_us: Some(12_340),
            dropped: Default::default(),
            outcome,
            reason: outcome.map(|_| "frames were dropped".into()),
            modules: Vec::new(),
        }),
    })))
}

fn run(masters: Vec<Vec<Act>>, line: &str) -> Ran {
    Switch::new(masters).run(line)
}

#[test]
fn it_looks_begins_and_follows_also_another_master() {
    let ran = run(
        vec![
            vec![
                plan(UpgradeVerdict::Compatible, true),
                status(Step::StartStandby, None),
                status(Step::StartStandby, None),
            ],
            vec![status(Step::Accept, None)],
        ],
        "upgrade x.img --conservative --accept-within 45m",
    );
    ran.result.unwrap();
    assert!(
        ran.output.starts_with("From 0.4.0 to 0.5.0: compatible.\n"),
        "{}",
        ran.output
    );
    assert!(
        ran.output.contains("within 45 min to keep 0.5.0"),
        "{}",
        ran.output
    );
    let begin = &ran.asked[0][1];
    assert_eq!(begin["accept_within_seconds"], 2_700);
    assert_eq!(
        (
            &begin["conservative"],
            &begin["dry_run"],
            &begin["accept_degraded"]
        ),
        (&true.into(), &false.into(), &true.into())
    );
    assert!(begin["file"].as_str().unwrap().starts_with('/'));
}

#[test]
fn what_is_in_the_way_is_said_and_nothing_begins() {
    for (verdict, passed, says) in [
        (
            UpgradeVerdict::Compatible,
            false,
            "standby: it is what it is",
        ),
        (
            UpgradeVerdict::Incompatible,
            true,
            "records of snooping: they are lost",
        ),
    ] {
        let ran = run(vec![vec![plan(verdict, passed)]], "upgrade x.img --yes");
        let failure = ran.result.unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        assert!(failure.to_string().contains(says), "{failure}");
        assert_eq!(ran.asked[0].len(), 1);
    }
}

#[test]
fn what_is_lost_is_asked_for_and_without_a_terminal_it_takes_a_yes() {
    use std::io::IsTerminal;
    if !std::io::stdin().is_terminal() {
        let ran = run(
            vec![vec![plan(UpgradeVerdict::Degraded, true)]],
            "upgrade x.img",
        );
        let failure = ran.result.unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(
            failure.to_string().contains("records of snooping"),
            "{failure}"
        );
    }
    let ran = run(
        vec![vec![
            plan(UpgradeVerdict::Degraded, true),
            status(Step::Done, Some(Outcome::Accepted)),
        ]],
        "upgrade x.img --yes",
    );
    ran.result.unwrap();
}

#[test]
fn a_dry_run_shows_the_plan_and_asks_nothing_else() {
    let ran = run(
        vec![vec![plan(UpgradeVerdict::Degraded, true)]],
        "upgrade x.img --dry-run",
    );
    ran.result.unwrap();
    for part in [
        "compatible but degraded",
        "good  standby",
        "1. Install it.",
        "Nothing was changed.",
    ] {
        assert!(ran.output.contains(part), "{part}: {}", ran.output);
    }
    assert_eq!(ran.asked[0].len(), 1);
}

#[test]
fn an_upgrade_that_was_gone_back_from_is_a_failure_with_its_reason() {
    let ran = run(
        vec![vec![status(Step::Done, Some(Outcome::RolledBack))]],
        "upgrade status",
    );
    let failure = ran.result.unwrap_err();
    assert_eq!(failure.exit_code(), 5);
    assert!(
        failure
            .to_string()
            .contains("0.4.0 runs again: frames were dropped"),
        "{failure}"
    );
}

#[test]
fn rollback_is_done_when_the_old_version_runs() {
    let ran = run(
        vec![vec![
            status(Step::Accept, None),
            status(Step::StartOld, None),
            status(Step::Done, Some(Outcome::RolledBack)),
        ]],
        "rollback --yes",
    );
    ran.result.unwrap();
    let nothing = vec![vec![answer(Reply::Upgrade(Box::default()))]];
    let failure = run(nothing, "rollback --yes").result.unwrap_err();
    assert!(
        failure.to_string().contains("there was no upgrade"),
        "{failure}"
    );
}

/// A flow that loses frames from some look on.
struct Fake {
    looks: Cell<u32>,
    loses_from: u32,
    loses_at_the_end: bool,
    broken: Option<String>,
}

impl Fake {
    fn new(loses_from: u32) -> Self {
        Self {
            looks: Cell::new(0),
            loses_from,
            loses_at_the_end: false,
            broken: None,
        }
    }

    fn counted(&self, at_the_end: bool) -> Count {
        let lost = match self.looks.get() >= self.loses_from || at_the_end && self.loses_at_the_end
        {
            true => 3,
            false => 0,
        };
        Count {
            sent: 2_345,
            received: 2_345 - lost,
            lost,
            twice: 0,
            longest_gap_us: 4_321,
        }
    }
}

impl Counted for Fake {
    fn count(&self) -> Count {
        self.looks.set(self.looks.get() + 1);
        self.counted(false)
    }

    fn settle(&self) -> Count {
        self.counted(true)
    }

    fn resume(&self) {}

    fn broken(&self) -> Option<String> {
        self.broken.clone()
    }
}

fn turned(step: Step, outcome: Option<Outcome>) -> Act {
    let Act::Answer(Response::Ok(Reply::Upgrade(mut info))) = status(step, outcome) else {
        unreachable!("it is an answer");
    };
    if let Some(status) = &mut info.upgrade {
        status.direction = Direction::Back;
    }
    answer(Reply::Upgrade(info))
}

fn watched(masters: Vec<Vec<Act>>, line: &str, flow: &Fake) -> Ran {
    let switch = Switch::new(masters);
    let mut session = switch.session(line);
    let mut output = Vec::new();
    let watch = Watch::new(flow, "1:2".parse().unwrap());
    let result = session.follow(Some(watch), &mut output);
    drop(session);
    switch.end(result, output, Vec::new())
}

const LOSS: &str = "the probe flow from port 1 to port 2 lost 3 of 2,345 frames";

#[test]
fn a_flow_that_loses_nothing_is_reported() {
    let masters = || vec![vec![status(Step::Verify, None), status(Step::Accept, None)]];
    let ran = watched(masters(), "upgrade status", &Fake::new(u32::MAX));
    ran.result.unwrap();
    let line =
        "Probe 1 to 2       sent 2,345, received 2,345, lost 0, twice 0, longest gap 4.3 ms\n";
    assert!(ran.output.contains(line), "{}", ran.output);
    let ran = watched(masters(), "upgrade status --json", &Fake::new(u32::MAX));
    let value: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(value["step"], "accept");
    assert_eq!(
        value["probe"],
        serde_json::json!({"from": 1, "to": 2, "sent": 2345, "received": 2345, "lost": 0, "twice": 0,
            "longest_gap_us": 4321, "broken": null})
    );
}

#[test]
fn a_flow_that_loses_frames_turns_the_upgrade_back_once_and_says_why() {
    // The first master dies of the question, and the next one is asked again.
    let ran = watched(
        vec![
            vec![status(Step::Failover, None), Act::Die],
            vec![
                status(Step::Verify, None),
                // Who it is.
                refuse(ErrorKind::Refused, "not now"),
                turned(Step::StartOld, None),
                turned(Step::StartOld, None),
                turned(Step::Done, Some(Outcome::RolledBack)),
            ],
        ],
        "upgrade status",
        &Fake::new(1),
    );
    let failure = ran.result.as_ref().unwrap_err();
    assert_eq!(failure.exit_code(), 5, "{failure}");
    let requests = ran.requests();
    assert_eq!(requests[0], ["show-upgrade", "roll-back-upgrade"]);
    assert_eq!(
        requests[1],
        [
            "show-upgrade",
            "show-msm-failover",
            "roll-back-upgrade",
            "show-upgrade",
            "show-upgrade"
        ]
    );
    assert_eq!(ran.asked[1][2]["reason"], LOSS);
    assert!(ran.output.contains("lost 3"), "{}", ran.output);
}

#[test]
fn what_is_lost_at_the_last_moment_is_lost_also_after_acceptance() {
    for end in [
        status(Step::Accept, None),
        status(Step::Done, Some(Outcome::Accepted)),
    ] {
        let mut flow = Fake::new(u32::MAX);
        flow.loses_at_the_end = true;
        let ran = watched(
            vec![vec![
                end,
                turned(Step::StartOld, None),
                turned(Step::Done, Some(Outcome::RolledBack)),
            ]],
            "upgrade status",
            &flow,
        );
        assert_eq!(ran.result.as_ref().unwrap_err().exit_code(), 5);
        assert_eq!(
            ran.requests()[0],
            ["show-upgrade", "roll-back-upgrade", "show-upgrade"]
        );
    }
}

#[test]
fn a_switch_that_does_not_go_back_is_told_of() {
    let ran = watched(
        vec![vec![
            status(Step::Verify, None),
            refuse(ErrorKind::Refused, "the way is closed"),
            status(Step::Verify, None),
            status(Step::Accept, None),
        ]],
        "upgrade status",
        &Fake::new(1),
    );
    let failure = ran.result.as_ref().unwrap_err();
    assert_eq!(failure.exit_code(), 5);
    let says = format!("{LOSS}, and the switch does not go back: the way is closed");
    assert!(failure.to_string().contains(&says), "{failure}");
}

#[test]
fn a_flow_that_broke_off_has_proved_nothing() {
    let mut flow = Fake::new(u32::MAX);
    flow.broken = Some("no more frames".into());
    let ran = watched(
        vec![vec![status(Step::Accept, None)]],
        "upgrade status",
        &flow,
    );
    let failure = ran.result.as_ref().unwrap_err();
    assert_eq!(failure.exit_code(), 5);
    assert!(failure.to_string().contains("no more frames"), "{failure}");
    assert!(ran.output.contains("broke off"), "{}", ran.output);
}

fn port(number: u16, change: impl Fn(&mut PortInfo)) -> Act {
    let mut port = PortInfo {
        port: PortNo::new(number).unwrap(),
        device: format!("no-device-{number}"),
        enabled: true,
        link: LinkState::Up,
        device_state: String::new(),
        offload: OffloadState::Tc,
        offload_reason: String::new(),
        configured_offload: hitless_proto::config::OffloadMode::Auto,
        mtu: None,
        speed_mbps: None,
        pvid: VlanId::new(10),
        tagged: Vec::new(),
        counters: CounterSet::default(),
    };
    change(&mut port);
    answer(Reply::Ports(vec![port]))
}

fn vlan(untagged: &[u16], forwarding: &[u16]) -> Act {
    let ports = |numbers: &[u16]| {
        let ports = numbers.iter().map(|number| PortNo::new(*number).unwrap());
        ports.collect()
    };
    answer(Reply::Vlans(vec![VlanInfo {
        vlan: VlanId::new(10).unwrap(),
        name: "blue".parse().unwrap(),
        untagged: ports(untagged),
        tagged: Vec::new(),
        forwarding: ports(forwarding),
        mac_count: 0,
        mac_limit: None,
        learning: true,
    }]))
}

#[test]
fn ports_between_which_there_is_no_flow_are_refused_before_anything_is_changed() {
    let good = |number| port(number, |_| {});
    let cases = [
        (
            vec![refuse(ErrorKind::NotFound, "port 1 is not configured")],
            "there is no port 1",
        ),
        (
            vec![good(1), port(2, |port| port.enabled = false)],
            "port 2 is disabled",
        ),
        (
            vec![port(1, |port| port.link = LinkState::Down)],
            "port 1 has its link down",
        ),
        (
            vec![port(1, |port| port.pvid = None), good(2)],
            "port 1 has no native VLAN",
        ),
        (
            vec![good(1), good(2), vlan(&[1], &[1])],
            "port 2 is not in VLAN 10",
        ),
        (
            vec![good(1), good(2), vlan(&[1, 2], &[2])],
            "port 1 does not forward in VLAN 10",
        ),
        (
            vec![
                good(1),
                good(2),
                vlan(&[1, 2], &[1, 2]),
                answer(Reply::Fdb(FdbPage::default())),
            ],
            "no address is known behind port 2 in VLAN 10",
        ),
    ];
    for (acts, says) in cases {
        let acts = [vec![plan(UpgradeVerdict::Compatible, true)], acts].concat();
        for line in [
            "upgrade x.img --probe 1:2",
            "upgrade x.img probe 1:2 dry-run",
        ] {
            let ran = run(vec![acts.clone()], line);
            let failure = ran.result.as_ref().unwrap_err();
            assert_eq!(failure.exit_code(), 1, "{failure}");
            assert!(
                failure.to_string().contains(&format!("probe: {says}")),
                "{failure}"
            );
            let requests = ran.requests().concat();
            let plans = requests.iter().filter(|request| **request == "upgrade");
            assert_eq!(plans.count(), 1, "{requests:?}");
        }
    }
}

#[test]
fn what_are_no_two_ports_is_no_command() {
    for words in ["1:1", "1", "1:", "0:1", "1:129", "1:2:3"] {
        let line = crate::grammar::Line::split(&format!("upgrade x.img probe {words}")).unwrap();
        assert!(crate::grammar::parse(&line).is_err(), "{words}");
    }
}
