//! The product's object file: loaded, its maps filled and read, its programs run by BPF_PROG_TEST_RUN. Nothing is
//! pinned; everything goes with the value.

mod install;

pub use install::sharing_a_bucket;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use aya::maps::{Array, DevMap, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::{SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use hitless_common::limits::MAX_PORTS;
use hitless_common::map::counters::PortCounters;
use hitless_common::map::events::{LearnEvent, PuntHeader};
use hitless_common::map::fdb::{FdbBucket, FdbKey, buckets_for};
use hitless_common::map::limiter::PortLimiters;
use hitless_common::map::meta::{LAYOUT, MAGIC, Meta, owner};
use hitless_common::map::name;
use hitless_common::map::ports::PortEntry;
use hitless_common::map::vlans::VlanEntry;

use super::counts::Counts;
use super::tables::EPOCH;
use crate::harness::frames::Frame;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/hitless.bpf.o"));

const TC: &str = "hitless_tc";
const XDP: &str = "hitless_xdp";

/// Octets of both rings: a multiple of every page size, and soon full.
const RING_BYTES: u32 = 65_536;

/// Seed of the FDB's hash: fixed, so that a failure can be repeated.
const SEED: u64 = 0x5eed_0f1d_b0b0_cafe;

/// Addresses of the FDB in rows.
pub const FDB_SIZE: u32 = 1024;

/// Room for a frame that grew.
const GROWTH: usize = 64;

/// Verdicts of a TC program.
pub mod tc {
    /// Drop.
    pub const SHOT: u32 = 2;
    /// Send out of another device.
    pub const REDIRECT: u32 = 7;
}

/// Verdicts of an XDP program.
pub mod xdp {
    /// Drop.
    pub const DROP: u32 = 1;
    /// Leave the frame to the kernel, and so to the TC program.
    pub const PASS: u32 = 2;
    /// Send out of another device.
    pub const REDIRECT: u32 = 4;
}

/// What a program made of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its verdict.
    pub verdict: u32,
    /// The frame afterwards. A tag that the kernel keeps beside the frame is not in it.
    pub frame: Frame,
    /// Nanoseconds that one run took on average.
    pub nanoseconds: u32,
}

/// A control frame that came out of the PUNT ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Punted {
    /// Port number.
    pub port: u16,
    /// The tag's control information, if there was a tag.
    pub tci: Option<u16>,
    /// The octets.
    pub frame: Frame,
}

/// An FDB entry: port, flags and epoch.
pub type Entry = (u16, u16, u32);

/// The slots of the maps that are not empty.
#[derive(Default)]
struct Used {
    ports: BTreeSet<u32>,
    numbers: BTreeSet<u32>,
    vlans: BTreeSet<u32>,
    buckets: BTreeSet<u32>,
}

/// Both programs over one set of maps.
pub struct DataPath {
    ebpf: Ebpf,
    mask: u32,
    round: u32,
    lease: u64,
    used: Used,
    meta: Array<MapData, Meta>,
    ports: Array<MapData, PortEntry>,
    egress: Array<MapData, PortEntry>,
    xdp_tx: DevMap<MapData>,
    vlans: Array<MapData, VlanEntry>,
    fdb: Array<MapData, FdbBucket>,
    counters: PerCpuArray<MapData, PortCounters>,
    limiters: Array<MapData, PortLimiters>,
    learn: RingBuf<MapData>,
    punt: RingBuf<MapData>,
}

