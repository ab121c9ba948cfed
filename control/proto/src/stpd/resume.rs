//! Another process goes on with the domains of a switch.

use super::domain::{Member, Plan};
use super::{PortFacts, Stpds};
use crate::config::{Config, StpdConfig, StpdName};
use crate::stp::{Bridge, Checkpoint, InputError, Opening, PortState, SavedBridge, SavedPort};
use crate::time::Epoch;
use hitless_common::map::vlans::VlanEntry;
use hitless_common::{Mac, PortNo, VlanId};
use std::collections::BTreeMap;

/// What is saved of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedStpd {
    /// Its bridge.
    pub bridge: SavedBridge,
    /// Its ports.
    pub ports: Vec<SavedPort>,
}

impl Stpds {
    /// Goes on with the domains of a configuration from what was saved together with it, at the epoch that stood still
    /// since. Every overlay counts as changed. The frames of the first [`Stpds::take_work`] are the first act of this
    /// process: what the one before would have sent. `mac` counts only where nothing is saved.
    ///
    /// `hardware` is what VLANS has of a VLAN. Where it and the saved state differ, the more closed of the two counts
    /// until the protocol decides anew (design invariant 4). The links in `ports` are those of now; what changed of them
    /// since follows at once.
    ///
    /// A domain without a saved bridge begins anew, and so does a port without a saved state.
    ///
    /// # Errors
    /// As for [`Stpds::configure`]; the switch goes on beside it.
    pub fn resume(
        mac: Mac,
        config: &Config,
        ports: &BTreeMap<PortNo, PortFacts>,
        mut saved: BTreeMap<StpdName, SavedStpd>,
        hardware: &dyn Fn(VlanId) -> VlanEntry,
        epoch: Epoch,
    ) -> (Self, Result<(), (StpdName, InputError)>) {
        let mut macs = saved.values().map(|saved| saved.bridge.state.config.mac);
        let mac = macs.find(|mac| mac.is_station()).unwrap_or(mac);
        let mut stpds = Self::new(mac, epoch);
        let plan = Plan::of(config, ports, mac);
        for (&name, (stpd, members)) in &plan.domains {
            let Some(saved) = saved.remove(&name) else {
                continue;
            };
            let checkpoint = checkpoint(&saved, stpd, mac, members, epoch);
            let real = real(config, stpd, &checkpoint, hardware);
            // What can not be resumed begins anew below.
            if let Ok(resumed) = Bridge::resume(checkpoint, &real) {
                stpds.run(name, stpd, resumed, members);
            }
        }
        let followed = stpds.follow(plan);
        (stpds, followed)
    }
}

/// The state of a domain at this epoch. Ports that take no part in it any more are left out.
fn checkpoint(
    saved: &SavedStpd,
    stpd: &StpdConfig,
    mac: Mac,
    members: &BTreeMap<PortNo, Member>,
    epoch: Epoch,
) -> Checkpoint {
    let config = stpd.bridge(mac);
    let parameters = |port| members.get(&port).map(|member| member.config);
    Checkpoint::of_saved(&saved.bridge, &saved.ports, config, parameters, epoch)
}

/// What the hardware lets the ports of a domain do: of the VLANs that a port carries, the one counts in which it does
/// least.
fn real(
    config: &Config,
    stpd: &StpdConfig,
    checkpoint: &Checkpoint,
    hardware: &dyn Fn(VlanId) -> VlanEntry,
) -> Vec<(PortNo, Opening)> {
    let entries: Vec<_> = stpd.vlans.iter().map(|&v| (v, hardware(v))).collect();
    let learns = |vlan| config.vlans.get(&vlan).is_some_and(|vlan| vlan.learning);
    let opening = |port: &PortState| {
        let number = port.number;
        let settings = config.ports.get(&number);
        let carried = entries
            .iter()
            .filter(|(vlan, _)| settings.is_some_and(|port| port.is_member(*vlan)));
        let least = carried.map(|&(vlan, entry)| {
            if entry.forwarding.has(number.get()) {
                Opening::Forwarding
            } else if !learns(vlan) {
                // Where nothing is learned, a port that does not forward may be in either state.
                port.opening().min(Opening::Learning)
            } else if entry.learning.has(number.get()) {
                Opening::Learning
            } else {
                Opening::Discarding
            }
        });
        (number, least.min().unwrap_or_default())
    };
    checkpoint.ports.iter().map(opening).collect()
}
