//! Nanoseconds that the programs take for a frame, by BPF_PROG_TEST_RUN: no driver, no sockets, no other CPU. Good
//! for telling a regression of a few per cent on a machine where throughput varies by ten.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Result, ensure};
use hitless_common::Mac;
use hitless_common::map::fdb::FdbKey;

use super::figures::{Figure, RANDOM};
use super::program::{DataPath, Ran, tc, xdp};
use super::random::Random;
use super::tables::{Address, Bucket, Tables};
use crate::harness::cpu::Pinned;
use crate::harness::frames::{Builder, Frame, Tag};
use crate::harness::netns::Netns;
use crate::harness::run::Run;

/// Interleaved rounds; the least of them is the figure, because whatever disturbs a round makes it longer.
const ROUNDS: usize = 8;

/// Single runs in a round, at most.
const SINGLES: u32 = 20_000;

/// Sizes of the forwarding database for random addresses.
const SIZES: [(u32, &str); 3] = [(1 << 10, "1k"), (1 << 16, "64k"), (1 << 20, "1M")];

/// First address behind port 1 and behind port 2.
const SIDES: [u64; 2] = [0x0200_1000_0000, 0x0200_2000_0000];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hook {
    Tc,
    Xdp,
}

impl Hook {
    const BOTH: [Self; 2] = [Self::Xdp, Self::Tc];

    const fn name(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Xdp => "xdp",
        }
    }

    fn run(self, path: &DataPath, device: u32, frame: &Frame, repeat: u32) -> Result<f64> {
        let (ran, sent): (Ran, u32) = match self {
            Self::Tc => (
                path.run_tc(device, frame.octets(), 0, repeat)?,
                tc::REDIRECT,
            ),
            Self::Xdp => (path.run_xdp(device, frame.octets(), repeat)?, xdp::REDIRECT),
        };
        ensure!(
            ran.verdict == sent,
            "{} did not send {frame:?}: {ran:?}",
            self.name()
        );
        Ok(f64::from(ran.nanoseconds))
    }
}

/// Frames come in on port 1, untagged in VLAN 10 and tagged in VLANs 20 and 30. Ports 2 and 4 send untagged, port 3
/// tagged. Port 3 needs the lease, which holds, to forward in VLAN 30.
fn tables() -> Tables {
    Tables::new()
        .untagged(1, 10)
        .tagged(1, &[20, 30])
        .untagged(2, 10)
        .tagged(3, &[10, 20, 30])
        .untagged(4, 20)
        .guarded(30, &[1])
}

/// A path with fixed addresses.
struct Fixed {
    name: &'static str,
    tag: Option<Tag>,
    vid: u16,
    to: u16,
    /// Whether the frame leaves as it came, so that the next run gets the same frame.
    kept: bool,
}

const FIXED: [Fixed; 5] = [
    Fixed {
        name: "untagged",
        tag: None,
        vid: 10,
        to: 2,
        kept: true,
    },
    Fixed {
        name: "tagged",
        tag: Some(Tag::vid(20)),
        vid: 20,
        to: 3,
        kept: true,
    },
    Fixed {
        name: "tagged, with a lease",
        tag: Some(Tag::vid(30)),
        vid: 30,
        to: 3,
        kept: true,
    },
    Fixed {
        name: "tag pushed",
        tag: None,
        vid: 10,
        to: 3,
        kept: false,
    },
    Fixed {
        name: "tag popped",
        tag: Some(Tag::vid(20)),
        vid: 20,
        to: 4,
        kept: false,
    },
];

impl Fixed {
    const SOURCE: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn destination(&self) -> Mac {
        Mac([2, 0, 0, 0, 1, self.to as u8])
    }

    fn frame(&self) -> Frame {
        let plain = Builder::new(Self::SOURCE, self.destination()).build();
        self.tag
            .map_or_else(|| plain.clone(), |tag| plain.tagged(tag))
    }
}

/// Measures every path `repeat` times in each round. The figures of the paths that change a frame or that look up a
/// different address each time come from single runs, less what the clock takes of a single run.
///
/// # Errors
/// When the programs are missing or refused.
pub fn nanoseconds(run: &Run, repeat: u32) -> Result<Vec<Figure>> {
    let netns = Netns::new(run, "ns")?;
    netns.run(|| {
        let _pinned = Pinned::new(0)?;
        // Nothing leaves in a test run; every port may be the loopback device, which each namespace has.
        let device = nix::net::if_::if_nametoindex("lo")?;
        let mut figures = Figures::default();
        let mut random = Random::new(1);
        let mut fixtures = Vec::with_capacity(SIZES.len());
        for (size, name) in SIZES {
            fixtures.push((Fixture::new(size, device)?, name));
        }
        for _ in 0..ROUNDS {
            fixtures[0].0.fixed_addresses(repeat, &mut figures)?;
            for (fixture, name) in &fixtures {
                fixture.random_addresses(name, repeat, &mut random, &mut figures)?;
            }
        }
        Ok(figures.into_list())
    })
}

/// The least figure of each path so far, in the order of their first measurement.
#[derive(Default)]
struct Figures {
    order: Vec<String>,
    least: BTreeMap<String, f64>,
}

