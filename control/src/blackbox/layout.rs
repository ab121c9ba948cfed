//! The file's layout. Two versions of this program may share it, so a change needs another [`VERSION`].

use super::Poison;
use std::{
    fmt,
    sync::atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// First octets of an input that are kept.
pub const BYTES: usize = 256;
/// Inputs that are remembered at most.
pub const ENTRIES: usize = 64;
/// Octets of the file.
pub(super) const SIZE: usize = size_of::<Layout>();

const WORDS: usize = BYTES / 8;
/// First octets of an input that its hash is made of.
const HASHED: usize = 2_048;
const MAGIC: u64 = u64::from_le_bytes(*b"HITLSSBB");
const VERSION: u32 = 1;

/// What an input is. Numbers are part of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Kind {
    /// A frame of a control protocol.
    ControlFrame = 1,
    /// A request of the command line or the web.
    ApiRequest = 2,
    /// A message of the kernel about an interface.
    LinkEvent = 3,
    /// Sources that the data path reported.
    LearnBatch = 4,
    /// Something that comes with time.
    Timer = 5,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::ControlFrame,
        Self::ApiRequest,
        Self::LinkEvent,
        Self::LearnBatch,
        Self::Timer,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ControlFrame => "control-frame",
            Self::ApiRequest => "api-request",
            Self::LinkEvent => "link-event",
            Self::LearnBatch => "learn-batch",
            Self::Timer => "timer",
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u32 == number)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What identifies an input.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Input {
    kind: Kind,
    length: u32,
    hash: u64,
    words: [u64; WORDS],
}

impl Input {
    pub(super) fn new(kind: Kind, bytes: &[u8]) -> Self {
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
            *word = little_endian(bytes);
        }
        Self {
            kind,
            length: length(bytes),
            hash: hash(kind, bytes),
            words,
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Up to 8 octets as a number.
fn little_endian(bytes: &[u8]) -> u64 {
    if let Some(whole) = bytes.first_chunk() {
        return u64::from_le_bytes(*whole);
    }
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

/// A fast hash, no secure one: what it finds is compared as well.
fn hash(kind: Kind, bytes: &[u8]) -> u64 {
    const A: u64 = 0x9e37_79b9_7f4a_7c15;
    const B: u64 = 0xd1b5_4a32_d192_ed03;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let start = A ^ (u64::from(kind as u32) << 32) ^ u64::from(length(bytes));
    let bytes = &bytes[..bytes.len().min(HASHED)];
    let hash = bytes.chunks(16).fold(start, |hash, pair| {
        let (low, high) = pair.split_at(pair.len().min(8));
        fold(hash ^ little_endian(low), B ^ little_endian(high))
    });
    fold(hash, A)
}

/// The whole file. All of it are atomic numbers, for another process may have it mapped.
#[repr(C)]
#[derive(Default)]
pub(super) struct Layout {
    magic: AtomicU64,
    version: AtomicU32,
    reserved: AtomicU32,
    pub(super) current: Note,
    entries: Entries,
}

const _: () = assert!(size_of::<Note>() == 16 + BYTES);
const _: () = assert!(size_of::<Entry>() == 40 + BYTES);
const _: () = assert!(SIZE == 16 + size_of::<Note>() + ENTRIES * size_of::<Entry>());

/// What is being handled.
#[repr(C)]
#[derive(Default)]
pub(super) struct Note {
    /// [`Kind`]; 0 for nothing. Written last.
    kind: AtomicU32,
    length: AtomicU32,
    hash: AtomicU64,
    words: Words,
}

/// An input that masters died of.
#[repr(C)]
#[derive(Default)]
pub(super) struct Entry {
    /// 0: there is no entry here. Written last.
    deaths: AtomicU32,
    kind: AtomicU32,
    length: AtomicU32,
    reserved: AtomicU32,
    hash: AtomicU64,
    drops: AtomicU64,
    at_unix_ms: AtomicU64,
    words: Words,
}

#[repr(C)]
struct Words([AtomicU64; WORDS]);

#[repr(C)]
struct Entries([Entry; ENTRIES]);

impl Default for Words {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Entry::default()))
    }
}

impl Words {
    fn read(&self) -> [u64; WORDS] {
        std::array::from_fn(|i| self.0[i].load(Relaxed))
    }
}

impl Note {
    /// Notes an input. Octets behind a short one are of an earlier one; its length tells.
    pub(super) fn note(&self, kind: Kind, bytes: &[u8]) {
        self.kind.store(0, Relaxed);
        for (word, bytes) in self.words.0.iter().zip(bytes.chunks(8)) {
            word.store(little_endian(bytes), Release);
        }
        self.length.store(length(bytes), Relaxed);
        self.hash.store(hash(kind, bytes), Relaxed);
        self.kind.store(kind as u32, Release);
    }

