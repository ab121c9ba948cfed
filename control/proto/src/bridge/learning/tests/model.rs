//! Random operations on the real thing and on a model made of one map, compared after each.

use super::*;
use crate::bridge::table::Slots;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Learn {
        vid: u16,
        mac: u16,
        on: u16,
    },
    /// Time goes on.
    Tick {
        seconds: u32,
    },
    /// The data path sees an address that it knows.
    Seen {
        vid: u16,
        mac: u16,
    },
    Age {
        buckets: u32,
    },
    Flush {
        port: Option<u16>,
        vid: Option<u16>,
        mac: Option<u16>,
    },
    /// Of VLAN 10 what is behind some ports, and likewise of VLAN 20.
    FlushWhere {
        ports: [PortSet; 2],
    },
    /// The topology changes in some VLANs.
    Change {
        vids: Vec<u16>,
        ports: PortSet,
        seconds: u32,
    },
    Create {
        vid: u16,
        mac: u16,
        target: StaticTarget,
    },
    Delete {
        vid: u16,
        mac: u16,
    },
    /// A slot of the hardware changes by itself; the audit finds it.
    Damage {
        bucket: u32,
        index: usize,
        entry: FdbEntry,
    },
    /// Another master takes over.
    Restart,
}

const MACS: u16 = 16;

fn vid() -> impl Strategy<Value = u16> {
    prop_oneof![Just(10u16), Just(20)]
}

fn op() -> impl Strategy<Value = Op> {
    let macs = || 0..MACS;
    let ports = || {
        any::<[bool; 4]>().prop_map(|on| {
            (1..=4)
                .filter(|&n| on[usize::from(n) - 1])
                .map(port)
                .collect()
        })
    };
    let target = prop_oneof![
        (1..=4u16).prop_map(|n| StaticTarget::Port(port(n))),
        Just(StaticTarget::Blackhole),
    ];
    let any_entry =
        (vid(), macs(), 0..7u16, 0..4u16, 0..2000u32).prop_map(|(vid, n, port, flags, epoch)| {
            FdbEntry {
                key: FdbKey::new(vlan(vid), mac(n)),
                port,
                flags,
                epoch,
            }
        });
    prop_oneof![
        40 => (vid(), macs(), 1..=6u16).prop_map(|(vid, mac, on)| Op::Learn { vid, mac, on }),
        6 => (0..4u32).prop_map(|seconds| Op::Tick { seconds }),
        8 => (vid(), macs()).prop_map(|(vid, mac)| Op::Seen { vid, mac }),
        4 => (1..20u32).prop_map(|buckets| Op::Age { buckets }),
        2 => (prop::option::of(1..=4u16), prop::option::of(vid()), prop::option::of(macs()))
            .prop_map(|(port, vid, mac)| Op::Flush { port, vid, mac }),
        2 => [ports(), ports()].prop_map(|ports| Op::FlushWhere { ports }),
        2 => (prop::sample::subsequence(vec![10, 20], 0..=2), ports(), 0..5u32)
            .prop_map(|(vids, ports, seconds)| Op::Change { vids, ports, seconds }),
        4 => (vid(), macs(), target).prop_map(|(vid, mac, target)| Op::Create { vid, mac, target }),
        3 => (vid(), macs()).prop_map(|(vid, mac)| Op::Delete { vid, mac }),
        1 => (0..16u32, 0..4usize, any_entry).prop_map(|(bucket, index, entry)| Op::Damage { bucket, index, entry }),
        1 => Just(Op::Restart),
    ]
}

/// What the model knows about an address.
#[derive(Clone, Copy, Debug)]
struct Known {
    port: u16,
    kind: Kind,
    seen: u32,
    /// When it moved, in the interval that began with the first of these moves.
    moves: u32,
    since: u32,
    held: bool,
}

struct Model {
    known: BTreeMap<(u16, u16), Known>,
    /// By VLAN id: ports, seconds, and the last second.
    changes: BTreeMap<u16, (PortSet, u32, u32)>,
    rules: Rules,
    now: u32,
}

impl Model {
    fn on_port(&self, on: u16) -> u32 {
        self.learned().filter(|(_, k)| k.port == on).count() as u32
    }

    fn in_vlan(&self, vid: u16) -> u32 {
        self.learned().filter(|(key, _)| key.0 == vid).count() as u32
    }

    fn learned(&self) -> impl Iterator<Item = (&(u16, u16), &Known)> {
        self.known.iter().filter(|(_, k)| k.kind == Kind::Dynamic)
    }

    /// The ageing time behind a port.
    fn limit(&self, vid: u16, on: u16) -> u32 {
        let (ports, seconds, until) = self.changes.get(&vid).copied().unwrap_or_default();
        let configured = self.rules.ageing_seconds.unwrap();
        if ports.has(on) && self.now <= until {
            configured.min(seconds)
        } else {
            configured
        }
    }

    fn port_is_full(&self, on: u16) -> bool {
        self.rules
            .port_limits
            .get(&port(on))
            .is_some_and(|&limit| self.on_port(on) >= limit)
    }

