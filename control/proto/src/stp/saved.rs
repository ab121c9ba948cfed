//! The state of a bridge as it is kept by others: timers as the time at which they run out, so that time alone changes
//! nothing, and nothing that belongs to one process.

use super::machine::pti::Held;
use super::params::{BridgeConfig, ForceVersion, Link, PortConfig};
use super::state::{BridgeState, Checkpoint, MIGRATE_TIME, PortState};
use crate::time::Epoch;
use hitless_common::{Mac, PortNo};

/// In [`Deadlines`]: the timer stands where the state of the port holds it, at its full value.
pub const HELD: u32 = u32::MAX;

/// Longest time on any timer of a port in seconds, but for the guard's: Max Age and Forward Delay (17.21.7).
const LONGEST: u32 = 70;

/// Longest time until a port that its guard had shut is opened again, in seconds.
const LONGEST_GUARD: u32 = 3600;

/// When the timers of a port run out, as the number of that [`Epoch`]: 0, the timer does not run; [`HELD`], it is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// Of edgeDelayWhile (17.17.1).
    pub edge_delay: u32,
    /// Of fdWhile (17.17.2).
    pub fd: u32,
    /// Of mdelayWhile (17.17.4).
    pub mdelay: u32,
    /// Of rbWhile (17.17.5).
    pub rb: u32,
    /// Of rcvdInfoWhile (17.17.6).
    pub rcvd_info: u32,
    /// Of rrWhile (17.17.7).
    pub rr: u32,
    /// Of tcWhile (17.17.8).
    pub tc: u32,
    /// Of the time until a port that its BPDU guard had shut is opened again.
    pub guard: u32,
}

/// A port as it is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedPort {
    /// Its state. These say nothing: `config`, which is saved with the configuration; the timers, see `deadlines`;
    /// `tx_count`, `rcvd_bpdu` and `rcvd_msg`, which end with a process.
    pub state: PortState,
    /// Its timers.
    pub deadlines: Deadlines,
}

/// A bridge as it is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedBridge {
    /// Its state. Of `config`, which is saved with the configuration, only the address counts; for
    /// `since_topology_change` see `changed_at`.
    pub state: BridgeState,
    /// Number of the epoch of the last topology change, or of the bridge's beginning.
    pub changed_at: u32,
}

impl SavedBridge {
    /// A bridge of this address that hears nobody, to be filled in from a record.
    #[must_use]
    pub const fn blank(mac: Mac) -> Self {
        Self {
            state: BridgeState::begin(BridgeConfig::new(mac)),
            changed_at: 0,
        }
    }

    /// The bridge at this epoch.
    #[must_use]
    pub const fn of(state: &BridgeState, now: Epoch) -> Self {
        Self {
            state: BridgeState {
                config: BridgeConfig::new(state.config.mac),
                since_topology_change: 0,
                ..*state
            },
            changed_at: now.get().saturating_sub(state.since_topology_change),
        }
    }

    /// The state that it is at this epoch, with these parameters.
    #[must_use]
    pub const fn at(&self, now: Epoch, config: BridgeConfig) -> BridgeState {
        BridgeState {
            config,
            since_topology_change: now.get().saturating_sub(self.changed_at),
            ..self.state
        }
    }
}

impl SavedPort {
    /// A port as it begins, to be filled in from a record.
    #[must_use]
    pub fn blank(number: PortNo) -> Self {
        let nowhere = BridgeState::begin(BridgeConfig::new(Mac([0; 6])));
        let state = PortState::begin(&nowhere, number, PortConfig::DEFAULT, Link::default());
        Self {
            state: stripped(&state),
            deadlines: Deadlines::default(),
        }
    }

    /// The port at this epoch.
    #[must_use]
    pub fn of(port: &PortState, version: ForceVersion, now: Epoch) -> Self {
        let held = port.held(version);
        let deadline = |seconds: u16, held: Option<u16>| match (seconds, held) {
            (_, Some(_)) => HELD,
            (0, None) => 0,
            (seconds, None) => now.get().saturating_add(seconds.into()).min(HELD - 1),
        };
        Self {
            state: stripped(port),
            deadlines: Deadlines {
                edge_delay: deadline(port.edge_delay_while, held.edge_delay),
                fd: deadline(port.fd_while, held.fd),
                mdelay: deadline(port.mdelay_while, held.mdelay),
                rb: deadline(port.rb_while, held.rb),
                rcvd_info: deadline(port.rcvd_info_while, None),
                rr: deadline(port.rr_while, held.rr),
                tc: deadline(port.tc_while, None),
                guard: deadline(port.guard_while, None),
            },
        }
    }

    /// The state that it is at this epoch, with these parameters. A timer that ran when it was saved runs for another
    /// second at least: what it is for was not done.
    #[must_use]
    pub fn at(&self, now: Epoch, config: PortConfig, version: ForceVersion) -> PortState {
        let mut port = PortState {
            config,
            ..stripped(&self.state)
        };
        let Held {
            edge_delay,
            fd,
            mdelay,
            rb,
            rr,
        } = port.held(version);
        let left = |deadline: u32, longest: u32, full: u16| match deadline {
            0 => 0,
            HELD => full,
            _ => deadline.saturating_sub(now.get()).clamp(1, longest) as u16,
        };
        let deadlines = &self.deadlines;
        // Held in the checkpoint, but not by the state with these parameters: as long as it is held at most.
        let forward_delay = port.fwd_delay();
        port.edge_delay_while = left(
            deadlines.edge_delay,
            LONGEST,
            edge_delay.unwrap_or(MIGRATE_TIME),
        );
        port.fd_while = left(deadlines.fd, LONGEST, fd.unwrap_or(port.max_age()));
        port.mdelay_while = left(deadlines.mdelay, LONGEST, mdelay.unwrap_or(MIGRATE_TIME));
        port.rb_while = left(
            deadlines.rb,
            LONGEST,
            rb.unwrap_or(port.hello_time().saturating_mul(2)),
        );
        port.rcvd_info_while = left(deadlines.rcvd_info, LONGEST, 0);
        port.rr_while = left(deadlines.rr, LONGEST, rr.unwrap_or(forward_delay));
        port.tc_while = left(deadlines.tc, LONGEST, 0);
        port.guard_while = left(deadlines.guard, LONGEST_GUARD, 0);
        port
    }
}

/// A port's state without parameters, timers, and what ends with a process.
const fn stripped(port: &PortState) -> PortState {
    PortState {
        config: PortConfig::DEFAULT,
        edge_delay_while: 0,
        fd_while: 0,
        hello_when: 0,
        mdelay_while: 0,
        rb_while: 0,
        rcvd_info_while: 0,
        rr_while: 0,
        tc_while: 0,
        tx_count: 0,
        guard_while: 0,
        rcvd_bpdu: None,
        rcvd_msg: None,
        ..*port
    }
}

impl Checkpoint {
    /// The checkpoint that these are at this epoch, with parameters as configured. Ports without are left out.
    #[must_use]
    pub fn of_saved(
        bridge: &SavedBridge,
        ports: &[SavedPort],
        config: BridgeConfig,
        parameters: impl Fn(PortNo) -> Option<PortConfig>,
        now: Epoch,
    ) -> Self {
        let state = |saved: &SavedPort| {
            let config_of_port = parameters(saved.state.number)?;
            Some(saved.at(now, config_of_port, config.force_version))
        };
        Self {
            bridge: bridge.at(now, config),
            ports: ports.iter().filter_map(state).collect(),
        }
    }
}
