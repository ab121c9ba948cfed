//! Image files: one version of the management module, `hitlessd` with its data path, in one file that is the program.
//!
//! A file is `[ELF][manifest][signature][footer]`. What follows the ELF is nothing to the kernel, so an image is executed
//! as it stands, one rename replaces it, and nothing is ever unpacked. The footer, the last [`FOOTER`] octets:
//!
//! | octets | what |
//! |--------|------|
//! | 16 | [`MAGIC`] |
//! | 8 each | lengths of ELF, manifest and signature, little endian |
//! | 32 | SHA-256 of the three lengths, the manifest and the signature |
//!
//! The manifest ([`Manifest`]) has the ELF's size and SHA-256, so each octet of a file is under a checksum. The signature
//! is over the manifest's octets; who may sign is not the boot's business, which reads only what was let into a bank.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

mod make;
mod manifest;
#[cfg(test)]
pub(crate) mod tests;
mod version;

pub use make::{Parts, make};
pub use manifest::{Base, Manifest, hex};
pub use version::{NoVersion, Version};

/// What a footer begins with.
pub const MAGIC: [u8; 16] = *b"HITLESS-IMAGE-1\n";

/// Length of a footer in octets.
pub const FOOTER: u64 = 16 + 3 * 8 + 32;

/// Longest manifest, in octets.
pub const MAX_MANIFEST: u64 = 1024 * 1024;

/// Longest signature, in octets.
pub const MAX_SIGNATURE: u64 = 4096;

/// Shortest ELF file: its header.
const ELF_HEADER: usize = 64;

/// Octets read at a time.
const PIECE: usize = 64 * 1024;

/// Machine in the ELF header (`e_machine`) of what this machine runs.
const MACHINE: u16 = if cfg!(target_arch = "aarch64") {
    183
} else {
    62
};

/// An image file that is refused.
#[derive(Debug)]
pub struct ImageError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub why: Refused,
}

/// Why an image file is refused.
#[derive(Debug)]
pub enum Refused {
    /// It can not be read.
    Unreadable(io::Error),
    /// It is a directory, a device or a pipe.
    NoRegularFile,
    /// There is no footer at its end: it is something else, or cut short.
    NoFooter,
    /// The lengths in the footer are not those of a file of this length, or out of bounds.
    Lengths,
    /// The checksum over lengths, manifest and signature is wrong.
    Footer,
    /// The manifest breaks a rule, here in words.
    Manifest(String),
    /// What is before the manifest is no program for 64 bits, little endian.
    NoProgram,
    /// The program is for another machine: `e_machine` of the ELF header, or `arch` of the manifest.
    Foreign(String),
    /// The program has not the checksum that the manifest tells.
    Checksum {
        /// By the manifest, in hexadecimal.
        told: String,
        /// Of the file.
        found: String,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "can not read the image: {error}"),
            Self::NoRegularFile => f.write_str("is no regular file"),
            Self::NoFooter => f.write_str("is no image, or cut short: it has no footer"),
            Self::Lengths => {
                f.write_str("is damaged: its parts are not as long as its footer tells")
            }
            Self::Footer => f.write_str(
                "is damaged: manifest and signature have another checksum than the footer tells",
            ),
            Self::Manifest(rule) => write!(f, "manifest: {rule}"),
            Self::NoProgram => {
                f.write_str("holds no program: it does not begin as an ELF file of 64 bits")
            }
            Self::Foreign(machine) => write!(
                f,
                "is for another machine: {machine}, and this one is {}",
                std::env::consts::ARCH
            ),
            Self::Checksum { told, found } => write!(
                f,
                "is damaged: the program's SHA-256 is {found}, and the manifest tells {told}"
            ),
        }
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for ImageError {}

impl ImageError {
    /// Whether there is no file at all.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(&self.why, Refused::Unreadable(e) if e.kind() == io::ErrorKind::NotFound)
    }
}

/// An image file, opened. What was opened is looked at, whatever becomes of its name.
#[derive(Debug)]
pub struct Image {
    file: File,
    path: PathBuf,
    manifest: Manifest,
    signature: String,
}

impl Image {
    /// Opens an image file and checks all of it but the program's checksum ([`Self::verify`]): the footer, the lengths,
    /// the manifest and the machine.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let refused = |why| ImageError {
            file: path.into(),
            why,
        };
        // Non-blocking, because opening a pipe would otherwise wait for its other end.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(|e| refused(Refused::Unreadable(e)))?;
        let (manifest, signature) = read(&file).map_err(refused)?;
        Ok(Self {
            file,
            path: path.into(),
            manifest,
            signature,
        })
    }

    /// Checks the program's checksum. It reads all of the program.
    ///
    /// # Errors
    /// Why the image is refused.
    pub fn verify(&self) -> Result<(), ImageError> {
        let refused = |why| ImageError {
            file: self.path.clone(),
            why,
        };
        let found = checksum(&self.file, self.manifest.size())
            .map_err(|e| refused(Refused::Unreadable(e)))?;
        if found == *self.manifest.sha256() {
            return Ok(());
        }
        Err(refused(Refused::Checksum {
            told: hex(self.manifest.sha256()),
            found: hex(&found),
        }))
    }

    /// What the image tells of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the signature is over.
    #[must_use]
    pub fn manifest_text(&self) -> &str {
        self.manifest.text()
    }

    /// The signature, as minisign writes it; empty if there is none.
    #[must_use]
    pub fn signature(&self) -> &str {
        &self.signature
    }
}

