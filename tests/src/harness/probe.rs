//! Loads and attaches the probe programs (`ebpf/src/bin/probe.rs`).

use std::marker::PhantomData;

use anyhow::{Context, Result, anyhow, bail};
use aya::maps::{DevMap, MapData, PerCpuArray};
use aya::programs::links::FdLink;
use aya::programs::tc::TcAttachOptions;
use aya::programs::{
    LinkOrder, Program, TcAttachType, TestRun, TestRunAttrs, TestRunOptions, Xdp, XdpMode,
};
use aya::{Ebpf, EbpfLoader};
use hitless_common::Mac;
use memmap2::{MmapOptions, MmapRaw};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use super::frames::Frame;
use super::layout::{FlowState, MAX_PHASES, PhaseState, SEEN_BITS, generate};
use super::netns::Netns;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probe.bpf.o"));

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// tcx, incoming frames.
    TcxIngress,
    /// tcx, outgoing frames.
    TcxEgress,
    /// Native XDP.
    Xdp,
}

/// Constants and map sizes that a program is loaded with.
#[derive(Debug, Default)]
struct Setup {
    constants: Vec<(&'static str, Vec<u8>)>,
    sizes: Vec<(&'static str, u32)>,
}

impl Setup {
    fn u16(mut self, name: &'static str, value: u16) -> Self {
        self.constants.push((name, value.to_ne_bytes().into()));
        self
    }

    fn u32(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, value.to_ne_bytes().into()));
        self
    }

    fn u64(mut self, name: &'static str, value: u64) -> Self {
        self.constants.push((name, value.to_ne_bytes().into()));
        self
    }

    fn entries(mut self, map: &'static str, entries: u32) -> Self {
        self.sizes.push((map, entries));
        self
    }

    /// Creates the maps; programs are loaded one by one as they are needed.
    fn load(&self) -> Result<Ebpf> {
        if OBJECT.is_empty() {
            bail!(
                "this binary was built without the probe programs: {}; run `cargo xtask setup` and build again",
                env!("HITLESS_EBPF_MISSING")
            );
        }
        let mut loader = EbpfLoader::new();
        for (name, value) in &self.constants {
            loader.override_global(name, value.as_slice(), true);
        }
        for (map, entries) in &self.sizes {
            loader.map_max_entries(map, *entries);
        }
        loader
            .load(OBJECT)
            .context("load the probe programs (needs root or CAP_BPF and CAP_NET_ADMIN)")
    }
}

/// A program on a device; detached when dropped.
#[derive(Debug)]
struct Attached {
    ebpf: Ebpf,
    _link: FdLink,
}

fn attach(
    program: &str,
    netns: &Netns,
    device: &str,
    hook: Hook,
    setup: &Setup,
) -> Result<Attached> {
    let mut ebpf = setup.load()?;
    let found = ebpf
        .program_mut(program)
        .with_context(|| format!("no program {program} in the probe object"))?;
    // aya resolves the device's name in the namespace of the calling thread.
    let link = netns
        .run(|| match (hook, found) {
            (Hook::Xdp, Program::Xdp(xdp)) => {
                xdp.load()?;
                let id = xdp.attach(device, XdpMode::Driver)?;
                // On EINVAL aya falls back to netlink, and hides why the kernel refused.
                FdLink::try_from(xdp.take_link(id)?)
                    .map_err(|e| anyhow!("the kernel made no BPF link for native XDP: {e}"))
            }
            (Hook::TcxIngress | Hook::TcxEgress, Program::SchedClassifier(tc)) => {
                let direction = if hook == Hook::TcxIngress {
                    TcAttachType::Ingress
                } else {
                    TcAttachType::Egress
                };
                tc.load()?;
                let order = TcAttachOptions::TcxOrder(LinkOrder::default());
                let id = tc.attach_with_options(device, direction, order)?;
                FdLink::try_from(tc.take_link(id)?)
                    .map_err(|e| anyhow!("the kernel made no BPF link for tcx: {e}"))
            }
            _ => bail!("the program does not fit {hook:?}"),
        })
        .with_context(|| format!("{program} on {device} in {}", netns.name()))?;
    Ok(Attached { ebpf, _link: link })
}

/// An array map that the kernel's programs write and we read, without system calls.
#[derive(Debug)]
struct Mapped<T> {
    memory: MmapRaw,
    entries: usize,
    _entry: PhantomData<T>,
}

impl<T: Copy> Mapped<T> {
    /// Maps the first `entries` values of an array created with BPF_F_MMAPABLE.
    fn new(ebpf: &Ebpf, name: &str, entries: usize) -> Result<Self> {
        let map = ebpf
            .map(name)
            .with_context(|| format!("no map {name} in the probe object"))?;
        let aya::maps::Map::Array(data) = map else {
            bail!("map {name} is no array");
        };
        let info = data.info()?;
        if !size_of::<T>().is_multiple_of(8)
            || info.value_size() as usize != size_of::<T>()
            || (info.max_entries() as usize) < entries
        {
            bail!(
                "map {name} has {} values of {} octets, not {entries} of {}",
                info.max_entries(),
                info.value_size(),
                size_of::<T>()
            );
        }
        let memory = MmapOptions::new()
            .len((entries * size_of::<T>()).next_multiple_of(4096))
            .map_raw(data.fd().as_fd().as_raw_fd())
            .with_context(|| format!("map {name} into memory"))?;
        Ok(Self {
            memory,
            entries,
            _entry: PhantomData,
        })
    }

