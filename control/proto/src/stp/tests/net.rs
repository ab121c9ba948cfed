//! A network of bridges with an explicit clock: links with delay, loss and reordering, and switches that crash.
//!
//! Time is in milliseconds. After every single action (a port closed or opened in some hardware) the network is
//! asked for a loop.

use crate::stp::*;
use crate::time::Epoch;
use hitless_common::{Mac, PortNo};
use hitless_wire::bpdu::Bpdu;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Numbers by chance, the same for the same seed.
#[derive(Clone, Debug)]
pub(super) struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

/// A LAN: two stations, or a shared segment.
#[derive(Clone, Debug)]
pub(super) struct Lan {
    pub ends: Vec<(usize, PortNo)>,
    pub up: bool,
    /// Frames of before it last went down do not arrive.
    generation: u32,
}

/// A switch: its hardware stays when its bridge is gone.
#[derive(Clone, Debug)]
pub(super) struct Switch {
    pub config: BridgeConfig,
    pub bridge: Option<Bridge>,
    pub hardware: BTreeMap<PortNo, Opening>,
    pub checkpoint: Option<Saved>,
    /// Seconds that it had a bridge.
    pub epoch: u32,
}

/// What a standby has of a switch.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    config: BridgeConfig,
    parameters: BTreeMap<PortNo, PortConfig>,
    pub bridge: SavedBridge,
    pub ports: Vec<SavedPort>,
}

impl Saved {
    pub fn of(bridge: &Bridge, epoch: u32) -> Self {
        let (state, now) = (bridge.state(), Epoch::new(epoch));
        let version = state.config.force_version;
        let ports = bridge.ports();
        Self {
            config: state.config,
            parameters: ports.iter().map(|p| (p.number, p.config)).collect(),
            bridge: SavedBridge::of(state, now),
            ports: ports
                .iter()
                .map(|p| SavedPort::of(p, version, now))
                .collect(),
        }
    }

    pub fn at(&self, epoch: u32) -> Checkpoint {
        let parameters = |port| self.parameters.get(&port).copied();
        let now = Epoch::new(epoch);
        Checkpoint::of_saved(&self.bridge, &self.ports, self.config, parameters, now)
    }
}

#[derive(Clone, Debug)]
enum What {
    Tick(usize),
    Deliver(usize, PortNo, Bpdu, usize, u32),
    Link(usize, PortNo, usize),
    Resume(usize),
}

/// When a switch is to crash: before its action of this number, counted from when it is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct CrashPlan {
    pub switch: usize,
    pub before_action: usize,
    /// Whether checkpoints that need not be waited for get through.
    pub fresh: bool,
    pub down_for: u64,
}

/// Something that happened, for the tests to look at.
#[derive(Clone, Debug)]
#[allow(dead_code)] // What is not looked at is shown when a test fails.
pub(super) enum Seen {
    Sent(PortNo, Bpdu),
    Log(Event),
    Flushed(Flush),
}

pub(super) struct Net {
    pub now: u64,
    pub switches: Vec<Switch>,
    pub lans: Vec<Lan>,
    pub chance: Chance,
    pub loss: u64,
    pub reorder: bool,
    /// Loops are looked for.
    pub watch: bool,
    /// For how long a loop may last.
    pub patience: u64,
    loop_since: Option<u64>,
    pub record: bool,
    pub seen: Vec<(u64, usize, Seen)>,
    pub crash: Option<CrashPlan>,
    pub actions: usize,
    pub crashed: bool,
    /// When a role or opening last changed anywhere.
    pub last_change: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    waiting: BTreeMap<u64, What>,
    sequence: u64,
}

pub(super) fn port(n: usize) -> PortNo {
    PortNo::new(n as u16).unwrap()
}

pub(super) fn mac(n: usize) -> Mac {
    Mac([2, 0, 0, 0, (n >> 8) as u8, n as u8])
}

pub(super) fn link(up: bool, full_duplex: bool) -> Link {
    Link {
        up,
        mbps: 1000,
        full_duplex,
    }
}

impl Net {
    pub fn new(seed: u64) -> Self {
        Self {
            now: 0,
            switches: Vec::new(),
            lans: Vec::new(),
            chance: Chance(seed),
            loss: 0,
            reorder: false,
            watch: true,
            patience: 0,
            loop_since: None,
            record: false,
            seen: Vec::new(),
            crash: None,
            actions: 0,
            crashed: false,
            last_change: 0,
            queue: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            sequence: 0,
        }
    }

