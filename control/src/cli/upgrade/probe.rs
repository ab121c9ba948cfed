//! The probe flow of an upgrade: between which ports there can be one, and what follows from a lost frame.

use serde::Serialize;
use std::fs;

use hitless_common::{Mac, PortNo, VlanId};
use hitless_proto::config::VlanRef;

use crate::cli::failure::Failure;
use crate::cli::render::upgrade::thousands;
use crate::cli::session::Session;
use crate::grammar::PortPair;
use crate::northbound::api::{
    ApiError, ErrorKind, FdbKind, FdbPage, FdbRow, LinkState, ModuleRole, PortInfo, Reply, Request,
    UpgradeCheck, VlanInfo,
};
use crate::northbound::client::{Client, ClientError};
use crate::probe::{Count, Flow, Path};

/// What a flow is between two ports, or why there is none.
pub(super) struct Route {
    ports: PortPair,
    found: Result<Found, String>,
}

/// Where frames of a flow go.
#[derive(Debug)]
struct Found {
    vlan: VlanId,
    path: Path,
}

impl Route {
    /// As one of the checks before an upgrade.
    pub(super) fn check(&self) -> UpgradeCheck {
        let PortPair { from, to } = self.ports;
        UpgradeCheck {
            check: "probe".into(),
            passed: self.found.is_ok(),
            detail: match &self.found {
                Ok(Found { vlan, path }) => format!(
                    "from port {from} to {} behind port {to} in VLAN {vlan}",
                    path.destination
                ),
                Err(why) => why.clone(),
            },
        }
    }

    /// Begins.
    pub(super) fn start(self) -> Result<Flow, Failure> {
        let PortPair { from, to } = self.ports;
        let refused = |why: String| Failure::from(ApiError::new(ErrorKind::Refused, why));
        let Found { path, .. } = self.found.map_err(refused)?;
        Flow::start(&path).map_err(|e| {
            refused(format!(
                "probe: {e}, from port {from} to {} behind port {to}; nothing was changed; `hitless show ports {from}` and \
                 `hitless show counters` tell what becomes of frames, and without probe the upgrade needs no flow",
                path.destination
            ))
        })
    }
}

impl Session {
    /// Looks for a way from one port to the other.
    pub(super) fn probe_route(&mut self, ports: PortPair) -> Result<Route, Failure> {
        let found = match self.probe_path(ports) {
            Ok(found) => Ok(found),
            Err(No::Flow(why)) => Err(why),
            Err(No::Answer(failure)) => return Err(failure),
        };
        Ok(Route { ports, found })
    }

    fn probe_path(&mut self, PortPair { from, to }: PortPair) -> Result<Found, No> {
        let [from_port, to_port] = [self.probe_port(from)?, self.probe_port(to)?];
        let vlan = from_port.pvid.ok_or_else(|| {
            No::Flow(format!(
                "port {from} has no native VLAN, in which untagged frames travel; name a port that has one, or `configure \
                 vlan … add ports {from} untagged`"
            ))
        })?;
        let reference = VlanRef::Id(vlan);
        let info = self.probe_vlan(&reference)?;
        for port in [from, to] {
            if !info.forwarding.contains(&port) {
                let is_member = info.untagged.contains(&port) || info.tagged.contains(&port);
                return Err(No::Flow(match is_member {
                    true => format!(
                        "port {port} does not forward in VLAN {vlan}, the native VLAN of port {from}; see `hitless show \
                         stpd`, or name another port"
                    ),
                    false => format!(
                        "port {port} is not in VLAN {vlan}, the native VLAN of port {from}; name two ports of one VLAN"
                    ),
                }));
            }
        }
        let destination = self.probe_station(&reference, to)?.ok_or_else(|| {
            No::Flow(format!(
                "no address is known behind port {to} in VLAN {vlan}, so frames for it would go out of every port; let a \
                 station speak there, or `create fdbentry` one"
            ))
        })?;
        self.in_the_same_place()?;
        let path = Path {
            from: from_port.device,
            to: to_port.device,
            destination,
        };
        path.look().map_err(|e| No::Flow(e.to_string()))?;
        Ok(Found { vlan, path })
    }

    /// A port that frames can pass.
    fn probe_port(&mut self, port: PortNo) -> Result<PortInfo, No> {
        let request = Request::ShowPorts { port: Some(port) };
        let found = match self.follower.show(|client| client.call(&request)) {
            Ok(Reply::Ports(ports)) => ports.into_iter().find(|found| found.port == port),
            Ok(other) => return Err(self.follower.unexpected(&other).into()),
            Err(Failure::Refused(e)) if e.kind == ErrorKind::NotFound => None,
            Err(failure) => return Err(failure.into()),
        };
        let Some(found) = found else {
            return Err(No::Flow(format!(
                "there is no port {port}; name two of `hitless show ports`"
            )));
        };
        let why = match (found.enabled, found.link) {
            (true, LinkState::Up) => return Ok(found),
            (false, _) => format!("is disabled; `enable ports {port}`, or name another"),
            (true, link) => format!(
                "has its link {link} (device {}); mend that, or name another",
                found.device
            ),
        };
        Err(No::Flow(format!("port {port} {why}")))
    }

    fn probe_vlan(&mut self, vlan: &VlanRef) -> Result<VlanInfo, No> {
        let request = Request::ShowVlan {
            vlan: Some(vlan.clone()),
        };
        match self.follower.show(|client| client.call(&request))? {
            Reply::Vlans(vlans) if vlans.len() == 1 => Ok(vlans
                .into_iter()
                .next()
                .ok_or_else(|| No::Flow(format!("there is no VLAN {vlan}")))?),
            other => Err(self.follower.unexpected(&other).into()),
        }
    }