    fn get(&self, index: usize) -> T {
        assert!(index < self.entries, "entry {index} of {}", self.entries);
        // SAFETY: the mapping holds `entries` values, aligned to 8, and lives as long as self. T is made of
        // integers; volatile because the data path writes at the same time.
        unsafe { self.memory.as_ptr().cast::<T>().add(index).read_volatile() }
    }
}

/// Counts the frames of one flow where they arrive.
#[derive(Debug)]
pub struct Sink {
    flow: Mapped<FlowState>,
    phases: Mapped<PhaseState>,
    seen: Mapped<u64>,
    _attached: Attached,
}

impl Sink {
    /// Attaches a sink for the flow `id`, for sequence numbers below `capacity`. Other frames pass.
    ///
    /// # Errors
    /// When the programs are missing or refused.
    pub fn attach(netns: &Netns, device: &str, hook: Hook, id: u32, capacity: u64) -> Result<Self> {
        let words = u32::try_from(capacity.div_ceil(SEEN_BITS))
            .context("a sink has room for 2^38 sequence numbers")?
            .max(1);
        let program = match hook {
            Hook::Xdp => "sink_xdp",
            Hook::TcxIngress | Hook::TcxEgress => "sink_tcx",
        };
        let setup = Setup::default().u32("SINK_FLOW", id).entries("SEEN", words);
        let attached = attach(program, netns, device, hook, &setup)?;
        Ok(Self {
            flow: Mapped::new(&attached.ebpf, "FLOW", 1)?,
            phases: Mapped::new(&attached.ebpf, "PHASES", MAX_PHASES)?,
            seen: Mapped::new(&attached.ebpf, "SEEN", words as usize)?,
            _attached: attached,
        })
    }

    /// The whole flow so far.
    #[must_use]
    pub fn flow(&self) -> FlowState {
        self.flow.get(0)
    }

    /// The frames sent in a phase so far; nothing for a phase that can not be.
    #[must_use]
    pub fn phase(&self, phase: usize) -> PhaseState {
        if phase < MAX_PHASES {
            self.phases.get(phase)
        } else {
            PhaseState::default()
        }
    }

    /// Whether the frame with this number has come.
    #[must_use]
    pub fn has_seen(&self, sequence: u64) -> bool {
        let word = (sequence / SEEN_BITS) as usize;
        word < self.seen.entries && self.seen.get(word) >> (sequence % SEEN_BITS) & 1 != 0
    }
}

/// Consumes and counts every frame, in XDP: the cheapest end of a path.
pub struct Counter {
    count: PerCpuArray<MapData, u64>,
    _attached: Attached,
}

impl Counter {
    /// Attaches the counter.
    ///
    /// # Errors
    /// When the programs are missing or refused.
    pub fn attach(netns: &Netns, device: &str) -> Result<Self> {
        let mut attached = attach("count_xdp", netns, device, Hook::Xdp, &Setup::default())?;
        let count = PerCpuArray::try_from(take_map(&mut attached.ebpf, "COUNT")?)?;
        Ok(Self {
            count,
            _attached: attached,
        })
    }

    /// Frames so far.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn frames(&self) -> Result<u64> {
        Ok(self.count.get(&0, 0).context("read COUNT")?.iter().sum())
    }
}

fn take_map(ebpf: &mut Ebpf, name: &str) -> Result<aya::maps::Map> {
    ebpf.take_map(name)
        .with_context(|| format!("no map {name} in the probe object"))
}

/// Sets the device that XDP programs of this object redirect to.
fn set_target(ebpf: &mut Ebpf, netns: &Netns, device: &str) -> Result<()> {
    let target = netns.ifindex(device)?;
    let map = ebpf
        .map_mut("TARGET_DEVICE")
        .context("no map TARGET_DEVICE in the probe object")?;
    let mut devices = DevMap::try_from(map)?;
    // The kernel looks the device up in the namespace of the calling thread.
    netns.run(|| {
        devices
            .set(0, target, None, 0)
            .with_context(|| format!("redirect to {device} in {}", netns.name()))
    })
}

/// What a tcx redirect does wrong on purpose, to probe frames whose sequence number is a multiple of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Dropped; 0 for none.
    pub drop_every: u32,
    /// Sent twice; 0 for none.
    pub repeat_every: u32,
}

/// Sends everything that comes in on one device out of another, without looking at it.
#[derive(Debug)]
pub struct Redirect {
    _attached: Attached,
}

