//! A database made of maps, and the two ends of a link.

use hitless_common::map::vlans::PortSet;
use hitless_common::{Mac, PortNo, VlanId};
use hitless_ha::digest::Digest;
use hitless_ha::link::Hello;
use hitless_ha::message::HEADER;
use hitless_ha::receiver::{Database, Receiver, Store};
use hitless_ha::record::{
    ConfigRecord, DomainName, FdbRecord, PortRecord, Record, StpKey, StpRecord, VlanRecord,
};
use hitless_ha::schema::{Subsystem, stp_names::flag};
use hitless_ha::sender::{Open, Sender};
use hitless_ha::slot::ModuleSlot;
use hitless_ha::state::Reason;
use hitless_ha::{receiver, sender};
use std::collections::BTreeMap;

/// Slots of the model's forwarding database.
pub const SLOTS: u32 = 1 << 16;

/// Everything that is checkpointed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub config: BTreeMap<(), ConfigRecord>,
    pub ports: BTreeMap<PortNo, PortRecord>,
    pub vlans: BTreeMap<VlanId, VlanRecord>,
    pub stp: BTreeMap<StpKey, StpRecord>,
    pub fdb: BTreeMap<u32, FdbRecord>,
}

macro_rules! store {
    ($($map:ident: $record:ty),*) => {$(
        impl Store<$record> for Model {
            fn put(&mut self, record: $record) -> Result<(), Reason> {
                self.$map.insert(record.key(), record);
                Ok(())
            }
            fn delete(&mut self, key: <$record as Record>::Key) -> Result<(), Reason> {
                self.$map.remove(&key);
                Ok(())
            }
            fn find(&self, key: <$record as Record>::Key) -> Option<$record> {
                self.$map.get(&key).cloned()
            }
        }
    )*};
}

store!(config: ConfigRecord, ports: PortRecord, vlans: VlanRecord, stp: StpRecord);

impl Store<FdbRecord> for Model {
    fn put(&mut self, record: FdbRecord) -> Result<(), Reason> {
        if record.slot >= SLOTS {
            return Err(Reason::Memory);
        }
        self.fdb.insert(record.slot, record);
        Ok(())
    }
    fn delete(&mut self, slot: u32) -> Result<(), Reason> {
        self.fdb.remove(&slot);
        Ok(())
    }
    fn find(&self, slot: u32) -> Option<FdbRecord> {
        self.fdb.get(&slot).copied()
    }
}

impl Database for Model {
    fn clear(&mut self, subsystem: Subsystem) {
        match subsystem {
            Subsystem::Module => {}
            Subsystem::Config => self.config.clear(),
            Subsystem::Ports => self.ports.clear(),
            Subsystem::Vlans => self.vlans.clear(),
            Subsystem::Stp => self.stp.clear(),
            Subsystem::Fdb => self.fdb.clear(),
        }
    }

    fn digest(&self, subsystem: Subsystem) -> Digest {
        fn sum<K, R: Record>(map: &BTreeMap<K, R>) -> Digest {
            map.values().map(Record::hash).collect()
        }
        match subsystem {
            Subsystem::Module => Digest::default(),
            Subsystem::Config => sum(&self.config),
            Subsystem::Ports => sum(&self.ports),
            Subsystem::Vlans => sum(&self.vlans),
            Subsystem::Stp => sum(&self.stp),
            Subsystem::Fdb => sum(&self.fdb),
        }
    }
}

pub fn port(number: u16) -> PortNo {
    PortNo::new(number).unwrap()
}

pub fn vid(number: u16) -> VlanId {
    VlanId::new(number).unwrap()
}

pub fn ports(numbers: &[u16]) -> PortSet {
    numbers.iter().map(|&number| port(number)).collect()
}

/// An address that was just learned.
pub fn learned(slot: u32, vlan: u16, mac: u16, port: u16) -> FdbRecord {
    FdbRecord {
        slot,
        vlan: vid(vlan),
        mac: Mac::from_u64(0x0200_0000_0000 | u64::from(mac)),
        port,
        flags: 0,
        moves: 0,
        since: 0,
        held: false,
    }
}

/// The key of a domain's bridge (port 0) or port.
pub fn stp_key(domain: &str, port: u16) -> StpKey {
    StpKey {
        domain: DomainName::new(domain).unwrap(),
        port: PortNo::new(port),
    }
}

/// A port of a domain that forwards, or does not.
pub fn stp_port(domain: &str, port: u16, forwards: bool) -> StpRecord {
    let open = flag::LEARN | flag::LEARNING | flag::FORWARD | flag::FORWARDING;
    StpRecord {
        flags: flag::LINK_UP | if forwards { open } else { 0 },
        pst: if forwards { 2 } else { 0 },
        role: if forwards { 1 } else { 3 },
        ..StpRecord::new(stp_key(domain, port))
    }
}

/// Puts all of these records.
pub fn put_all<'r, R: Record + 'r>(open: &mut Open<'_>, records: impl Iterator<Item = &'r R>) {
    for record in records {
        open.put(record);
    }
}

