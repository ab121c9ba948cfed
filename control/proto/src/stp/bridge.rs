//! The bridge: inputs, and its machines run until none moves.

use super::event::{Event, Input, InputError, Output};
use super::machine;
use super::params::{BridgeConfig, ForceVersion, Link, PortConfig};
use super::state::{
    BdmState, BridgeState, Checkpoint, Counters, InfoIs, MIGRATE_TIME, Opening, PimState,
    PortState, PpmState, PrtState, PrxState, PstState, Role, TcmState,
};
use super::vector::{PortId, PriorityVector};
use hitless_common::PortNo;

/// Rounds after which the machines are left where they are until the next input. They need a handful; more would be
/// a mistake in them, and this keeps it from stopping the switch.
const MAX_ROUNDS: usize = 1000;

/// A spanning tree bridge.
#[derive(Clone, Debug)]
pub struct Bridge {
    pub(super) state: BridgeState,
    /// Ascending by number.
    pub(super) ports: Vec<PortState>,
    pub(super) out: Output,
}

impl Bridge {
    /// A bridge without ports.
    ///
    /// # Errors
    /// The first rule that the parameters break.
    pub fn new(config: BridgeConfig) -> Result<Self, InputError> {
        config.check()?;
        Ok(Self {
            state: BridgeState {
                config,
                root_priority: PriorityVector::own(config.id()),
                root_port_id: PortId(0),
                root_times: config.times(),
                topology_changes: 0,
                since_topology_change: 0,
            },
            ports: Vec::new(),
            out: Output::default(),
        })
    }

    /// State of the bridge.
    #[must_use]
    pub const fn state(&self) -> &BridgeState {
        &self.state
    }

    /// States of the ports, ascending by number.
    #[must_use]
    pub fn ports(&self) -> &[PortState] {
        &self.ports
    }

    /// State of a port.
    #[must_use]
    pub fn port(&self, number: PortNo) -> Option<&PortState> {
        self.index(number).ok().map(|i| &self.ports[i])
    }

