//! Image files for tests: of the editions that `cargo xtask build` made, or of any other program, signed or not.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use hitless_boot::bank::{Bank, Banks};
use hitless_boot::image::{Parts, make};
use hitless_boot::slot::Slot;
use minisign::KeyPair;

use super::process::output;
use super::switch::binary;

/// Commit that images of tests tell.
pub const GIT: &str = "0123456789ab";

/// Date that images of tests tell.
pub const DATE: &str = "2026-11-21T12:00:00Z";

/// A version of the switch that was made from this tree: see README, "Three versions from one tree".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// 0.3.99.
    Older,
    /// This version.
    Current,
    /// 0.5.0.
    Newer,
}

impl Edition {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::Older, Self::Current, Self::Newer];

    /// Its `hitlessd`.
    ///
    /// # Errors
    /// When it is not there.
    pub fn program(self) -> Result<PathBuf> {
        match self {
            Self::Current => binary("hitlessd"),
            Self::Older => binary("editions/older/hitlessd"),
            Self::Newer => binary("editions/newer/hitlessd"),
        }
    }

    /// What `hitlessd --manifest` of it prints.
    fn told(self) -> Result<String> {
        output(Command::new(self.program()?).arg("--manifest"))
    }

    /// Its version.
    ///
    /// # Errors
    /// When the program is not there, or tells none.
    pub fn version(self) -> Result<String> {
        let told = self.told()?;
        let version = told.lines().find_map(|line| line.strip_prefix("version "));
        version
            .map(str::to_owned)
            .context("hitlessd tells no version")
    }
}

/// Makes image files in a directory, each with a name of its own.
#[derive(Debug)]
pub struct Maker {
    files: PathBuf,
    key: Option<KeyPair>,
    made: Cell<u32>,
}

impl Maker {
    /// One that does not sign.
    #[must_use]
    pub fn new(files: &Path) -> Self {
        Self {
            files: files.into(),
            key: None,
            made: Cell::new(0),
        }
    }

    /// One that signs with a new key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn signing(files: &Path) -> Result<Self> {
        Ok(Self {
            key: Some(KeyPair::generate_unencrypted_keypair()?),
            ..Self::new(files)
        })
    }

    /// The public key, as `configure image add key` takes it.
    #[must_use]
    pub fn public_key(&self) -> Option<String> {
        self.key.as_ref().map(|pair| pair.pk.to_base64())
    }

    /// An image of an edition; `more` are lines for its manifest, such as `fault hang`.
    ///
    /// # Errors
    /// When the edition is not there, or the image can not be written.
    pub fn edition(&self, edition: Edition, more: &[&str]) -> Result<PathBuf> {
        self.make(&edition.program()?, &edition.told()?, more)
    }

    /// An image of an edition that tells something else of itself: `change` is given what the program tells.
    ///
    /// # Errors
    /// As [`Maker::edition`].
    pub fn telling(
        &self,
        edition: Edition,
        change: impl FnOnce(&str) -> String,
    ) -> Result<PathBuf> {
        self.make(&edition.program()?, &change(&edition.told()?), &[])
    }

    /// An image of any program for this machine, with this version.
    ///
    /// # Errors
    /// When the program can not be read or the image can not be written.
    pub fn program(&self, program: &Path, version: &str) -> Result<PathBuf> {
        let arch = std::env::consts::ARCH;
        let told = format!("version {version}\narch {arch}\nlowest-compatible 0.1.0\n");
        self.make(program, &told, &[])
    }

    fn make(&self, program: &Path, told: &str, more: &[&str]) -> Result<PathBuf> {
        let version = told.lines().find_map(|line| line.strip_prefix("version "));
        let number = self.made.replace(self.made.get() + 1);
        let name = format!("{}-{number}.image", version.unwrap_or("none"));
        let out = self.files.join(name);
        let more: Vec<String> = more.iter().map(|&line| line.to_owned()).collect();
        let parts = Parts {
            program,
            told,
            git: GIT,
            date: DATE,
            more: &more,
        };
        make(&parts, |manifest| self.sign(manifest), &out).map_err(|why| anyhow!(why))?;
        Ok(out)
    }

    fn sign(&self, manifest: &str) -> Result<String, String> {
        let Some(pair) = &self.key else {
            return Ok(String::new());
        };
        let manifest = manifest.as_bytes();
        let signed = minisign::sign(Some(&pair.pk), &pair.sk, manifest, Some("a test's"), None);
        signed
            .map(minisign::SignatureBox::into_string)
            .map_err(|error| error.to_string())
    }
}

/// Puts an image into a bank of these slots and has them boot it from their next start on, without a switch.
///
/// # Errors
/// When the image is refused or can not be written.
pub fn put(banks: &Banks, slots: &[Slot], bank: Bank, image: &Path) -> Result<()> {
    for slot in slots {
        banks
            .install(*slot, bank, image, |_, _| {})
            .map_err(|error| anyhow!("{slot}: {error}"))?;
        banks
            .select(*slot, bank)
            .map_err(|error| anyhow!("{slot}: {error}"))?;
    }
    Ok(())
}

/// Changes the octets of a file in its place.
///
/// # Errors
/// When it can not be read or written.
pub fn spoil(file: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let mut octets = fs::read(file).with_context(|| file.display().to_string())?;
    change(&mut octets);
    // A program that runs can not be written to, but replaced.
    fs::remove_file(file)?;
    fs::write(file, octets).with_context(|| file.display().to_string())
}

/// Makes a copy of a small program for a machine that this one is not.
///
/// # Errors
/// When a file can not be read or written.
pub fn foreign_program(at: &Path) -> Result<()> {
    fs::copy("/bin/true", at).with_context(|| at.display().to_string())?;
    // `e_machine` of RISC-V.
    spoil(at, |octets| {
        octets[18..20].copy_from_slice(&243u16.to_le_bytes())
    })
}

/// First argument of a program that is to install images until it is killed.
const WORD: &str = "--install-images";

/// The command of a process that puts these images, one after the other, into the primary bank of a slot and selects the
/// other bank each time, until it is killed. The program's `main` must call [`hook`].
///
/// # Errors
/// When the path of this program is unknown.
pub fn install_forever(banks: &Banks, slot: Slot, images: &[PathBuf]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("path of this program")?);
    command.args([WORD, slot.name()]);
    command.arg(banks.directory()).args(images);
    Ok(command)
}

/// Must be called first in the `main` of a program that uses [`install_forever`]. Returns at once, except in such a
/// process.
pub fn hook() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|word| word != WORD) {
        return;
    }
    let slot = arguments
        .next()
        .and_then(|slot| slot.to_str()?.parse().ok());
    let (Some(slot), Some(directory)) = (slot, arguments.next()) else {
        eprintln!("{WORD}: no slot or no directory");
        std::process::exit(99);
    };
    let banks = Banks::new(Path::new(&directory));
    let images: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let mut selected = Bank::Secondary;
    for image in images.iter().cycle() {
        let done = banks.install(slot, Bank::Primary, image, |_, _| {});
        let done = done.and_then(|_| banks.select(slot, selected));
        if let Err(error) = done {
            eprintln!("{WORD}: {error}");
            std::process::exit(99);
        }
        selected = selected.other();
    }
}