/// A switch with something of everything.
pub fn switch() -> Model {
    let mut model = Model::default();
    let config = ConfigRecord {
        document: b"switch: s1\nvlans: {default: {id: 1}}\n".to_vec(),
        saved: true,
        file: "s1.yaml".into(),
        ..ConfigRecord::default()
    };
    model.put(config).unwrap();
    for number in [1, 2, 64, 128] {
        let port = PortRecord {
            device: format!("eth{number}"),
            ifindex: 10 + u32::from(number),
            link_up: true,
            enabled: number != 2,
            offload: (number % 3) as u8,
            up: number != 2,
            ..PortRecord::new(port(number))
        };
        model.put(port).unwrap();
    }
    for number in [1, 10, 4094] {
        let vlan = VlanRecord {
            member: ports(&[1, 2, 64, 128]),
            untagged: ports(&[1, 2]),
            forwarding: ports(&[1, 64, 128]),
            learning: ports(&[1, 64]),
            fallback: ports(&[1]),
            flags: 1,
            ..VlanRecord::new(vid(number))
        };
        model.put(vlan).unwrap();
    }
    let bridge = StpRecord {
        mac: Mac([2, 0, 0, 0, 0, 0xb1]),
        root_priority: [0x80; 22],
        root_port: 0x8001,
        root_times: [0, 1, 0, 20, 0, 2, 0, 15],
        topology_changes: 3,
        topology_change_at: 86_000,
        ..StpRecord::new(stp_key("s0", 0))
    };
    model.put(bridge).unwrap();
    for (port, forwards) in [(1, true), (64, false)] {
        let mut record = StpRecord {
            mbps: 10_000,
            port_priority: [0x40; 22],
            port_times: [0, 1, 0, 20, 0, 2, 0, 15],
            designated_priority: [0x70; 22],
            designated_times: [0, 2, 0, 20, 0, 2, 0, 15],
            ppm: 2,
            bdm: 1,
            pim: 2,
            prt: 2,
            tcm: 2,
            info_is: 0,
            selected_role: 1,
            fd: 86_401,
            rcvd_info: 86_406,
            prx: 1,
            ..stp_port("s0", port, forwards)
        };
        record.counters[2] = 1000;
        record.counters[19] = 1;
        model.put(record).unwrap();
    }
    for n in 0..40 {
        model
            .put(learned(u32::from(n) * 3, 10, n, 1 + n % 2))
            .unwrap();
    }
    let moved = FdbRecord {
        flags: 0,
        moves: 7,
        since: 86_400,
        held: true,
        ..learned(2, 1, 900, 128)
    };
    model.put(moved).unwrap();
    let blackhole = FdbRecord {
        flags: 3,
        ..learned(5, 4094, 901, 0)
    };
    model.put(blackhole).unwrap();
    model
}

pub fn hello(slot: ModuleSlot) -> Hello {
    Hello {
        image: "primary".into(),
        fdb_buckets: 1 << 14,
        fdb_seed: 0x1234_5678_9abc_def0,
        ..Hello::new(slot, "0.1.0", "s1", 4711)
    }
}

/// A master's half, a standby's half and its database. Nothing moves by itself.
pub struct Pair {
    pub sender: Sender,
    pub receiver: Receiver,
    pub database: Model,
    pub now: u64,
    /// All octets that the master sent.
    pub said: Vec<u8>,
    /// All octets that the standby sent.
    pub answered: Vec<u8>,
}

/// How many messages these octets are.
pub fn messages(mut octets: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(header) = octets.get(..HEADER) {
        let length = u32::from_le_bytes(header[28..32].try_into().unwrap());
        octets = &octets[HEADER + length as usize..];
        count += 1;
    }
    count
}

impl Pair {
    pub fn new() -> Self {
        Self::with(sender::Limits::default(), receiver::Limits::default())
    }

    pub fn with(master: sender::Limits, standby: receiver::Limits) -> Self {
        Self {
            sender: Sender::new(0, &hello(ModuleSlot::MsmA), master),
            receiver: Receiver::new(0, &hello(ModuleSlot::MsmB), standby),
            database: Model::default(),
            now: 0,
            said: Vec::new(),
            answered: Vec::new(),
        }
    }

    /// What the standby says reaches the master.
    pub fn up(&mut self) {
        let bytes = self.receiver.outgoing().to_vec();
        self.receiver.sent(bytes.len());
        self.answered.extend(&bytes);
        self.sender.receive(self.now, &bytes).unwrap();
    }

    /// At most this many octets reach the standby.
    pub fn down(&mut self, octets: usize) {
        let outgoing = self.sender.outgoing();
        let bytes = outgoing[..octets.min(outgoing.len())].to_vec();
        self.sender.sent(bytes.len());
        self.said.extend(&bytes);
        self.receiver
            .receive(self.now, &bytes, &mut self.database)
            .unwrap();
    }

    /// Everything reaches the other side.
    pub fn pump(&mut self) {
        while !(self.sender.outgoing().is_empty() && self.receiver.outgoing().is_empty()) {
            self.down(usize::MAX);
            self.up();
        }
    }

    /// Drives all bulk transfers that are due, from this model.
    pub fn bulk(&mut self, model: &Model) {
        self.pump();
        while let Some(subsystem) = self.sender.next_bulk() {
            self.sender.begin_bulk(self.now, subsystem);
            let mut open = self.sender.begin(self.now);
            match subsystem {
                Subsystem::Module => {}
                Subsystem::Config => put_all(&mut open, model.config.values()),
                Subsystem::Ports => put_all(&mut open, model.ports.values()),
                Subsystem::Vlans => put_all(&mut open, model.vlans.values()),
                Subsystem::Stp => put_all(&mut open, model.stp.values()),
                Subsystem::Fdb => put_all(&mut open, model.fdb.values()),
            }
            open.commit();
            self.sender.end_bulk(self.now, subsystem);
            self.pump();
        }
    }

    /// A pair whose standby is ready with this model.
    pub fn ready(model: &Model) -> Self {
        let mut pair = Self::new();
        pair.bulk(model);
        assert!(pair.sender.ready() && pair.receiver.ready());
        pair.sender.take_events();
        pair.receiver.take_events();
        pair
    }
}