    pub fn switch(&mut self, config: BridgeConfig) -> usize {
        let n = self.switches.len();
        self.switches.push(Switch {
            config,
            bridge: Some(Bridge::new(config).unwrap()),
            hardware: BTreeMap::new(),
            checkpoint: None,
            epoch: 1,
        });
        let phase = self.chance.next() % 1000;
        self.at(self.now + 1 + phase, What::Tick(n));
        n
    }

    /// A LAN of these switches, up; gives back its number.
    pub fn lan(&mut self, switches: &[usize], config: PortConfig) -> usize {
        let full_duplex = switches.len() <= 2;
        let mut ends = Vec::new();
        for &n in switches {
            let number = port(self.switches[n].hardware.len() + 1);
            ends.push((n, number));
            self.switches[n]
                .hardware
                .insert(number, Opening::Discarding);
            let add = Input::AddPort {
                port: number,
                config,
                link: link(false, full_duplex),
            };
            self.input(n, add);
        }
        self.lans.push(Lan {
            ends,
            up: false,
            generation: 0,
        });
        let l = self.lans.len() - 1;
        self.set_lan(l, true);
        l
    }

    /// Both ends learn of it at once, or nearly.
    pub fn set_lan(&mut self, l: usize, up: bool) {
        let lan = &mut self.lans[l];
        lan.up = up;
        lan.generation += 1;
        for (n, number) in lan.ends.clone() {
            let after = self.chance.next() % 3;
            self.at(self.now + after, What::Link(n, number, l));
        }
    }

    fn at(&mut self, when: u64, what: What) {
        self.sequence += 1;
        self.queue.push(Reverse((when, self.sequence)));
        self.waiting.insert(self.sequence, what);
    }