impl DataPath {
    /// Loads both programs with an FDB for `size` addresses, and empty maps.
    ///
    /// # Errors
    /// When they are missing or the kernel refuses them.
    pub fn load(size: u32) -> Result<Self> {
        if OBJECT.is_empty() {
            bail!(
                "this binary was built without the data path: {}; run `cargo xtask setup` and build again",
                env!("HITLESS_EBPF_MISSING")
            );
        }
        let buckets = buckets_for(size);
        let mask = buckets - 1;
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(name::FDB, buckets)
            .map_max_entries(name::LEARN, RING_BYTES)
            .map_max_entries(name::PUNT, RING_BYTES)
            .override_global("FDB_MASK", &mask, true)
            .override_global("FDB_SEED", &SEED, true)
            .override_global("AYA_LOG_LEVEL", &0u8, true)
            .load(OBJECT)
            .context("load the data path's maps (needs root)")?;
        let program = ebpf.program_mut(TC).context("no TC program")?;
        <&mut SchedClassifier>::try_from(program)?
            .load()
            .context("load the TC program")?;
        let program = ebpf.program_mut(XDP).context("no XDP program")?;
        <&mut Xdp>::try_from(program)?
            .load()
            .context("load the XDP program")?;
        Ok(Self {
            mask,
            round: 0,
            lease: 0,
            used: Used::default(),
            meta: Array::try_from(take(&mut ebpf, name::META)?)?,
            ports: Array::try_from(take(&mut ebpf, name::PORTS)?)?,
            egress: Array::try_from(take(&mut ebpf, name::EGRESS)?)?,
            xdp_tx: DevMap::try_from(take(&mut ebpf, name::XDP_TX)?)?,
            vlans: Array::try_from(take(&mut ebpf, name::VLANS)?)?,
            fdb: Array::try_from(take(&mut ebpf, name::FDB)?)?,
            counters: PerCpuArray::try_from(take(&mut ebpf, name::COUNTERS)?)?,
            limiters: Array::try_from(take(&mut ebpf, name::LIMITERS)?)?,
            learn: RingBuf::try_from(take(&mut ebpf, name::LEARN)?)?,
            punt: RingBuf::try_from(take(&mut ebpf, name::PUNT)?)?,
            ebpf,
        })
    }

    /// The TC program, to attach it.
    ///
    /// # Errors
    /// Never, since it was loaded.
    pub fn tc_mut(&mut self) -> Result<&mut SchedClassifier> {
        Ok(self
            .ebpf
            .program_mut(TC)
            .context("no TC program")?
            .try_into()?)
    }

    /// Begins a new round of learning, as the master does after it has drained the ring.
    ///
    /// # Errors
    /// When the kernel refuses the write.
    pub fn begin_round(&mut self, asleep: bool) -> Result<()> {
        self.round += 1;
        let meta = Meta {
            magic: MAGIC,
            layout: LAYOUT,
            fdb_buckets: self.mask + 1,
            fdb_seed: SEED,
            created: 1,
            generation: 1,
            epoch: EPOCH,
            learn_round: self.round,
            learn_asleep: asleep.into(),
            owner: owner::MSM_A,
            lease: self.lease,
            image: [0; 32],
            schema: [0; 32],
        };
        Ok(self.meta.set(0, meta, 0)?)
    }

    /// Writes the lease, CLOCK_MONOTONIC in nanoseconds; a new round of learning begins.
    ///
    /// # Errors
    /// When the kernel refuses the write.
    pub fn set_lease(&mut self, until: u64) -> Result<()> {
        self.lease = until;
        self.begin_round(false)
    }

    /// Whether the next learning event shall wake the master.
    ///
    /// # Errors
    /// When META can not be read.
    pub fn asleep(&self) -> Result<bool> {
        Ok(self.meta.get(&0, 0)?.learn_asleep != 0)
    }

    /// What has been counted on these ports; 0 is no port.
    ///
    /// # Errors
    /// When COUNTERS can not be read.
    pub fn counts(&self, ports: impl IntoIterator<Item = u16>) -> Result<Counts> {
        let mut counts = Counts::default();
        for port in ports {
            for cpu in self.counters.get(&port.into(), 0)?.iter() {
                counts.add_cpu(port, cpu);
            }
        }
        Ok(counts)
    }

    /// What has been counted on every port and none.
    ///
    /// # Errors
    /// When COUNTERS can not be read.
    pub fn all_counts(&self) -> Result<Counts> {
        self.counts(0..=MAX_PORTS as u16)
    }

    /// The entries of the FDB in the buckets that were written.
    ///
    /// # Errors
    /// When the FDB can not be read.
    pub fn entries(&self) -> Result<BTreeMap<FdbKey, Entry>> {
        let mut entries = BTreeMap::new();
        for index in &self.used.buckets {
            for entry in self.fdb.get(index, 0)?.0 {
                if entry.key != FdbKey::FREE {
                    entries.insert(entry.key, (entry.port, entry.flags, entry.epoch));
                }
            }
        }
        Ok(entries)
    }

