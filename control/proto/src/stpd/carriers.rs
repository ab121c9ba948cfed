//! What BPDUs of a domain look like on a port, and which domain a frame is for.

use super::domain::Enabled;
use crate::config::{Config, StpEncapsulation, StpdConfig, StpdName};
use hitless_common::PortNo;
use hitless_wire::bpdu::{Encapsulation, PVST_DESTINATION, STP_DESTINATION};
use hitless_wire::ether::{Header, Tci};
use std::collections::BTreeMap;

/// How a domain speaks on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Voice {
    own: Option<Encapsulation>,
    plain_too: bool,
}

impl Voice {
    /// In which encapsulations it says everything.
    pub fn encapsulations(self) -> impl Iterator<Item = Encapsulation> {
        let plain = self.plain_too.then_some(Encapsulation::Dot1d);
        plain.into_iter().chain(self.own)
    }
}

/// The domains that take BPDUs: of each port, by encapsulation.
#[derive(Clone, Debug, Default)]
pub(super) struct Carriers(BTreeMap<PortNo, Vec<(Encapsulation, StpdName)>>);

impl Carriers {
    /// Those of the enabled domains of a configuration with their ports.
    ///
    /// PVST+ on the native VLAN is spoken with plain BPDUs beside its own, and both are taken; but plain ones belong to
    /// the domain that speaks nothing else, if the port is in one.
    pub fn of<'e>(config: &Config, enabled: impl Iterator<Item = &'e Enabled<'e>>) -> Self {
        let mut carriers: BTreeMap<PortNo, Vec<_>> = BTreeMap::new();
        for enabled in enabled {
            for &port in &enabled.ports {
                if let Some(encapsulation) = encapsulation(config, enabled.stpd, port) {
                    let takers = carriers.entry(port).or_default();
                    takers.push((encapsulation, enabled.name));
                }
            }
        }
        for takers in carriers.values_mut() {
            takers.sort_by_key(|&(encapsulation, _)| encapsulation);
            // Of two that want the same, which a checked configuration has not, the later one takes it.
            takers.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    *earlier = *later;
                }
                same
            });
            let native = |e| matches!(e, Encapsulation::PvstPlus { tagged: false, .. });
            if let Err(place) = find(takers, Encapsulation::Dot1d)
                && let Some(&(_, name)) = takers.iter().find(|&&(e, _)| native(e))
            {
                takers.insert(place, (Encapsulation::Dot1d, name));
            }
        }
        Self(carriers)
    }

    /// The domain that takes BPDUs of a port in this encapsulation.
    pub fn taker(&self, port: PortNo, encapsulation: Encapsulation) -> Option<StpdName> {
        let takers = self.0.get(&port)?;
        let place = find(takers, encapsulation).ok()?;
        Some(takers[place].1)
    }

    /// How a domain speaks on a port.
    pub fn voice(
        &self,
        config: &Config,
        (name, stpd): (StpdName, &StpdConfig),
        port: PortNo,
    ) -> Voice {
        let own = encapsulation(config, stpd, port);
        let plain = self.taker(port, Encapsulation::Dot1d) == Some(name);
        Voice {
            own,
            plain_too: plain && own != Some(Encapsulation::Dot1d),
        }
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
                .0
                .get(&port)?
                .iter()
                .map(|&(encapsulation, _)| encapsulation)
                .find(|e| matches!(e, Encapsulation::PvstPlus { tagged: false, .. })),
            _ => None,
        }
    }
}

/// Where an encapsulation stands among those of a port, or would stand.
fn find(
    takers: &[(Encapsulation, StpdName)],
    encapsulation: Encapsulation,
) -> Result<usize, usize> {
    takers.binary_search_by_key(&encapsulation, |&(e, _)| e)
}

/// The encapsulation of a domain on a port.
fn encapsulation(config: &Config, stpd: &StpdConfig, port: PortNo) -> Option<Encapsulation> {
    match stpd.encapsulation(port) {
        StpEncapsulation::Dot1d => Some(Encapsulation::Dot1d),
        StpEncapsulation::Emistp => stpd.tag.map(Encapsulation::Emistp),
        StpEncapsulation::PvstPlus => stpd.tag.map(|vlan| {
            let untagged = config.ports.get(&port).and_then(|port| port.untagged);
            let tagged = untagged != Some(vlan);
            Encapsulation::PvstPlus { vlan, tagged }
        }),
    }
}
