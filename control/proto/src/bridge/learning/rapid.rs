//! Rapid ageing: while the topology changes, addresses that are not heard of are forgotten sooner
//! (IEEE 802.1D-1998 8.3.5; 802.1D-2004 17.19.7 for a bridge that runs as STP).

use super::Learning;
use crate::time::Epoch;
use hitless_common::map::vlans::PortSet;
use hitless_common::{PortNo, VlanId};
use std::collections::BTreeMap;

/// Seconds beyond the ageing time for which rapid ageing goes on: ages are counted in whole seconds, and a pass through
/// the table takes up to one.
const MARGIN: u32 = 2;

/// The VLANs where the topology changes.
#[derive(Debug, Default)]
pub(super) struct Rapid {
    periods: BTreeMap<VlanId, Period>,
}

#[derive(Clone, Copy, Debug)]
struct Period {
    ports: PortSet,
    seconds: u32,
    /// The last epoch of the period.
    until: Epoch,
}

impl Rapid {
    fn begin(&mut self, now: Epoch, vlan: VlanId, mut period: Period) {
        if let Some(earlier) = self.periods.get(&vlan).filter(|p| p.until >= now) {
            // As in 802.1D-1998, where one time is that of all ports.
            period.ports = period.ports.or(&earlier.ports);
            period.seconds = period.seconds.min(earlier.seconds);
            period.until = period.until.max(earlier.until);
        }
        self.periods.insert(vlan, period);
    }

    /// Forgets the periods that are over.
    pub fn forget(&mut self, now: Epoch) {
        self.periods.retain(|_, period| period.until >= now);
    }

    /// The shortest ageing time anywhere; `None` if the topology changes nowhere.
    pub fn shortest(&self) -> Option<u32> {
        self.periods.values().map(|period| period.seconds).min()
    }

    /// The ageing time of what is behind a port, if the topology changes there.
    pub fn seconds(&self, vlan: VlanId, port: PortNo) -> Option<u32> {
        let period = self.periods.get(&vlan)?;
        period.ports.has(port.get()).then_some(period.seconds)
    }
}

impl Learning<'_> {
    /// The topology changes: what is learned in these VLANs behind these ports ages within `seconds` for a while. Whoever
    /// is not heard of from now on is forgotten within `seconds` and two more, if every call of [`Learning::age_slice`]
    /// comes in time for [`Learning::pass_seconds`].
    pub fn age_rapidly(
        &mut self,
        now: Epoch,
        vlans: impl IntoIterator<Item = VlanId>,
        ports: &PortSet,
        seconds: u32,
    ) {
        let period = Period {
            ports: *ports,
            seconds,
            until: Epoch::new(now.get().saturating_add(seconds).saturating_add(MARGIN)),
        };
        for vlan in vlans {
            self.rapid.begin(now, vlan, period);
        }
    }

    /// Seconds in which one pass of [`Learning::age_slice`] should go through the whole table: a twentieth of the ageing
    /// time, 15 s at most, and one while addresses age rapidly somewhere. `None` if nothing ages.
    pub fn pass_seconds(&mut self, now: Epoch) -> Option<u32> {
        self.rapid.forget(now);
        if self.rapid.shortest().is_some() {
            return Some(1);
        }
        Some((self.rules.ageing_seconds? / 20).clamp(1, 15))
    }
}
