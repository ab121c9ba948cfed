//! The JSON about images.

use hitless_proto::config::{ImageChange, UnsignedImages};
use serde_json::Value;

use super::*;

pub(super) fn requests() -> Vec<(Request, Value)> {
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let configure = |change: ImageChange, wire: Value| {
        let request = Request::Configure {
            changes: vec![ConfigChange::Image(change)],
            confirmed_seconds: None,
        };
        (
            request,
            json!({"request": "configure", "changes": [{"image": wire}]}),
        )
    };
    vec![
        (
            Request::DownloadImage {
                file: "/tmp/x.image".into(),
                bank: Some(ImageBank::Secondary),
            },
            json!({"request": "download-image", "file": "/tmp/x.image", "bank": "secondary"}),
        ),
        (
            Request::ShowDownload {},
            json!({"request": "show-download"}),
        ),
        (
            Request::UseImage {
                bank: ImageBank::Primary,
                slot: Some(ModuleSlot::MsmB),
            },
            json!({"request": "use-image", "bank": "primary", "slot": "msm-b"}),
        ),
        configure(
            ImageChange::Unsigned {
                policy: UnsignedImages::Allow,
            },
            json!({"unsigned": {"policy": "allow"}}),
        ),
        configure(
            ImageChange::AddKey {
                key: key.parse().unwrap(),
            },
            json!({"add-key": {"key": key}}),
        ),
    ]
}

#[test]
fn the_shape_of_banks() {
    let info = VersionInfo {
        version: "0.4.0".into(),
        layout: 1,
        images: Some("/images".into()),
        modules: vec![ModuleImages {
            slot: ModuleSlot::MsmA,
            role: ModuleRole::Master,
            version: Some("0.4.0".into()),
            booted: None,
            selected: Some(ImageBank::Primary),
            selection_fault: Some("nobody could read it".into()),
            banks: vec![BankInfo {
                bank: ImageBank::Primary,
                selected: true,
                booted: false,
                image: Some(ImageInfo {
                    version: "0.3.0".into(),
                    git: None,
                    date: Some("2026-11-21".into()),
                    size: 7,
                    sha256: "00".into(),
                    lowest_compatible: None,
                    signed: true,
                }),
                refused: None,
            }],
        }],
    };
    let wire = to_value(&info).unwrap();
    assert_eq!(
        wire,
        json!({"version": "0.4.0", "layout": 1, "images": "/images", "modules": [
            {"slot": "msm-a", "role": "master", "version": "0.4.0", "booted": null, "selected": "primary",
             "selection_fault": "nobody could read it", "banks": [
                {"bank": "primary", "selected": true, "booted": false, "refused": null,
                 "image": {"version": "0.3.0", "git": null, "date": "2026-11-21", "size": 7, "sha256": "00",
                           "lowest_compatible": null, "signed": true}}]}]})
    );
    assert_eq!(from_value::<VersionInfo>(wire).unwrap(), info);
    // Of a version without banks.
    let old: VersionInfo = from_value(json!({"version": "0.3.0", "layout": 1})).unwrap();
    assert!(old.modules.is_empty() && old.images.is_none());
}

#[test]
fn the_shape_of_a_load() {
    let info = DownloadInfo {
        file: "/x".into(),
        bank: ImageBank::Secondary,
        slots: vec![ModuleSlot::MsmB],
        state: DownloadState::Failed,
        done: 1,
        total: 2,
        version: None,
        error: Some("no".into()),
    };
    let wire = to_value(Reply::Download(Some(Box::new(info)))).unwrap();
    assert_eq!(
        wire,
        json!({"download": {"file": "/x", "bank": "secondary", "slots": ["msm-b"], "state": "failed", "done": 1,
                            "total": 2, "version": null, "error": "no"}})
    );
    assert!(matches!(from_value(wire), Ok(Reply::Download(Some(_)))));
    assert_eq!(
        to_value(Reply::Download(None)).unwrap(),
        json!({"download": null})
    );
    let selected = ImageSelected {
        bank: ImageBank::Primary,
        slots: vec![ModuleSlot::MsmA],
        notes: vec!["A note.".into()],
    };
    assert_eq!(
        to_value(Reply::ImageSelected(selected)).unwrap(),
        json!({"image-selected": {"bank": "primary", "slots": ["msm-a"], "notes": ["A note."]}})
    );
}
