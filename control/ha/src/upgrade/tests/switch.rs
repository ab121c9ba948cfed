//! The simulated switch. One tick is a tenth of a second.

use std::collections::BTreeMap;

use super::*;
use crate::cause::Cause;
use crate::slot::ModuleSlot;

pub const TICK_MS: u64 = 100;
/// From the start of a process to its being standby, and from there to ready.
const START_TICKS: u64 = 2;
const READY_TICKS: u64 = 5;
/// Starts of an image that fails at once, before the boot takes the other bank.
const STARTS: u32 = 3;

/// What the new image is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    Good,
    CrashesAtStart,
    NeverReady,
    PanicsAfter(u64),
    Drops,
    MovesProtocols,
    OldIsNotReadyBeside,
    DoesNotInstall,
}

#[derive(Clone, Debug)]
pub struct Process {
    pub pid: u32,
    pub bank: Bank,
    pub started: u64,
    pub ready: bool,
    pub master_since: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Slot {
    pub selected: Bank,
    pub crashes: u32,
    pub process: Option<Process>,
}

pub struct Switch {
    pub tick: u64,
    pub quality: Quality,
    pub slots: BTreeMap<ModuleSlot, Slot>,
    pub installed: bool,
    pub install: Job,
    pub install_left: u64,
    pub generation: u64,
    pub takeover: Option<Takeover>,
    pub disk: Vec<u8>,
    /// The machine in the memory of the master.
    pub machine: Option<Upgrade>,
    pub failovers: u32,
    pub lost_state: u32,
    pub next_pid: u32,
    pub handed_over: bool,
    pub actions: Vec<Action>,
}

pub const OLD: Bank = Bank::Primary;
pub const NEW: Bank = Bank::Secondary;

pub fn image(bank: Bank) -> Image {
    Image {
        version: if bank == OLD { "0.4.0" } else { "0.5.0" }.into(),
        bank,
        factory: false,
        git: String::new(),
        sha256: String::new(),
    }
}

impl Switch {
    pub fn new(quality: Quality) -> Self {
        let slot = Slot {
            selected: OLD,
            crashes: 0,
            process: None,
        };
        let mut switch = Self {
            tick: 0,
            quality,
            slots: ModuleSlot::BOTH.map(|name| (name, slot.clone())).into(),
            installed: false,
            install: Job::Idle,
            install_left: 0,
            generation: 0,
            takeover: None,
            disk: Vec::new(),
            machine: None,
            failovers: 0,
            lost_state: 0,
            next_pid: 1,
            handed_over: false,
            actions: Vec::new(),
        };
        switch.run(20);
        switch
    }

    pub fn begin(&mut self, mode: Mode, accept_within_s: u32) {
        let upgrade = Upgrade::new(
            self.now(),
            "x.img".into(),
            mode,
            image(OLD),
            image(NEW),
            accept_within_s,
            &self.observed(),
        );
        self.disk = upgrade.journal().to_octets();
        self.machine = Some(upgrade);
    }

    pub fn now(&self) -> Now {
        Now {
            unix_ms: 1_000_000 + self.tick * TICK_MS,
            boot_ms: self.tick * TICK_MS,
        }
    }

    pub fn journal(&self) -> Journal {
        Journal::parse(&self.disk).unwrap()
    }

    pub fn master(&self) -> Option<ModuleSlot> {
        let is_master = |slot: &Slot| {
            slot.process
                .as_ref()
                .is_some_and(|p| p.master_since.is_some())
        };
        self.slots
            .iter()
            .find(|(_, slot)| is_master(slot))
            .map(|(name, _)| *name)
    }

    pub fn bank_of(&self, slot: ModuleSlot) -> Option<Bank> {
        self.slots[&slot].process.as_ref().map(|p| p.bank)
    }

    pub fn kill(&mut self, slot: ModuleSlot) {
        let slot = self.slots.get_mut(&slot).unwrap();
        if let Some(process) = slot.process.take()
            && process.master_since.is_some()
        {
            self.machine = None;
            self.install = Job::Idle;
        }
    }

    fn running(&self, slot: ModuleSlot) -> Option<Running> {
        let process = self.slots[&slot].process.as_ref()?;
        Some(Running {
            slot,
            version: image(process.bank).version,
            bank: Some(process.bank),
            pid: process.pid,
        })
    }

    pub fn observed(&self) -> Observed {
        let master = self.master().unwrap();
        let is_new = self.bank_of(master) == Some(NEW);
        let standby = self.running(master.other()).filter(|running| {
            let process = self.slots[&running.slot].process.as_ref().unwrap();
            self.tick >= process.started + START_TICKS
        });
        let tx_failed = if is_new && self.quality == Quality::Drops {
            3
        } else {
            0
        };
        let root = if is_new && self.quality == Quality::MovesProtocols {
            "discarding"
        } else {
            "forwarding"
        };
        let sample = |tick: u64| Sample {
            boot_ms: tick * TICK_MS,
            frames: tick * 1_000,
            drops: [
                ("tx-failed".to_owned(), tx_failed),
                ("same-port".to_owned(), tick * 7),
            ]
            .into(),
        };
        Observed {
            master: self.running(master).unwrap(),
            generation: self.generation,
            standby: standby.map(|running| Standby {
                ready: self.slots[&running.slot].process.as_ref().unwrap().ready,
                state: "xfr".into(),
                running,
            }),
            selected: self
                .slots
                .iter()
                .map(|(name, slot)| (*name, slot.selected))
                .collect(),
            install: self.install.clone(),
            takeover: self.takeover.clone(),
            counters: sample(self.tick),
            minute: sample(self.tick.saturating_sub(600)),
            recent: sample(self.tick.saturating_sub(10)),
            protocols: [("s0 port 1".to_owned(), root.to_owned())].into(),
        }
    }

