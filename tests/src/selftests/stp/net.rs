//! Switches of ours, kernel bridges and stations, wired together as a case wants them.
//!
//! Every node has a namespace with devices `p1`, `p2`, …; a station has one with `eth1`. VLAN 10 is untagged
//! everywhere unless a case says otherwise, and the domain s0 has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_boot::bank::Bank;
use hitless_boot::slot::Slot as Place;
use hitless_common::map::vlans::VlanEntry;
use hitless_common::{Mac, VlanId};

use super::view::{self, Tree};
use crate::harness::{
    bpdus::Recorder,
    chassis::{Chassis, Slot},
    frames::Tag,
    images,
    ktap::Ctx,
    neighbour::{KernelBridge, Parameters},
    netns::Netns,
    numbered::{Broadcast, Station},
    switch::Switch,
    wait::wait_for,
};
use crate::selftests::failover::rig;
use crate::selftests::pinned::Pinned;

/// The VLAN of most cases.
pub const VLAN: u16 = 10;

/// A port of a node.
pub type End = (&'static str, u16);

/// How long spanning tree may take to settle: twice Forward Delay, Max Age, and a busy machine.
pub const SETTLES: Duration = Duration::from_secs(45);

/// Settings of failover that a busy machine does not trip over, with a watchdog that finds a module that hangs soon.
pub const FAILOVER: &str =
    "{watchdog_ms: 800, keepalive_misses: 35, freshness_ms: 20000, lease_ms: 10000}";

/// A switch of ours.
#[derive(Clone, Debug)]
pub struct Ours {
    name: &'static str,
    both: bool,
    failover: String,
    /// The section `vlans`.
    vlans: String,
    /// Domain s0, without its name, VLANs and ports; none leaves s0 out.
    s0: Option<String>,
    /// Settings of ports in s0.
    s0_ports: BTreeMap<u16, String>,
    /// More domains.
    domains: String,
    /// Settings of ports other than `untagged: 10`.
    ports: BTreeMap<u16, String>,
    /// In the primary bank of both slots.
    image: Option<PathBuf>,
}

impl Ours {
    /// A switch with one module whose bridge has this priority.
    #[must_use]
    pub fn new(name: &'static str, priority: u16) -> Self {
        Self {
            name,
            both: false,
            failover: FAILOVER.into(),
            vlans: format!("[{{id: {VLAN}}}]"),
            s0: Some(format!("enabled: true, priority: {priority}")),
            s0_ports: BTreeMap::new(),
            domains: String::new(),
            ports: BTreeMap::new(),
            image: None,
        }
    }

    /// With both modules.
    #[must_use]
    pub fn both(mut self) -> Self {
        self.both = true;
        self
    }

    /// With this image in the primary bank of both slots, from which they boot.
    #[must_use]
    pub fn image(mut self, image: &Path) -> Self {
        self.image = Some(image.into());
        self
    }

    /// With this section `msm_failover`.
    #[must_use]
    pub fn failover(mut self, section: &str) -> Self {
        self.failover = section.into();
        self
    }

    /// More settings of s0.
    #[must_use]
    pub fn s0(mut self, more: &str) -> Self {
        if let Some(s0) = &mut self.s0 {
            s0.push_str(", ");
            s0.push_str(more);
        }
        self
    }

    /// Settings of a port in s0.
    #[must_use]
    pub fn s0_port(mut self, port: u16, settings: &str) -> Self {
        self.s0_ports.insert(port, settings.into());
        self
    }

    /// These domains instead of s0: entries of the section `stpds`.
    #[must_use]
    pub fn domains(mut self, domains: &str) -> Self {
        self.s0 = None;
        self.domains = domains.into();
        self
    }

    /// Other VLANs: the section `vlans`.
    #[must_use]
    pub fn vlans(mut self, vlans: &str) -> Self {
        self.vlans = vlans.into();
        self
    }

    /// A port that is not `untagged: 10`.
    #[must_use]
    pub fn port(mut self, port: u16, settings: &str) -> Self {
        self.ports.insert(port, settings.into());
        self
    }

    /// The configuration, with these ports; those with a station are edge ports unless set otherwise.
    fn config(&self, ports: &[(u16, bool)]) -> String {
        let mut domains = Vec::new();
        if let Some(s0) = &self.s0 {
            let of = |&(port, edge): &(u16, bool)| {
                let edge = edge.then(|| "link_type: edge".to_owned());
                let settings = self.s0_ports.get(&port).cloned().or(edge)?;
                Some(format!("{{port: {port}, {settings}}}"))
            };
            let members: Vec<String> = ports.iter().filter_map(of).collect();
            let members = members.join(", ");
            domains.push(format!(
                "{{name: s0, {s0}, vlans: [{VLAN}], ports: [{members}]}}"
            ));
        }
        domains.extend((!self.domains.is_empty()).then(|| self.domains.clone()));
        let mut config = format!(
            "fdb: {{size: 4096}}\nmsm_failover: {}\nvlans: {}\nstpds: [{}]\nports:\n",
            self.failover,
            self.vlans,
            domains.join(", ")
        );
        for (port, _) in ports {
            let settings = self.ports.get(port).map_or("untagged: 10", String::as_str);
            config += &format!("  - {{port: {port}, device: p{port}, {settings}}}\n");
        }
        config
    }
}

/// What is to be wired together.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    ours: Vec<Ours>,
    bridges: Vec<(&'static str, Parameters)>,
    links: Vec<(End, End)>,
    hosts: Vec<End>,
}

impl Plan {
    /// Switches of ours.
    #[must_use]
    pub fn ours(mut self, ours: impl IntoIterator<Item = Ours>) -> Self {
        self.ours.extend(ours);
        self
    }

    /// A kernel bridge.
    #[must_use]
    pub fn bridge(mut self, name: &'static str, parameters: Parameters) -> Self {
        self.bridges.push((name, parameters));
        self
    }

    /// Links between nodes.
    #[must_use]
    pub fn links(mut self, links: impl IntoIterator<Item = (End, End)>) -> Self {
        self.links.extend(links);
        self
    }

    /// A ring: port 2 of each node leads to port 3 of the next.
    #[must_use]
    pub fn ring(mut self, nodes: &[&'static str]) -> Self {
        let next = nodes.iter().cycle().skip(1);
        self.links
            .extend(nodes.iter().zip(next).map(|(&a, &b)| ((a, 2), (b, 3))));
        self
    }

    /// Stations at ports.
    #[must_use]
    pub fn hosts(mut self, ends: impl IntoIterator<Item = End>) -> Self {
        self.hosts.extend(ends);
        self
    }

    /// The ports of a node, ascending, and whether a station is there.
    fn ports(&self, node: &str) -> Vec<(u16, bool)> {
        let links = self.links.iter().flat_map(|(a, b)| [*a, *b]);
        let of_links = links.map(|end| (end, false));
        let of_hosts = self.hosts.iter().map(|end| (*end, true));
        let mut ports: Vec<(u16, bool)> = of_links
            .chain(of_hosts)
            .filter(|((name, _), _)| *name == node)
            .map(|((_, port), host)| (port, host))
            .collect();
        ports.sort_unstable();
        ports
    }
}

/// A running switch of ours. In this order its parts end.
#[derive(Debug)]
pub struct Node {
    /// Holds the modules, where there are both.
    pub chassis: Option<Chassis>,
    /// The switch.
    pub switch: Switch,
    /// Where it is.
    pub netns: Netns,
}

impl Node {
    /// A domain as the switch shows it.
    ///
    /// # Errors
    /// When no master answers.
    pub fn tree(&self, stpd: &str) -> Result<Tree> {
        view::tree(&self.switch, stpd)
    }

    /// Waits until a domain is shown like this.
    ///
    /// # Errors
    /// When it does not get there; with what it was last.
    pub fn await_tree(
        &self,
        stpd: &str,
        what: &str,
        deadline: Duration,
        is: impl Fn(&Tree) -> bool,
    ) -> Result<Tree> {
        let mut last = None;
        wait_for(what, deadline, || {
            let tree = self.tree(stpd)?;
            let found = is(&tree).then(|| tree.clone());
            last = Some(tree);
            Ok(found)
        })
        .with_context(|| format!("stpd {stpd} of {} was {last:?}", self.switch.name()))
    }

    /// Types a command, which must succeed.
    ///
    /// # Errors
    /// With its message when it fails.
    pub fn command(&self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.switch.cli(&words)
    }

    /// Types a command that must be refused, in these words.
    ///
    /// # Errors
    /// When it is not.
    pub fn is_refused(&self, line: &str, why: &str) -> Result<()> {
        let ended = self
            .switch
            .hitless()?
            .args(line.split_whitespace())
            .output()?;
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        ensure!(
            !ended.status.success() && text.contains(why),
            "{line:?} ended with {}, without saying {why:?}: {text}",
            ended.status
        );
        Ok(())
    }

    /// A VLAN's entry in the hardware.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn hardware(&self, vlan: u16) -> Result<VlanEntry> {
        let vlans = Pinned::of(&self.switch).array(hitless_common::map::name::VLANS)?;
        Ok(vlans.get(&u32::from(vlan), 0)?)
    }

    /// The modules.
    ///
    /// # Errors
    /// When the switch was planned with one.
    pub fn chassis(&self) -> Result<&Chassis> {
        let chassis = self.chassis.as_ref();
        chassis.with_context(|| format!("{} has one module", self.switch.name()))
    }
}

/// A station.
#[derive(Debug)]
pub struct Host {
    /// As in `a1`, for the station at port 1 of node a.
    pub name: String,
    /// Its namespace.
    pub netns: Netns,
    /// Its address.
    pub mac: Mac,
}

/// A station's device.
pub const DEVICE: &str = "eth1";

impl Host {
    fn station(&self) -> Station<'_> {
        Station {
            name: &self.name,
            netns: &self.netns,
            device: DEVICE,
        }
    }
}