impl Redirect {
    /// In XDP.
    ///
    /// # Errors
    /// When the programs are missing or refused.
    pub fn xdp(netns: &Netns, from: &str, to: &str) -> Result<Self> {
        let mut attached = attach("redirect_xdp", netns, from, Hook::Xdp, &Setup::default())?;
        set_target(&mut attached.ebpf, netns, to)?;
        Ok(Self {
            _attached: attached,
        })
    }

    /// In tcx.
    ///
    /// # Errors
    /// When the programs are missing or refused.
    pub fn tcx(netns: &Netns, from: &str, to: &str, faults: Faults) -> Result<Self> {
        let target = netns.ifindex(to)?;
        let setup = Setup::default()
            .u32("TARGET", target)
            .u32("DROP_EVERY", faults.drop_every)
            .u32("REPEAT_EVERY", faults.repeat_every);
        let attached = attach("redirect_tcx", netns, from, Hook::TcxIngress, &setup)?;
        Ok(Self {
            _attached: attached,
        })
    }
}

/// Makes a device what a VLAN device of a Linux host is: everything that it sends leaves with an accelerated
/// tag, and only frames with that tag come in.
#[derive(Debug)]
pub struct VlanDevice {
    _attached: [Attached; 2],
}

impl VlanDevice {
    /// Attaches both halves.
    ///
    /// # Errors
    /// When the programs are missing or refused.
    pub fn attach(netns: &Netns, device: &str, vid: u16) -> Result<Self> {
        let setup = Setup::default().u16("VLAN", vid);
        Ok(Self {
            _attached: [
                attach("push_vlan", netns, device, Hook::TcxEgress, &setup)?,
                attach("pop_vlan", netns, device, Hook::TcxIngress, &setup)?,
            ],
        })
    }
}

/// A range of addresses: `count` from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The first.
    pub first: Mac,
    /// How many, at least 1.
    pub count: u32,
}

/// Which addresses generated frames get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Those of the given frame.
    Fixed,
    /// Counting up, each in its own range.
    Sequential {
        /// Source addresses.
        src: Addresses,
        /// Destination addresses.
        dst: Addresses,
    },
    /// Pseudo-random, each in its own range.
    Random {
        /// Source addresses.
        src: Addresses,
        /// Destination addresses.
        dst: Addresses,
    },
}

/// Sends frames out of a device as fast as one CPU can, by test runs with live frames. The receiving end of the
/// veth needs NAPI (`gro on`, or an XDP program).
#[derive(Debug)]
pub struct Generator {
    netns: Netns,
    frame: Frame,
    ebpf: Ebpf,
}

impl Generator {
    /// Frames handed to the device at once; a veth's ring holds 256.
    const BATCH: u32 = 64;

    /// Loads the generator for a device.
    ///
    /// # Errors
    /// When the programs are missing or refused.
    pub fn new(netns: &Netns, device: &str, frame: Frame, pattern: Pattern) -> Result<Self> {
        let one = Addresses {
            first: Mac::ZERO,
            count: 1,
        };
        let (mode, src, dst) = match pattern {
            Pattern::Fixed => (generate::FIXED, one, one),
            Pattern::Sequential { src, dst } => (generate::SEQUENTIAL, src, dst),
            Pattern::Random { src, dst } => (generate::RANDOM, src, dst),
        };
        let mut ebpf = Setup::default()
            .u32("GENERATE_MODE", mode)
            .u64("GENERATE_SOURCE", src.first.to_u64())
            .u32("GENERATE_SOURCES", src.count.max(1))
            .u64("GENERATE_DESTINATION", dst.first.to_u64())
            .u32("GENERATE_DESTINATIONS", dst.count.max(1))
            .load()?;
        Self::program(&mut ebpf)?
            .load()
            .context("load generate_xdp")?;
        set_target(&mut ebpf, netns, device)?;
        Ok(Self {
            netns: Netns::open(netns.name())?,
            frame,
            ebpf,
        })
    }

    fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp> {
        Ok(ebpf
            .program_mut("generate_xdp")
            .context("no program generate_xdp in the probe object")?
            .try_into()?)
    }

    /// Sends `frames` frames on the calling thread's CPU and returns how long one took on average. Frames that
    /// find the device's ring full are lost without a trace here: count them where they arrive.
    ///
    /// # Errors
    /// When the kernel refuses the test run.
    pub fn send(&mut self, frames: u32) -> Result<Duration> {
        let octets = self.frame.octets();
        let program = &*Self::program(&mut self.ebpf)?;
        // The run looks the device up in the namespace of the calling thread.
        let result = self.netns.run(|| {
            program
                .test_run(TestRunOptions {
                    data_in: Some(octets),
                    repeat: frames,
                    attrs: TestRunAttrs::new().xdp_live_frames(Self::BATCH),
                    ..TestRunOptions::new()
                })
                .context("test run with live frames (needs Linux 5.18)")
        })?;
        Ok(result.duration)
    }
}
