//! Each way an upgrade can go.

use super::switch::{NEW, OLD};
use super::*;
use crate::slot::ModuleSlot::{MsmA, MsmB};

/// Both modules run this image, it is selected in both slots, and the outcome is that.
fn ends(switch: &mut Switch, outcome: Outcome, bank: Bank) -> Journal {
    assert!(switch.run_to(Step::Done), "{:#?}", switch.journal());
    switch.run(50);
    let journal = switch.journal();
    assert_eq!(journal.outcome, Some(outcome), "{journal:#?}");
    for slot in [MsmA, MsmB] {
        assert_eq!(switch.bank_of(slot), Some(bank), "{slot} {journal:#?}");
        assert_eq!(switch.slots[&slot].selected, bank);
    }
    journal
}

fn steps(journal: &Journal) -> Vec<Step> {
    journal.steps.iter().map(|step| step.step).collect()
}

#[test]
fn a_standard_upgrade() {
    let mut switch = Switch::new(Quality::Good);
    let old_master = switch.master().unwrap();
    switch.begin(Mode::Standard, 60);
    assert!(switch.run_to(Step::Accept));
    assert_eq!(switch.master(), Some(old_master.other()));
    let now = switch.now();
    switch.machine.as_mut().unwrap().accept(now).unwrap();
    switch.disk = switch.machine.as_ref().unwrap().journal().to_octets();
    let journal = ends(&mut switch, Outcome::Accepted, NEW);
    assert_eq!(
        steps(&journal),
        [
            Step::Install,
            Step::StartStandby,
            Step::Failover,
            Step::Verify,
            Step::StartOther,
            Step::Accept,
            Step::Done
        ]
    );
    assert_eq!(
        (switch.failovers, switch.lost_state),
        (1, 1),
        "the first start is no failover"
    );
    assert!(journal.steps.iter().all(|step| step.took_ms.is_some()));
    assert_eq!(journal.without_master_us, Some(1_000));
}

#[test]
fn a_conservative_upgrade_keeps_the_old_image_in_the_other_slot_until_it_is_accepted() {
    let mut switch = Switch::new(Quality::Good);
    switch.begin(Mode::Conservative, 60);
    assert!(switch.run_to(Step::Accept));
    let master = switch.master().unwrap();
    switch.run(100);
    assert_eq!(switch.bank_of(master), Some(NEW));
    assert_eq!(switch.bank_of(master.other()), Some(OLD));
    assert!(switch.slots.values().all(|slot| slot.selected == OLD));
    let now = switch.now();
    switch.machine.as_mut().unwrap().accept(now).unwrap();
    ends(&mut switch, Outcome::Accepted, NEW);
}

#[test]
fn nobody_accepts_it() {
    for mode in [Mode::Standard, Mode::Conservative] {
        let mut switch = Switch::new(Quality::Good);
        switch.begin(mode, 20);
        assert!(switch.run_to(Step::Accept));
        assert_eq!(switch.journal().accept_seconds_left(switch.now()), Some(20));
        let journal = ends(&mut switch, Outcome::RolledBack, OLD);
        assert_eq!(
            journal.reason.as_deref(),
            Some("nobody accepted it within 20 s")
        );
        assert_eq!((switch.failovers, switch.lost_state), (2, 1), "{mode:?}");
    }
}

#[test]
fn without_an_accept_time_it_is_accepted_once_it_is_verified() {
    for mode in [Mode::Standard, Mode::Conservative] {
        let mut switch = Switch::new(Quality::Good);
        switch.begin(mode, 0);
        ends(&mut switch, Outcome::Accepted, NEW);
    }
}

#[test]
fn bad_images_are_gone_back_from() {
    for (quality, says, failovers) in [
        (
            Quality::DoesNotInstall,
            "could not be installed: no space",
            0,
        ),
        (
            Quality::CrashesAtStart,
            "found the image in bank secondary unfit",
            0,
        ),
        (Quality::NeverReady, "not ready after 60 s", 0),
        (Quality::Drops, "3 frames tx-failed", 2),
        (
            Quality::MovesProtocols,
            "s0 port 1 was forwarding and is discarding",
            2,
        ),
        (Quality::PanicsAfter(8), "was lost: software exception", 1),
    ] {
        for mode in [Mode::Standard, Mode::Conservative] {
            let mut switch = Switch::new(quality);
            switch.begin(mode, 3_000);
            let journal = ends(&mut switch, Outcome::RolledBack, OLD);
            let reason = journal.reason.unwrap();
            assert!(reason.contains(says), "{quality:?}: {reason}");
            assert_eq!(switch.failovers, failovers, "{quality:?} {mode:?}");
        }
    }
}