    /// Drains the ring of learning events.
    ///
    /// # Errors
    /// When a record is no event.
    pub fn learned(&mut self) -> Result<Vec<LearnEvent>> {
        let mut events = Vec::new();
        while let Some(record) = self.learn.next() {
            ensure!(
                record.len() == size_of::<LearnEvent>(),
                "a learning event of {} octets",
                record.len()
            );
            events.push(LearnEvent {
                key: FdbKey(u64::from_ne_bytes(field(&record, 0)?)),
                port: u16::from_ne_bytes(field(&record, 8)?),
                moved: u16::from_ne_bytes(field(&record, 10)?),
                reserved: u32::from_ne_bytes(field(&record, 12)?),
            });
        }
        Ok(events)
    }

    /// Drains the ring of control frames.
    ///
    /// # Errors
    /// When a record is shorter than it says.
    pub fn punted(&mut self) -> Result<Vec<Punted>> {
        let mut frames = Vec::new();
        while let Some(record) = self.punt.next() {
            let length = usize::from(u16::from_ne_bytes(field(&record, 14)?));
            let octets = record
                .get(size_of::<PuntHeader>()..)
                .and_then(|all| all.get(..length))
                .with_context(|| {
                    format!(
                        "a control frame of {length} octets in a record of {}",
                        record.len()
                    )
                })?;
            let (tagged, tci) = (
                u16::from_ne_bytes(field(&record, 10)?),
                u16::from_ne_bytes(field(&record, 12)?),
            );
            frames.push(Punted {
                port: u16::from_ne_bytes(field(&record, 8)?),
                tci: (tagged != 0).then_some(tci),
                frame: Frame::from_octets(octets),
            });
        }
        Ok(frames)
    }

    /// Runs the TC program `repeat` times on one frame that came in on a device; each run gets the frame as the
    /// run before left it. `gso` is the payload of the segments that the frame stands for, or 0.
    ///
    /// # Errors
    /// When the kernel refuses the frame.
    pub fn run_tc(&self, ifindex: u32, frame: &[u8], gso: u32, repeat: u32) -> Result<Ran> {
        let program: &SchedClassifier =
            self.ebpf.program(TC).context("no TC program")?.try_into()?;
        // Offsets in `struct __sk_buff`; the kernel takes no other field of a test.
        let mut context = [0u8; 192];
        context[36..40].copy_from_slice(&ifindex.to_ne_bytes());
        context[176..180].copy_from_slice(&gso.to_ne_bytes());
        run(program, frame, &context, repeat)
    }

    /// Runs the XDP program `repeat` times on one frame, as [`DataPath::run_tc`] does. The device must exist in
    /// the namespace of the calling thread.
    ///
    /// # Errors
    /// When the kernel refuses the frame.
    pub fn run_xdp(&self, ifindex: u32, frame: &[u8], repeat: u32) -> Result<Ran> {
        let program: &Xdp = self
            .ebpf
            .program(XDP)
            .context("no XDP program")?
            .try_into()?;
        // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let mut context = [0u8; 24];
        context[4..8].copy_from_slice(&(frame.len() as u32).to_ne_bytes());
        context[12..16].copy_from_slice(&ifindex.to_ne_bytes());
        run(program, frame, &context, repeat)
    }
}

fn run<P>(program: &P, frame: &[u8], context: &[u8], repeat: u32) -> Result<Ran>
where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = aya::TestRunResult>,
{
    let mut out = vec![0u8; frame.len() + GROWTH];
    let result = program.test_run(TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut out),
        ctx_in: Some(context),
        repeat,
        ..TestRunOptions::new()
    })?;
    out.truncate(result.data_size_out as usize);
    Ok(Ran {
        verdict: result.return_value,
        frame: Frame::from_octets(out),
        nanoseconds: u32::try_from(result.duration.as_nanos()).unwrap_or(u32::MAX),
    })
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name)
        .with_context(|| format!("no map {name} in the data path"))
}

fn field<const N: usize>(record: &[u8], at: usize) -> Result<[u8; N]> {
    let found = record.get(at..).and_then(|rest| rest.first_chunk());
    found
        .copied()
        .context("a ring record is shorter than its header")
}
