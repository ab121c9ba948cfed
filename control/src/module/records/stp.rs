//! Spanning tree: bridges and ports as they are saved, and their records.

use hitless_common::{Mac, PortNo};
use hitless_ha::{
    record::{self, COUNTERS_OF_A_PORT, DomainName, StpKey, StpRecord, TimesOctets, VectorOctets},
    schema::stp_names::flag,
};
use hitless_proto::stp::{
    BdmState, BridgeId, Counters, Deadlines, HELD, InfoIs, Link, PimState, PortId, PortState,
    PpmState, PriorityVector, PrtState, PrxState, PstState, Role, SavedBridge, SavedPort, TcmState,
    Times,
};
use hitless_proto::{
    config::StpdName,
    stpd::{SavedStpd, Stpds},
};
use std::collections::BTreeMap;
use tracing::warn;

const _: () = assert!(HELD == record::HELD, "held timers have one code");

/// Declares the codes of states and roles, see [`hitless_ha::schema::stp_names`]; a state without one does not compile.
macro_rules! codes {
    ($($type:ident { $($variant:ident = $code:literal,)* })*) => {$(
        impl Code for $type {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant),*];

            fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            fn decoded(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    )*};
}

/// A state as a number.
trait Code: Sized + 'static {
    #[cfg(test)]
    const ALL: &[Self];

    fn code(self) -> u8;

    /// The inverse of [`Code::code`]; `None` of a later version's.
    fn decoded(code: u8) -> Option<Self>;
}

codes! {
    PrxState { Discard = 0, Receive = 1, }
    PpmState { CheckingRstp = 0, SelectingStp = 1, Sensing = 2, }
    BdmState { Edge = 0, NotEdge = 1, }
    PimState { Disabled = 0, Aged = 1, Current = 2, }
    PrtState {
        DisablePort = 0,
        DisabledPort = 1,
        RootPort = 2,
        DesignatedPort = 3,
        BlockPort = 4,
        AlternatePort = 5,
    }
    PstState { Discarding = 0, Learning = 1, Forwarding = 2, }
    TcmState { Inactive = 0, Learning = 1, Active = 2, }
    InfoIs { Received = 0, Mine = 1, Aged = 2, Disabled = 3, }
    Role { Disabled = 0, Root = 1, Designated = 2, Alternate = 3, Backup = 4, }
}

/// A truth value of a port.
type Truth = fn(&mut PortState) -> &mut bool;

/// All of them, and their bits.
const FLAGS: [(u64, Truth); flag::ALL.len()] = [
    (flag::LINK_UP, |p| &mut p.link.up),
    (flag::FULL_DUPLEX, |p| &mut p.link.full_duplex),
    (flag::AGREE, |p| &mut p.agree),
    (flag::AGREED, |p| &mut p.agreed),
    (flag::DISPUTED, |p| &mut p.disputed),
    (flag::FORWARD, |p| &mut p.forward),
    (flag::FORWARDING, |p| &mut p.forwarding),
    (flag::LEARN, |p| &mut p.learn),
    (flag::LEARNING, |p| &mut p.learning),
    (flag::MCHECK, |p| &mut p.mcheck),
    (flag::NEW_INFO, |p| &mut p.new_info),
    (flag::OPER_EDGE, |p| &mut p.oper_edge),
    (flag::PROPOSED, |p| &mut p.proposed),
    (flag::PROPOSING, |p| &mut p.proposing),
    (flag::RCVD_RSTP, |p| &mut p.rcvd_rstp),
    (flag::RCVD_STP, |p| &mut p.rcvd_stp),
    (flag::RCVD_TC, |p| &mut p.rcvd_tc),
    (flag::RCVD_TC_ACK, |p| &mut p.rcvd_tc_ack),
    (flag::RCVD_TCN, |p| &mut p.rcvd_tcn),
    (flag::RE_ROOT, |p| &mut p.re_root),
    (flag::RESELECT, |p| &mut p.reselect),
    (flag::SELECTED, |p| &mut p.selected),
    (flag::SEND_RSTP, |p| &mut p.send_rstp),
    (flag::SYNC, |p| &mut p.sync),
    (flag::SYNCED, |p| &mut p.synced),
    (flag::TC_ACK, |p| &mut p.tc_ack),
    (flag::TC_PROP, |p| &mut p.tc_prop),
    (flag::UPDT_INFO, |p| &mut p.updt_info),
    (flag::GUARD_SHUT, |p| &mut p.guard_shut),
    (flag::ROOT_GUARDING, |p| &mut p.root_guarding),
    (flag::LOOP_GUARDING, |p| &mut p.loop_guarding),
];