    fn learn(&mut self, vid: u16, mac: u16, on: u16) -> Learned {
        if on > 4 {
            return Learned::Refused;
        }
        let full = self.port_is_full(on);
        let damping = self.rules.damping.unwrap();
        let Some(known) = self.known.get_mut(&(vid, mac)) else {
            let vlan_limit = self.rules.vlan_limits.get(&vlan(vid));
            if full || vlan_limit.is_some_and(|&limit| self.in_vlan(vid) >= limit) {
                return Learned::Limited;
            }
            if self.known.len() >= self.rules.capacity as usize {
                return Learned::Full;
            }
            let new = Known {
                port: on,
                kind: Kind::Dynamic,
                seen: self.now,
                moves: 0,
                since: 0,
                held: false,
            };
            self.known.insert((vid, mac), new);
            return Learned::New;
        };
        if known.kind != Kind::Dynamic {
            return Learned::Configured;
        }
        if known.port == on {
            return Learned::Known;
        }
        if full {
            return Learned::Limited;
        }
        if known.held {
            if self.now - known.since < damping.hold_seconds {
                return Learned::Damped;
            }
            (known.held, known.moves) = (false, 0);
        }
        if known.moves > 0 && self.now - known.since > damping.within_seconds {
            known.moves = 0;
        }
        if known.moves == damping.moves {
            (known.held, known.since) = (true, self.now);
            return Learned::Damped;
        }
        if known.moves == 0 {
            known.since = self.now;
        }
        let from = port(known.port);
        (known.port, known.seen, known.moves) = (on, self.now, known.moves + 1);
        Learned::Moved { from }
    }
}

struct Pair {
    switch: Switch,
    real: Learning<'static>,
    model: Model,
}

impl Pair {
    fn new() -> Self {
        let rules = Rules {
            capacity: 18,
            ageing_seconds: Some(5),
            damping: Some(Damping {
                moves: 2,
                within_seconds: 2,
                hold_seconds: 4,
            }),
            port_limits: BTreeMap::from([(port(1), 5), (port(2), 7)]),
            vlan_limits: BTreeMap::from([(vlan(20), 9)]),
        };
        // 64 slots for up to 32 keys.
        let switch = Switch::new(32);
        let (real, _) = switch.start(rules.clone(), at(1000));
        Self {
            switch,
            real,
            model: Model {
                known: BTreeMap::new(),
                changes: BTreeMap::new(),
                rules,
                now: 1000,
            },
        }
    }

    fn apply(&mut self, op: &Op) {
        let now = at(self.model.now);
        let view = self.switch.view();
        match *op {
            Op::Learn { vid, mac, on } => {
                let wanted = self.model.learn(vid, mac, on);
                assert_eq!(self.real.learn(now, &view, &event(vid, mac, on)), wanted);
            }
            Op::Tick { seconds } => self.model.now += seconds,
            Op::Seen { vid, mac: n } => {
                let found = self
                    .switch
                    .hardware
                    .read(FdbKey::new(vlan(vid), mac(n)), SEED);
                if let (Some((.., slot)), Some(known)) =
                    (found, self.model.known.get_mut(&(vid, n)))
                {
                    self.switch.hardware.stamp(slot, now);
                    known.seen = self.model.now;
                }
            }
            Op::Age { buckets } => self.age(now, buckets),
            Op::Flush {
                port: on,
                vid,
                mac: n,
            } => {
                let what = Flush {
                    port: on.map(port),
                    vlan: vid.map(vlan),
                    mac: n.map(mac),
                };
                let before = self.model.known.len();
                self.model.known.retain(|key, k| {
                    k.kind != Kind::Dynamic
                        || on.is_some_and(|p| p != k.port)
                        || vid.is_some_and(|v| v != key.0)
                        || n.is_some_and(|m| m != key.1)
                });
                assert_eq!(
                    self.real.flush(&what) as usize,
                    before - self.model.known.len()
                );
            }
            Op::FlushWhere { ports } => {
                let fits = |vid: u16, on: u16| ports[usize::from(vid == 20)].has(on);
                let before = self.model.known.len();
                self.model
                    .known
                    .retain(|key, k| k.kind != Kind::Dynamic || !fits(key.0, k.port));
                assert_eq!(
                    self.real
                        .flush_where(|vlan, port| fits(vlan.get(), port.get()))
                        as usize,
                    before - self.model.known.len()
                );
            }
            Op::Change {
                ref vids,
                ports,
                seconds,
            } => {
                let vlans = vids.iter().map(|&vid| vlan(vid));
                self.real.age_rapidly(now, vlans, &ports, seconds);
                for &vid in vids {
                    let until = now.get() + seconds + 2;
                    let change = match self.model.changes.get(&vid) {
                        Some(&(p, s, u)) if u >= now.get() => {
                            (p.or(&ports), s.min(seconds), u.max(until))
                        }
                        _ => (ports, seconds, until),
                    };
                    self.model.changes.insert(vid, change);
                }
            }
            Op::Create { vid, mac, target } => self.create(now, vid, mac, target),
            Op::Delete { vid, mac: n } => {
                let configured = self
                    .model
                    .known
                    .get(&(vid, n))
                    .is_some_and(|k| k.kind != Kind::Dynamic);
                assert_eq!(
                    self.real.delete_static(vlan(vid), mac(n)).is_ok(),
                    configured
                );
                if configured {
                    self.model.known.remove(&(vid, n));
                }
            }
            Op::Damage {
                bucket,
                index,
                entry,
            } => {
                let slot = Slot::new(bucket, index);
                let before = self.switch.hardware.entry(slot);
                self.switch.hardware.corrupt(slot, &entry);
                self.real.audit_slice(now, Slot::START, u32::MAX);
                // When the address was seen is lost with the slot, unless the damage left something plausible.
                if let Some(known) = before.key.vlan().and_then(|v| {
                    let [.., high, low] = before.key.mac().0;
                    self.model
                        .known
                        .get_mut(&(v.get(), u16::from_be_bytes([high, low])))
                }) {
                    known.seen = self.switch.hardware.entry(slot).epoch;
                }
            }
            Op::Restart => {
                let (real, adopted) = self.switch.start(self.model.rules.clone(), now);
                assert_eq!(
                    adopted,
                    Adopted {
                        entries: self.model.known.len() as u32,
                        ..Adopted::default()
                    }
                );
                assert_eq!(real.stats().writes, 0);
                self.real = real;
                self.model.changes.clear();
                for known in self.model.known.values_mut() {
                    (known.moves, known.since, known.held) = (0, 0, false);
                }
            }
        }
    }

