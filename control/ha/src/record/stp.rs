use super::Record;
use crate::digest;
use crate::message::{FieldError, RecordError, fields, wrong};
use crate::schema::stp::*;
use crate::schema::{Field, Subsystem, stp_names};
use core::{fmt, str};
use hitless_common::{Mac, PortNo};

/// Octets of a priority vector, see [`stp_names`].
pub type VectorOctets = [u8; 22];

/// Octets of four times, see [`stp_names`].
pub type TimesOctets = [u8; 8];

/// How many counters a port has.
pub const COUNTERS_OF_A_PORT: usize = stp_names::COUNTERS.len();

/// Instead of the epoch in which a timer ends: it is held.
pub const HELD: u32 = u32::MAX;

/// The name of a spanning tree domain: 1 to 32 octets of UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName {
    /// 0 beyond its end: so they are in the order of the names.
    octets: [u8; Self::MAX],
    length: u8,
}

impl DomainName {
    /// The longest, in octets.
    pub const MAX: usize = 32;

    /// A name; `None` if it is empty or too long.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut octets = [0; Self::MAX];
        octets
            .get_mut(..name.len())
            .filter(|octets| !octets.is_empty())?
            .copy_from_slice(name.as_bytes());
        Some(Self {
            octets,
            length: name.len() as u8,
        })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It was made of one.
        str::from_utf8(&self.octets[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// What tells records of spanning tree from one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StpKey {
    /// The domain.
    pub domain: DomainName,
    /// The port; `None` for the domain's bridge.
    pub port: Option<PortNo>,
}

/// The bridge of a spanning tree domain, or one of its ports, in the words of 802.1D-2004 clause 17. The parameters are
/// those of the running configuration. What a bridge does not have is 0 in its record, and the same with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StpRecord {
    /// Domain and port.
    pub key: StpKey,
    /// Of a bridge: the address in its identifier.
    pub mac: Mac,
    /// Of a bridge: rootPriority (17.18.6).
    pub root_priority: VectorOctets,
    /// Of a bridge: rootPortId (17.18.5).
    pub root_port: u16,
    /// Of a bridge: rootTimes (17.18.7).
    pub root_times: TimesOctets,
    /// Of a bridge: topology changes detected or heard of.
    pub topology_changes: u32,
    /// Of a bridge: the epoch of the last of them, or of its beginning.
    pub topology_change_at: u32,
    /// Of a port: the speed of its link in Mbit/s; 0 if unknown.
    pub mbps: u32,
    /// Of a port: [`stp_names::flag`] bits.
    pub flags: u64,
    /// Of a port: designatedPriority (17.19.4).
    pub designated_priority: VectorOctets,
    /// Of a port: designatedTimes (17.19.5).
    pub designated_times: TimesOctets,
    /// Of a port: portPriority (17.19.21).
    pub port_priority: VectorOctets,
    /// Of a port: portTimes (17.19.22).
    pub port_times: TimesOctets,
    /// Of a port: a code of [`stp_names::PRX`].
    pub prx: u8,
    /// Of a port: a code of [`stp_names::PPM`].
    pub ppm: u8,
    /// Of a port: a code of [`stp_names::BDM`].
    pub bdm: u8,
    /// Of a port: a code of [`stp_names::PIM`].
    pub pim: u8,
    /// Of a port: a code of [`stp_names::PRT`].
    pub prt: u8,
    /// Of a port: a code of [`stp_names::PST`].
    pub pst: u8,
    /// Of a port: a code of [`stp_names::TCM`].
    pub tcm: u8,
    /// Of a port: a code of [`stp_names::INFO_IS`].
    pub info_is: u8,
    /// Of a port: a code of [`stp_names::ROLE`].
    pub role: u8,
    /// Of a port: a code of [`stp_names::ROLE`].
    pub selected_role: u8,
    /// Of a port: the epoch in which edgeDelayWhile (17.17.1) ends; 0 if it does not run, [`HELD`] if the state of the
    /// port holds it at its full value, here as below.
    pub edge_delay: u32,
    /// Of a port: the end of fdWhile (17.17.2).
    pub fd: u32,
    /// Of a port: the end of mdelayWhile (17.17.4).
    pub mdelay: u32,
    /// Of a port: the end of rbWhile (17.17.5).
    pub rb: u32,
    /// Of a port: the end of rcvdInfoWhile (17.17.6).
    pub rcvd_info: u32,
    /// Of a port: the end of rrWhile (17.17.7).
    pub rr: u32,
    /// Of a port: the end of tcWhile (17.17.8).
    pub tc: u32,
    /// Of a port: when one that BPDU guard has shut is opened again; 0: when told.
    pub guard: u32,
    /// Of a port: [`stp_names::COUNTERS`]. They are not part of the [hash](Record::hash), because a standby is told of
    /// them with other changes only.
    pub counters: [u64; COUNTERS_OF_A_PORT],
}

impl StpRecord {
    /// The record of a bridge or port of which nothing is known.
    #[must_use]
    pub const fn new(key: StpKey) -> Self {
        Self {
            key,
            mac: Mac([0; 6]),
            root_priority: [0; 22],
            root_port: 0,
            root_times: [0; 8],
            topology_changes: 0,
            topology_change_at: 0,
            mbps: 0,
            flags: 0,
            designated_priority: [0; 22],
            designated_times: [0; 8],
            port_priority: [0; 22],
            port_times: [0; 8],
            prx: 0,
            ppm: 0,
            bdm: 0,
            pim: 0,
            prt: 0,
            pst: 0,
            tcm: 0,
            info_is: 0,
            role: 0,
            selected_role: 0,
            edge_delay: 0,
            fd: 0,
            mdelay: 0,
            rb: 0,
            rcvd_info: 0,
            rr: 0,
            tc: 0,
            guard: 0,
            counters: [0; COUNTERS_OF_A_PORT],
        }
    }