    /// Whether this bridge is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.state.root_priority.root == self.state.config.id()
    }

    /// Ports that may go on forwarding while nobody speaks for this bridge (design invariant 1): edge ports and the
    /// root port, as far as they forward. Through them alone no loop can be closed: the bridge has one way up, and
    /// behind edge ports is no bridge.
    pub fn fallback(&self) -> impl Iterator<Item = PortNo> + '_ {
        self.ports
            .iter()
            .filter(|p| p.forwarding && (p.role == Role::Root || p.oper_edge))
            .map(|p| p.number)
    }

    /// Everything that another process needs to go on as this bridge.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            bridge: self.state,
            ports: self.ports.clone(),
        }
    }

    /// Does one input.
    ///
    /// # Errors
    /// When it names a port that is not there, or parameters break a rule. Nothing changed then.
    pub fn step(&mut self, input: Input) -> Result<Output, InputError> {
        let before = self.openings();
        let root = self.root_and_port();
        match input {
            Input::Tick => self.tick(),
            Input::Bpdu { port, bpdu } => {
                let i = self.known(port)?;
                self.receive(i, bpdu);
            }
            Input::Malformed { port } => {
                let i = self.known(port)?;
                self.ports[i].counters.malformed += 1;
            }
            Input::Link { port, link } => {
                let i = self.known(port)?;
                self.set_link(i, link);
            }
            Input::AddPort { port, config, link } => self.add(port, config, link)?,
            Input::RemovePort { port } => {
                let i = self.known(port)?;
                self.ports[i].config.enabled = false;
                self.settle();
                self.ports.remove(i);
            }
            Input::Bridge(config) => self.set_bridge(config)?,
            Input::Port { port, config } => {
                let i = self.known(port)?;
                self.set_port(i, config)?;
            }
            Input::Mcheck { port } => {
                let i = self.known(port)?;
                self.ports[i].mcheck = self.rstp_version();
            }
            Input::Recover { port } => {
                let i = self.known(port)?;
                self.recover(i);
            }
        }
        self.settle();
        self.differences(&before);
        let to = self.root_and_port();
        if root != to {
            self.out.events.push(Event::Root { from: root, to });
        }
        Ok(std::mem::take(&mut self.out))
    }

    fn tick(&mut self) {
        self.state.since_topology_change = self.state.since_topology_change.saturating_add(1);
        for i in 0..self.ports.len() {
            machine::pti::tick(&mut self.ports[i]);
            let port = &mut self.ports[i];
            if port.guard_shut && port.guard_while > 0 {
                port.guard_while -= 1;
                if port.guard_while == 0 {
                    self.recover(i);
                }
            }
        }
    }

    fn add(&mut self, number: PortNo, config: PortConfig, link: Link) -> Result<(), InputError> {
        config.check(self.state.config.cost_method)?;
        let Err(i) = self.index(number) else {
            return Err(InputError::KnownPort(number));
        };
        let port = begin(&self.state, number, config, link);
        self.ports.insert(i, port);
        Ok(())
    }

    fn set_link(&mut self, i: usize, link: Link) {
        let method = self.state.config.cost_method;
        let port = &mut self.ports[i];
        let cost = port.path_cost(method);
        port.link = link;
        if !link.up {
            self.end_loop_guard(i);
        }
        let port = &mut self.ports[i];
        if port.path_cost(method) != cost {
            port.reselect = true;
            port.selected = false;
        }
    }

    fn set_port(&mut self, i: usize, config: PortConfig) -> Result<(), InputError> {
        config.check(self.state.config.cost_method)?;
        let port = &mut self.ports[i];
        if port.config.admin_edge && !config.admin_edge {
            port.oper_edge = false;
        }
        port.config = config;
        // Identifier, cost or guards may have changed: what follows from them is chosen anew (17.13).
        port.reselect = true;
        port.selected = false;
        if !config.bpdu_guard {
            self.recover(i);
        }
        if !config.loop_guard {
            self.end_loop_guard(i);
        }
        Ok(())
    }

    fn set_bridge(&mut self, config: BridgeConfig) -> Result<(), InputError> {
        config.check()?;
        for port in &self.ports {
            port.config.check(config.cost_method)?;
        }
        let anew = config.force_version != self.state.config.force_version;
        self.state.config = config;
        for port in &mut self.ports {
            if anew {
                let (number, parameters, link) = (port.number, port.config, port.link);
                let kept = (port.counters, port.guard_shut, port.guard_while);
                *port = begin(&self.state, number, parameters, link);
                (port.counters, port.guard_shut, port.guard_while) = kept;
            }
            port.reselect = true;
            port.selected = false;
        }
        // No port asks for it if there is none.
        self.updt_roles_tree();
        Ok(())
    }

    fn recover(&mut self, i: usize) {
        let port = &mut self.ports[i];
        if port.guard_shut {
            port.guard_shut = false;
            port.guard_while = 0;
            let port = port.number;
            let active = false;
            self.out.events.push(Event::BpduGuard { port, active });
        }
    }

    /// Loop protection lets a port go.
    pub(super) fn end_loop_guard(&mut self, i: usize) {
        let port = &mut self.ports[i];
        if port.loop_guarding {
            port.loop_guarding = false;
            let port = port.number;
            let active = false;
            self.out.events.push(Event::LoopGuard { port, active });
        }
    }

    /// Runs the machines until none moves. Transmission waits for the others, so that what is sent is what was
    /// decided.
    pub(super) fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let mut moved = false;
            for i in 0..self.ports.len() {
                moved |= machine::prx::step(self, i);
                moved |= machine::ppm::step(self, i);
                moved |= machine::bdm::step(self, i);
                // To rest, before roles are chosen: what is received too old is aged, not acted upon.
                while machine::pim::step(self, i) {
                    moved = true;
                }
            }
            moved |= machine::prs::step(self);
            for i in 0..self.ports.len() {
                moved |= machine::prt::step(self, i);
                moved |= machine::pst::step(&mut self.ports[i]);
                moved |= machine::tcm::step(self, i);
            }
            if !moved {
                for i in 0..self.ports.len() {
                    moved |= machine::ptx::step(self, i);
                }
            }
            if !moved {
                return;
            }
        }
        debug_assert!(false, "the machines do not come to rest: {self:?}");
    }

    pub(super) fn openings(&self) -> Vec<(PortNo, Opening)> {
        let opening = |port: &PortState| (port.number, port.opening());
        self.ports.iter().map(opening).collect()
    }

    /// What to close and to open, and what to log of it.
    pub(super) fn differences(&mut self, before: &[(PortNo, Opening)]) {
        for &(port, from) in before {
            let to = self.port(port).map_or(Opening::Discarding, |p| p.opening());
            if to == from {
                continue;
            }
            if to < from {
                self.out.close.push((port, to));
            } else {
                self.out.open.push((port, to));
            }
            self.out.events.push(Event::Opening { port, from, to });
        }
        for i in 0..self.ports.len() {
            let (port, to) = (self.ports[i].number, self.ports[i].opening());
            let known = before.iter().any(|&(number, _)| number == port);
            if !known && to > Opening::Discarding {
                self.out.open.push((port, to));
                let from = Opening::Discarding;
                self.out.events.push(Event::Opening { port, from, to });
            }
        }
        self.out.sync |= !self.out.open.is_empty();
    }

    fn root_and_port(&self) -> (super::BridgeId, PortId) {
        (self.state.root_priority.root, self.state.root_port_id)
    }

    fn index(&self, number: PortNo) -> Result<usize, usize> {
        self.ports.binary_search_by_key(&number, |p| p.number)
    }

    fn known(&self, number: PortNo) -> Result<usize, InputError> {
        self.index(number)
            .map_err(|_| InputError::UnknownPort(number))
    }
}

