use super::*;
use crate::state::Reason;

const SETTINGS: Settings = Settings {
    inherited: true,
    preserve: true,
    freshness_ms: 2000,
};

fn ready() -> States {
    let mut states = States::initial();
    for subsystem in Subsystem::CHECKPOINTED {
        states.set(subsystem, SubState::Ready, Reason::None);
    }
    states
}

fn decide(
    cause: Cause,
    announced: bool,
    age: Option<u64>,
    states: &States,
    s: Settings,
) -> Verdict {
    let situation = Situation {
        cause,
        announced,
        states,
        checkpoint_age_ms: age,
    };
    verdict(&situation, &s)
}

#[test]
fn announced_causes_are_hitless_when_everything_is_ready() {
    for cause in [
        Cause::OperatorCommand,
        Cause::SoftwareException,
        Cause::DiagnosticFailure,
        Cause::HotRemoval,
    ] {
        // However long the master had nothing to say.
        for announced in [false, true] {
            let verdict = decide(cause, announced, Some(1 << 40), &ready(), SETTINGS);
            assert!(verdict.is_hitless(), "{cause}");
            assert_eq!(verdict.config, ConfigFrom::Checkpoint);
            assert_eq!(verdict.state, StateFrom::Checkpoint);
            assert_eq!(verdict.discards(), "nothing");
        }
    }
}

#[test]
fn a_master_that_hung_or_fell_silent_needs_a_fresh_checkpoint() {
    for cause in [
        Cause::WatchdogTimeout,
        Cause::KeepaliveFailure,
        Cause::Unknown,
    ] {
        assert!(decide(cause, false, Some(2000), &ready(), SETTINGS).is_hitless());
        assert!(decide(cause, true, Some(9999), &ready(), SETTINGS).is_hitless());
        for age in [Some(2001), None] {
            let verdict = decide(cause, false, age, &ready(), SETTINGS);
            assert!(matches!(
                verdict.not_hitless,
                Some(NotHitless::Stale { .. })
            ));
            assert_eq!(verdict.config, ConfigFrom::OwnFile);
            assert_eq!(verdict.state, StateFrom::Nothing);
        }
    }
    let verdict = decide(
        Cause::WatchdogTimeout,
        false,
        Some(2001),
        &ready(),
        SETTINGS,
    );
    let why = verdict.not_hitless.map(|why| why.to_string());
    assert_eq!(
        why.as_deref(),
        Some("the checkpoint is 2001 ms old, 2000 ms are allowed")
    );
    assert_eq!(
        verdict.discards(),
        "the running configuration and all operational state"
    );
}

#[test]
fn a_standby_that_is_not_ready_goes_by_the_hardware() {
    let mut states = ready();
    states.set(Subsystem::Fdb, SubState::Failed, Reason::InvalidSubtype);
    let verdict = decide(Cause::SoftwareException, true, Some(0), &states, SETTINGS);
    assert_eq!(verdict.state, StateFrom::Hardware);
    assert_eq!(verdict.config, ConfigFrom::Checkpoint);
    let why = verdict.not_hitless.map(|why| why.to_string());
    assert_eq!(why.as_deref(), Some("fdb is failed (invalid subtype)"));

    states.set(Subsystem::Config, SubState::Xfr, Reason::None);
    let verdict = decide(Cause::SoftwareException, true, Some(0), &states, SETTINGS);
    assert_eq!(verdict.config, ConfigFrom::OwnFile);
    let NotHitless::NotReady { subsystem, .. } = verdict.not_hitless.unwrap() else {
        panic!("{verdict:?}");
    };
    assert_eq!(subsystem, Subsystem::Config);
    let verdict = decide(Cause::None, false, None, &States::default(), SETTINGS);
    assert_eq!(verdict.state, StateFrom::Hardware);
}

#[test]
fn settings_that_preserve_nothing_lose_it() {
    let flash = Settings {
        inherited: false,
        ..SETTINGS
    };
    let verdict = decide(Cause::OperatorCommand, true, Some(0), &ready(), flash);
    assert_eq!(verdict.not_hitless, Some(NotHitless::NotPreserved));
    assert_eq!(verdict.config, ConfigFrom::OwnFile);
    assert_eq!(verdict.state, StateFrom::Nothing);
    let down = Settings {
        preserve: false,
        ..SETTINGS
    };
    let verdict = decide(Cause::OperatorCommand, true, Some(0), &ready(), down);
    assert_eq!(verdict.not_hitless, Some(NotHitless::NotPreserved));
    assert_eq!(verdict.config, ConfigFrom::Checkpoint);
}

#[test]
fn a_hard_reset_loses_everything() {
    let verdict = decide(Cause::HardReset, true, Some(0), &ready(), SETTINGS);
    assert_eq!(verdict.not_hitless, Some(NotHitless::HardReset));
    assert_eq!(verdict.config, ConfigFrom::OwnFile);
    assert_eq!(verdict.state, StateFrom::Nothing);
}

#[test]
fn keepalives_are_missed_in_a_row() {
    let mut keepalives = Keepalives::new(3);
    for _ in 0..10 {
        assert!(!keepalives.tick());
        assert!(!keepalives.tick());
        assert!(!keepalives.tick());
        keepalives.heard();
    }
    assert!((0..3).all(|_| !keepalives.tick()));
    assert!(keepalives.tick());
    assert_eq!(keepalives.missed(), 4);
}
