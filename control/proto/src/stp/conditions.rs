//! Conditions and parameters of the machines (802.1D-2004 17.20).

use super::bridge::Bridge;
use super::params::{CostMethod, ForceVersion};
use super::state::{MIGRATE_TIME, PortState, Role};

impl PortState {
    /// PortPathCost (17.19.20).
    #[must_use]
    pub fn path_cost(&self, method: CostMethod) -> u32 {
        self.config
            .path_cost
            .unwrap_or_else(|| method.cost(self.link.mbps))
    }

    /// EdgeDelay (17.20.4).
    pub(super) const fn edge_delay(&self) -> u16 {
        if self.oper_point_to_point() {
            MIGRATE_TIME
        } else {
            self.max_age()
        }
    }

    /// fdWhile of a disabled port: Max Age (17.29.1). In mode `dot1d` a port listens for Forward Delay once its link is
    /// up.
    pub(super) const fn disabled_fd_while(&self, version: ForceVersion) -> u16 {
        match version {
            ForceVersion::Rstp => self.max_age(),
            ForceVersion::Stp => self.fwd_delay(),
        }
    }

    /// FwdDelay (17.20.6).
    pub(super) const fn fwd_delay(&self) -> u16 {
        self.designated_times.forward_delay
    }

    /// HelloTime (17.20.7).
    pub(super) const fn hello_time(&self) -> u16 {
        self.designated_times.hello
    }

    /// MaxAge (17.20.8).
    pub(super) const fn max_age(&self) -> u16 {
        self.designated_times.max_age
    }

    /// The qualification of the role transitions and transmit machines (17.26, 17.29).
    pub(super) const fn is_selected(&self) -> bool {
        self.selected && !self.updt_info
    }
}

impl Bridge {
    /// rstpVersion (17.20.11); stpVersion (17.20.12) is its opposite.
    pub(super) fn rstp_version(&self) -> bool {
        self.state.config.force_version == ForceVersion::Rstp
    }

    /// allSynced (17.20.3) for a root or alternate port: every port has its role, and all but root ports are
    /// synced.
    pub(super) fn all_synced(&self) -> bool {
        self.ports.iter().all(|p| {
            p.is_selected() && p.role == p.selected_role && (p.synced || p.role == Role::Root)
        })
    }

    /// reRooted (17.20.10): no other port was root port lately.
    pub(super) fn re_rooted(&self, i: usize) -> bool {
        let mut others = self.ports.iter().enumerate().filter(|&(j, _)| j != i);
        others.all(|(_, p)| p.rr_while == 0)
    }

    /// TxHoldCount (17.13.12); 802.1D-1998 has a Hold Time of one second.
    pub(super) fn tx_hold_count(&self) -> u8 {
        if self.rstp_version() {
            self.state.config.tx_hold_count
        } else {
            1
        }
    }
}
