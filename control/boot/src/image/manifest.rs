//! What an image tells of itself: lines of printable ASCII, each a key and a value.

use std::fmt::Write as _;

use super::{MAX_MANIFEST, Version};

/// Keys that the boot reads; each is there once.
const KEYS: [&str; 7] = [
    "version",
    "git",
    "date",
    "arch",
    "size",
    "sha256",
    "lowest-compatible",
];

/// What each manifest tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Version of the program.
    pub version: Version,
    /// Commit that it was built from, with `-dirty` if there was more than that.
    pub git: String,
    /// When that commit was made, as in `2026-11-21T12:00:00Z`.
    pub date: String,
    /// Machine that it runs on, as in `x86_64`.
    pub arch: String,
    /// Size of the program in octets.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Lowest version that it can work with as the other module.
    pub lowest_compatible: Version,
}

/// A manifest: what the boot reads, and lines that are for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    base: Base,
    text: String,
}

impl Manifest {
    /// A manifest with more lines after those that each has.
    ///
    /// # Errors
    /// In words, which rule it breaks.
    pub fn new<'a>(base: &Base, more: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let values = [
            base.version.to_string(),
            base.git.clone(),
            base.date.clone(),
            base.arch.clone(),
            base.size.to_string(),
            hex(&base.sha256),
            base.lowest_compatible.to_string(),
        ];
        let mut text = String::new();
        for (key, value) in KEYS.iter().zip(values) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key} {value}");
        }
        for line in more {
            let _ = writeln!(text, "{line}");
        }
        Self::parse(&text)
    }

    /// Understands a manifest. Lines with keys that are not known are kept for those who know them.
    ///
    /// # Errors
    /// In words, which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() as u64 > MAX_MANIFEST {
            return Err(format!("it is longer than {MAX_MANIFEST} octets"));
        }
        if !text.ends_with('\n') {
            return Err("its last line does not end".to_owned());
        }
        let printable = |octet: u8| (b' '..=b'~').contains(&octet) || octet == b'\n';
        if !text.bytes().all(printable) {
            return Err("it is not all printable ASCII".to_owned());
        }
        let mut found: [Option<&str>; KEYS.len()] = [None; KEYS.len()];
        for line in text.lines() {
            let (key, value) = pair(line);
            if let Some(place) = KEYS.iter().position(|known| *known == key)
                && found[place].replace(value).is_some()
            {
                return Err(format!("{key} is there twice"));
            }
        }
        let value = |place: usize| {
            let value = found[place].filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("it has no {}", KEYS[place]))
        };
        let version = |place| {
            let value = value(place)?;
            let parsed = value.parse::<Version>();
            parsed.map_err(|e| format!("{} {value:?} {e}", KEYS[place]))
        };
        let (size, sha256) = (value(4)?, value(5)?);
        let base = Base {
            version: version(0)?,
            git: value(1)?.to_owned(),
            date: value(2)?.to_owned(),
            arch: value(3)?.to_owned(),
            size: size.parse().map_err(|e| format!("size {size:?}: {e}"))?,
            sha256: parse_hex(sha256)
                .ok_or_else(|| format!("sha256 {sha256:?} is not 64 hexadecimal digits"))?,
            lowest_compatible: version(6)?,
        };
        Ok(Self {
            base,
            text: text.to_owned(),
        })
    }

    /// What each manifest tells.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Version of the program.
    #[must_use]
    pub fn version(&self) -> Version {
        self.base.version
    }

    /// Commit that it was built from, with `-dirty` if there was more than that.
    #[must_use]
    pub fn git(&self) -> &str {
        &self.base.git
    }

    /// When that commit was made.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.base.date
    }

    /// Machine that it runs on, as in `x86_64`.
    #[must_use]
    pub fn arch(&self) -> &str {
        &self.base.arch
    }

    /// Size of the program in octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.base.size
    }

    /// SHA-256 of the program.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.base.sha256
    }

    /// Lowest version that it can work with as the other module.
    #[must_use]
    pub fn lowest_compatible(&self) -> Version {
        self.base.lowest_compatible
    }

    /// All of it, as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The values of all lines with this key, in their order.
    pub fn lines<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.text.lines().map(pair);
        pairs.filter_map(move |(found, value)| (found == key).then_some(value))
    }

    /// The lines, with their keys, that are not for the boot: the program's description.
    pub fn description(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines();
        lines.filter(|line| !KEYS.contains(&pair(line).0))
    }
}

/// Key and value of a line; the value of a line without one is empty.
fn pair(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

/// Octets in hexadecimal.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// Only what [`hex`] writes.
fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    for (index, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    (hex(&octets) == text).then_some(octets)
}