/// Everything that runs. In this order its parts end: switches before the namespaces that they are in.
#[derive(Debug)]
pub struct Net {
    /// Switches of ours.
    pub ours: BTreeMap<&'static str, Node>,
    /// Kernel bridges.
    pub bridges: BTreeMap<&'static str, KernelBridge>,
    /// Stations, as they were planned.
    pub hosts: Vec<Host>,
    spaces: BTreeMap<&'static str, Netns>,
    links: Vec<(End, End)>,
}

fn device(port: u16) -> String {
    format!("p{port}")
}

impl Net {
    /// Wires everything, starts the kernel bridges and then the switches, and waits until these answer.
    ///
    /// # Errors
    /// When something can not be made or started.
    pub fn up(ctx: &Ctx, plan: &Plan) -> Result<Self> {
        let mut spaces = BTreeMap::new();
        let bridges = plan.bridges.iter().map(|(name, _)| *name);
        for name in plan.ours.iter().map(|ours| ours.name).chain(bridges) {
            spaces.insert(name, ctx.netns(name)?);
        }
        let space = |name: &str| spaces.get(name).with_context(|| format!("no node {name}"));
        for ((a, p), (b, q)) in &plan.links {
            space(a)?.veth(&device(*p), space(b)?, &device(*q))?;
        }
        let mut hosts = Vec::new();
        for (number, (node, port)) in (1..).zip(&plan.hosts) {
            let name = format!("{node}{port}");
            let netns = ctx.netns(&format!("h{name}"))?;
            space(node)?.veth(&device(*port), &netns, DEVICE)?;
            let mac = Mac([0x02, 0x55, 0, 0, 0, number]);
            hosts.push(Host { name, netns, mac });
        }
        let mut running = BTreeMap::new();
        for (name, parameters) in &plan.bridges {
            let devices: Vec<String> = plan.ports(name).iter().map(|p| device(p.0)).collect();
            let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
            running.insert(
                *name,
                KernelBridge::new(space(name)?, *parameters, &devices)?,
            );
        }
        let mut ours = BTreeMap::new();
        for planned in &plan.ours {
            let netns = Netns::open(space(planned.name)?.name())?;
            let config = planned.config(&plan.ports(planned.name));
            let mut switch =
                Switch::prepare(ctx.run(), ctx.files(), &netns, planned.name, &config)?;
            if let Some(image) = &planned.image {
                images::put(&switch.images(), &Place::ALL, Bank::Primary, image)?;
            }
            let chassis = if planned.both {
                let mut command = rig::chassis_command(&switch)?;
                Some(Chassis::spawn(ctx.run(), &switch, &mut command)?)
            } else {
                switch.run()?;
                None
            };
            let node = Node {
                chassis,
                switch,
                netns,
            };
            ours.insert(planned.name, node);
        }
        for node in ours.values().filter(|node| node.chassis.is_some()) {
            rig::await_ready(&node.switch)?;
        }
        Ok(Self {
            ours,
            bridges: running,
            hosts,
            spaces,
            links: plan.links.clone(),
        })
    }

