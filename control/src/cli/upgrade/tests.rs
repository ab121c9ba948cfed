use crate::cli::fake::{Act, Outcome as Ran, Switch, answer};
use crate::northbound::api::*;

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
