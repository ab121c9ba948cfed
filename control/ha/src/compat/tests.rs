use super::*;
use crate::describe::MapVersion;

fn version(version: &str) -> Description {
    let mut description = Description::own(&["switch", "vlans", "ports", "stpds"]);
    description.version = version.into();
    description.lowest_compatible = "0.3.0".into();
    description
}

fn in_use() -> InUse {
    InUse {
        sections: ["switch", "vlans"].map(str::to_owned).into(),
        records: [("vlans".to_owned(), 3), ("stp".to_owned(), 0)].into(),
    }
}

fn verdict_of(report: &Report, direction: Direction, what: &str) -> Verdict {
    let found: Vec<&Item> = report
        .items
        .iter()
        .filter(|item| item.direction == direction && item.what == what)
        .collect();
    assert_eq!(found.len(), 1, "{what} {direction:?} in {report:#?}");
    found[0].verdict
}

#[test]
fn equal_versions_have_nothing_to_tell() {
    let report = compare(&version("0.4.0"), &version("0.4.1"), &in_use());
    assert_eq!(report.verdict, Verdict::Compatible);
    assert_eq!(report.items, []);
}

#[test]
fn a_field_is_lost_only_if_it_is_in_use() {
    let mut old = version("0.3.99");
    assert!(old.schema.remove("vlans field 6 fallback bytes16"));
    assert!(old.schema.remove("stp field 9 mbps u32"));
    let report = compare(&version("0.4.0"), &old, &in_use());
    assert_eq!(report.verdict, Verdict::Degraded);
    let of = |what| verdict_of(&report, Direction::Forward, what);
    assert_eq!(of("field vlans fallback"), Verdict::Degraded);
    assert_eq!(of("field stp mbps"), Verdict::Compatible);
    let report = compare(&version("0.4.0"), &old, &InUse::default());
    assert_eq!(report.verdict, Verdict::Compatible);
    // The other way round nothing is lost, and what would be on the way back is named.
    let report = compare(&old, &version("0.4.0"), &in_use());
    assert_eq!(report.verdict, Verdict::Compatible);
    assert_eq!(
        verdict_of(&report, Direction::Back, "field vlans fallback"),
        Verdict::Compatible
    );
}

#[test]
fn a_subsystem_is_named_once_and_not_by_its_fields() {
    let mut new = version("0.5.0");
    new.schema.insert("77 census".into());
    new.schema.insert("census field 1 key u16".into());
    new.schema.insert("census message 1 put".into());
    let mut used = in_use();
    let report = compare(&new, &version("0.4.0"), &used);
    assert_eq!(report.verdict, Verdict::Compatible);
    assert_eq!(report.items.len(), 1);
    used.records.insert("census".into(), 12);
    let report = compare(&new, &version("0.4.0"), &used);
    assert_eq!(report.verdict, Verdict::Degraded);
    assert!(report.items[0].consequence.contains("12 records"));
}

#[test]
fn a_section_that_is_configured_makes_it_impossible() {
    let mut old = version("0.3.99");
    old.config.remove("stpds");
    let new = version("0.4.0");
    assert_eq!(compare(&new, &old, &in_use()).verdict, Verdict::Compatible);
    let mut used = in_use();
    used.sections.insert("stpds".into());
    let report = compare(&new, &old, &used);
    assert_eq!(report.verdict, Verdict::Incompatible);
    let what = "configuration section stpds";
    assert_eq!(
        verdict_of(&report, Direction::Forward, what),
        Verdict::Incompatible
    );
}

#[test]
fn another_protocol_or_layout_or_a_version_too_low_make_it_impossible() {
    let old = version("0.4.0");
    let mut new = version("0.5.0");
    new.protocol += 1;
    assert_eq!(
        compare(&old, &new, &in_use()).verdict,
        Verdict::Incompatible
    );
    let mut new = version("0.5.0");
    new.layout += 1;
    assert_eq!(
        compare(&old, &new, &in_use()).verdict,
        Verdict::Incompatible
    );
    let mut new = version("0.5.0");
    new.lowest_compatible = "0.4.1".into();
    let report = compare(&old, &new, &in_use());
    assert_eq!(report.verdict, Verdict::Incompatible);
    // The way back alone being shut leaves a choice.
    let report = compare(&new, &old, &in_use());
    assert_eq!(report.verdict, Verdict::Degraded);
}

#[test]
fn maps_are_told_by_what_becomes_of_them() {
    let old = version("0.4.0");
    let mut new = version("0.5.0");
    let set = |new: &mut Description, name: &str, keeping: &str| {
        let keeping = keeping.to_owned();
        let version = 77;
        new.maps
            .insert(name.into(), MapVersion { version, keeping });
    };
    set(&mut new, "VLANS", "rebuilt");
    set(&mut new, "COUNTERS", "carried");
    set(&mut new, "PUNT", "scratch");
    set(&mut new, "CENSUS", "scratch");
    let report = compare(&old, &new, &in_use());
    assert_eq!(report.verdict, Verdict::Compatible);
    let forward = |item: &&Item| item.direction == Direction::Forward;
    assert_eq!(report.items.iter().filter(forward).count(), 3);
    verdict_of(&report, Direction::Back, "map CENSUS");
    set(&mut new, "FDB", "adopted-only");
    let report = compare(&old, &new, &in_use());
    assert_eq!(
        verdict_of(&report, Direction::Forward, "map FDB"),
        Verdict::Incompatible
    );
    assert_eq!(report.verdict, Verdict::Incompatible);
}

#[test]
fn versions_are_compared_as_numbers() {
    assert!(number("0.10.0") > number("0.9.9"));
    assert_eq!(number("0.4"), None);
    assert_eq!(number("0.4.0.1"), None);
    assert_eq!(number("x.y.z"), None);
}