    /// A switch of ours.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn node(&self, name: &str) -> Result<&Node> {
        let node = self.ours.get(name);
        node.with_context(|| format!("no switch {name}"))
    }

    /// A switch of ours, to be started or ended.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn node_mut(&mut self, name: &str) -> Result<&mut Node> {
        let node = self.ours.get_mut(name);
        node.with_context(|| format!("no switch {name}"))
    }

    /// A kernel bridge.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn bridge(&self, name: &str) -> Result<&KernelBridge> {
        let bridge = self.bridges.get(name);
        bridge.with_context(|| format!("no bridge {name}"))
    }

    /// Hears what a node sends on a port: records at the other end of its link, or at its station.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn hear(&self, (node, port): End) -> Result<Recorder> {
        let far = self.links.iter().find_map(|&(a, b)| match (node, port) {
            end if end == a => Some(b),
            end if end == b => Some(a),
            _ => None,
        });
        if let Some((far, port)) = far {
            let space = self.spaces.get(far).context("a node of the plan")?;
            return Recorder::start(space, &device(port));
        }
        let name = format!("{node}{port}");
        let host = self.hosts.iter().find(|host| host.name == name);
        let host = host.with_context(|| format!("nothing is at port {port} of {node}"))?;
        Recorder::start(&host.netns, DEVICE)
    }

    /// Pulls or plugs the link at a port: its other end goes down or up. A switch of ours takes care that its ports are
    /// up, so there its operator does it.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn plug(&self, end: End, plugged: bool) -> Result<()> {
        let link = self.links.iter().find(|(a, b)| *a == end || *b == end);
        let (a, b) = link.with_context(|| format!("no link at {end:?}"))?;
        let ends = if *a == end { [b, a] } else { [a, b] };
        if let Some((node, port)) = ends.into_iter().find(|(n, _)| self.bridges.contains_key(n)) {
            let space = self.spaces.get(node).context("a node of the plan")?;
            let state = if plugged { "up" } else { "down" };
            space.ip(&["link", "set", &device(*port), state])?;
        } else {
            let [(node, port), _] = ends;
            let verb = if plugged { "enable" } else { "disable" };
            self.node(node)?.command(&format!("{verb} ports {port}"))?;
        }
        Ok(())
    }

    /// Takes the link at a port away, with the devices at both of its ends, or makes it again.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn lay(&self, end: End, laid: bool) -> Result<()> {
        let link = self.links.iter().find(|(a, b)| *a == end || *b == end);
        let ((a, p), (b, q)) = link.with_context(|| format!("no link at {end:?}"))?;
        let space = |node: &str| self.spaces.get(node).context("a node of the plan");
        if laid {
            space(a)?.veth(&device(*p), space(b)?, &device(*q))
        } else {
            space(a)?.ip(&["link", "delete", &device(*p)]).map(drop)
        }
    }

    /// Pulls or plugs the link of a station, by its place.
    ///
    /// # Errors
    /// When there is no such station.
    pub fn plug_host(&self, place: usize, plugged: bool) -> Result<()> {
        let host = self.hosts.get(place).context("a station of the plan")?;
        let state = if plugged { "up" } else { "down" };
        host.netns.ip(&["link", "set", DEVICE, state])?;
        Ok(())
    }

    /// Numbered broadcasts from a station to others, by their places: so many a second.
    ///
    /// # Errors
    /// When something can not be opened.
    pub fn broadcast(&self, from: usize, to: &[usize], rate: u32) -> Result<Broadcast> {
        self.broadcast_tagged(from, to, rate, None)
    }

    /// The same behind a tag.
    ///
    /// # Errors
    /// As [`Net::broadcast`].
    pub fn broadcast_tagged(
        &self,
        from: usize,
        to: &[usize],
        rate: u32,
        vlan: Option<VlanId>,
    ) -> Result<Broadcast> {
        let host = |place: usize| {
            let host = self.hosts.get(place);
            host.with_context(|| format!("no station {place}"))
        };
        let to: Vec<Station<'_>> = to
            .iter()
            .map(|&place| Ok(host(place)?.station()))
            .collect::<Result<_>>()?;
        let tag = vlan.map(|vlan| Tag::vid(vlan.get()));
        let from = host(from)?;
        Broadcast::start(from.station(), &to, from.mac, tag, rate)
    }

    /// Waits until domain s0 of every switch agrees on a root, nobody moves any more, and so many ports are closed
    /// where a ring has to be: of ours and of kernel bridges together.
    ///
    /// # Errors
    /// When that does not come; with what every switch said last.
    pub fn await_settled(&self, closed: usize) -> Result<BTreeMap<&'static str, Tree>> {
        let mut last = None;
        wait_for("the tree to settle", SETTLES, || {
            let mut trees = BTreeMap::new();
            for (name, node) in &self.ours {
                trees.insert(*name, node.tree("s0")?);
            }
            let bridges = self
                .bridges
                .iter()
                .map(|(name, bridge)| Ok((*name, bridge.view()?)))
                .collect::<Result<BTreeMap<_, _>>>()?;
            let mut roots = trees
                .values()
                .map(|tree| tree.root)
                .chain(bridges.values().map(|view| view.root));
            let root = roots.next();
            let agreed = roots.all(|other| Some(other) == root);
            let settled = trees.values().all(Tree::is_settled);
            let at_rest = bridges.values().all(|view| {
                let states = view.ports.values().map(|port| port.state.as_str());
                !view.topology_change
                    && !view.topology_change_detected
                    && states.clone().all(|s| s == "forwarding" || s == "blocking")
            });
            let blocking = bridges.values().flat_map(|view| view.ports.values());
            let found = trees.values().map(Tree::closed).sum::<usize>()
                + blocking.filter(|port| port.state == "blocking").count();
            let done = agreed && settled && at_rest && found == closed;
            last = Some((trees.clone(), bridges));
            Ok(done.then_some(trees))
        })
        .with_context(|| format!("{closed} closed ports expected; it was {last:?}"))
    }

    /// The slot of a switch's master.
    ///
    /// # Errors
    /// When there is none.
    pub fn master(&self, name: &str) -> Result<Slot> {
        rig::shown(&self.node(name)?.switch)?.slot("master")
    }
}
