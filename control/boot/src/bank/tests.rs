use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::image::tests::image_file as image;

fn banks(directory: &TempDir) -> Banks {
    Banks::new(&directory.path().join("not/yet"))
}

#[test]
fn banks_have_names() {
    for bank in Bank::ALL {
        assert_eq!(bank.to_string().parse(), Ok(bank));
        assert_eq!(bank.other().other(), bank);
        assert_ne!(bank.other(), bank);
    }
    assert_eq!("Primary".parse::<Bank>(), Err(NoBank));
}

#[test]
fn the_selection_is_kept_for_each_slot() {
    let directory = tempfile::tempdir().unwrap();
    let banks = banks(&directory);
    let never = (Bank::Primary, Some(Unselected::Never));
    assert_eq!(banks.selected(Slot::A), never);
    assert!(!banks.directory().exists());
    banks.select(Slot::A, Bank::Secondary).unwrap();
    let before = Identity::of(&banks.selection(Slot::A)).unwrap();
    assert_eq!(banks.selected(Slot::A), (Bank::Secondary, None));
    assert_eq!(banks.selected(Slot::B), never);
    banks.select(Slot::A, Bank::Secondary).unwrap();
    assert_ne!(Identity::of(&banks.selection(Slot::A)), Some(before));
    banks.select(Slot::A, Bank::Primary).unwrap();
    assert_eq!(banks.selected(Slot::A), (Bank::Primary, None));
}

#[test]
fn a_bad_selection_is_the_primary_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let banks = banks(&directory);
    banks.select(Slot::A, Bank::Secondary).unwrap();
    let file = banks.selection(Slot::A);
    let why = || match banks.selected(Slot::A) {
        (Bank::Primary, Some(Unselected::Unusable(why))) => why,
        other => panic!("{other:?}"),
    };
    let long = "secondary\n".repeat(100);
    for contents in ["", "secondar", "secondary\n\n", "\u{1}\n", &long] {
        fs::write(&file, contents).unwrap();
        assert!(why().contains("no bank"), "{contents:?}: {}", why());
    }
    fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(why().contains("no bank"));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(why().contains("regular file"));
    assert!(banks.select(Slot::A, Bank::Primary).is_err());
}

#[test]
fn an_image_is_installed_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let banks = banks(&directory);
    for version in ["0.4.0", "0.5.0"] {
        let image = image(&directory, version);
        let mut told = Vec::new();
        let manifest = banks.install(Slot::B, Bank::Secondary, &image, |done, of| {
            told.push((done, of));
        });
        assert_eq!(manifest.unwrap().version().to_string(), version);
        let size = fs::metadata(&image).unwrap().len();
        assert_eq!(told.last(), Some(&(size, size)));
        assert!(told.len() > 2 && told.is_sorted());
        let path = banks.path(Slot::B, Bank::Secondary);
        assert_eq!(fs::read(&path).unwrap(), fs::read(&image).unwrap());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o755
        );
        let verified = banks.verify(Slot::B, Bank::Secondary).unwrap();
        assert_eq!(verified.version().to_string(), version);
        assert!(
            banks
                .inspect(Slot::B, Bank::Primary)
                .unwrap_err()
                .is_missing()
        );
        assert!(
            banks
                .inspect(Slot::A, Bank::Secondary)
                .unwrap_err()
                .is_missing()
        );
    }
    assert!(banks.space().unwrap() > 0);
}

#[test]
fn a_refused_image_leaves_the_bank_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let banks = banks(&directory);
    let good = image(&directory, "0.4.0");
    let bad = image(&directory, "0.5.0");
    let mut octets = fs::read(&bad).unwrap();
    octets[1000] ^= 1;
    fs::write(&bad, octets).unwrap();
    let into = |image: &Path| banks.install(Slot::A, Bank::Primary, image, |_, _| {});
    let bank = banks.path(Slot::A, Bank::Primary);
    assert!(matches!(into(&bad), Err(BankError::Image(_))));
    assert!(!bank.exists());
    into(&good).unwrap();
    let before = Identity::of(&bank);
    assert!(before.is_some());
    assert!(matches!(into(&bad), Err(BankError::Image(_))));
    assert!(into(&directory.path().join("none")).is_err());
    assert_eq!(Identity::of(&bank), before);
    let files = fs::read_dir(bank.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1);
}

#[test]
fn leftovers_are_removed_unless_they_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let banks = banks(&directory);
    let good = image(&directory, "0.4.0");
    let into = || banks.install(Slot::A, Bank::Primary, &good, |_, _| {});
    into().unwrap();
    let bank = banks.path(Slot::A, Bank::Primary);
    let (place, new) = (bank.parent().unwrap(), bank.with_extension("new"));
    fs::write(&new, "cut short").unwrap();
    let lock = lock(place).unwrap();
    banks.clean(Slot::A).unwrap();
    assert!(new.exists());
    assert!(matches!(into(), Err(BankError::Busy(_))));
    drop(lock);
    banks.clean(Slot::A).unwrap();
    assert!(!new.exists());
    fs::write(&new, "cut short").unwrap();
    into().unwrap();
    assert!(!new.exists());
    banks.verify(Slot::A, Bank::Primary).unwrap();
}

#[test]
fn what_waits_is_put_in_or_removed() {
    let directory = tempfile::tempdir().unwrap();
    let banks = banks(&directory);
    let good = image(&directory, "0.4.0");
    let bank = banks.path(Slot::A, Bank::Primary);
    let new = bank.with_extension("new");
    let stage = |wanted: Result<(), String>| {
        banks.stage(Slot::A, Bank::Primary, &good, |_| wanted, &mut |_, _| {})
    };
    let staged = stage(Ok(())).unwrap();
    assert!(new.exists() && !bank.exists());
    drop(staged);
    assert!(!new.exists() && !bank.exists());
    let error = stage(Err("not this one".into())).unwrap_err();
    assert!(error.to_string().contains("not this one"), "{error}");
    assert!(!new.exists() && !bank.exists());
    stage(Ok(())).unwrap().commit().unwrap();
    assert!(!new.exists() && bank.exists());
}