/// The key of a domain's bridge or port.
pub(in crate::module) fn stp_key(stpd: StpdName, port: Option<PortNo>) -> Option<StpKey> {
    let domain = DomainName::new(stpd.as_str())?;
    Some(StpKey { domain, port })
}

/// The record of a domain's bridge or port; `None` if it is no more.
pub(in crate::module) fn stp_record(
    stpds: &Stpds,
    (stpd, port): (StpdName, Option<PortNo>),
) -> Option<StpRecord> {
    let domain = stp_key(stpd, port)?.domain;
    match port {
        None => Some(bridge_record(domain, &stpds.saved_bridge(&stpd)?)),
        Some(port) => Some(port_record(domain, &stpds.saved_port(&stpd, port)?)),
    }
}

/// The records of all domains.
pub(in crate::module) fn stp_records(stpds: &Stpds) -> impl Iterator<Item = StpRecord> + '_ {
    let keys = stpds.all_keys().into_iter();
    keys.filter_map(|key| stp_record(stpds, key))
}

/// What the records say, as [`Stpds::resume`] takes it, kept up with them: a takeover has no time for it. A port whose
/// record is not understood begins anew, and so does a domain without a bridge.
#[derive(Debug, Default)]
pub(in crate::module) struct SavedStpds(
    BTreeMap<DomainName, (Option<SavedBridge>, Vec<SavedPort>)>,
);

impl SavedStpds {
    /// A record came, or is another one now.
    pub(in crate::module) fn put(&mut self, record: &StpRecord) {
        let StpKey { domain, port } = record.key;
        let (bridge, ports) = self.0.entry(domain).or_default();
        let Some(port) = port else {
            *bridge = Some(saved_bridge(record));
            return;
        };
        match (place(ports, port), saved_port(record)) {
            (Ok(place), Some(saved)) => ports[place] = saved,
            (Err(place), Some(saved)) => ports.insert(place, saved),
            (known, None) => {
                let stpd = domain.as_str();
                warn!(stpd, %port, "the state of the port is of a later version: it begins anew");
                if let Ok(place) = known {
                    ports.remove(place);
                }
            }
        }
    }

    /// A record went.
    pub(in crate::module) fn delete(&mut self, StpKey { domain, port }: StpKey) {
        let Some((bridge, ports)) = self.0.get_mut(&domain) else {
            return;
        };
        match port.map(|port| place(ports, port)) {
            None => *bridge = None,
            Some(Ok(place)) => drop(ports.remove(place)),
            Some(Err(_)) => {}
        }
        if bridge.is_none() && ports.is_empty() {
            self.0.remove(&domain);
        }
    }

    /// All of it, to go on from.
    pub(in crate::module) fn take(&mut self) -> BTreeMap<StpdName, SavedStpd> {
        let known = |(domain, (bridge, ports)): (DomainName, (Option<_>, _))| {
            let name = domain.as_str();
            let Ok(stpd) = name.parse() else {
                warn!(stpd = name, "no name of a spanning tree domain: left out");
                return None;
            };
            let bridge = bridge?;
            Some((stpd, SavedStpd { bridge, ports }))
        };
        std::mem::take(&mut self.0)
            .into_iter()
            .filter_map(known)
            .collect()
    }

