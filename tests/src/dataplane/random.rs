//! Random frames: whatever comes in, each program gives one of its verdicts, every frame is accounted for, and
//! where XDP decides, TC would have decided the same.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher};

use anyhow::{Context, Result, ensure};
use hitless_common::map::fdb::FdbKey;
use hitless_common::map::fdb::flag::{BLACKHOLE, STATIC};
use hitless_common::map::ports::flag;
use hitless_common::map::vlans::flag::{CLAIM_EAPS, CLAIM_PVST};
use hitless_common::{DropReason, Mac};

use super::counts::{Counts, PUNTED, RX_BYTES, RX_FRAMES, TX_BYTES, TX_FRAMES};
use super::program::{Ran, tc, xdp};
use super::rig::{Rig, STRANGER};
use super::rows::{A, B, GROUP, PVST};
use super::tables::{Device, Lease, Tables, left};
use crate::harness::frames::{Frame, TPID_8021AD, TPID_8021Q, Tag};

/// Frames of one run.
pub const FRAMES: u32 = 20_000;

/// Names a seed to repeat a run with.
const SEED: &str = "HITLESS_TEST_SEED";

/// Octets of an Ethernet and an IPv6 header.
const MIN_IPV6: usize = 54;

const PORTS: u16 = 6;
const SISTER: u64 = 0x00e0_2b00_0000;

/// Pseudo-random numbers (splitmix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// A bit of everything: native and access ports, trunks, filters on and off, learning and narrow ports, XDP and
/// not, limits, static entries and blackholes.
fn tables() -> Tables {
    let mut tables = Tables::new()
        .untagged(1, 10)
        .tagged(1, &[20, 30])
        .without(1, flag::INGRESS_FILTER)
        .access(2, 10)
        .tagged(3, &[10, 20, 30])
        .learns_only(3, 30)
        .access(4, 20)
        .mtu(4, 100)
        .untagged(5, 10)
        .tagged(5, &[20, 4094])
        .with(5, flag::TAGGED_ONLY)
        .device(5, Device::NotInXdpTx)
        .without(5, flag::XDP_OUT)
        .access(6, 10)
        .without(6, flag::ENABLED)
        .vlan(40)
        .claim(20, CLAIM_EAPS | CLAIM_PVST)
        .claim(30, CLAIM_PVST)
        .not_learning(2, 10)
        .guarded(10, &[1, 2, 5, 6])
        .guarded(20, &[1, 3, 4])
        .with(3, flag::STORM)
        .limit(3, |l| (l.broadcast, l.unknown) = (left(100), left(200)))
        .limit(2, |l| l.punt = left(100));
    for (n, mac) in (1u16..).zip(stations()) {
        let vid = [10, 20, 30, 10][usize::from(n % 4)];
        tables = match n % 7 {
            0 => tables.address(vid, mac, 0, BLACKHOLE | STATIC),
            1 => tables.address(vid, mac, 1, STATIC),
            port => tables.station(vid, mac, port),
        };
    }
    tables
}

fn stations() -> impl Iterator<Item = Mac> {
    (1..=40).map(|n| Mac([2, 0, 0, 0, 1, n]))
}

fn address(random: &mut Random) -> Mac {
    let last = random.below(20) as u8;
    match random.below(13) {
        0..5 => Mac([2, 0, 0, 0, 1, 1 + random.below(40) as u8]),
        5 => random.pick(&[A, B, Mac::ZERO]),
        6 => Mac::BROADCAST,
        7 => GROUP,
        8 => Mac([0x01, 0x80, 0xc2, 0, 0, last]),
        9 => Mac([0x00, 0xe0, 0x2b, 0, 0, last / 2]),
        10 => PVST,
        _ => Mac::from_u64(random.number() & 0xffff_ffff_ffff),
    }
}

fn frame(random: &mut Random) -> Frame {
    let length = 14 + random.below(187) as usize;
    let mut octets = Vec::with_capacity(200);
    octets.extend_from_slice(&address(random).0);
    octets.extend_from_slice(&address(random).0);
    let any = random.number() as u16;
    let ethertype = random.pick(&[0x0800, 0x86dd, 0x0806, 0x0026, any]);
    octets.extend_from_slice(&ethertype.to_be_bytes());
    while octets.len() < length {
        octets.push(random.number() as u8);
    }
    let mut frame = Frame::from_octets(octets);
    for _ in 0..random.pick(&[0, 0, 1, 1, 1, 1, 2, 3]) {
        let any = random.number() as u16 & 0xfff;
        let vid = random.pick(&[0, 1, 10, 10, 20, 20, 30, 40, 4094, 4095, any]);
        let tpid = random.pick(&[TPID_8021Q, TPID_8021Q, TPID_8021Q, TPID_8021AD, 0x9100]);
        let tci = vid | random.pick(&[0, 0xe000, 0x1000]);
        frame = frame.tagged(Tag { tpid, tci });
    }
    let mut octets = frame.octets()[..length].to_vec();
    if random.below(8) == 0 {
        let at = random.below(length.min(20) as u64) as usize;
        octets[at] ^= 1 << random.below(8);
    }
    // A test run refuses an IP frame that is too short for its header.
    if length < MIN_IPV6 && matches!(octets[12..14], [0x08, 0x00] | [0x86, 0xdd]) {
        octets[12] = 0x09;
    }
    Frame::from_octets(octets)
}

