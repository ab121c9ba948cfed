//! What of the domains is saved: one record for each bridge and each port.

use super::Stpds;
use crate::config::StpdName;
use crate::stp::{SavedBridge, SavedPort};
use hitless_common::PortNo;

/// A record: the bridge of a domain, or one of its ports.
pub type StpKey = (StpdName, Option<PortNo>);

impl Stpds {
    /// Keys of records that changed, came or went since this was last asked. Counters alone make none; they go along
    /// with what else changes, and by themselves every 30 s.
    pub fn take_dirty(&mut self) -> Vec<StpKey> {
        let mut keys = std::mem::take(&mut self.gone);
        let mut dirty = Vec::new();
        for domain in self.domains.values_mut() {
            domain.take_dirty(&mut dirty);
        }
        for key in &dirty {
            keys.remove(key);
        }
        dirty.extend(keys);
        dirty
    }

    /// Keys of all records.
    #[must_use]
    pub fn all_keys(&self) -> Vec<StpKey> {
        self.domains.values().flat_map(|d| d.keys()).collect()
    }

    /// The record of a domain's bridge; `None` if there is no such domain.
    #[must_use]
    pub fn saved_bridge(&self, stpd: &StpdName) -> Option<SavedBridge> {
        self.domains.get(stpd).map(|domain| domain.saved_bridge())
    }

    /// The record of a domain's port; `None` if there is no such domain or port.
    #[must_use]
    pub fn saved_port(&self, stpd: &StpdName, port: PortNo) -> Option<SavedPort> {
        self.domains.get(stpd)?.saved_port(port)
    }

    /// Ports that left their domains.
    pub(super) fn forget_gone_ports(&mut self) {
        for domain in self.domains.values_mut() {
            let name = *domain.name();
            let gone = domain.take_gone().into_iter();
            self.gone.extend(gone.map(|port| (name, Some(port))));
        }
    }
}
