//! Which configuration a module takes, whatever became of the files.

use std::fs;

use super::*;
use crate::config_file::parse;
use crate::config_file::save::tests::Dying;

fn config(switch: &str, timeout: u32) -> Config {
    let text = format!("switch: {switch}\nmsm_failover: {{timeout: {timeout}}}\n");
    parse(text.as_bytes(), Path::new("sw1.yml")).unwrap()
}

/// A switch whose primary configuration has a timeout of 100 s, and no other.
fn place() -> (tempfile::TempDir, Banks) {
    let dir = tempfile::tempdir().unwrap();
    let banks = Banks::new(&dir.path().join("sw1.yml"));
    banks
        .save(&config("sw1", 100), ConfigBank::Primary)
        .unwrap();
    (dir, banks)
}

fn taken(banks: &Banks) -> (ConfigBank, u32) {
    let (bank, config) = banks.load_selected().unwrap();
    (bank, config.msm_failover.timeout_seconds)
}

const PRIMARY: (ConfigBank, u32) = (ConfigBank::Primary, 100);
const SECONDARY: (ConfigBank, u32) = (ConfigBank::Secondary, 200);

#[test]
fn each_bank_has_its_file() {
    let (dir, banks) = place();
    assert_eq!(taken(&banks), PRIMARY);
    banks
        .save(&config("sw1", 200), ConfigBank::Secondary)
        .unwrap();
    assert_eq!(taken(&banks), PRIMARY, "saving selects nothing");
    banks.select(ConfigBank::Secondary).unwrap();
    assert_eq!(taken(&banks), SECONDARY);
    assert_eq!(banks.selected(), ConfigBank::Secondary);
    // Each keeps its own file before.
    banks
        .save(&config("sw1", 201), ConfigBank::Secondary)
        .unwrap();
    banks.select(ConfigBank::Primary).unwrap();
    assert_eq!(taken(&banks), PRIMARY);

    let mut names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "sw1.yml",
            "sw1.yml.secondary",
            "sw1.yml.secondary.previous",
            "sw1.yml.selected"
        ]
    );
}

#[test]
fn a_selection_that_says_nothing_is_the_primary() {
    let (_dir, banks) = place();
    banks
        .save(&config("sw1", 200), ConfigBank::Secondary)
        .unwrap();
    let long = "secondary".to_owned() + &" ".repeat(100) + "x";
    for (contents, bank) in [
        ("secondary\n", ConfigBank::Secondary),
        ("secondary", ConfigBank::Secondary),
        ("primary\n", ConfigBank::Primary),
        ("", ConfigBank::Primary),
        ("second", ConfigBank::Primary),
        ("secondary secondary", ConfigBank::Primary),
        ("\0\0\0\0", ConfigBank::Primary),
        (long.as_str(), ConfigBank::Secondary),
    ] {
        fs::write(banks.selection(), contents).unwrap();
        assert_eq!(banks.selected(), bank, "{contents:?}");
    }
    fs::write(banks.selection(), [0xff, 0xfe]).unwrap();
    assert_eq!(banks.selected(), ConfigBank::Primary);
    fs::remove_file(banks.selection()).unwrap();
    fs::create_dir(banks.selection()).unwrap();
    assert_eq!(banks.selected(), ConfigBank::Primary);
    assert!(banks.select(ConfigBank::Primary).is_err());
}

#[test]
fn a_secondary_that_can_not_be_used_gives_way_to_the_primary() {
    let (_dir, banks) = place();
    banks.select(ConfigBank::Secondary).unwrap();
    assert_eq!(taken(&banks), PRIMARY, "there is none");

    banks
        .save(&config("sw1", 200), ConfigBank::Secondary)
        .unwrap();
    assert_eq!(taken(&banks), SECONDARY);
    let secondary = banks.file(ConfigBank::Secondary);
    for contents in ["switch: [", "switch: sw2\n", ""] {
        fs::write(&secondary, contents).unwrap();
        assert_eq!(taken(&banks), PRIMARY, "{contents:?}");
    }
    fs::remove_file(&secondary).unwrap();
    assert_eq!(taken(&banks), PRIMARY);

    // Without a primary, the secondary is better than nothing.
    banks
        .save(&config("sw1", 200), ConfigBank::Secondary)
        .unwrap();
    fs::remove_file(banks.file(ConfigBank::Primary)).unwrap();
    assert_eq!(taken(&banks), SECONDARY);
    fs::remove_file(&secondary).unwrap();
    let error = banks.load_selected().unwrap_err().to_string();
    assert!(error.contains("sw1.yml: can not read"), "{error}");
}

#[test]
fn whenever_the_process_dies_a_whole_configuration_is_selected() {
    let mut whole = 0;
    for steps in 0.. {
        let (_dir, banks) = place();
        banks
            .save(&config("sw1", 200), ConfigBank::Secondary)
            .unwrap();
        let mut disk = Dying {
            steps,
            mounted: None,
        };
        let result = banks.select_on(&mut disk, ConfigBank::Secondary);
        let wanted = if result.is_ok() { SECONDARY } else { PRIMARY };
        assert_eq!(taken(&banks), wanted, "after {steps} steps");
        // And back again, over what is left.
        banks.select(ConfigBank::Secondary).unwrap();
        let mut disk = Dying {
            steps,
            mounted: None,
        };
        let result = banks.select_on(&mut disk, ConfigBank::Primary);
        let wanted = if result.is_ok() { PRIMARY } else { SECONDARY };
        assert_eq!(taken(&banks), wanted, "after {steps} steps");
        whole = steps;
        if result.is_ok() {
            break;
        }
    }
    assert!(whole >= 3, "only {whole} steps");
}
