//! Which image a slot boots: the selected bank's, the other bank's if that is not to be had, and the program that the
//! boot was given, the *factory* image, if there is none of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::bank::{Bank, Banks, Identity, Unselected};
use crate::image::Manifest;
use crate::line::Cause;
use crate::restart::Kind;
use crate::slot::Slot;

#[cfg(test)]
mod tests;

/// Time that a bank's image has to arm its watchdog or to tell its role. What takes longer hangs: a watchdog that the
/// image arms itself is of no use before.
pub const START: Duration = Duration::from_secs(30);

/// So many early ends in a row, and an image is not booted any more.
pub const EARLY_ENDS: u32 = 3;

/// Where the program of a module came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A bank.
    Bank(Bank),
    /// The program that the boot was given.
    Factory,
}

/// Name of [`Origin::Factory`].
const FACTORY: &str = "factory";

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bank(bank) => bank.fmt(f),
            Self::Factory => f.write_str(FACTORY),
        }
    }
}

/// A text that names no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoOrigin;

impl fmt::Display for NoOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no origin of an image: primary, secondary or factory")
    }
}

impl std::error::Error for NoOrigin {}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        match text.parse() {
            Ok(bank) => Ok(Self::Bank(bank)),
            Err(_) if text == FACTORY => Ok(Self::Factory),
            Err(_) => Err(NoOrigin),
        }
    }
}

/// What is to be booted, and why nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Where the program is.
    pub origin: Origin,
    /// What its image tells; none of the factory image.
    pub manifest: Option<Manifest>,
    /// Banks that were to be booted and can not be, with the reason, in the order in which they were tried.
    pub refused: Vec<(Bank, String)>,
    /// What is wrong with the selection.
    pub unselected: Option<String>,
}

/// An image that is not booted any more, as long as neither it nor the selection was written anew.
#[derive(Debug)]
struct Barred {
    image: Option<Identity>,
    selection: Option<Identity>,
    why: String,
}

/// The images of a slot, and how they did.
#[derive(Debug)]
pub struct Chooser {
    banks: Banks,
    slot: Slot,
    /// A life of this length is no early end.
    settled: Duration,
    barred: [Option<Barred>; 2],
    /// The images whose checksums were found good. A module that is started again shall not wait for that again.
    verified: [Option<Identity>; 2],
    /// What runs, or ran last.
    running: Option<(Origin, Option<Identity>)>,
    /// Its early ends in a row.
    early: u32,
}

impl Chooser {
    /// Before the first start of a slot.
    #[must_use]
    pub fn new(banks: Banks, slot: Slot, settled: Duration) -> Self {
        Self {
            banks,
            slot,
            settled,
            barred: [None, None],
            verified: [None, None],
            running: None,
            early: 0,
        }
    }

    /// The banks.
    #[must_use]
    pub fn banks(&self) -> &Banks {
        &self.banks
    }

    /// Decides anew what is booted. It reads all of an image that it has not read yet.
    pub fn choose(&mut self) -> Choice {
        let (selected, default) = self.banks.selected(self.slot);
        let mut refused = Vec::new();
        for bank in [selected, selected.other()] {
            let found = self.try_bank(bank);
            let empty = || bank != selected || default == Some(Unselected::Never);
            match found {
                Ok(manifest) => {
                    return self.chosen(Origin::Bank(bank), Some(manifest), refused, default);
                }
                // Nobody asked for what is in an empty bank.
                Err(None) if empty() => {}
                Err(why) => {
                    let why = why.unwrap_or_else(|| "is empty".to_owned());
                    refused.push((bank, why));
                }
            }
        }
        self.chosen(Origin::Factory, None, refused, default)
    }

    fn chosen(
        &mut self,
        origin: Origin,
        manifest: Option<Manifest>,
        refused: Vec<(Bank, String)>,
        default: Option<Unselected>,
    ) -> Choice {
        let identity = match origin {
            Origin::Bank(bank) => Identity::of(&self.banks.path(self.slot, bank)),
            Origin::Factory => None,
        };
        let running = Some((origin, identity));
        if self.running != running {
            self.running = running;
            self.early = 0;
        }
        Choice {
            origin,
            manifest,
            refused,
            unselected: default
                .filter(|why| *why != Unselected::Never)
                .map(|why| why.to_string()),
        }
    }

    /// What the image of a bank tells if it can be booted; else why not, or nothing if the bank is empty.
    fn try_bank(&mut self, bank: Bank) -> Result<Manifest, Option<String>> {
        // Before it is read: what is changed meanwhile is read again.
        let image = Identity::of(&self.banks.path(self.slot, bank));
        let verified = &mut self.verified[bank as usize];
        let found = if image.is_some() && *verified == image {
            self.banks.inspect(self.slot, bank)
        } else {
            *verified = None;
            self.banks.verify(self.slot, bank)
        };
        let manifest = match found {
            Ok(manifest) => manifest,
            Err(error) if error.is_missing() => return Err(None),
            Err(error) => return Err(Some(error.to_string())),
        };
        *verified = image;
        let selection = Identity::of(&self.banks.selection(self.slot));
        let barred = &mut self.barred[bank as usize];
        if barred
            .as_ref()
            .is_some_and(|barred| barred.image != image || barred.selection != selection)
        {
            *barred = None;
        }
        match barred {
            None => Ok(manifest),
            Some(barred) => Err(Some(barred.why.clone())),
        }
    }

    /// What was chosen last has ended, or could not be started; how, and whether it had told its role before.
    /// Gives back what is not booted any more from now on.
    pub fn ended(
        &mut self,
        cause: Cause,
        kind: Kind,
        lived: Duration,
        told_role: bool,
        how: &dyn fmt::Display,
    ) -> Option<Origin> {
        let (origin, image) = self.running?;
        let short = lived < self.settled;
        if cause == Cause::Reset {
            // Says nothing of the image.
            return None;
        }
        if told_role && (kind == Kind::Wanted || !short) {
            if !short {
                self.early = 0;
            }
            return None;
        }
        self.early += 1;
        if self.early < EARLY_ENDS {
            return None;
        }
        self.early = 0;
        match origin {
            Origin::Bank(bank) => {
                let when = if told_role {
                    "soon after its start"
                } else {
                    "before it told its role"
                };
                self.barred[bank as usize] = Some(Barred {
                    image,
                    selection: Identity::of(&self.banks.selection(self.slot)),
                    why: format!("ended {EARLY_ENDS} times in a row, the last time {when}: {how}"),
                });
            }
            // Nothing works: what the operator selected is tried again.
            Origin::Factory => self.barred = [None, None],
        }
        Some(origin)
    }

    /// Somebody asked for a reset: all images are tried again.
    pub fn reset(&mut self) {
        self.barred = [None, None];
        self.early = 0;
    }
}