/// A port as BEGIN leaves it: the first states of all machines (17.22 to 17.31).
fn begin(state: &BridgeState, number: PortNo, config: PortConfig, link: Link) -> PortState {
    let own = PriorityVector::own(state.config.id());
    let times = state.root_times;
    PortState {
        number,
        config,
        link,
        prx: PrxState::Discard,
        ppm: PpmState::CheckingRstp,
        bdm: if config.admin_edge {
            BdmState::Edge
        } else {
            BdmState::NotEdge
        },
        pim: PimState::Disabled,
        prt: PrtState::DisablePort,
        pst: PstState::Discarding,
        tcm: TcmState::Inactive,
        edge_delay_while: MIGRATE_TIME,
        fd_while: match state.config.force_version {
            ForceVersion::Rstp => times.max_age,
            ForceVersion::Stp => times.forward_delay,
        },
        hello_when: times.hello,
        mdelay_while: MIGRATE_TIME,
        rb_while: 0,
        rcvd_info_while: 0,
        rr_while: times.forward_delay,
        tc_while: 0,
        agree: false,
        agreed: false,
        designated_priority: own,
        designated_times: times,
        disputed: false,
        forward: false,
        forwarding: false,
        info_is: InfoIs::Disabled,
        learn: false,
        learning: false,
        mcheck: false,
        new_info: true,
        oper_edge: config.admin_edge,
        port_priority: own,
        port_times: times,
        proposed: false,
        proposing: false,
        rcvd_bpdu: None,
        rcvd_msg: None,
        rcvd_rstp: false,
        rcvd_stp: false,
        rcvd_tc: false,
        rcvd_tc_ack: false,
        rcvd_tcn: false,
        re_root: true,
        reselect: true,
        role: Role::Disabled,
        selected: false,
        selected_role: Role::Disabled,
        send_rstp: state.config.force_version == ForceVersion::Rstp,
        sync: true,
        synced: false,
        tc_ack: false,
        tc_prop: false,
        tx_count: 0,
        updt_info: false,
        guard_shut: false,
        guard_while: 0,
        root_guarding: false,
        loop_guarding: false,
        counters: Counters::default(),
    }
}