    /// The fields that are numbers.
    const fn numbers(&self) -> [(Field, u64); 24] {
        [
            (MAC, self.mac.to_u64()),
            (ROOT_PORT, self.root_port as u64),
            (TOPOLOGY_CHANGES, self.topology_changes as u64),
            (TOPOLOGY_CHANGE_AT, self.topology_change_at as u64),
            (MBPS, self.mbps as u64),
            (FLAGS, self.flags),
            (PRX, self.prx as u64),
            (PPM, self.ppm as u64),
            (BDM, self.bdm as u64),
            (PIM, self.pim as u64),
            (PRT, self.prt as u64),
            (PST, self.pst as u64),
            (TCM, self.tcm as u64),
            (INFO_IS, self.info_is as u64),
            (ROLE, self.role as u64),
            (SELECTED_ROLE, self.selected_role as u64),
            (EDGE_DELAY, self.edge_delay as u64),
            (FD, self.fd as u64),
            (MDELAY, self.mdelay as u64),
            (RB, self.rb as u64),
            (RCVD_INFO, self.rcvd_info as u64),
            (RR, self.rr as u64),
            (TC, self.tc as u64),
            (GUARD, self.guard as u64),
        ]
    }

    /// The fields that are vectors and times.
    const fn octets(&self) -> [(Field, &[u8]); 6] {
        [
            (ROOT_PRIORITY, &self.root_priority),
            (ROOT_TIMES, &self.root_times),
            (DESIGNATED_PRIORITY, &self.designated_priority),
            (DESIGNATED_TIMES, &self.designated_times),
            (PORT_PRIORITY, &self.port_priority),
            (PORT_TIMES, &self.port_times),
        ]
    }

    /// Writes everything that differs but the counters.
    fn write_state(&self, base: &Self, out: &mut Vec<u8>) {
        Self::write_key(self.key, out);
        for ((field, new), (_, old)) in self.octets().into_iter().zip(base.octets()) {
            if new != old {
                field.bytes(out, new);
            }
        }
        for ((field, new), (_, old)) in self.numbers().into_iter().zip(base.numbers()) {
            if new != old {
                field.number(out, new);
            }
        }
    }
}

impl Record for StpRecord {
    const SUBSYSTEM: Subsystem = Subsystem::Stp;
    type Key = StpKey;

    fn key(&self) -> StpKey {
        self.key
    }

    fn write_key(key: StpKey, out: &mut Vec<u8>) {
        DOMAIN.bytes(out, key.domain.as_str().as_bytes());
        PORT.number(out, key.port.map_or(0, |port| port.get().into()));
    }

    fn read_key(record: &[u8]) -> Result<StpKey, RecordError> {
        let (mut domain, mut port) = (None, None);
        for field in fields(record) {
            match field? {
                (id::DOMAIN, value) => {
                    let name = value.text(DOMAIN)?;
                    let wrong_length = || {
                        let (octets, max) = (name.len(), DomainName::MAX);
                        wrong(DOMAIN, FieldError::Length { octets, max })
                    };
                    domain = Some(DomainName::new(name).ok_or_else(wrong_length)?);
                }
                (id::PORT, value) => {
                    port = match value.u64(PORT)? {
                        0 => None,
                        _ => Some(value.port(PORT)?),
                    };
                }
                _ => {}
            }
        }
        let domain = domain.ok_or(RecordError::Missing(DOMAIN.name))?;
        Ok(StpKey { domain, port })
    }