/// Manifest and signature of a file, checked.
fn read(file: &File) -> Result<(Manifest, String), Refused> {
    let metadata = file.metadata().map_err(Refused::Unreadable)?;
    if !metadata.is_file() {
        return Err(Refused::NoRegularFile);
    }
    let length = metadata.len();
    let at = length.checked_sub(FOOTER).ok_or(Refused::NoFooter)?;
    let mut footer = [0; FOOTER as usize];
    read_at(file, &mut footer, at)?;
    let (magic, footer) = footer.split_at(MAGIC.len());
    let (lengths, digest) = footer.split_at(24);
    if *magic != MAGIC {
        return Err(Refused::NoFooter);
    }
    let mut parts = lengths.chunks_exact(8).map(|octets| {
        let mut number = [0; 8];
        number.copy_from_slice(octets);
        u64::from_le_bytes(number)
    });
    let (Some(elf), Some(manifest), Some(signature)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(Refused::Lengths);
    };
    let sum = elf
        .checked_add(manifest)
        .and_then(|sum| sum.checked_add(signature));
    if sum != Some(at)
        || elf < ELF_HEADER as u64
        || manifest > MAX_MANIFEST
        || signature > MAX_SIGNATURE
    {
        return Err(Refused::Lengths);
    }
    // Bounded above.
    let mut text = vec![0; (manifest + signature) as usize];
    read_at(file, &mut text, elf)?;
    if seal(lengths, &text)[..] != *digest {
        return Err(Refused::Footer);
    }
    let (text, signature) = text.split_at(manifest as usize);
    let text =
        std::str::from_utf8(text).map_err(|_| Refused::Manifest("it is not ASCII".to_owned()))?;
    let manifest = Manifest::parse(text).map_err(Refused::Manifest)?;
    let signature = std::str::from_utf8(signature)
        .map_err(|_| Refused::Manifest("the signature beside it is not ASCII".to_owned()))?;
    if manifest.size() != elf {
        return Err(Refused::Lengths);
    }
    machine(file, &manifest)?;
    Ok((manifest, signature.to_owned()))
}

/// Whether the program and its manifest are for this machine.
fn machine(file: &File, manifest: &Manifest) -> Result<(), Refused> {
    let mut header = [0; ELF_HEADER];
    read_at(file, &mut header, 0)?;
    // Class: 64 bits; data: little endian.
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(Refused::NoProgram);
    }
    let machine = u16::from_le_bytes([header[18], header[19]]);
    if machine != MACHINE {
        return Err(Refused::Foreign(format!(
            "the ELF header has machine {machine}"
        )));
    }
    if manifest.arch() != std::env::consts::ARCH {
        return Err(Refused::Foreign(format!(
            "the manifest has arch {}",
            manifest.arch()
        )));
    }
    Ok(())
}

fn read_at(file: &File, buffer: &mut [u8], at: u64) -> Result<(), Refused> {
    file.read_exact_at(buffer, at).map_err(Refused::Unreadable)
}

/// The checksum in the footer.
fn seal(lengths: &[u8], manifest_and_signature: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(lengths);
    hash.update(manifest_and_signature);
    hash.finalize().into()
}

/// SHA-256 of the first octets of a file.
fn checksum(file: &File, length: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < length {
        let piece = PIECE.min(usize::try_from(length - at).unwrap_or(PIECE));
        file.read_exact_at(&mut buffer[..piece], at)?;
        hash.update(&buffer[..piece]);
        at += piece as u64;
    }
    Ok(hash.finalize().into())
}

/// Size and SHA-256 of a program, for its manifest.
///
/// # Errors
/// When it can not be read.
pub fn measure(program: &Path) -> io::Result<(u64, [u8; 32])> {
    let file = File::open(program)?;
    let size = file.metadata()?.len();
    Ok((size, checksum(&file, size)?))
}

/// Writes an image: a program, its manifest, and a signature over the manifest's text, which may be empty.
///
/// # Errors
/// When something can not be read or written, or the program is not as long as its manifest tells.
pub fn assemble(
    program: &mut impl Read,
    manifest: &Manifest,
    signature: &str,
    out: &mut impl Write,
) -> io::Result<()> {
    let size = io::copy(program, out)?;
    if size != manifest.size() || signature.len() as u64 > MAX_SIGNATURE {
        let message = format!(
            "the program has {size} octets and its manifest tells {}; the signature has {} of at most {MAX_SIGNATURE}",
            manifest.size(),
            signature.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let text = [manifest.text().as_bytes(), signature.as_bytes()].concat();
    let lengths: Vec<u8> = [size, manifest.text().len() as u64, signature.len() as u64]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect();
    out.write_all(&text)?;
    out.write_all(&MAGIC)?;
    out.write_all(&lengths)?;
    out.write_all(&seal(&lengths, &text))?;
    out.flush()
}