    /// The station behind a port that is most likely to stay there: a configured one, else the one that spoke last.
    fn probe_station(&mut self, vlan: &VlanRef, port: PortNo) -> Result<Option<Mac>, No> {
        let mut best: Option<FdbRow> = None;
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let page = self.follower.show(|client| page(client, vlan, port, at))?;
            let rows = page
                .entries
                .into_iter()
                .filter(|row| row.port == Some(port));
            best = best
                .into_iter()
                .chain(rows)
                .min_by_key(|row| (row.kind != FdbKind::Static, row.age_seconds, row.mac));
            let good = best.is_some_and(|row| row.kind == FdbKind::Static || row.age_seconds == 0);
            cursor = page.next.filter(|next| *next > at && !good);
        }
        Ok(best.map(|row| row.mac))
    }

    /// Devices of one name may be in several network namespaces.
    fn in_the_same_place(&mut self) -> Result<(), No> {
        let switch = match self
            .follower
            .show(|client| client.call(&Request::ShowSwitch {}))?
        {
            Reply::Switch(switch) => switch,
            other => return Err(self.follower.unexpected(&other).into()),
        };
        let master = switch.modules.iter().find(|m| m.role == ModuleRole::Master);
        let place = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
        let places = [
            master.and_then(|master| place(&master.pid.to_string())),
            place("self"),
        ];
        // Who may not look, or does not see the master's process, learns it from the devices, or from the frames.
        let [Some(switch), Some(own)] = places else {
            return Ok(());
        };
        if switch == own {
            return Ok(());
        }
        Err(No::Flow(
            "the switch's ports are in another network namespace than this command; give it where hitlessd runs, such as by \
             `ip netns exec`"
                .into(),
        ))
    }
}

/// A page of the addresses behind a port.
fn page(
    client: &mut Client,
    vlan: &VlanRef,
    port: PortNo,
    cursor: u64,
) -> Result<FdbPage, ClientError> {
    let request = Request::ShowFdb {
        vlan: Some(vlan.clone()),
        port: Some(port),
        mac: None,
        cursor,
        limit: 0,
    };
    match client.call(&request)? {
        Reply::Fdb(page) => Ok(page),
        other => Err(client.unexpected(&other)),
    }
}

/// Why there is no way for a flow.
enum No {
    /// It could not be found out.
    Answer(Failure),
    /// There is none between these ports.
    Flow(String),
}

impl From<Failure> for No {
    fn from(failure: Failure) -> Self {
        Self::Answer(failure)
    }
}

/// What whoever follows an upgrade needs of a flow.
pub(super) trait Counted {
    /// What has become of its frames so far.
    fn count(&self) -> Count;
    /// Lets it wait, and what is under way arrive.
    fn settle(&self) -> Count;
    /// Goes on.
    fn resume(&self);
    /// Why it ended; `None` while it goes on.
    fn broken(&self) -> Option<String>;
}

impl Counted for Flow {
    fn count(&self) -> Count {
        Self::count(self)
    }

    fn settle(&self) -> Count {
        Self::settle(self)
    }

    fn resume(&self) {
        Self::resume(self);
    }

    fn broken(&self) -> Option<String> {
        Self::broken(self)
    }
}

/// A flow during an upgrade.
pub(super) struct Watch<'a> {
    flow: &'a dyn Counted,
    ports: PortPair,
    /// Why the switch does not go back.
    pub(super) refused: Option<String>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(flow: &'a dyn Counted, ports: PortPair) -> Self {
        Self {
            flow,
            ports,
            refused: None,
        }
    }

    /// What was lost, a sentence; `None`: nothing. At the end what is under way is waited for.
    pub(super) fn loss(&self, end: bool) -> Option<String> {
        let count = if end {
            self.flow.settle()
        } else {
            self.flow.count()
        };
        let Count { sent, lost, .. } = count;
        let PortPair { from, to } = self.ports;
        let loss = (lost > 0).then(|| {
            format!(
                "the probe flow from port {from} to port {to} lost {} of {} frames",
                thousands(lost),
                thousands(sent)
            )
        });
        if loss.is_some() {
            // The way back is watched too.
            self.flow.resume();
        }
        loss
    }

    /// How it ended.
    pub(super) fn report(&self) -> ProbeReport {
        ProbeReport {
            from: self.ports.from,
            to: self.ports.to,
            count: self.flow.settle(),
            broken: self.flow.broken(),
        }
    }

    /// Why the upgrade did not end as the flow wants it, if the switch does not tell.
    pub(super) fn verdict(&self) -> Option<Failure> {
        if let Some(why) = &self.refused {
            let loss = self.loss(false).unwrap_or_default();
            return Some(Failure::Verdict(format!(
                "{loss}, and the switch does not go back: {why}"
            )));
        }
        let why = self.flow.broken()?;
        Some(Failure::Verdict(format!(
            "the probe flow broke off, so nobody knows whether it lost frames: {why}"
        )))
    }
}

/// What became of a probe flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct ProbeReport {
    /// The port that frames came in at.
    pub from: PortNo,
    /// The port that they left by.
    pub to: PortNo,
    /// Its frames.
    #[serde(flatten)]
    pub count: Count,
    /// Why it ended before the upgrade did; `null`: it did not.
    pub broken: Option<String>,
}
