//! A master: the order of its steps is that of the daemon's `master` and `module::primary`.

use super::database::{Memory, fdb_record};
use super::events::{Event, all_ports, config, vid};
use super::hardware::{BUCKETS, Hardware, SEED, VLANS, Write, no_more_open, snapshot, writes};
use hitless_common::map::events::LearnEvent;
use hitless_common::map::fdb::{FdbEntry, FdbKey};
use hitless_common::map::vlans::{PortSet, VlanEntry};
use hitless_common::{Mac, PortNo, VlanId};
use hitless_ha::audit::{self, Change, Effect};
use hitless_ha::message::TransactionId;
use hitless_ha::record::{
    ConfigRecord, DomainName, FdbRecord, PortRecord, Record, StpKey, StpRecord, VlanRecord,
};
use hitless_ha::schema::Subsystem;
use hitless_ha::sender::{FallBack, Open, Sender};
use hitless_proto::bridge::cells::{self, BucketCells};
use hitless_proto::bridge::learning::{Flush, Learning, Rules, View};
use hitless_proto::bridge::shadow::{Replica, ShadowBucket};
use hitless_proto::bridge::table::{Slot, Slots};
use hitless_proto::config::Config;
use hitless_proto::switch::{narrowed, vlan_entries};
use hitless_proto::time::Epoch;
use std::collections::BTreeMap;

/// Buckets that a step of a bulk transfer looks at.
const BULK_BUCKETS: u32 = 8;

/// What a master has of the forwarding database when it begins.
pub enum Begin<'hw> {
    Adopt(&'hw mut [ShadowBucket]),
    Resume(Replica<'hw>),
}

/// See the module.
pub struct Master<'hw> {
    map: cells::Hardware<'hw>,
    learning: Learning<'hw>,
    /// The hardware as it is, and what was written since the last look.
    pub hardware: Hardware,
    pub written: Vec<Write>,
    pub number: usize,
    config: &'static Config,
    pub up: PortSet,
    pub wanted: Vec<VlanEntry>,
    /// What is open in the hardware and may stay so, or was open when the change began.
    old: Vec<VlanEntry>,
    pub sender: Option<Sender>,
    /// What opens waits for this bracket.
    opening: Option<TransactionId>,
    told: Memory,
    tables_changed: bool,
    fdb_next: u32,
    /// Whether changed slots are listed.
    follows: bool,
    /// Openings that waited for an acknowledgement.
    pub waited: usize,
}

impl<'hw> Master<'hw> {
    /// Begins on this hardware, whose FDB is in `cells`, with the links that are up.
    pub fn start(
        hardware: &Hardware,
        cells: &'hw [BucketCells],
        begin: Begin<'hw>,
        number: usize,
        up: PortSet,
    ) -> Self {
        let config = config(number);
        let map = cells::Hardware::new(cells).unwrap();
        let wanted = wanted(config, &PortSet::EMPTY);
        let view = View {
            vlans: &wanted,
            enabled: enabled(config),
        };
        let rules = rules(config);
        let now = Epoch::new(hardware.epoch);
        let (learning, settled) = match begin {
            Begin::Adopt(memory) => (
                Learning::adopt(map, SEED, memory, rules, &view, now).0,
                true,
            ),
            Begin::Resume(copy) => (Learning::resume(map, SEED, copy, rules, &view), false),
        };
        let mut master = Self {
            map,
            learning,
            hardware: hardware.clone(),
            written: Vec::new(),
            number,
            config,
            up,
            wanted,
            old: hardware.vlans.clone(),
            sender: None,
            opening: None,
            told: Memory::default(),
            tables_changed: true,
            fdb_next: 0,
            follows: false,
            waited: 0,
        };
        master.apply();
        master.checkpoint();
        if !settled {
            while master.learning.is_settling() {
                let view = View {
                    vlans: &master.wanted,
                    enabled: enabled(master.config),
                };
                master.learning.settle(&view, now, 3);
            }
        }
        master.flush_down_ports();
        master
    }