#[test]
fn an_image_that_panics_a_minute_after_it_became_master() {
    for (mode, failovers) in [(Mode::Standard, 2), (Mode::Conservative, 1)] {
        let mut switch = Switch::new(Quality::PanicsAfter(600));
        switch.begin(mode, 3_000);
        assert!(switch.run_to(Step::Accept));
        let journal = ends(&mut switch, Outcome::RolledBack, OLD);
        assert!(journal.reason.unwrap().contains("0.5.0 was lost"));
        assert_eq!(
            (switch.failovers, switch.lost_state),
            (failovers, 1),
            "{mode:?}"
        );
    }
}

#[test]
fn an_old_image_that_gets_not_ready_bars_the_way_and_the_new_one_goes_on() {
    let mut switch = Switch::new(Quality::OldIsNotReadyBeside);
    switch.begin(Mode::Standard, 60);
    assert!(switch.run_to(Step::Done) || switch.run_to(Step::Done));
    let journal = switch.journal();
    assert_eq!(journal.outcome, Some(Outcome::Stuck));
    assert!(journal.reason.unwrap().contains("the way back is barred"));
    assert_eq!(switch.bank_of(switch.master().unwrap()), Some(NEW));
    assert_eq!(switch.lost_state, 1);
}

#[test]
fn rollback_on_command_at_every_step_and_after_acceptance() {
    for step in [
        Step::Install,
        Step::StartStandby,
        Step::Verify,
        Step::StartOther,
        Step::Accept,
        Step::Done,
    ] {
        for mode in [Mode::Standard, Mode::Conservative] {
            let mut switch = Switch::new(Quality::Good);
            switch.begin(mode, if step == Step::Done { 0 } else { 600 });
            if step == Step::StartOther && mode == Mode::Conservative {
                continue;
            }
            assert!(switch.run_to(step), "{step}");
            let now = switch.now();
            let machine = switch.machine.as_mut().unwrap();
            machine.roll_back(now, "by command").unwrap();
            assert!(machine.roll_back(now, "again").is_err());
            switch.disk = machine.journal().to_octets();
            let journal = ends(&mut switch, Outcome::RolledBack, OLD);
            assert_eq!(journal.reason.as_deref(), Some("by command"));
            let now = switch.now();
            assert!(
                switch
                    .machine
                    .as_mut()
                    .unwrap()
                    .roll_back(now, "again")
                    .is_err()
            );
            assert_eq!(switch.lost_state, 1, "{step} {mode:?}");
        }
    }
}

#[test]
fn an_operators_failover_while_it_waits_to_be_accepted() {
    // To the new image: nothing happens. To the old one: that is what the guide's fail back is.
    for (mode, outcome, bank) in [
        (Mode::Standard, Outcome::Accepted, NEW),
        (Mode::Conservative, Outcome::RolledBack, OLD),
    ] {
        let mut switch = Switch::new(Quality::Good);
        switch.begin(mode, 600);
        assert!(switch.run_to(Step::Accept));
        switch.run(20);
        switch.act(Action::Failover);
        switch.run(30);
        if mode == Mode::Standard {
            let now = switch.now();
            switch.machine.as_mut().unwrap().accept(now).unwrap();
            switch.disk = switch.machine.as_ref().unwrap().journal().to_octets();
        }
        ends(&mut switch, outcome, bank);
    }
}

#[test]
fn either_module_may_die_in_any_tick() {
    for mode in [Mode::Standard, Mode::Conservative] {
        for which in 0..3 {
            for when in 0..70 {
                let mut switch = Switch::new(Quality::Good);
                switch.begin(mode, 0);
                switch.run(when);
                // A moment without a master is over soon.
                while switch.master().is_none() {
                    switch.step();
                }
                let master = switch.master().unwrap();
                match which {
                    0 => switch.kill(master),
                    1 => switch.kill(master.other()),
                    _ => {
                        switch.kill(master);
                        switch.kill(master.other());
                    }
                }
                assert!(
                    switch.run_to(Step::Done),
                    "{mode:?} {which} {when}: {:#?}",
                    switch.journal()
                );
                switch.run(50);
                let journal = switch.journal();
                let bank = match journal.outcome {
                    Some(Outcome::Accepted) => NEW,
                    Some(Outcome::RolledBack) => OLD,
                    _ => panic!("{journal:#?}"),
                };
                for slot in [MsmA, MsmB] {
                    assert_eq!(
                        switch.bank_of(slot),
                        Some(bank),
                        "{mode:?} {which} {when}: {journal:#?}"
                    );
                }
            }
        }
    }
}