    pub fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.step();
        }
    }

    /// Until the upgrade is in this step, or a minute and a half has passed.
    pub fn run_to(&mut self, step: Step) -> bool {
        for _ in 0..900 {
            if self.journal().step == step {
                return true;
            }
            self.step();
        }
        false
    }

    pub fn step(&mut self) {
        self.tick += 1;
        self.start();
        self.promote();
        self.get_ready();
        if self.install == Job::Running {
            self.install_left = self.install_left.saturating_sub(1);
            if self.install_left == 0 {
                self.installed = self.quality != Quality::DoesNotInstall;
                self.install = match self.installed {
                    true => Job::Done,
                    false => Job::Failed("no space".into()),
                };
            }
        }
        for action in self.plan() {
            self.act(action);
        }
    }

    /// What the machine wants; it is on disk then.
    pub fn plan(&mut self) -> Vec<Action> {
        if self.master().is_none() {
            return Vec::new();
        }
        if self.machine.is_none() && !self.disk.is_empty() {
            self.machine = Some(Upgrade::resume(self.journal()));
        }
        let (now, observed) = (self.now(), self.observed());
        let Some(machine) = &mut self.machine else {
            return Vec::new();
        };
        let actions = machine.advance(now, &observed);
        self.disk = machine.journal().to_octets();
        actions
    }

    pub fn act(&mut self, action: Action) {
        self.actions.push(action.clone());
        match action {
            Action::Install => {
                assert!(
                    ModuleSlot::BOTH
                        .iter()
                        .all(|slot| self.bank_of(*slot) != Some(NEW)),
                    "a bank is written that runs"
                );
                (self.install, self.install_left) = (Job::Running, 10);
            }
            Action::Select { slot, bank } => {
                assert!(
                    bank == OLD || self.installed,
                    "a bank is selected that holds nothing"
                );
                let slot = self.slots.get_mut(&slot).unwrap();
                (slot.selected, slot.crashes) = (bank, 0);
            }
            Action::Reboot { slot } => {
                assert_ne!(Some(slot), self.master());
                self.kill(slot);
                self.slots.get_mut(&slot).unwrap().crashes = 0;
            }
            Action::Failover => {
                let master = self.master().unwrap();
                let standby = self.slots[&master.other()].process.as_ref().unwrap();
                assert!(standby.ready, "a failover to a standby that is not ready");
                self.failovers += 1;
                self.handed_over = true;
                self.kill(master);
            }
        }
    }

    fn start(&mut self) {
        let is_bad =
            |bank: Bank, quality: Quality| bank == NEW && quality == Quality::CrashesAtStart;
        for slot in self
            .slots
            .values_mut()
            .filter(|slot| slot.process.is_none())
        {
            let bank = match slot.crashes >= STARTS {
                true => slot.selected.other(),
                false => slot.selected,
            };
            if is_bad(bank, self.quality) {
                slot.crashes += 1;
                continue;
            }
            slot.process = Some(Process {
                pid: self.next_pid,
                bank,
                started: self.tick,
                ready: false,
                master_since: None,
            });
            self.next_pid += 1;
        }
    }

    fn promote(&mut self) {
        if let Some(master) = self.master() {
            let process = self.slots[&master].process.as_ref().unwrap();
            let since = process.master_since.unwrap();
            match self.quality {
                Quality::PanicsAfter(ticks)
                    if process.bank == NEW && self.tick >= since + ticks =>
                {
                    self.kill(master)
                }
                _ => return,
            }
        }
        let announced = std::mem::take(&mut self.handed_over);
        let tick = self.tick;
        let up = self
            .slots
            .values_mut()
            .filter_map(|slot| slot.process.as_mut());
        let heir = up
            .filter(|p| tick >= p.started + START_TICKS)
            .max_by_key(|p| p.ready);
        if let Some(heir) = heir {
            self.takeover = Some(Takeover {
                cause: if announced {
                    Cause::OperatorCommand
                } else {
                    Cause::SoftwareException
                },
                hitless: heir.ready,
                detail: None,
                took_us: 1_000,
            });
            self.lost_state += u32::from(!heir.ready);
            heir.master_since = Some(tick);
            heir.ready = false;
            self.generation += 1;
        }
    }

    fn get_ready(&mut self) {
        let Some(master) = self.master() else {
            return;
        };
        let since = self.slots[&master]
            .process
            .as_ref()
            .unwrap()
            .master_since
            .unwrap();
        let master_is_new = self.bank_of(master) == Some(NEW);
        let (tick, quality) = (self.tick, self.quality);
        let standby = self.slots.get_mut(&master.other()).unwrap();
        if let Some(process) = &mut standby.process {
            let bars = match quality {
                Quality::NeverReady => process.bank == NEW,
                Quality::OldIsNotReadyBeside => process.bank == OLD && master_is_new,
                _ => false,
            };
            let up = process.started.max(since) + START_TICKS;
            process.ready = !bars && tick >= up + READY_TICKS;
        }
    }
}
