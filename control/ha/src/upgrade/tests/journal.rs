//! The journal on disk, and what counts as loss.

use std::collections::BTreeMap;

use super::switch::image;
use super::*;

#[test]
fn what_another_version_wrote_is_kept() {
    let mut switch = Switch::new(Quality::Good);
    switch.begin(Mode::Standard, 60);
    let mut value: serde_json::Value = serde_json::from_slice(&switch.disk).unwrap();
    value["format"] = 9.into();
    value["colour"] = "blue".into();
    switch.disk = serde_json::to_vec(&value).unwrap();
    switch.machine = None;
    assert!(switch.run_to(Step::Accept));
    let journal = switch.journal();
    assert_eq!(
        (journal.format, &journal.other["colour"]),
        (9, &"blue".into())
    );
}

#[test]
fn a_step_of_another_version_is_gone_back_from() {
    let mut switch = Switch::new(Quality::Good);
    switch.begin(Mode::Standard, 60);
    assert!(switch.run_to(Step::Accept));
    let mut value: serde_json::Value = serde_json::from_slice(&switch.disk).unwrap();
    value["step"] = "polish".into();
    switch.disk = serde_json::to_vec(&value).unwrap();
    switch.machine = None;
    assert!(switch.run_to(Step::Done));
    let journal = switch.journal();
    assert_eq!(journal.outcome, Some(Outcome::RolledBack));
    assert!(
        journal
            .reason
            .unwrap()
            .contains("not known to version 0.5.0")
    );
}

#[test]
fn nonsense_is_an_error() {
    for text in ["", "{}", "[]", "{\"format\": 1}", "\u{0}"] {
        let error = Journal::parse(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("is not understood"), "{error}");
    }
}

#[test]
fn a_journal_that_is_lost_with_its_master_at_any_moment_ends_with_one_image_in_both_slots() {
    for mode in [Mode::Standard, Mode::Conservative] {
        for when in 0..70 {
            let mut switch = Switch::new(Quality::Good);
            switch.begin(mode, 3_000);
            switch.run(when);
            if let Some(master) = switch.master() {
                switch.kill(master);
            }
            switch.machine = None;
            switch.disk.clear();
            while switch.master().is_none() {
                switch.step();
            }
            let (now, observed) = (switch.now(), switch.observed());
            let bank = switch.bank_of(observed.master.slot).unwrap();
            let upgrade = Upgrade::lost(now, image(bank), &observed, "it is gone".into());
            switch.disk = upgrade.journal().to_octets();
            switch.machine = Some(upgrade);
            assert!(switch.run_to(Step::Done), "{mode:?} {when}");
            let journal = switch.journal();
            assert_eq!(journal.outcome, Some(Outcome::RolledBack));
            assert_eq!(journal.reason.as_deref(), Some("it is gone"));
            for slot in switch.slots.values() {
                let runs = slot.process.as_ref().map(|process| process.bank);
                assert_eq!((slot.selected, runs), (bank, Some(bank)), "{mode:?} {when}");
            }
        }
    }
}

fn drops(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
    list.iter()
        .map(|(reason, frames)| ((*reason).to_owned(), *frames))
        .collect()
}

#[test]
fn loss_is_what_exceeds_the_minute_before() {
    let before = Snapshot {
        boot_ms: 60_000,
        span_ms: 60_000,
        span_drops: drops(&[("vlan-filtered", 600), ("tx-failed", 60)]),
        drops: drops(&[
            ("vlan-filtered", 1_600),
            ("tx-failed", 60),
            ("same-port", 5),
        ]),
        ..Snapshot::default()
    };
    let after = |list: &[(&str, u64)]| Sample {
        boot_ms: 70_000,
        frames: 0,
        drops: drops(list),
    };
    // Ten seconds: a hundred would be as before.
    for (list, lost) in [
        (
            &[("vlan-filtered", 1_700), ("same-port", 9_999_999)][..],
            None,
        ),
        (&[("vlan-filtered", 1_920)], None),
        (
            &[("vlan-filtered", 1_921)],
            Some(("vlan-filtered", 321, 100)),
        ),
        (&[("tx-failed", 100)], None),
        (&[("tx-failed", 111)], Some(("tx-failed", 51, 10))),
        (&[("tag-failed", 1)], Some(("tag-failed", 1, 0))),
        (&[("vlan-unknown", 20)], None),
        (
            &[("a-reason-of-tomorrow", 21)],
            Some(("a-reason-of-tomorrow", 21, 0)),
        ),
        (&[("blackhole", 50_000), ("storm-broadcast", 9_000)], None),
    ] {
        let found = losses(&before, &after(list));
        let found: Vec<_> = found
            .iter()
            .map(|l| (l.reason.as_str(), l.frames, l.expected))
            .collect();
        assert_eq!(found, lost.into_iter().collect::<Vec<_>>(), "{list:?}");
    }
}

#[test]
fn the_clock_of_a_machine_that_was_started_again_begins_anew() {
    let mut switch = Switch::new(Quality::Good);
    switch.begin(Mode::Standard, 60);
    let early = Now {
        unix_ms: 5,
        boot_ms: 1,
    };
    assert_eq!(switch.journal().in_step_ms(early), 0);
}
