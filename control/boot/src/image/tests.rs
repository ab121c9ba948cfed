use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn base(elf: &[u8]) -> Base {
    Base {
        version: "0.4.0".parse().unwrap(),
        git: "0123abcd-dirty".into(),
        date: "2026-11-21T12:00:00Z".into(),
        arch: std::env::consts::ARCH.into(),
        size: elf.len() as u64,
        sha256: Sha256::digest(elf).into(),
        lowest_compatible: "0.1.0".parse().unwrap(),
    }
}

/// What passes for a program: a header and something.
fn program(machine: u16) -> Vec<u8> {
    let mut elf = vec![7; 300];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    elf
}

fn octets_of(elf: &[u8], base: &Base) -> Vec<u8> {
    let manifest = Manifest::new(base, ["map VLANS 3 rebuilt", "future", "map FDB 2 rebuilt"]);
    let mut out = Vec::new();
    assemble(&mut &*elf, &manifest.unwrap(), "signed\n", &mut out).unwrap();
    out
}

fn good() -> Vec<u8> {
    let elf = program(MACHINE);
    octets_of(&elf, &base(&elf))
}

/// An image file of a version, some pieces long. Its program can not run; nobody does.
pub(crate) fn image_file(directory: &TempDir, version: &str) -> PathBuf {
    let mut elf = program(MACHINE);
    elf.resize(2 * PIECE + 5, 3);
    let base = Base {
        version: version.parse().unwrap(),
        ..base(&elf)
    };
    let path = directory.path().join(format!("{version}.image"));
    fs::write(&path, octets_of(&elf, &base)).unwrap();
    path
}

/// Opens and verifies a file of these octets.
fn judge(directory: &TempDir, octets: &[u8]) -> Result<Image, ImageError> {
    let path = directory.path().join("image");
    fs::write(&path, octets).unwrap();
    let image = Image::open(&path)?;
    image.verify()?;
    Ok(image)
}

#[test]
fn what_is_assembled_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let image = judge(&directory, &good()).unwrap();
    let manifest = image.manifest();
    assert_eq!(*manifest.base(), base(&program(MACHINE)));
    assert_eq!(image.signature(), "signed\n");
    let maps: Vec<&str> = manifest.lines("map").collect();
    assert_eq!(maps, ["VLANS 3 rebuilt", "FDB 2 rebuilt"]);
    let description: Vec<&str> = manifest.description().collect();
    let told = ["map VLANS 3 rebuilt", "future", "map FDB 2 rebuilt"];
    assert_eq!(description, told);
    let (size, sha256) = measure(&directory.path().join("image")).unwrap();
    assert_eq!(size, good().len() as u64);
    assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(good())));
}

#[test]
fn each_truncation_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let good = good();
    for length in 0..good.len() {
        judge(&directory, &good[..length]).expect_err("cut short");
    }
    judge(&directory, &[&good[..], b"x"].concat()).expect_err("one more octet");
}

#[test]
fn each_flipped_bit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut octets = good();
    for place in 0..octets.len() {
        for bit in 0..8 {
            octets[place] ^= 1 << bit;
            judge(&directory, &octets).expect_err("flipped");
            octets[place] ^= 1 << bit;
        }
    }
    judge(&directory, &octets).unwrap();
}

#[test]
fn reasons_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let good = good();
    let elf = program(MACHINE);
    let foreign = program(0xf3);
    let mut damaged = good.clone();
    damaged[100] ^= 1;
    let arch = Base {
        arch: "riscv64".into(),
        ..base(&elf)
    };
    for (octets, says) in [
        (&elf[..], "no footer"),
        (b"", "no footer"),
        (&good[1..], "not as long"),
        (&damaged, "the manifest tells"),
        (&octets_of(&foreign, &base(&foreign)), "machine 243"),
        (&octets_of(&elf, &arch), "arch riscv64"),
        (&octets_of(&[0; 300], &base(&[0; 300])), "ELF"),
    ] {
        let error = judge(&directory, octets).expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
        assert!(error.contains(&directory.path().display().to_string()));
    }
    let error = Image::open(directory.path()).unwrap_err();
    assert!(matches!(error.why, Refused::NoRegularFile));
    let error = Image::open(&directory.path().join("none")).unwrap_err();
    assert!(error.is_missing());
}

#[test]
fn broken_manifests_are_named() {
    let whole = Manifest::new(&base(b""), []).unwrap();
    let text = whole.text();
    for (text, says) in [
        (text.replace("git 0123abcd-dirty\n", ""), "it has no git"),
        (text.replace("git 0123abcd-dirty", "git"), "it has no git"),
        (format!("{text}git x\n"), "git is there twice"),
        (
            text.replace("0.4.0", "0.4"),
            "version \"0.4\" is no version",
        ),
        (text.replace("size 0", "size -1"), "size \"-1\""),
        (
            text.replace("sha256 e", "sha256 E"),
            "64 hexadecimal digits",
        ),
        (text.replace("sha256 e", "sha256 "), "64 hexadecimal digits"),
        (text.replace("git 0", "git \u{e9}"), "printable ASCII"),
        (text.trim_end().to_owned(), "last line"),
        (String::new(), "last line"),
        (text.repeat(10_000), "longer than"),
    ] {
        let error = Manifest::parse(&text).expect_err(says);
        assert!(error.contains(says), "{error}");
    }
    let more = Manifest::new(&base(b""), ["two\nsize 4"]).unwrap_err();
    assert!(more.contains("twice"), "{more}");
}

#[test]
fn versions_are_three_numbers_in_order() {
    let order = [
        "0.0.1",
        "0.3.99",
        "0.4.0",
        "0.10.0",
        "1.0.0",
        "4294967295.0.0",
    ];
    let versions: Vec<Version> = order.iter().map(|text| text.parse().unwrap()).collect();
    assert!(versions.is_sorted());
    for (text, version) in order.iter().zip(versions) {
        assert_eq!(version.to_string(), *text);
    }
    for text in [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "+1.2.3",
        "01.2.3",
        "1.2.3 ",
        "1.2.x",
        "1.2.4294967296",
    ] {
        assert_eq!(text.parse::<Version>(), Err(NoVersion), "{text}");
    }
}

proptest! {
    #[test]
    fn no_octets_panic(octets: Vec<u8>, lengths: [u64; 3], end in 0usize..2) {
        let directory = tempfile::tempdir().unwrap();
        let mut file = octets;
        if end == 1 {
            file.extend(MAGIC);
            file.extend(lengths.into_iter().flat_map(u64::to_le_bytes));
            file.extend([0; 32]);
        }
        prop_assert!(judge(&directory, &file).is_err());
    }

    #[test]
    fn pieces_of_one_image_are_no_image(from in 0usize..900, length in 1usize..900) {
        let directory = tempfile::tempdir().unwrap();
        let mut octets = good();
        let from = from % octets.len();
        let until = (from + length).min(octets.len());
        octets.drain(from..until);
        prop_assert!(judge(&directory, &octets).is_err());
    }

    #[test]
    fn no_text_panics(text in "([a-z0-9-]{1,9} [ -~]{0,20}\n){0,12}") {
        let _ = Manifest::parse(&text);
    }
}
