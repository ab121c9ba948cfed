//! What can be wrong with a configuration: the rules, and where in the document one was broken.

use std::fmt;

use hitless_common::ids::InvalidId;
use hitless_common::{Mac, PortNo, VlanId};

use super::failover::{PreserveState, TAKEOVER_ALLOWANCE_MS};
use super::images::MAX_IMAGE_KEYS;
use super::names::InvalidName;
use super::stpd::{MAX_STPDS, StpEncapsulation, StpdName};
use crate::stp::ParameterError;

/// Problems that are described one by one; the rest is only counted.
pub const MAX_PROBLEMS: usize = 20;

/// One step of a [`KeyPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The value of this key.
    Key(&'static str),
    /// The item with this index, from 0.
    Index(usize),
}

/// Where in a document a value stands, such as `ports[3].tagged[1]`. A key that is named only because its
/// absence or default is the problem may not be in the document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPath(Vec<Step>);

impl KeyPath {
    /// The steps from the outermost.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The path of a key of the mapping here.
    #[must_use]
    pub(super) fn key(&self, key: &'static str) -> Self {
        self.then(Step::Key(key))
    }

    /// The path of an item of the list here.
    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        Self(self.0.iter().copied().chain([step]).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A rule that was broken, with the value found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the messages say it, and the fields are what they name"
)]
pub enum Rule {
    #[error("{0}")]
    Name(#[from] InvalidName),
    #[error("{0}")]
    Id(#[from] InvalidId),
    #[error("{value} is not in {low} to {high}")]
    Range { value: i64, low: u32, high: u32 },
    #[error(
        "an ageing time of {0} s is not in 10 to 1000000 (IEEE 802.1Q 8.8.3) and not 0, which means never"
    )]
    Ageing(i64),
    #[error("storm control of {0} frames/s is not in 1 to 4294967295; leave it out for no limit")]
    Storm(i64),
    #[error("{0:?} is no range of VLAN ids such as \"30-39\", the lower one first")]
    VlanRange(String),
    #[error("VLAN {id} is configured already, in vlans[{first}]")]
    DuplicateVlan { id: VlanId, first: usize },
    #[error(
        "the name {name:?} belongs to VLAN {other} already; VLAN names are unique, and a VLAN without one is called vlan<ID>"
    )]
    DuplicateVlanName { name: String, other: VlanId },
    #[error("port {port} is configured already, in ports[{first}]")]
    DuplicatePort { port: PortNo, first: usize },
    #[error("device {device} is that of port {other} already; a device is one port")]
    DuplicateDevice { device: String, other: PortNo },
    #[error("VLAN {0} is not declared in vlans")]
    UndeclaredVlan(VlanId),
    #[error("VLAN {0} is listed twice in tagged")]
    TaggedTwice(VlanId),
    #[error("VLAN {0} is untagged on this port and can not be tagged as well")]
    TaggedAndUntagged(VlanId),
    #[error("a port that accepts only untagged frames can not have tagged VLANs")]
    AcceptsUntagged,
    #[error(
        "{0} is no station's address: group addresses and 00:00:00:00:00:00 can not be behind a port"
    )]
    NotAStation(Mac),
    #[error("{0} is an address of control protocols and can not be configured as a station")]
    ControlAddress(Mac),
    #[error("{mac} in VLAN {vlan} is configured already, in fdb.static[{first}]")]
    DuplicateStatic {
        vlan: VlanId,
        mac: Mac,
        first: usize,
    },
    #[error("the entry needs either port or blackhole: true")]
    NoTarget,
    #[error("the entry has both port and blackhole; give one")]
    TwoTargets,
    #[error("port {0} is not configured in ports")]
    UnknownPort(PortNo),
    #[error("port {port} is no member of VLAN {vlan}")]
    NoMember { port: PortNo, vlan: VlanId },
    #[error("port {0} is listed twice in loop_free_ports")]
    LoopFreeTwice(PortNo),
    #[error(
        "{entries} static entries do not fit in a forwarding database of {size}; raise fdb.size"
    )]
    TooManyStatic { entries: usize, size: u32 },
    #[error("a watchdog of {0} ms is not in 50 to 60000 and not 0, which means none")]
    Watchdog(i64),
    #[error(
        "{by} excludes preserve_state: {preserve}, because there is nothing that it could fit; set preserve_state: none \
         (at the command line: configure msm-failover link-action without preserve-state)"
    )]
    PreserveExcluded {
        preserve: PreserveState,
        by: &'static str,
    },
    #[error(
        "a lease of {lease} ms runs out while a lost master is still being replaced: it must be longer than \
         keepalive_interval_ms ({interval}) times keepalive_misses ({misses}) plus {TAKEOVER_ALLOWANCE_MS} ms"
    )]
    LeaseWithinKeepalive {
        lease: u32,
        interval: u32,
        misses: u32,
    },
    #[error(
        "a lease of {lease} ms runs out before the watchdog ends a hanging master: it must be longer than \
         watchdog_ms ({watchdog})"
    )]
    LeaseWithinWatchdog { lease: u32, watchdog: u32 },
    #[error("the key is listed twice in keys")]
    ImageKeyTwice,
    #[error(
        "a switch knows at most {MAX_IMAGE_KEYS} keys of images; delete one that signs none any more"
    )]
    TooManyImageKeys,
    #[error("{0}")]
    Stp(#[from] ParameterError),
    #[error("STP domain {name} is configured already, in stpds[{first}]")]
    DuplicateStpd { name: StpdName, first: usize },
    #[error("a switch has at most {MAX_STPDS} STP domains, s0 included")]
    TooManyStpds,
    #[error("VLAN {vlan} is in STP domain {other} already; a VLAN is in one domain")]
    VlanInTwoStpds { vlan: VlanId, other: StpdName },
    #[error("VLAN {0} is listed twice in vlans")]
    VlanTwiceInStpd(VlanId),
    #[error("VLAN {0} is none of the domain's; the tag is one of its VLANs")]
    TagOutsideStpd(VlanId),
    #[error("port {0} is listed twice in ports")]
    PortTwiceInStpd(PortNo),
    #[error("port {port} is a member of no VLAN of STP domain {name}")]
    OutsideStpd { port: PortNo, name: StpdName },
    #[error("a recovery time without BPDU guard; turn bpdu_guard on, or leave the time out")]
    RecoveryWithoutGuard,
    #[error(
        "an enabled domain with {encapsulation} needs a tag: the one of its VLANs that carries its BPDUs"
    )]
    NoCarrier { encapsulation: StpEncapsulation },
    #[error(
        "an enabled domain with pvst-plus has one VLAN, that of its tag ({tag}); this one has {vlans} VLANs"
    )]
    MoreThanPvst { tag: VlanId, vlans: usize },
    #[error(
        "port {port} is no tagged member of VLAN {tag}, which carries the BPDUs of this enabled domain in emistp"
    )]
    NotCarried { port: PortNo, tag: VlanId },
    #[error(
        "port {port} has untagged BPDUs (dot1d) in the enabled domain {other} already; it can have them in one only"
    )]
    TwoPlainStpds { port: PortNo, other: StpdName },
}

/// A broken rule and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The value in question.
    pub path: KeyPath,
    /// The rule it broke.
    pub rule: Rule,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.rule)
    }
}

/// Why a document is no configuration. Nothing of it was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalid {
    /// The problems found, at most [`MAX_PROBLEMS`] and at least one.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

impl Invalid {
    /// Notes a problem.
    pub(super) fn push(&mut self, path: KeyPath, rule: impl Into<Rule>) {
        if self.problems.len() < MAX_PROBLEMS {
            let rule = rule.into();
            self.problems.push(Problem { path, rule });
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "; and {} more problems", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