    pub(super) fn clear(&self) {
        self.kind.store(0, Release);
    }

    /// What is noted, if anything.
    pub(super) fn read(&self) -> Option<Input> {
        let kind = Kind::from_number(self.kind.load(Acquire))?;
        let length = self.length.load(Relaxed);
        let mut words = self.words.read();
        words[length.div_ceil(8).min(WORDS as u32) as usize..].fill(0);
        Some(Input {
            kind,
            length,
            hash: self.hash.load(Relaxed),
            words,
        })
    }
}

impl Entry {
    pub(super) fn deaths(&self) -> u32 {
        self.deaths.load(Acquire)
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash.load(Relaxed)
    }

    pub(super) fn clear(&self) {
        self.deaths.store(0, Release);
    }

    pub(super) fn count_drop(&self) {
        self.drops.fetch_add(1, Relaxed);
    }

    /// A master died of this input; an entry of another one becomes its.
    pub(super) fn count_death(&self, input: &Input, at_unix_ms: u64) {
        let deaths = if self.is(input) { self.deaths() } else { 0 };
        self.deaths.store(0, Relaxed);
        if deaths == 0 {
            self.drops.store(0, Release);
            self.kind.store(input.kind as u32, Relaxed);
            self.length.store(input.length, Relaxed);
            self.hash.store(input.hash, Relaxed);
            for (word, value) in self.words.0.iter().zip(input.words) {
                word.store(value, Relaxed);
            }
        }
        self.at_unix_ms.store(at_unix_ms, Release);
        self.deaths.store(deaths.saturating_add(1), Release);
    }

    fn is(&self, input: &Input) -> bool {
        self.deaths() > 0
            && self.hash() == input.hash
            && self.kind.load(Relaxed) == input.kind as u32
            && self.length.load(Relaxed) == input.length
            && self.words.read() == input.words
    }

    /// The entry, if there is one.
    pub(super) fn read(&self) -> Option<Poison> {
        let deaths = self.deaths();
        let kind = Kind::from_number(self.kind.load(Relaxed))?;
        let length = self.length.load(Relaxed);
        let mut bytes: Vec<u8> = self
            .words
            .read()
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        bytes.truncate(length as usize);
        (deaths > 0).then(|| Poison {
            kind,
            hash: self.hash(),
            length,
            bytes,
            deaths,
            drops: self.drops.load(Relaxed),
            at_unix_ms: self.at_unix_ms.load(Relaxed),
        })
    }
}

impl Layout {
    /// The octets of a file that remembers nothing.
    pub(super) fn empty() -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        bytes[..8].copy_from_slice(&MAGIC.to_ne_bytes());
        bytes[8..12].copy_from_slice(&VERSION.to_ne_bytes());
        bytes
    }

    /// Why this is no file of this version, if it is none.
    pub(super) fn check(&self) -> Result<(), String> {
        let (magic, version) = (self.magic.load(Relaxed), self.version.load(Relaxed));
        if magic != MAGIC {
            return Err(format!("it begins with {magic:#x}, not with {MAGIC:#x}"));
        }
        if version != VERSION {
            return Err(format!(
                "it has version {version}, this hitlessd has {VERSION}"
            ));
        }
        Ok(())
    }

    /// Clears entries that can not be, whatever has damaged them.
    pub(super) fn repair(&self) {
        for entry in self.entries().filter(|entry| entry.read().is_none()) {
            tracing::warn!("a damaged entry of the black box is dropped");
            entry.clear();
        }
    }

    /// The entries that there are.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.0.iter().filter(|entry| entry.deaths() > 0)
    }

    /// The entry of an input.
    pub(super) fn find(&self, input: &Input) -> Option<&Entry> {
        self.entries().find(|entry| entry.is(input))
    }

    /// The entry of an input, or one that can become its: a free one, else one with the fewest deaths, of these the
    /// oldest.
    pub(super) fn find_or_replace(&self, input: &Input) -> &Entry {
        let cheapest = || {
            self.entries.0.iter().min_by_key(|entry| {
                let deaths = entry.deaths();
                (
                    deaths,
                    if deaths == 0 {
                        0
                    } else {
                        entry.at_unix_ms.load(Relaxed)
                    },
                )
            })
        };
        self.find(input)
            .or_else(cheapest)
            .unwrap_or(&self.entries.0[0])
    }
}
