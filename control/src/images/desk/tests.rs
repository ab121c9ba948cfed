use super::*;
use crate::images::store::tests::image_file;
use crate::northbound::api::{ModuleRole, VersionInfo};
use hitless_boot::bank::Banks;
use std::fs;
use tempfile::TempDir;

struct Place {
    directory: TempDir,
    desk: Desk,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let banks = Banks::new(&directory.path().join("images"));
    let desk = Desk::new(Some(Images::new(banks, directory.path())));
    Place { directory, desk }
}

impl Place {
    fn images(&self) -> &Images {
        self.desk.images().unwrap()
    }

    /// Loads an unsigned image to its end.
    async fn load(&mut self, version: &str, bank: ImageBank) -> DownloadInfo {
        let file = image_file(&self.directory, version);
        let trust = Trust::new::<&str>(true, []).unwrap();
        self.desk.load(&file, bank, trust).unwrap();
        self.end().await
    }

    async fn end(&mut self) -> DownloadInfo {
        while !self.desk.is_idle() {
            assert!(self.desk.next().await.unwrap().is_none());
        }
        self.desk.download().unwrap()
    }

    /// What a boot tells of its slot.
    fn boot_says(&self, slot: &str, lines: &str) {
        let file = self.directory.path().join(format!("status-{slot}"));
        fs::write(file, format!("boot 1\n{lines}")).unwrap();
    }

    fn version(&self) -> VersionInfo {
        let modules = ModuleSlot::BOTH.map(|slot| ModuleImages {
            slot,
            role: ModuleRole::Standby,
            version: Some("0.4.0".into()),
            booted: None,
            selected: None,
            selection_fault: None,
            banks: Vec::new(),
        });
        let answer = VersionInfo {
            modules: modules.into(),
            ..VersionInfo::own()
        };
        match completed(Reply::Version(answer), self.images()) {
            Reply::Version(info) => info,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_load_is_followed_from_its_beginning_to_its_end() {
    let mut place = place();
    assert_eq!(place.desk.download(), None);
    let file = image_file(&place.directory, "0.5.0");
    let trust = || Trust::new::<&str>(true, []).unwrap();
    place.desk.load(&file, ImageBank::Primary, trust()).unwrap();
    assert_eq!(place.desk.download().unwrap().state, DownloadState::Running);
    let error = place
        .desk
        .load(&file, ImageBank::Primary, trust())
        .unwrap_err();
    assert!(error.message.contains("is being installed"), "{error}");
    let end = place.end().await;
    assert_eq!(
        (end.state, end.version.as_deref()),
        (DownloadState::Done, Some("0.5.0"))
    );
    for module in place.version().modules {
        let primary = &module.banks[0];
        assert_eq!(primary.image.as_ref().unwrap().version, "0.5.0");
        assert!(primary.selected && primary.refused.is_none());
        assert!(module.banks[1].image.is_none() && module.banks[1].refused.is_none());
    }
}

#[tokio::test]
async fn what_is_not_loaded_says_why() {
    let mut place = place();
    let file = image_file(&place.directory, "0.5.0");
    let trust = Trust::new::<&str>(false, []).unwrap();
    place
        .desk
        .load(&file, ImageBank::Primary, trust.clone())
        .unwrap();
    let end = place.end().await;
    assert_eq!(end.state, DownloadState::Failed);
    assert!(
        end.error
            .unwrap()
            .contains("configure image unsigned allow")
    );
    let relative = place
        .desk
        .load(Path::new("x.image"), ImageBank::Primary, trust.clone());
    assert!(relative.unwrap_err().message.contains("from the root"));
    let error = Desk::new(None)
        .load(&file, ImageBank::Primary, trust)
        .unwrap_err();
    assert!(error.message.contains("no image banks"), "{error}");
}

#[tokio::test]
async fn seed_55_without_a_bank_it_is_the_selected_one_that_nobody_runs() {
    let place = place();
    let chosen = || choose(&place.images().overview()).map_err(|e| e.message);
    assert_eq!(chosen(), Ok(ImageBank::Primary));
    place.boot_says("msm-a", "bank factory\n");
    assert_eq!(chosen(), Ok(ImageBank::Primary));
    place.boot_says("msm-b", "bank primary\n");
    let why = chosen().unwrap_err();
    assert!(why.contains("msm-b was booted from it"), "{why}");
    assert!(why.contains("download image <file> secondary"), "{why}");
    select(
        place.images(),
        ImageBank::Secondary,
        ModuleSlot::BOTH.into(),
    )
    .unwrap();
    assert_eq!(chosen(), Ok(ImageBank::Secondary));
    select(place.images(), ImageBank::Primary, vec![ModuleSlot::MsmA]).unwrap();
    let why = chosen().unwrap_err();
    assert!(why.contains("say which bank"), "{why}");
}

#[tokio::test]
async fn seed_54_an_empty_bank_can_be_selected_and_that_is_said() {
    let mut place = place();
    place.load("0.5.0", ImageBank::Secondary).await;
    let notes = |bank| match select(place.images(), bank, ModuleSlot::BOTH.into()) {
        Ok(Reply::ImageSelected(selected)) => selected.notes,
        other => panic!("{other:?}"),
    };
    assert_eq!(notes(ImageBank::Secondary), [""; 0]);
    assert_eq!(
        place.version().modules[1].selected,
        Some(ImageBank::Secondary)
    );
    let empty = notes(ImageBank::Primary);
    assert_eq!(empty.len(), 2);
    assert!(
        empty[0].contains("primary bank of msm-a is empty"),
        "{empty:?}"
    );
}

#[tokio::test]
async fn what_boots_tell_is_shown() {
    let mut place = place();
    place.load("0.5.0", ImageBank::Primary).await;
    place.boot_says("msm-a", "bank primary\n");
    place.boot_says(
        "msm-b",
        "bank factory\nimage-refused primary it ended early three times\n",
    );
    let path = place.images().banks.selection(Slot::B);
    select(place.images(), ImageBank::Primary, vec![ModuleSlot::MsmB]).unwrap();
    fs::write(&path, "tertiary\n").unwrap();
    let info = place.version();
    let [a, b] = &info.modules[..] else {
        panic!("{info:?}");
    };
    assert_eq!((a.booted, b.booted), (Some(ImageBank::Primary), None));
    assert!(a.banks[0].booted && a.selection_fault.is_none());
    assert!(b.selection_fault.as_ref().unwrap().contains("tertiary"));
    let refused = b.banks[0].refused.as_ref().unwrap();
    assert!(refused.contains("ended early"), "{refused}");
    assert!(info.images.is_some());
}