    fn age(&mut self, now: Epoch, buckets: u32) {
        let mut from = Some(Slot::START);
        let mut aged = 0;
        while let Some(at) = from {
            let slice = self.real.age_slice(now, at, buckets);
            (from, aged) = (slice.next, aged + slice.changed);
        }
        let before = self.model.known.len();
        let model = &self.model;
        let old: Vec<_> = model
            .learned()
            .filter(|((vid, _), k)| now.get() - k.seen > model.limit(*vid, k.port))
            .map(|(key, _)| *key)
            .collect();
        self.model.known.retain(|key, _| !old.contains(key));
        assert_eq!(aged as usize, before - self.model.known.len());
    }

    fn create(&mut self, now: Epoch, vid: u16, n: u16, target: StaticTarget) {
        let (port, kind) = match target {
            StaticTarget::Port(port) => (port.get(), Kind::Static),
            StaticTarget::Blackhole => (0, Kind::Blackhole),
        };
        let old = self.model.known.get(&(vid, n)).copied();
        let full = old.is_none() && self.model.known.len() >= self.model.rules.capacity as usize;
        let evictable = self.model.learned().next().is_some();
        let wanted = match old {
            Some(k) if (k.port, k.kind) == (port, kind) => Some(Outcome::Unchanged),
            Some(_) => Some(Outcome::Updated),
            None if full && !evictable => None,
            None => Some(Outcome::Inserted),
        };
        let done = self
            .real
            .create_static(now, &self.switch.view(), vlan(vid), mac(n), target);
        assert_eq!(done.ok(), wanted);
        if full && evictable {
            // Any learned entry may go; exactly one has to.
            let real = &self.real;
            let before = self.model.known.len();
            self.model
                .known
                .retain(|key, _| place(real, key.0, key.1).is_some());
            assert_eq!(self.model.known.len(), before - 1);
        }
        if matches!(wanted, Some(Outcome::Inserted | Outcome::Updated)) {
            let new = Known {
                port,
                kind,
                seen: now.get(),
                moves: 0,
                since: 0,
                held: false,
            };
            self.model.known.insert((vid, n), new);
        }
    }

    fn compare(&mut self) {
        let (entries, next) = self.real.table().page(Slot::START, 100);
        assert_eq!(next, None);
        let real: BTreeMap<_, _> = entries
            .iter()
            .map(|e| (e.key, (e.port, Kind::of(e.flags), e.epoch)))
            .collect();
        let model: BTreeMap<_, _> = self
            .model
            .known
            .iter()
            .map(|(&(vid, n), k)| (FdbKey::new(vlan(vid), mac(n)), (k.port, k.kind, k.seen)))
            .collect();
        assert_eq!(real, model);
        assert_eq!(entries.len(), real.len(), "an address stands twice");
        assert_eq!(self.real.table().len() as usize, model.len());
        for on in 1..=6 {
            assert_eq!(self.real.learned_on(port(on)), self.model.on_port(on));
        }
        for vid in [10, 20] {
            assert_eq!(self.real.learned_in(vlan(vid)), self.model.in_vlan(vid));
        }
        assert_hardware_equals_copy(&mut self.real, at(self.model.now));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn learning_is_as_the_model_says(ops in prop::collection::vec(op(), 0..250)) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.apply(op);
            pair.compare();
        }
    }
}