impl Figures {
    fn add(&mut self, name: String, nanoseconds: f64) {
        if let Some(least) = self.least.get_mut(&name) {
            *least = least.min(nanoseconds);
        } else {
            self.least.insert(name.clone(), nanoseconds);
            self.order.push(name);
        }
    }

    fn into_list(self) -> Vec<Figure> {
        let figure = |name: String| Figure {
            nanoseconds: self.least.get(&name).copied().unwrap_or(f64::NAN),
            name,
        };
        self.order.into_iter().map(figure).collect()
    }
}

/// The programs with an FDB that is full to its size.
struct Fixture {
    path: DataPath,
    device: u32,
    /// Addresses behind port 1 and behind port 2 that the FDB had room for.
    known: [Vec<Mac>; 2],
}

impl Fixture {
    fn new(size: u32, device: u32) -> Result<Self> {
        let mut path = DataPath::load(size)?;
        let mut tables = tables();
        for fixed in &FIXED {
            tables = tables
                .station(fixed.vid, fixed.destination(), fixed.to)
                .station(fixed.vid, Fixed::SOURCE, 1);
        }
        // First of all, so that they have room, and each once.
        tables.fdb.sort_by_key(|a| a.key);
        tables.fdb.dedup_by_key(|a| a.key);
        for (first, port) in SIDES.into_iter().zip([1, 2]) {
            tables.fdb.extend((0..u64::from(size / 2)).map(|n| Address {
                key: FdbKey::from_raw(10, first + n),
                port,
                flags: 0,
                bucket: Bucket::Either,
            }));
        }
        let fdb = std::mem::take(&mut tables.fdb);
        path.install(&tables, |_| Ok(device))?;
        let left_out = path.install_fdb(&fdb)?;
        let left_out: HashSet<FdbKey> = left_out.iter().map(|a| a.key).collect();
        let known = SIDES.map(|first| {
            let keys = (first..first + u64::from(size / 2)).map(|mac| FdbKey::from_raw(10, mac));
            keys.filter(|key| !left_out.contains(key))
                .map(FdbKey::mac)
                .collect()
        });
        Ok(Self {
            path,
            device,
            known,
        })
    }

    /// One round over the paths with fixed addresses.
    fn fixed_addresses(&self, repeat: u32, figures: &mut Figures) -> Result<()> {
        for hook in Hook::BOTH {
            let clock = self.clock(hook, repeat)?;
            for fixed in &FIXED {
                let frame = fixed.frame();
                let nanoseconds = if fixed.kept {
                    hook.run(&self.path, self.device, &frame, repeat)?
                } else {
                    self.singles(hook, repeat, || frame.clone())? - clock
                };
                figures.add(format!("{} {}", hook.name(), fixed.name), nanoseconds);
            }
        }
        Ok(())
    }

    /// One round with other addresses in each frame.
    fn random_addresses(
        &self,
        size: &str,
        repeat: u32,
        random: &mut Random,
        figures: &mut Figures,
    ) -> Result<()> {
        let mut any = |of: &[Mac]| of[random.below(of.len() as u64) as usize];
        let mut next = || Builder::new(any(&self.known[0]), any(&self.known[1])).build();
        for hook in Hook::BOTH {
            let clock = self.clock(hook, repeat)?;
            // A table that fits into a cache gets there before it is measured, whatever else ran meanwhile.
            self.singles(hook, repeat, &mut next)?;
            let nanoseconds = self.singles(hook, repeat, &mut next)? - clock;
            figures.add(format!("{} {size}{RANDOM}", hook.name()), nanoseconds);
        }
        Ok(())
    }

    /// What a single run takes longer than one of many: the clock is read around it, and it comes from a system
    /// call.
    fn clock(&self, hook: Hook, repeat: u32) -> Result<f64> {
        let frame = FIXED[0].frame();
        let many = hook.run(&self.path, self.device, &frame, repeat)?;
        Ok(self.singles(hook, repeat, || frame.clone())? - many)
    }

    /// Mean of single runs without the slowest tenth, which something interrupted.
    fn singles(&self, hook: Hook, repeat: u32, mut frame: impl FnMut() -> Frame) -> Result<f64> {
        let mut times = Vec::with_capacity(SINGLES.min(repeat) as usize);
        for _ in 0..SINGLES.min(repeat).max(1) {
            times.push(hook.run(&self.path, self.device, &frame(), 1)?);
        }
        times.sort_by(f64::total_cmp);
        times.truncate((times.len() * 9 / 10).max(1));
        Ok(times.iter().sum::<f64>() / times.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_the_rounds_counts() {
        let mut all = Figures::default();
        for (name, value) in [("b", 3.0), ("a", 9.0), ("b", 2.0), ("a", 11.0)] {
            all.add(name.to_owned(), value);
        }
        let list: Vec<(String, f64)> = all
            .into_list()
            .into_iter()
            .map(|f| (f.name, f.nanoseconds))
            .collect();
        assert_eq!(list, [("b".to_owned(), 2.0), ("a".to_owned(), 9.0)]);
    }
}
