//! What learning has to know about ports and VLANs, in the tables that the master keeps of them anyway.

use hitless_common::map::events::LearnEvent;
use hitless_common::map::fdb::{FdbEntry, FdbKey, flag};
use hitless_common::map::vlans::{ENTRIES, PortSet, VlanEntry, flag as vlan_flag};
use hitless_common::{Mac, PortNo, VlanId};

/// The flags of a blackhole entry.
pub(super) const BLACKHOLE: u16 = flag::STATIC | flag::BLACKHOLE;

/// Ports and VLANs as the master wants them in the hardware.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The VLANS table by VLAN id; a VLAN beyond its end does not exist. Addresses are learned on the ports of
    /// [`VlanEntry::learning`].
    pub vlans: &'a [VlanEntry],
    /// Ports that exist and are enabled.
    pub enabled: PortSet,
}

/// The source of a learning event, found valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub key: FdbKey,
    pub vlan: VlanId,
    pub port: PortNo,
}

impl View<'_> {
    fn vlan(&self, vlan: VlanId) -> Option<&VlanEntry> {
        self.vlans
            .get(usize::from(vlan.get()))
            .filter(|v| v.flags & vlan_flag::EXISTS != 0)
    }

    /// Whether the VLAN exists.
    #[must_use]
    pub fn has_vlan(&self, vlan: VlanId) -> bool {
        self.vlan(vlan).is_some()
    }

    /// Whether the VLAN exists and the port is a member of it.
    #[must_use]
    pub fn is_member(&self, vlan: VlanId, port: PortNo) -> bool {
        self.vlan(vlan).is_some_and(|v| v.member.has(port.get()))
    }

    /// The source of an event, if it may be learned where it was seen.
    pub(super) fn source(&self, event: &LearnEvent) -> Option<Source> {
        let key = event.key;
        let (vlan, port) = (key.vlan()?, PortNo::new(event.port)?);
        let entry = self.vlan(vlan)?;
        let learns = entry
            .learning
            .and(&entry.member)
            .and(&self.enabled)
            .has(port.get());
        (learns && may_be_known(key.mac())).then_some(Source { key, vlan, port })
    }

    /// Whether addresses are learned in the VLAN behind the port.
    pub(super) fn learns(&self, vlan: VlanId, port: u16) -> bool {
        self.vlan(vlan)
            .is_some_and(|v| v.learning.and(&v.member).has(port))
    }

    /// By VLAN id, the ports behind which it may have learned entries, whether or not it learns there now.
    pub(super) fn learned_ports(&self) -> Box<[PortSet]> {
        (0..ENTRIES as u16)
            .map(|id| VlanId::new(id).and_then(|vlan| self.vlan(vlan)))
            .map(|vlan| vlan.map_or(PortSet::EMPTY, |v| v.member.and(&self.enabled)))
            .collect()
    }

    /// Whether this switch would have written the entry.
    pub(super) fn accepts(&self, entry: &FdbEntry) -> bool {
        let Some(vlan) = entry.key.vlan().and_then(|id| self.vlan(id)) else {
            return false;
        };
        let member = PortNo::new(entry.port).is_some_and(|port| vlan.member.has(port.get()));
        may_be_known(entry.key.mac())
            && match entry.flags {
                0 => member && self.enabled.has(entry.port),
                flag::STATIC => member,
                BLACKHOLE => entry.port == 0,
                _ => false,
            }
    }
}

/// Whether the FDB may have an entry for the address: group addresses, zero and the addresses of control
/// protocols never get one (IEEE 802.1Q-2018 8.7).
#[inline]
pub(super) fn may_be_known(mac: Mac) -> bool {
    mac.is_station() && !mac.is_control()
}