/// Runs random frames through both programs.
///
/// # Errors
/// Names the seed and the first frame that something unexpected came of.
pub fn frames(rig: &mut Rig) -> Result<()> {
    let seed = match std::env::var(SEED) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{SEED}={text} is no number"))?,
        Err(_) => std::hash::RandomState::new().build_hasher().finish(),
    };
    let mut random = Random::new(seed);
    for (lease, frames) in [(Lease::Held, FRAMES / 2), (Lease::RanOut, FRAMES / 2)] {
        some_frames(rig, &mut random, &tables().lease(lease), frames)
            .with_context(|| format!("{SEED}={seed}, {lease:?}"))?;
    }
    Ok(())
}

fn some_frames(rig: &mut Rig, random: &mut Random, tables: &Tables, frames: u32) -> Result<()> {
    rig.install(tables)?;
    let known: BTreeSet<FdbKey> = tables.fdb.iter().map(|a| a.key).collect();
    let mut seen = Seen::default();
    for n in 0..frames {
        let port = random.below(u64::from(PORTS) + 1) as u16;
        let frame = frame(random);
        one(rig, tables, &known, port, &frame, &mut seen)
            .with_context(|| format!("frame {n} on port {port}: {:02x?}", frame.octets()))?;
    }
    // Each at least one frame in 250: else this shows little.
    let Seen {
        left,
        dropped,
        redirected,
        spread,
        punted,
    } = seen;
    ensure!(
        [left, dropped, redirected, spread, punted]
            .iter()
            .all(|&n| n > frames / 250),
        "too few of a kind: {seen:?}"
    );
    Ok(())
}

/// How many frames had which fate.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    left: u32,
    dropped: u32,
    redirected: u32,
    spread: u32,
    punted: u32,
}

impl Seen {
    fn add(&mut self, in_xdp: &Ran, by_tc: &Counts) {
        match in_xdp.verdict {
            xdp::DROP => self.dropped += 1,
            xdp::REDIRECT => self.redirected += 1,
            _ => self.left += 1,
        }
        self.spread += u32::from(by_tc.total(TX_FRAMES) > 1);
        self.punted += u32::from(by_tc.total(PUNTED) > 0);
    }
}

fn one(
    rig: &mut Rig,
    tables: &Tables,
    known: &BTreeSet<FdbKey>,
    port: u16,
    frame: &Frame,
    seen: &mut Seen,
) -> Result<()> {
    let ifindex = rig.ifindex(port)?;
    let ports = || 0..=PORTS;
    let start = rig.path.counts(ports())?;
    let in_xdp = rig.path.run_xdp(ifindex, frame.octets(), 1)?;
    let between = rig.path.counts(ports())?;
    let in_tc = rig.path.run_tc(ifindex, frame.octets(), 0, 1)?;
    let end = rig.path.counts(ports())?;
    rig.path.learned()?;
    rig.path.punted()?;
    let (by_xdp, by_tc) = (between.since(&start), end.since(&between));
    seen.add(&in_xdp, &by_tc);
    tc_accounts(tables, known, port, frame, &in_tc, &by_tc)
        .with_context(|| format!("TC: {in_tc:?}; {by_tc:?}"))?;
    xdp_agrees(frame, (&in_xdp, &by_xdp), (&in_tc, &by_tc))
        .with_context(|| format!("XDP: {in_xdp:?}; {by_xdp:?}; TC: {in_tc:?}; {by_tc:?}"))
}

/// One frame came in, and what came of it adds up: one drop, or the control plane alone, or every port that it was
/// meant for.
fn tc_accounts(
    tables: &Tables,
    known: &BTreeSet<FdbKey>,
    port: u16,
    frame: &Frame,
    ran: &Ran,
    counted: &Counts,
) -> Result<()> {
    let len = frame.len() as u64;
    let receiver = if port == STRANGER { 0 } else { port };
    ensure!(
        counted.total(RX_FRAMES) == 1 && counted.of(receiver, RX_FRAMES) == 1,
        "received"
    );
    ensure!(counted.total(RX_BYTES) == len, "octets received");

    let (out, punted) = (counted.total(TX_FRAMES), counted.total(PUNTED));
    let narrow =
        counted.total(DropReason::MtuExceeded.name()) + counted.total(DropReason::TxFailed.name());
    let (aimed, dropped) = (out + narrow, counted.drops() - narrow);
    let octets = counted.total(TX_BYTES);
    ensure!(
        octets >= out * len.saturating_sub(4) && octets <= out * (len + 4),
        "octets sent"
    );
    match ran.verdict {
        tc::REDIRECT => ensure!(out > 0, "redirected, but nothing was sent"),
        tc::SHOT => ensure!(counted.drops() + punted > 0, "dropped without a reason"),
        _ => anyhow::bail!("the verdict"),
    }
    if counted.total(DropReason::TagFailed.name()) == 1 {
        // The ports that do not need the change have got theirs.
        ensure!(
            aimed < targets(tables, known, port, frame)?,
            "more ports than it was meant for"
        );
        return Ok(());
    }
    if aimed == 0 {
        // The copy of a frame that is dropped may have been dropped, too.
        let fates = 1..=1 + u64::from(is_sister(frame));
        ensure!(fates.contains(&(dropped + punted)), "dropped once");
        return Ok(());
    }
    ensure!(!is_claimed(tables, port, frame)?, "spread, though claimed");
    ensure!(
        aimed == targets(tables, known, port, frame)?,
        "not every port that it was meant for"
    );
    ensure!(
        dropped + punted == u64::from(punted_too(tables, known, port, frame)?),
        "copies to the control plane"
    );
    Ok(())
}

