use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Recorded schemas: `schemas/<version>.txt`, one for every version that added something.
fn recorded() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let mut all: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let version = path.file_stem().unwrap().to_string_lossy().into_owned();
            (version, fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn seed_46_nothing_recorded_was_removed_renumbered_or_retyped() {
    let now = print();
    let now: BTreeSet<&str> = now.lines().collect();
    let recorded = recorded();
    assert!(!recorded.is_empty());
    for (version, schema) in &recorded {
        for line in schema.lines() {
            assert!(
                now.contains(line),
                "version {version} has {line:?}, which this one has not: an older module would misread us"
            );
        }
    }
}

/// Whoever adds a field records it before it is released: as `schemas/<version of the crate>.txt`.
#[test]
fn the_newest_recording_is_what_is_declared() {
    let now = print();
    let all = recorded();
    assert!(
        all.iter().any(|(_, schema)| *schema == now),
        "no recording equals the schema; add schemas/{}.txt:\n{now}",
        env!("CARGO_PKG_VERSION")
    );
}

#[test]
fn numbers_and_names_are_unique() {
    for &subsystem in Subsystem::ALL {
        let fields = subsystem.fields();
        let ids: BTreeSet<u16> = fields.iter().map(|field| field.id).collect();
        let names: BTreeSet<&str> = fields.iter().map(|field| field.name).collect();
        assert_eq!((ids.len(), names.len()), (fields.len(), fields.len()));
        assert!(ids.iter().all(|id| (1..4096).contains(id)), "{subsystem}");
    }
}

#[test]
fn codes_are_the_inverse_of_numbers() {
    for &subsystem in Subsystem::ALL {
        assert_eq!(Subsystem::from_code(subsystem.code()), Some(subsystem));
        let place = subsystem
            .place()
            .map(|place| Subsystem::CHECKPOINTED[place]);
        assert!(place.is_none_or(|found| found == subsystem));
    }
    assert_eq!(Subsystem::from_code(0), None);
    assert_eq!(RecordSubtype::from_code(6), None);
}

#[test]
fn bits_are_numbered_in_order_and_fit() {
    let bits = stp_names::flag::ALL.iter().map(|(bit, _)| *bit);
    assert!(bits.eq(0..stp_names::flag::ALL.len() as u32));
    assert!(stp_names::flag::ALL.len() <= 64);
    assert_eq!(stp_names::flag::LOOP_GUARDING, 1 << 30);
}
