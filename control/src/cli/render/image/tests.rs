use super::*;
use crate::northbound::api::ModuleRole;

fn image(version: &str) -> ImageInfo {
    ImageInfo {
        version: version.into(),
        git: Some("0123abc".into()),
        date: Some("2026-11-21".into()),
        size: 1_000,
        sha256: "ab".repeat(32),
        lowest_compatible: Some("0.1.0".into()),
        signed: false,
    }
}

fn bank(bank: ImageBank, image: Option<ImageInfo>, refused: Option<&str>) -> BankInfo {
    BankInfo {
        bank,
        selected: bank == ImageBank::Secondary,
        booted: false,
        image,
        refused: refused.map(Into::into),
    }
}

fn module(slot: ModuleSlot, banks: Vec<BankInfo>) -> ModuleImages {
    ModuleImages {
        slot,
        role: ModuleRole::Master,
        version: Some("0.4.0".into()),
        booted: None,
        selected: Some(ImageBank::Secondary),
        selection_fault: None,
        banks,
    }
}

fn info(modules: Vec<ModuleImages>) -> VersionInfo {
    VersionInfo {
        images: Some("/images".into()),
        modules,
        ..VersionInfo::own()
    }
}

#[test]
fn seed_67_what_runs_and_what_would_be_booted_is_seen_before_a_switch() {
    let banks = vec![
        bank(ImageBank::Primary, Some(image("0.3.99")), None),
        bank(ImageBank::Secondary, None, Some("the file ends early")),
    ];
    let mut absent = module(ModuleSlot::MsmB, vec![bank(ImageBank::Primary, None, None)]);
    absent.role = ModuleRole::Absent;
    absent.version = None;
    let daemon = info(vec![module(ModuleSlot::MsmA, banks), absent]);
    let text = version(&VersionInfo::own(), &daemon, false, Style::Plain);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text.lines().map(words).collect();
    for wanted in [
        "msm-a master 0.4.0 factory secondary",
        "msm-b absent - - secondary",
        "msm-a primary 0.3.99 0123abc 2026-11-21 good",
        "msm-a secondary - - - refused, selected",
        "msm-b primary - - - empty",
        "msm-a secondary can not be booted: the file ends early",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted}:\n{text}");
    }
    assert!(!text.contains("SHA-256"), "{text}");
    let text = version(&VersionInfo::own(), &daemon, true, Style::Plain);
    for wanted in ["SHA-256:", "0.1.0 and later", "Banks in /images"] {
        assert!(text.contains(wanted), "{wanted}:\n{text}");
    }
}

#[test]
fn a_switch_without_banks_shows_versions_only() {
    let text = version(&VersionInfo::own(), &VersionInfo::own(), true, Style::Plain);
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn a_load_says_how_far_it_is_and_what_became_of_it() {
    let mut info = DownloadInfo {
        file: "/tmp/x.image".into(),
        bank: ImageBank::Primary,
        slots: vec![ModuleSlot::MsmA, ModuleSlot::MsmB],
        state: DownloadState::Running,
        done: 1 << 20,
        total: 4 << 20,
        version: None,
        error: None,
    };
    assert!(download(Some(&info)).contains(" 25 % of 4.0 MiB"));
    info.state = DownloadState::Done;
    info.version = Some("0.5.0".into());
    assert_eq!(
        download(Some(&info)),
        "Version 0.5.0 is in primary of msm-a and msm-b.\n"
    );
    info.state = DownloadState::Failed;
    info.error = Some("it is signed by nobody".into());
    assert!(download(Some(&info)).ends_with(": it is signed by nobody\n"));
}
