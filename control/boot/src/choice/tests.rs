use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::image::tests::image_file;

const SETTLED: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(3);

struct Place {
    chooser: Chooser,
    _directory: TempDir,
    old: PathBuf,
    new: PathBuf,
}

/// The primary bank has 0.4.0, the secondary 0.5.0.
fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (
        image_file(&directory, "0.4.0"),
        image_file(&directory, "0.5.0"),
    );
    let banks = Banks::new(&directory.path().join("images"));
    for (bank, image) in [(Bank::Primary, &old), (Bank::Secondary, &new)] {
        banks.install(Slot::A, bank, image, |_, _| {}).unwrap();
    }
    Place {
        chooser: Chooser::new(banks, Slot::A, SETTLED),
        _directory: directory,
        old,
        new,
    }
}

impl Place {
    fn select(&self, bank: Bank) {
        self.chooser.banks.select(Slot::A, bank).unwrap();
    }

    fn bank(&self, bank: Bank) -> PathBuf {
        self.chooser.banks.path(Slot::A, bank)
    }

    /// What is booted, and the banks refused.
    fn boots(&mut self) -> (String, Vec<Bank>) {
        let choice = self.chooser.choose();
        let refused = choice.refused.iter().map(|(bank, _)| *bank).collect();
        (choice.origin.to_string(), refused)
    }

    /// Starts it and has it end so many times.
    fn crash(&mut self, times: u32, lived: Duration, told: bool) {
        for _ in 0..times {
            self.chooser.choose();
            self.chooser
                .ended(Cause::Exit, Kind::Failure, lived, told, &"exit 1");
        }
    }
}

#[test]
fn the_selected_bank_is_booted() {
    let mut place = place();
    assert_eq!(place.boots(), ("primary".into(), vec![]));
    place.select(Bank::Secondary);
    let choice = place.chooser.choose();
    assert_eq!(choice.origin, Origin::Bank(Bank::Secondary));
    assert_eq!(choice.manifest.unwrap().version().to_string(), "0.5.0");
    place.select(Bank::Primary);
    assert_eq!(place.boots(), ("primary".into(), vec![]));
    assert_eq!("secondary".parse(), Ok(Origin::Bank(Bank::Secondary)));
    assert_eq!("factory".parse(), Ok(Origin::Factory));
    assert_eq!("".parse::<Origin>(), Err(NoOrigin));
}

#[test]
fn a_bad_image_boots_the_other_bank_and_then_the_factory() {
    let mut place = place();
    place.select(Bank::Secondary);
    let damage = |path: &PathBuf| {
        let mut octets = fs::read(path).unwrap();
        octets[200] ^= 1;
        fs::write(path, octets).unwrap();
    };
    damage(&place.bank(Bank::Secondary));
    let choice = place.chooser.choose();
    assert_eq!(choice.origin, Origin::Bank(Bank::Primary));
    assert!(choice.refused[0].1.contains("damaged"), "{choice:?}");
    damage(&place.bank(Bank::Primary));
    assert_eq!(
        place.boots(),
        ("factory".into(), vec![Bank::Secondary, Bank::Primary])
    );
}

#[test]
fn empty_banks_are_the_factory_and_told_only_if_selected() {
    let directory = tempfile::tempdir().unwrap();
    let banks = Banks::new(&directory.path().join("images"));
    let mut chooser = Chooser::new(banks.clone(), Slot::A, SETTLED);
    let choice = chooser.choose();
    assert_eq!(choice.origin, Origin::Factory);
    assert_eq!((choice.refused, choice.unselected), (vec![], None));
    banks.select(Slot::A, Bank::Secondary).unwrap();
    let refused = chooser.choose().refused;
    assert_eq!(refused, [(Bank::Secondary, "is empty".to_owned())]);
    fs::write(banks.selection(Slot::A), "rubbish").unwrap();
    let choice = chooser.choose();
    assert!(choice.unselected.unwrap().contains("rubbish"));
}

#[test]
fn three_early_ends_boot_the_other_bank() {
    for told in [false, true] {
        let mut place = place();
        place.select(Bank::Secondary);
        place.crash(EARLY_ENDS - 1, SHORT, told);
        assert_eq!(place.boots(), ("secondary".into(), vec![]));
        place.crash(1, SHORT, told);
        let choice = place.chooser.choose();
        assert_eq!(choice.origin, Origin::Bank(Bank::Primary));
        assert!(choice.refused[0].1.contains("3 times"), "{choice:?}");
        assert!(choice.refused[0].1.contains("exit 1"), "{choice:?}");
    }
}

#[test]
fn a_bar_is_lifted_by_what_is_written_anew_and_by_a_reset() {
    type Lift = fn(&mut Place);
    let lifts: [Lift; 3] = [
        |place| place.select(Bank::Secondary),
        |place| {
            let banks = place.chooser.banks.clone();
            let new = place.new.clone();
            banks
                .install(Slot::A, Bank::Secondary, &new, |_, _| {})
                .unwrap();
        },
        |place| place.chooser.reset(),
    ];
    for lift in lifts {
        let mut place = place();
        place.select(Bank::Secondary);
        place.crash(EARLY_ENDS, SHORT, false);
        let old = place.old.clone();
        let banks = place.chooser.banks.clone();
        banks
            .install(Slot::A, Bank::Primary, &old, |_, _| {})
            .unwrap();
        assert_eq!(place.boots(), ("primary".into(), vec![Bank::Secondary]));
        lift(&mut place);
        assert_eq!(place.boots(), ("secondary".into(), vec![]));
        // It has as many starts as the first time.
        place.crash(EARLY_ENDS - 1, SHORT, false);
        assert_eq!(place.boots(), ("secondary".into(), vec![]));
    }
}

#[test]
fn a_sound_life_and_a_wanted_end_are_no_early_ends() {
    let mut place = place();
    for _ in 0..2 * EARLY_ENDS {
        place.crash(EARLY_ENDS - 1, SHORT, true);
        place.crash(1, SETTLED, true);
        for cause in [Cause::Reset, Cause::Exit] {
            let end = place
                .chooser
                .ended(cause, Kind::Wanted, SHORT, true, &"exit 75");
            assert_eq!(end, None);
        }
        let reset = Cause::Reset;
        let end = place
            .chooser
            .ended(reset, Kind::Wanted, SHORT, false, &"reset");
        assert_eq!(end, None);
    }
    assert_eq!(place.boots(), ("primary".into(), vec![]));
    // However long it took: it never told its role.
    place.crash(EARLY_ENDS, SETTLED, false);
    assert_eq!(place.boots(), ("secondary".into(), vec![Bank::Primary]));
}

#[test]
fn when_nothing_works_all_are_tried_again() {
    let mut place = place();
    let both = vec![Bank::Primary, Bank::Secondary];
    for _ in 0..2 {
        assert_eq!(place.boots(), ("primary".into(), vec![]));
        place.crash(EARLY_ENDS, SHORT, false);
        assert_eq!(place.boots(), ("secondary".into(), vec![Bank::Primary]));
        place.crash(EARLY_ENDS, SHORT, false);
        assert_eq!(place.boots(), ("factory".into(), both.clone()));
        place.crash(EARLY_ENDS, SHORT, false);
    }
}
