//! What BPDUs of a domain look like on a port, and which domain a frame is for.

use crate::config::{Config, StpEncapsulation, StpdConfig, StpdName};
use hitless_common::{PortNo, VlanId};
use hitless_wire::bpdu::{Encapsulation, PVST_DESTINATION, STP_DESTINATION};
use hitless_wire::ether::{Header, Tci};
use std::collections::BTreeMap;

/// The domains that take BPDUs, by port and encapsulation.
#[derive(Clone, Debug, Default)]
pub(super) struct Carriers(BTreeMap<(PortNo, Encapsulation), StpdName>);

impl Carriers {
    /// Those of the enabled domains of a configuration.
    ///
    /// PVST+ on the native VLAN is spoken with plain BPDUs beside its own, and both are taken; but plain ones belong to
    /// the domain that speaks nothing else, if the port is in one.
    pub fn of(config: &Config) -> Self {
        let mut takers = BTreeMap::new();
        let mut native = Vec::new();
        for (&name, stpd) in config.stpds.iter().filter(|(_, stpd)| stpd.enabled) {
            for port in config.stpd_ports(stpd) {
                let untagged = config.ports.get(&port).and_then(|port| port.untagged);
                let Some(encapsulation) = speaks(stpd, port, untagged) else {
                    continue;
                };
                takers.insert((port, encapsulation), name);
                if matches!(encapsulation, Encapsulation::PvstPlus { tagged: false, .. }) {
                    native.push((port, name));
                }
            }
        }
        for (port, name) in native {
            takers.entry((port, Encapsulation::Dot1d)).or_insert(name);
        }
        Self(takers)
    }

    /// The domain that takes BPDUs of a port in this encapsulation.
    pub fn taker(&self, port: PortNo, encapsulation: Encapsulation) -> Option<StpdName> {
        self.0.get(&(port, encapsulation)).copied()
    }

    /// The encapsulations in which a domain speaks on a port.
    pub fn voices(&self, port: PortNo, stpd: StpdName) -> Vec<Encapsulation> {
        let own = self.on(port).filter(|&(_, name)| name == stpd);
        own.map(|(encapsulation, _)| encapsulation).collect()
    }

    /// Every encapsulation on a port with the domain that takes it and speaks it.
    fn on(&self, port: PortNo) -> impl Iterator<Item = (Encapsulation, StpdName)> + '_ {
        self.0
            .range((port, Encapsulation::Dot1d)..)
            .take_while(move |((p, _), _)| *p == port)
            .map(|(&(_, encapsulation), &name)| (encapsulation, name))
    }

    /// The encapsulation that a frame which is no BPDU was meant to have, by its address and tag.
    pub fn meant(&self, port: PortNo, tag: Option<Tci>, frame: &[u8]) -> Option<Encapsulation> {
        let header = Header::parse(frame).ok()?;
        let vlan = match tag.or(header.tag) {
            Some(tci) => Some(tci.vlan()?),
            None => None,
        };
        match (header.destination, vlan) {
            (STP_DESTINATION, None) => Some(Encapsulation::Dot1d),
            (STP_DESTINATION, Some(vlan)) => Some(Encapsulation::Emistp(vlan)),
            (PVST_DESTINATION, Some(vlan)) => {
                let tagged = true;
                Some(Encapsulation::PvstPlus { vlan, tagged })
            }
            (PVST_DESTINATION, None) => self
                .on(port)
                .map(|(encapsulation, _)| encapsulation)
                .find(|e| matches!(e, Encapsulation::PvstPlus { tagged: false, .. })),
            _ => None,
        }
    }
}

/// The encapsulation of a domain on a port whose native VLAN is `untagged`.
fn speaks(stpd: &StpdConfig, port: PortNo, untagged: Option<VlanId>) -> Option<Encapsulation> {
    match stpd.encapsulation(port) {
        StpEncapsulation::Dot1d => Some(Encapsulation::Dot1d),
        StpEncapsulation::Emistp => stpd.tag.map(Encapsulation::Emistp),
        StpEncapsulation::PvstPlus => stpd.tag.map(|vlan| Encapsulation::PvstPlus {
            vlan,
            tagged: untagged != Some(vlan),
        }),
    }
}