    /// Handles an event up to the point where the standby has to know.
    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Frame { vlan, mac, port } => self.frame(vlan, mac, port),
            Event::Config(number) => {
                self.number = number;
                self.config = config(number);
                self.learning.configure(rules(self.config));
                self.apply();
                self.drop_foreign();
            }
            Event::Link { port, up } => {
                let port = PortNo::new(port).unwrap();
                match up {
                    true => self.up.insert(port),
                    false => self.up.remove(port),
                }
                self.apply();
            }
            Event::Tick => {
                let epoch = self.hardware.epoch + 1;
                self.write(Write::Epoch(epoch));
            }
            Event::Age => {
                let now = Epoch::new(self.hardware.epoch);
                let mut from = Some(Slot::START);
                while let Some(start) = from {
                    from = self.learning.age_slice(now, start, 5).next;
                }
            }
            Event::Flush { port } => {
                self.learning.flush(&Flush {
                    port: PortNo::new(port),
                    ..Flush::default()
                });
            }
            Event::Behind => {}
            Event::FallBack => {
                if let Some(sender) = &mut self.sender {
                    sender.fall_back(FallBack::NoAnswer);
                    self.learning.follow(0);
                    self.follows = false;
                }
            }
        }
        self.look();
    }

    /// What the data path does with a frame: it stamps a source that it knows, and reports another one.
    fn frame(&mut self, vlan: u16, mac: u16, port: u16) {
        let entry = &self.hardware.vlans[usize::from(vlan)];
        if !entry.forwarding.has(port) || !entry.learning.has(port) {
            return;
        }
        let [high, low] = mac.to_be_bytes();
        let key = FdbKey::new(vid(vlan), Mac([2, 0, 0, 0, high, low]));
        let (first, second) = key.buckets(SEED, BUCKETS as u32 - 1);
        let known = [first, second].into_iter().find_map(|bucket| {
            let index = self.map.keys(bucket).iter().position(|k| *k == key)?;
            Some(Slot::new(bucket, index))
        });
        if let Some(slot) = known
            && self.map.entry(slot).port == port
        {
            let flags = self.map.entry(slot).flags;
            let now = Epoch::new(self.hardware.epoch);
            self.map.update(slot, port, flags, now);
            return;
        }
        let event = LearnEvent {
            key,
            port,
            moved: 0,
            reserved: 0,
        };
        let view = View {
            vlans: &self.wanted,
            enabled: enabled(self.config),
        };
        let now = Epoch::new(self.hardware.epoch);
        self.learning.learn(now, &view, &event);
    }

    /// What closes comes first; what opens waits for [`Master::open`].
    fn apply(&mut self) {
        self.old = self.hardware.vlans.clone();
        self.wanted = wanted(self.config, &self.up);
        self.program_vlans(true);
        self.tables_changed = true;
        self.opening = Some(TransactionId::NONE);
        self.flush_down_ports();
    }

    fn open(&mut self) {
        self.opening = None;
        self.program_vlans(false);
    }

    fn program_vlans(&mut self, closing_only: bool) {
        let installed: Vec<_> = self.hardware.vlans.iter().copied().enumerate().collect();
        let wanted: Vec<_> = self.wanted.iter().copied().enumerate().collect();
        for change in audit::diff(wanted, installed, vlan_effect) {
            let Change::Update { key, from, to } = change else {
                panic!("both tables have all VLAN ids");
            };
            if closing_only && narrowed(&from, &to) != to {
                continue;
            }
            self.write(Write::Vlan(key, to));
        }
    }

    /// Forgets addresses behind ports that no longer belong to their VLAN.
    fn drop_foreign(&mut self) {
        for (id, vlan) in self.wanted.clone().iter().enumerate().skip(1) {
            for port in PortNo::all().take(4).filter(|p| !vlan.member.has(p.get())) {
                self.learning.flush(&Flush {
                    port: Some(port),
                    vlan: VlanId::new(id as u16),
                    mac: None,
                });
            }
        }
    }

    fn flush_down_ports(&mut self) {
        if self.learning.is_settling() {
            return;
        }
        let up = self.up.and(&enabled(self.config));
        for port in PortNo::all().take(4).filter(|p| !up.has(p.get())) {
            self.learning.flush(&Flush {
                port: Some(port),
                ..Flush::default()
            });
        }
        self.look();
    }

    /// Notes what was written to the FDB.
    fn look(&mut self) {
        let after = snapshot(&self.map);
        for write in writes(&self.hardware.fdb, &after) {
            self.write(write);
        }
    }

    fn write(&mut self, write: Write) {
        if let Write::Vlan(vid, entry) = write {
            let (old, new) = (&self.old[vid], &self.wanted[vid]);
            let either = VlanEntry {
                forwarding: union(&old.forwarding, &new.forwarding),
                fallback: union(&old.fallback, &new.fallback),
                ..VlanEntry::default()
            };
            assert!(
                no_more_open(&entry, &either),
                "VLAN {vid} is more open than before and after"
            );
        }
        self.hardware.apply(write);
        self.written.push(write);
    }

    /// Tells the standby what has changed, in one bracket, and opens what does not have to wait for it.
    pub fn checkpoint(&mut self) {
        if let Some(sender) = &mut self.sender {
            let mut slots = Vec::new();
            let all = self.learning.take_changes(&mut slots);
            assert!(all || !self.follows, "more changes than events can make");
            if !slots.is_empty() || self.tables_changed {
                let mut open = sender.begin(0);
                if std::mem::take(&mut self.tables_changed) {
                    let now = tables(self.number, self.config, &self.up, &self.wanted);
                    tell(&mut open, &mut self.told, &now);
                }
                for slot in slots {
                    match self.learning.table().slots().copied(slot) {
                        Some(copied) => open.put(&fdb_record(slot, &copied)),
                        None => open.delete::<FdbRecord>(slot.number()),
                    };
                }
                open.commit();
            }
        }
        if self.opening.is_some() {
            let ready = self.sender.as_ref().filter(|sender| sender.ready());
            match ready.map(Sender::committed) {
                Some(id) => self.opening = Some(id),
                None => self.open(),
            }
        }
    }

    /// Opens what waited, if the standby knows of it or no longer counts.
    pub fn settle(&mut self) {
        let Some(id) = self.opening else {
            return;
        };
        let acked = self
            .sender
            .as_ref()
            .filter(|s| s.ready())
            .map(Sender::acked);
        if acked.is_none_or(|acked| acked >= id) {
            self.waited += usize::from(acked.is_some());
            self.open();
        }
    }

    /// Makes a step of the bulk transfer that is due.
    pub fn bulk(&mut self) {
        let Some(sender) = &mut self.sender else {
            return;
        };
        if sender.bulk().is_none() {
            let Some(subsystem) = sender.next_bulk() else {
                return;
            };
            sender.begin_bulk(0, subsystem);
            if subsystem == Subsystem::Fdb {
                self.fdb_next = 0;
                self.learning.follow(1000);
                self.follows = true;
            }
        }
        let Some(subsystem) = sender.bulk() else {
            return;
        };
        let mut open = sender.begin(0);
        if subsystem == Subsystem::Fdb {
            let end = (self.fdb_next + BULK_BUCKETS).min(BUCKETS as u32);
            for number in self.fdb_next * 4..end * 4 {
                let slot = Slot::numbered(number);
                if let Some(copied) = self.learning.table().slots().copied(slot) {
                    open.put(&fdb_record(slot, &copied));
                }
            }
            open.commit();
            self.fdb_next = end;
            if end < BUCKETS as u32 {
                return;
            }
        } else {
            match subsystem {
                Subsystem::Config => self.told.config.clear(),
                Subsystem::Ports => self.told.ports.clear(),
                Subsystem::Stp => self.told.stp.clear(),
                _ => self.told.vlans.clear(),
            }
            let now = tables(self.number, self.config, &self.up, &self.wanted);
            tell(&mut open, &mut self.told, &now);
            open.commit();
        }
        sender.end_bulk(0, subsystem);
    }

    /// What this master knows, as a standby should have it.
    pub fn model(&self) -> Memory {
        let mut model = tables(self.number, self.config, &self.up, &self.wanted);
        let table = self.learning.table();
        model.fdb = table
            .scan(0..BUCKETS as u32)
            .filter_map(|(slot, _)| Some((slot, table.slots().copied(slot)?)))
            .map(|(slot, copied)| (slot.number(), fdb_record(slot, &copied)))
            .collect();
        model
    }
}

