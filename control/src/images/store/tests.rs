use std::fs;

use hitless_boot::image::{self, Base};
use tempfile::TempDir;

use super::*;

/// An unsigned image file of a version; its program can not run.
pub(in crate::images) fn image_file(directory: &TempDir, version: &str) -> PathBuf {
    let mut elf = vec![7; 100_000];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    let machine: u16 = if cfg!(target_arch = "aarch64") {
        183
    } else {
        62
    };
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    let program = directory.path().join("program");
    fs::write(&program, &elf).unwrap();
    let (size, sha256) = image::measure(&program).unwrap();
    let base = Base {
        version: version.parse().unwrap(),
        git: "0123abcd".into(),
        date: "2026-11-21T12:00:00Z".into(),
        arch: std::env::consts::ARCH.into(),
        size,
        sha256,
        lowest_compatible: "0.1.0".parse().unwrap(),
    };
    let manifest = Manifest::new(&base, []).unwrap();
    let path = directory.path().join(version);
    let mut out = fs::File::create(&path).unwrap();
    image::assemble(&mut &elf[..], &manifest, "", &mut out).unwrap();
    path
}

struct Place {
    directory: TempDir,
    store: Store,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let banks = Banks::new(&directory.path().join("images"));
    let store = Store::new(Images::new(banks, directory.path()));
    Place { directory, store }
}

impl Place {
    fn job(&self, file: &str, allow_unsigned: bool) -> Install {
        Install {
            file: self.directory.path().join(file),
            bank: Bank::Secondary,
            slots: Slot::ALL.to_vec(),
            trust: Trust::new::<&str>(allow_unsigned, []).unwrap(),
        }
    }

    fn contents(&self) -> Vec<String> {
        let overview = self.store.overview();
        let banks = overview.iter().flat_map(|slot| &slot.banks);
        banks
            .map(|(_, content)| match content {
                Content::Empty => "empty".into(),
                Content::Image(manifest) => manifest.version().to_string(),
                Content::Bad(_) => "bad".into(),
            })
            .collect()
    }

    async fn install(&mut self, job: Install) -> Result<Installed, StoreError> {
        self.store.start(job).unwrap();
        self.store.finished().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn an_image_gets_into_the_banks_of_both_slots() {
    let mut place = place();
    image_file(&place.directory, "0.4.0");
    let job = place.job("0.4.0", true);
    place.store.start(job.clone()).unwrap();
    assert_eq!(place.store.start(job.clone()), Err(Busy(job.file.clone())));
    assert_eq!(place.store.progress().unwrap().file, job.file);
    let installed = place.store.finished().await.unwrap().unwrap().unwrap();
    assert_eq!(installed.slots, Slot::ALL);
    assert_eq!(installed.signer, Signer::Nobody);
    assert!(place.store.is_idle() && place.store.progress().is_none());
    assert!(place.store.finished().await.is_none());
    assert_eq!(place.contents(), ["empty", "0.4.0", "empty", "0.4.0"]);
}

#[tokio::test]
async fn progress_runs_over_all_slots() {
    let place = place();
    let file = image_file(&place.directory, "0.4.0");
    let size = fs::metadata(&file).unwrap().len();
    let mut told = Vec::new();
    let job = place.job("0.4.0", true);
    install(&place.store.images.banks, &job, |_, done, of| {
        told.push((done, of));
    })
    .unwrap();
    assert!(told.is_sorted());
    assert_eq!(told.last(), Some(&(2 * size, 2 * size)));
}

#[tokio::test]
async fn what_is_refused_is_in_no_bank() {
    let mut place = place();
    let good = image_file(&place.directory, "0.4.0");
    let job = place.job("0.4.0", true);
    place.install(job).await.unwrap();
    let bad = image_file(&place.directory, "0.5.0");
    let job = place.job("0.5.0", false);
    let error = place.install(job).await.unwrap_err();
    assert!(matches!(error, StoreError::Untrusted { .. }), "{error}");
    assert!(
        error.to_string().contains("0.5.0: is not signed"),
        "{error}"
    );
    let mut octets = fs::read(&bad).unwrap();
    octets[70] ^= 1;
    fs::write(&bad, octets).unwrap();
    for file in ["0.5.0", "none"] {
        let job = place.job(file, true);
        let error = place.install(job).await.unwrap_err();
        assert!(matches!(error, StoreError::Image(_)), "{error}");
    }
    // The second slot's bank can not be written: the first one's is not either.
    let bank = place.store.images.banks.path(Slot::B, Bank::Primary);
    let above = bank.parent().unwrap();
    fs::create_dir_all(above.parent().unwrap()).unwrap();
    fs::write(above, "in the way").unwrap();
    let mut job = place.job("0.4.0", true);
    job.bank = Bank::Primary;
    let error = place.install(job).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Bank { slot: Slot::B, done, .. } if done.is_empty()),
        "{error}"
    );
    let contents = place.contents();
    assert_eq!((&contents[0][..], &contents[1][..]), ("empty", "0.4.0"));
    assert_eq!(contents[3], "0.4.0");
    assert!(good.exists());
}

#[test]
fn the_overview_tells_what_boots_and_runs() {
    let place = place();
    let images = place.store.images();
    images.banks.select(Slot::B, Bank::Secondary).unwrap();
    let bank = images.banks.path(Slot::B, Bank::Secondary);
    fs::create_dir_all(bank.parent().unwrap()).unwrap();
    fs::write(bank, "rubbish").unwrap();
    let status = Status {
        bank: Some(Origin::Factory),
        refused: vec![(Bank::Secondary, "is no image".into())],
        version: Some("0.4.0".into()),
        ..Status::default()
    };
    status.write(place.directory.path(), Slot::B).unwrap();
    let [a, b] = place.store.overview();
    assert_eq!((a.selected, a.booted), (Bank::Primary, None));
    assert_eq!(a.unselected.as_deref(), Some("nothing was selected"));
    assert_eq!(
        (b.selected, b.booted),
        (Bank::Secondary, Some(Origin::Factory))
    );
    assert_eq!((b.unselected, b.version), (None, Some("0.4.0".into())));
    assert_eq!(b.refused, status.refused);
    assert!(matches!(b.banks[1], (Bank::Secondary, Content::Bad(_))));
}