    /// Nothing is saved any more.
    pub(in crate::module) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Where a port stands among others by number, or would stand.
fn place(ports: &[SavedPort], port: PortNo) -> Result<usize, usize> {
    ports.binary_search_by_key(&port, |saved| saved.state.number)
}

/// The record of a domain's bridge.
fn bridge_record(domain: DomainName, saved: &SavedBridge) -> StpRecord {
    let SavedBridge { state, changed_at } = saved;
    StpRecord {
        mac: state.config.mac,
        root_priority: vector_octets(&state.root_priority),
        root_port: state.root_port_id.0,
        root_times: times_octets(state.root_times),
        topology_changes: state.topology_changes,
        topology_change_at: *changed_at,
        ..StpRecord::new(StpKey { domain, port: None })
    }
}

/// The inverse of [`bridge_record`].
fn saved_bridge(record: &StpRecord) -> SavedBridge {
    let mut saved = SavedBridge::blank(record.mac);
    saved.state.root_priority = vector(&record.root_priority);
    saved.state.root_port_id = PortId(record.root_port);
    saved.state.root_times = times(record.root_times);
    saved.state.topology_changes = record.topology_changes;
    saved.changed_at = record.topology_change_at;
    saved
}

/// The record of a domain's port.
fn port_record(domain: DomainName, saved: &SavedPort) -> StpRecord {
    let SavedPort {
        mut state,
        deadlines,
    } = *saved;
    let set = FLAGS.iter().filter(|(_, truth)| *truth(&mut state));
    let flags = set.fold(0, |flags, (bit, _)| flags | bit);
    let port = Some(state.number);
    StpRecord {
        mbps: state.link.mbps,
        flags,
        designated_priority: vector_octets(&state.designated_priority),
        designated_times: times_octets(state.designated_times),
        port_priority: vector_octets(&state.port_priority),
        port_times: times_octets(state.port_times),
        prx: state.prx.code(),
        ppm: state.ppm.code(),
        bdm: state.bdm.code(),
        pim: state.pim.code(),
        prt: state.prt.code(),
        pst: state.pst.code(),
        tcm: state.tcm.code(),
        info_is: state.info_is.code(),
        role: state.role.code(),
        selected_role: state.selected_role.code(),
        edge_delay: deadlines.edge_delay,
        fd: deadlines.fd,
        mdelay: deadlines.mdelay,
        rb: deadlines.rb,
        rcvd_info: deadlines.rcvd_info,
        rr: deadlines.rr,
        tc: deadlines.tc,
        guard: deadlines.guard,
        counters: counters_list(&state.counters),
        ..StpRecord::new(StpKey { domain, port })
    }
}

/// The inverse of [`port_record`]; `None` of a bridge, and of a port with a state that this version does not know.
fn saved_port(record: &StpRecord) -> Option<SavedPort> {
    let mut saved = SavedPort::blank(record.key.port?);
    let state = &mut saved.state;
    for (bit, truth) in FLAGS {
        *truth(state) = record.flags & bit != 0;
    }
    state.link = Link {
        mbps: record.mbps,
        ..state.link
    };
    state.designated_priority = vector(&record.designated_priority);
    state.designated_times = times(record.designated_times);
    state.port_priority = vector(&record.port_priority);
    state.port_times = times(record.port_times);
    state.prx = Code::decoded(record.prx)?;
    state.ppm = Code::decoded(record.ppm)?;
    state.bdm = Code::decoded(record.bdm)?;
    state.pim = Code::decoded(record.pim)?;
    state.prt = Code::decoded(record.prt)?;
    state.pst = Code::decoded(record.pst)?;
    state.tcm = Code::decoded(record.tcm)?;
    state.info_is = Code::decoded(record.info_is)?;
    state.role = Code::decoded(record.role)?;
    state.selected_role = Code::decoded(record.selected_role)?;
    state.counters = counters(&record.counters);
    saved.deadlines = Deadlines {
        edge_delay: record.edge_delay,
        fd: record.fd,
        mdelay: record.mdelay,
        rb: record.rb,
        rcvd_info: record.rcvd_info,
        rr: record.rr,
        tc: record.tc,
        guard: record.guard,
    };
    Some(saved)
}

fn vector_octets(vector: &PriorityVector) -> VectorOctets {
    let mut octets = VectorOctets::default();
    octets[..2].copy_from_slice(&vector.root.priority.to_be_bytes());
    octets[2..8].copy_from_slice(&vector.root.mac.0);
    octets[8..12].copy_from_slice(&vector.root_path_cost.to_be_bytes());
    octets[12..14].copy_from_slice(&vector.designated_bridge.priority.to_be_bytes());
    octets[14..20].copy_from_slice(&vector.designated_bridge.mac.0);
    octets[20..].copy_from_slice(&vector.designated_port.0.to_be_bytes());
    octets
}

fn vector(octets: &VectorOctets) -> PriorityVector {
    let [
        p0,
        p1,
        r0,
        r1,
        r2,
        r3,
        r4,
        r5,
        c0,
        c1,
        c2,
        c3,
        b0,
        b1,
        d0,
        d1,
        d2,
        d3,
        d4,
        d5,
        n0,
        n1,
    ] = *octets;
    let bridge = |priority, mac| BridgeId {
        priority: u16::from_be_bytes(priority),
        mac: Mac(mac),
    };
    PriorityVector {
        root: bridge([p0, p1], [r0, r1, r2, r3, r4, r5]),
        root_path_cost: u32::from_be_bytes([c0, c1, c2, c3]),
        designated_bridge: bridge([b0, b1], [d0, d1, d2, d3, d4, d5]),
        designated_port: PortId(u16::from_be_bytes([n0, n1])),
    }
}

const fn times_octets(times: Times) -> TimesOctets {
    let [a0, a1] = times.message_age.to_be_bytes();
    let [m0, m1] = times.max_age.to_be_bytes();
    let [h0, h1] = times.hello.to_be_bytes();
    let [f0, f1] = times.forward_delay.to_be_bytes();
    [a0, a1, m0, m1, h0, h1, f0, f1]
}

const fn times([a0, a1, m0, m1, h0, h1, f0, f1]: TimesOctets) -> Times {
    Times {
        message_age: u16::from_be_bytes([a0, a1]),
        max_age: u16::from_be_bytes([m0, m1]),
        hello: u16::from_be_bytes([h0, h1]),
        forward_delay: u16::from_be_bytes([f0, f1]),
    }
}

/// Declares the counters in the order of [`hitless_ha::schema::stp_names::COUNTERS`]; one that is left out does not
/// compile.
macro_rules! counters {
    ($($counter:ident,)*) => {
        const fn counters_list(counters: &Counters) -> [u64; COUNTERS_OF_A_PORT] {
            let &Counters { $($counter),* } = counters;
            [$($counter),*]
        }

        const fn counters(list: &[u64; COUNTERS_OF_A_PORT]) -> Counters {
            let &[$($counter),*] = list;
            Counters { $($counter),* }
        }

        #[cfg(test)]
        const COUNTER_NAMES: &[&str] = &[$(stringify!($counter)),*];
    };
}

counters! {
    rx_config,
    rx_tcn,
    rx_rst,
    tx_config,
    tx_tcn,
    tx_rst,
    malformed,
    on_disabled,
    other_version,
    too_old,
    own,
    filtered,
    on_edge,
    bpdu_guard,
    root_guard,
    loop_guard,
    info_aged,
    disputed,
    rx_topology_change,
    forward_transitions,
}

#[cfg(test)]
mod tests;