/// Everything but the addresses, as records.
fn tables(number: usize, config: &Config, up: &PortSet, wanted: &[VlanEntry]) -> Memory {
    let mut memory = Memory::default();
    let record = ConfigRecord {
        document: number.to_string().into_bytes(),
        saved: number == 0,
        file: "s1.yaml".into(),
        ..ConfigRecord::default()
    };
    memory.config.insert((), record);
    for (&port, settings) in &config.ports {
        let link_up = up.has(port.get());
        let record = PortRecord {
            device: format!("p{port}"),
            ifindex: 100 + u32::from(port.get()),
            link_up,
            enabled: settings.enabled,
            up: link_up && settings.enabled,
            ..PortRecord::new(port)
        };
        memory.ports.insert(port, record);
        let key = StpKey {
            domain: DomainName::new("s0").unwrap(),
            port: Some(port),
        };
        let stp = StpRecord {
            flags: u64::from(link_up),
            port_times: [number as u8; 8],
            ..StpRecord::new(key)
        };
        memory.stp.insert(key, stp);
    }
    for (id, entry) in wanted.iter().enumerate().skip(1) {
        let vlan = vid(id as u16);
        if *entry != VlanEntry::default() {
            memory.vlans.insert(vlan, vlan_record(vlan, entry));
        }
    }
    memory
}

