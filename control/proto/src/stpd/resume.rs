//! Another process goes on with the domains of a switch.

use super::domain::{Domain, Enabled, Member, Plan};
use super::work::Pending;
use super::{PortFacts, Stpds};
use crate::config::{Config, StpdConfig, StpdName};
use crate::stp::{Bridge, Checkpoint, InputError, Opening, PortState, SavedBridge, SavedPort};
use crate::time::Epoch;
use hitless_common::map::vlans::VlanEntry;
use hitless_common::{Mac, PortNo, VlanId};
use std::collections::BTreeMap;
use std::thread;

/// What is saved of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedStpd {
    /// Its bridge.
    pub bridge: SavedBridge,
    /// Its ports.
    pub ports: Vec<SavedPort>,
}

/// So many domains are shared with another processor.
const MANY: usize = 8;

/// A domain that is to go on.
type Left<'p> = (&'p Enabled<'p>, SavedStpd);

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
        hardware: &(dyn Fn(VlanId) -> VlanEntry + Sync),
        epoch: Epoch,
    ) -> (Self, Result<(), (StpdName, InputError)>) {
        let mut macs = saved.values().map(|saved| saved.bridge.state.config.mac);
        let mac = macs.find(|mac| mac.is_station()).unwrap_or(mac);
        let mut stpds = Self::new(mac, epoch);
        stpds.facts.clone_from(ports);
        let plan = Plan::of(config, ports, mac);
        let mut left: Vec<_> = Vec::with_capacity(plan.domains.len());
        for (name, enabled) in &plan.domains {
            left.extend(saved.remove(name).map(|saved| (enabled, saved)));
        }
        let resume = |(enabled, saved): Left<'_>, pending: &mut Pending| {
            let &Enabled { name, stpd, .. } = enabled;
            let members = plan.members(enabled);
            let checkpoint = checkpoint(&saved, stpd, mac, &members, epoch);
            let real = real(config, stpd, &checkpoint, hardware);
            // What can not be resumed begins anew below.
            let (bridge, output) = Bridge::resume(checkpoint, &real).ok()?;
            let mut domain = Domain::new(name, stpd, bridge, &members, epoch, saved.ports);
            domain.begin(output, pending);
            let followed = domain.follow_members(mac, &members, pending);
            Some((domain, followed))
        };
        let resume_all = |left: Vec<Left<'_>>| {
            let mut pending = Pending::default();
            let ports = left.iter().map(|(enabled, _)| enabled.ports.len());
            pending.frames.reserve(ports.sum());
            let resumed = left.into_iter();
            let resumed: Vec<_> = resumed.filter_map(|d| resume(d, &mut pending)).collect();
            (resumed, pending)
        };
        // One domain is not concerned with another, and a takeover waits: half of many are left to another processor.
        let others = match left.len() {
            ..MANY => Vec::new(),
            all => left.split_off(all / 2),
        };
        let parts = thread::scope(|scope| {
            let helper = (!others.is_empty()).then(|| scope.spawn(|| resume_all(others)));
            let own = resume_all(left);
            // It panics where this thread would; then those domains begin anew.
            let others = helper.map(|helper| helper.join().unwrap_or_default());
            [own, others.unwrap_or_default()]
        });
        let mut result = Ok(());
        for (resumed, pending) in parts {
            stpds.pending.add(pending);
            for (domain, followed) in resumed {
                result = result.and(followed.map_err(|error| (*domain.name(), error)));
                stpds.run(domain);
            }
        }
        for (&name, enabled) in &plan.domains {
            if !stpds.domains.contains_key(&name) {
                let begun = stpds.begin(name, enabled.stpd, &plan.members(enabled));
                result = result.and(begun.map_err(|error| (name, error)));
            }
        }
        stpds.know(plan.carriers);
        (stpds, result)
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