    pub fn run_for(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while let Some(&Reverse((when, sequence))) = self.queue.peek() {
            if when > end {
                break;
            }
            self.queue.pop();
            self.now = when;
            let what = self.waiting.remove(&sequence).unwrap();
            self.happen(what);
        }
        self.now = end;
        let lasting = self
            .loop_since
            .is_some_and(|since| end - since > self.patience);
        assert!(!(self.watch && lasting), "a loop at {end} ms lasts");
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Tick(n) => {
                self.at(self.now + 1000, What::Tick(n));
                let switch = &mut self.switches[n];
                switch.epoch += u32::from(switch.bridge.is_some());
                self.input(n, Input::Tick);
            }
            What::Deliver(n, number, bpdu, l, generation) => {
                if self.lans[l].generation == generation {
                    self.input(n, Input::Bpdu { port: number, bpdu });
                }
            }
            What::Link(n, number, l) => {
                let lan = &self.lans[l];
                let link = link(lan.up, lan.ends.len() <= 2);
                self.input(n, Input::Link { port: number, link });
            }
            What::Resume(n) => self.resume(n),
        }
    }

    pub fn input(&mut self, n: usize, input: Input) {
        let Some(bridge) = &mut self.switches[n].bridge else {
            return;
        };
        let output = bridge.step(input).unwrap();
        self.act(n, output);
    }

    /// Takes a switch's processes away.
    pub fn kill(&mut self, n: usize, down_for: u64) {
        self.crashed = true;
        self.switches[n].bridge = None;
        self.at(self.now + down_for, What::Resume(n));
    }

    fn resume(&mut self, n: usize) {
        let switch = &mut self.switches[n];
        let hardware: Vec<_> = switch.hardware.iter().map(|(&p, &o)| (p, o)).collect();
        let (bridge, output) = match &switch.checkpoint {
            Some(saved) => Bridge::resume(saved.at(switch.epoch), &hardware).unwrap(),
            None => panic!("a switch crashed before its first checkpoint"),
        };
        let config = switch.config;
        let other_config = bridge.state().config != config;
        switch.bridge = Some(bridge);
        self.act(n, output);
        // What became of the links and of the configuration is read afterwards.
        let lans = self.lans.clone();
        for lan in &lans {
            let full_duplex = lan.ends.len() <= 2;
            for &(_, port) in lan.ends.iter().filter(|(end, _)| *end == n) {
                let link = link(lan.up, full_duplex);
                self.input(n, Input::Link { port, link });
            }
        }
        if other_config {
            self.input(n, Input::Bridge(config));
        }
    }

    /// What is due before the next action: nothing, or the end of the switch.
    fn dies(&mut self, n: usize) -> bool {
        let Some(plan) = self.crash.filter(|plan| plan.switch == n) else {
            return false;
        };
        if self.actions == plan.before_action {
            self.crash = None;
            self.kill(n, plan.down_for);
            return true;
        }
        self.actions += 1;
        false
    }

    /// Does an output in its order; a crash comes between any two actions of it.
    fn act(&mut self, n: usize, output: Output) {
        for event in &output.events {
            if matches!(event, Event::Role { .. } | Event::Opening { .. }) {
                self.last_change = self.now;
            }
            if self.record {
                self.seen.push((self.now, n, Seen::Log(*event)));
            }
        }
        for (number, opening) in output.close {
            if self.dies(n) {
                return;
            }
            self.program(n, number, opening);
        }
        for flush in output.flush {
            if self.dies(n) {
                return;
            }
            if self.record {
                self.seen.push((self.now, n, Seen::Flushed(flush)));
            }
        }
        let fresh = self.crash.is_none_or(|plan| plan.fresh || plan.switch != n);
        if output.sync || fresh {
            if self.dies(n) {
                return;
            }
            let switch = &mut self.switches[n];
            let epoch = switch.epoch;
            switch.checkpoint = switch.bridge.as_ref().map(|b| Saved::of(b, epoch));
        }
        for (number, opening) in output.open {
            if self.dies(n) {
                return;
            }
            self.program(n, number, opening);
        }
        for (number, bpdu) in output.send {
            if self.dies(n) {
                return;
            }
            self.send(n, number, bpdu);
        }
    }

    fn program(&mut self, n: usize, number: PortNo, opening: Opening) {
        self.switches[n].hardware.insert(number, opening);
        if !self.watch {
            return;
        }
        let lans = self.a_loop();
        self.loop_since = lans.map(|_| self.loop_since.unwrap_or(self.now));
        let lasted = self.loop_since.map(|since| self.now - since);
        if let Some(lans) = lans
            && (self.patience == 0 || lasted > Some(self.patience))
        {
            panic!(
                "at {} ms switch {n} port {number} became {opening:?}: a loop through LAN {lans}\n{:#?}",
                self.now,
                self.seen
                    .iter()
                    .rev()
                    .take(120)
                    .rev()
                    .map(|s| format!("{s:?}"))
                    .collect::<Vec<_>>()
            );
        }
    }

    fn send(&mut self, n: usize, number: PortNo, bpdu: Bpdu) {
        if self.record {
            self.seen.push((self.now, n, Seen::Sent(number, bpdu)));
        }
        let Some(l) = self
            .lans
            .iter()
            .position(|lan| lan.ends.contains(&(n, number)))
        else {
            return;
        };
        if !self.lans[l].up {
            return;
        }
        let generation = self.lans[l].generation;
        for (other, to) in self.lans[l].ends.clone() {
            if (other, to) == (n, number) || self.chance.percent(self.loss) {
                continue;
            }
            // Without reordering, frames of one instant keep their order by their sequence.
            let jitter = if self.reorder {
                self.chance.next() % 8
            } else {
                0
            };
            self.at(
                self.now + 2 + jitter,
                What::Deliver(other, to, bpdu, l, generation),
            );
        }
    }

    /// A LAN on a loop of forwarding ports: switches and LANs are the nodes, forwarding ports the edges between them.
    pub fn a_loop(&self) -> Option<usize> {
        let switches = self.switches.len();
        let mut parent: Vec<usize> = (0..switches + self.lans.len()).collect();
        fn find(parent: &mut [usize], mut x: usize) -> usize {
            while parent[x] != x {
                parent[x] = parent[parent[x]];
                x = parent[x];
            }
            x
        }
        for (l, lan) in self.lans.iter().enumerate().filter(|(_, lan)| lan.up) {
            for (n, number) in &lan.ends {
                if self.switches[*n].hardware[number] != Opening::Forwarding {
                    continue;
                }
                let a = find(&mut parent, *n);
                let b = find(&mut parent, switches + l);
                if a == b {
                    return Some(l);
                }
                parent[a] = b;
            }
        }
        None
    }
}