fn vlan_record(vlan: VlanId, entry: &VlanEntry) -> VlanRecord {
    VlanRecord {
        vlan,
        member: entry.member,
        untagged: entry.untagged,
        forwarding: entry.forwarding,
        learning: entry.learning,
        fallback: entry.fallback,
        flags: entry.flags,
    }
}

/// Puts what differs from what was told last.
fn tell(open: &mut Open<'_>, told: &mut Memory, now: &Memory) {
    if open.sends(Subsystem::Config) && told.config != now.config {
        open.put(&now.config[&()]);
        told.config.clone_from(&now.config);
    }
    tell_of(open, &mut told.ports, &now.ports);
    tell_of(open, &mut told.vlans, &now.vlans);
    tell_of(open, &mut told.stp, &now.stp);
}

fn tell_of<R>(open: &mut Open<'_>, told: &mut BTreeMap<R::Key, R>, now: &BTreeMap<R::Key, R>)
where
    R: Record<Key: Ord> + Clone + PartialEq,
{
    if !open.sends(R::SUBSYSTEM) {
        return;
    }
    for (key, new) in now {
        match told.get(key) {
            Some(old) if old == new => {}
            Some(old) => drop(open.update(old, new)),
            None => drop(open.put(new)),
        }
    }
    for gone in told.keys().filter(|key| !now.contains_key(key)) {
        open.delete::<R>(*gone);
    }
    told.clone_from(now);
}

fn wanted(config: &Config, up: &PortSet) -> Vec<VlanEntry> {
    let mut entries = vec![VlanEntry::default(); VLANS];
    for (vlan, entry) in vlan_entries(config, &up.and(&enabled(config)), |_| None) {
        entries[usize::from(vlan.get())] = entry;
    }
    entries
}

/// The state in which a configuration leaves the VLANs when all links that are `up` are.
pub fn wanted_of(number: usize, up: &PortSet) -> Vec<VlanEntry> {
    wanted(config(number), up)
}

fn enabled(config: &Config) -> PortSet {
    let enabled: PortSet = config
        .ports
        .iter()
        .filter(|(_, settings)| settings.enabled)
        .map(|(&port, _)| port)
        .collect();
    enabled.and(&all_ports())
}

fn rules(config: &Config) -> Rules {
    Rules {
        capacity: 4 * BUCKETS as u32,
        ..Rules::from(config)
    }
}

fn vlan_effect(change: &Change<usize, VlanEntry>) -> Effect<VlanEntry> {
    let Change::Update { from, to, .. } = change else {
        return Effect::Opens;
    };
    let between = narrowed(from, to);
    match between == *to {
        true => Effect::Closes,
        false => Effect::Both { between },
    }
}

fn union(a: &PortSet, b: &PortSet) -> PortSet {
    a.iter().chain(b.iter()).collect()
}

/// The addresses of an FDB and where they are, wherever they stand.
pub fn addresses(fdb: &[FdbEntry]) -> BTreeMap<u64, (u16, u16)> {
    let used = fdb.iter().filter(|entry| entry.key != FdbKey::FREE);
    used.map(|e| (e.key.0, (e.port, e.flags))).collect()
}