/// Where XDP decides, its verdict, counters and frame are TC's; where not, nothing happened.
fn xdp_agrees(
    frame: &Frame,
    (in_xdp, by_xdp): (&Ran, &Counts),
    (in_tc, by_tc): (&Ran, &Counts),
) -> Result<()> {
    match in_xdp.verdict {
        xdp::PASS => {
            ensure!(*by_xdp == Counts::default(), "left, but counted");
            ensure!(in_xdp.frame == *frame, "left, but changed");
            return Ok(());
        }
        xdp::DROP => ensure!(in_tc.verdict == tc::SHOT, "verdicts"),
        // The kernel's socket buffers can not lose a tag before a tag that is cut short; XDP can.
        xdp::REDIRECT if by_tc.total(DropReason::TagFailed.name()) == 1 => return Ok(()),
        xdp::REDIRECT => {
            ensure!(in_tc.verdict == tc::REDIRECT, "verdicts");
            // TC keeps a pushed tag beside the frame.
            let same = in_tc.frame == in_xdp.frame || in_tc.frame == in_xdp.frame.untagged();
            ensure!(same, "frames");
            ensure!(
                by_xdp.total(TX_BYTES) == in_xdp.frame.len() as u64,
                "octets sent"
            );
        }
        _ => anyhow::bail!("the verdict"),
    }
    ensure!(by_xdp == by_tc, "counters");
    Ok(())
}

/// The VLAN of a frame that was let in.
fn vlan(tables: &Tables, port: u16, frame: &Frame) -> Result<u16> {
    let tag = frame.tags().next().filter(|t| t.tpid == TPID_8021Q);
    match tag.map_or(0, |t| t.tci & 0xfff) {
        0 => Ok(tables
            .ports
            .get(&port)
            .context("let in without a port")?
            .pvid),
        vid => Ok(vid),
    }
}

fn key(tables: &Tables, port: u16, frame: &Frame) -> Result<(FdbKey, Mac)> {
    let dst = frame.dst().context("let in without a destination")?;
    Ok((
        FdbKey::from_raw(vlan(tables, port, frame)?, dst.to_u64()),
        dst,
    ))
}

fn is_known(tables: &Tables, known: &BTreeSet<FdbKey>, port: u16, frame: &Frame) -> Result<bool> {
    let (key, dst) = key(tables, port, frame)?;
    Ok(!dst.is_group() && known.contains(&key))
}

/// How many ports the frame is meant for.
fn targets(tables: &Tables, known: &BTreeSet<FdbKey>, port: u16, frame: &Frame) -> Result<u64> {
    if is_known(tables, known, port, frame)? {
        return Ok(1);
    }
    let entry = tables
        .vlans
        .get(&vlan(tables, port, frame)?)
        .context("let in without a VLAN")?;
    let open = match tables.lease {
        Lease::Held => &entry.forwarding,
        Lease::RanOut | Lease::None => &entry.fallback,
    };
    Ok(open.iter().filter(|p| p.get() != port).count() as u64)
}

/// Whether the control plane alone gets a frame that was let in.
fn is_claimed(tables: &Tables, port: u16, frame: &Frame) -> Result<bool> {
    let entry = tables.vlans.get(&vlan(tables, port, frame)?);
    Ok(frame.dst() == Some(PVST) && entry.is_some_and(|v| v.flags & CLAIM_PVST != 0))
}

fn is_sister(frame: &Frame) -> bool {
    frame
        .dst()
        .is_some_and(|dst| dst.to_u64() & !0xff == SISTER)
}

/// Whether the control plane gets a copy of a frame that is spread.
fn punted_too(tables: &Tables, known: &BTreeSet<FdbKey>, port: u16, frame: &Frame) -> Result<bool> {
    Ok(is_sister(frame) && !is_known(tables, known, port, frame)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_lengths_stay_in_range() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            Vec::from_iter((0..500).map(|_| frame(&mut random)))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).iter().all(|f| (14..=200).contains(&f.len())));
    }
}