    fn write(&self, base: Option<&Self>, out: &mut Vec<u8>) {
        let blank = Self::new(self.key);
        let base = base.unwrap_or(&blank);
        self.write_state(base, out);
        if self.counters != base.counters {
            let mut octets = [0; 8 * COUNTERS_OF_A_PORT];
            for (octets, counter) in octets.chunks_exact_mut(8).zip(self.counters) {
                octets.copy_from_slice(&counter.to_le_bytes());
            }
            let last = octets.iter().rposition(|&octet| octet != 0);
            COUNTERS.bytes(out, &octets[..last.map_or(0, |last| last + 1)]);
        }
    }

    fn read(base: Option<&Self>, record: &[u8]) -> Result<Self, RecordError> {
        let key = Self::read_key(record)?;
        let mut stp = base.copied().unwrap_or_else(|| Self::new(key));
        stp.key = key;
        for field in fields(record) {
            match field? {
                (id::MAC, value) => stp.mac = value.mac(MAC)?,
                (id::ROOT_PRIORITY, value) => stp.root_priority = value.octets(ROOT_PRIORITY)?,
                (id::ROOT_PORT, value) => stp.root_port = value.u16(ROOT_PORT)?,
                (id::ROOT_TIMES, value) => stp.root_times = value.octets(ROOT_TIMES)?,
                (id::TOPOLOGY_CHANGES, value) => {
                    stp.topology_changes = value.u32(TOPOLOGY_CHANGES)?;
                }
                (id::TOPOLOGY_CHANGE_AT, value) => {
                    stp.topology_change_at = value.u32(TOPOLOGY_CHANGE_AT)?;
                }
                (id::MBPS, value) => stp.mbps = value.u32(MBPS)?,
                (id::FLAGS, value) => stp.flags = value.u64(FLAGS)?,
                (id::DESIGNATED_PRIORITY, value) => {
                    stp.designated_priority = value.octets(DESIGNATED_PRIORITY)?;
                }
                (id::DESIGNATED_TIMES, value) => {
                    stp.designated_times = value.octets(DESIGNATED_TIMES)?;
                }
                (id::PORT_PRIORITY, value) => stp.port_priority = value.octets(PORT_PRIORITY)?,
                (id::PORT_TIMES, value) => stp.port_times = value.octets(PORT_TIMES)?,
                (id::PRX, value) => stp.prx = value.u8(PRX)?,
                (id::PPM, value) => stp.ppm = value.u8(PPM)?,
                (id::BDM, value) => stp.bdm = value.u8(BDM)?,
                (id::PIM, value) => stp.pim = value.u8(PIM)?,
                (id::PRT, value) => stp.prt = value.u8(PRT)?,
                (id::PST, value) => stp.pst = value.u8(PST)?,
                (id::TCM, value) => stp.tcm = value.u8(TCM)?,
                (id::INFO_IS, value) => stp.info_is = value.u8(INFO_IS)?,
                (id::ROLE, value) => stp.role = value.u8(ROLE)?,
                (id::SELECTED_ROLE, value) => stp.selected_role = value.u8(SELECTED_ROLE)?,
                (id::EDGE_DELAY, value) => stp.edge_delay = value.u32(EDGE_DELAY)?,
                (id::FD, value) => stp.fd = value.u32(FD)?,
                (id::MDELAY, value) => stp.mdelay = value.u32(MDELAY)?,
                (id::RB, value) => stp.rb = value.u32(RB)?,
                (id::RCVD_INFO, value) => stp.rcvd_info = value.u32(RCVD_INFO)?,
                (id::RR, value) => stp.rr = value.u32(RR)?,
                (id::TC, value) => stp.tc = value.u32(TC)?,
                (id::GUARD, value) => stp.guard = value.u32(GUARD)?,
                (id::COUNTERS, value) => {
                    let octets: [u8; 8 * COUNTERS_OF_A_PORT] = value.octets(COUNTERS)?;
                    for (counter, octets) in stp.counters.iter_mut().zip(octets.as_chunks().0) {
                        *counter = u64::from_le_bytes(*octets);
                    }
                }
                _ => {}
            }
        }
        Ok(stp)
    }

    fn hash(&self) -> u64 {
        let mut octets = Vec::with_capacity(256);
        self.write_state(&Self::new(self.key), &mut octets);
        digest::hash(Self::SUBSYSTEM, &octets)
    }
}
