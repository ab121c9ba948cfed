//! The bridge: inputs, and its machines run until none moves.

use super::event::{Event, Input, InputError, Output};
use super::machine;
use super::marks::Marks;
use super::params::{BridgeConfig, Link, PortConfig};
use super::state::{BridgeState, Checkpoint, Counters, Opening, PortState, Role};
use super::vector::PortId;
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
    /// Ports whose machines may move.
    pub(super) due: Marks,
    /// Ports whose machines were looked at since the last input: what is not among them did not change but for timers
    /// that run.
    pub(super) touched: Marks,
    /// What ports did with frames before the last input, of those for which it changed.
    pub(super) was: Vec<(PortNo, Opening)>,
}

impl Bridge {
    /// A bridge without ports.
    ///
    /// # Errors
    /// The first rule that the parameters break.
    pub fn new(config: BridgeConfig) -> Result<Self, InputError> {
        config.check()?;
        Ok(Self {
            state: BridgeState::begin(config),
            ports: Vec::new(),
            out: Output::default(),
            due: Marks::NONE,
            touched: Marks::NONE,
            was: Vec::new(),
        })
    }

    /// A bridge that begins with these ports, all at once.
    ///
    /// # Errors
    /// The first rule that the parameters break, or a port that comes twice.
    pub fn with_ports(
        config: BridgeConfig,
        ports: &[(PortNo, PortConfig, Link)],
    ) -> Result<(Self, Output), InputError> {
        let mut bridge = Self::new(config)?;
        for &(port, config, link) in ports {
            bridge.add(port, config, link)?;
        }
        let output = bridge.finish((bridge.state.config.id(), PortId(0)));
        Ok((bridge, output))
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

    /// Ports that the last input may have changed in more than their timers' running.
    pub fn touched(&self) -> impl Iterator<Item = &PortState> + '_ {
        self.touched.iter(self.ports.len()).map(|i| &self.ports[i])
    }

    /// Forgets what was counted on a port. No machine looks at it.
    ///
    /// # Errors
    /// When there is no such port.
    pub fn clear_counters(&mut self, port: PortNo) -> Result<(), InputError> {
        let i = self.known(port)?;
        self.ports[i].counters = Counters::default();
        Ok(())
    }

    /// Does one input.
    ///
    /// # Errors
    /// When it names a port that is not there, or parameters break a rule. Nothing changed then.
    pub fn step(&mut self, input: Input) -> Result<Output, InputError> {
        self.touched = Marks::NONE;
        let root = self.root_and_port();
        match input {
            Input::Tick => self.tick(),
            Input::Bpdu { port, bpdu } => {
                let i = self.known(port)?;
                self.due = Marks::one(i);
                self.receive(i, bpdu);
            }
            Input::Malformed { port } => {
                let i = self.known(port)?;
                self.ports[i].counters.malformed += 1;
            }
            Input::Link { port, link } => {
                let i = self.known(port)?;
                self.due = Marks::ALL;
                self.set_link(i, link);
            }
            Input::AddPort { port, config, link } => self.add(port, config, link)?,
            Input::RemovePort { port } => {
                let i = self.known(port)?;
                self.ports[i].config.enabled = false;
                self.due = Marks::ALL;
                self.settle();
                self.ports.remove(i);
                self.due = Marks::ALL;
            }
            Input::Bridge(config) => self.set_bridge(config)?,
            Input::Port { port, config } => {
                let i = self.known(port)?;
                self.set_port(i, config)?;
            }
            Input::Mcheck { port } => {
                let i = self.known(port)?;
                self.due = Marks::one(i);
                self.ports[i].mcheck = self.rstp_version();
            }
            Input::Recover { port } => {
                let i = self.known(port)?;
                self.recover(i);
            }
        }
        Ok(self.finish(root))
    }

    /// What follows from an input, root and root port having been these before.
    fn finish(&mut self, root: (super::BridgeId, PortId)) -> Output {
        self.settle();
        let mut was = std::mem::take(&mut self.was);
        was.sort_unstable_by_key(|&(port, _)| port);
        self.differences(&was);
        was.clear();
        self.was = was;
        let to = self.root_and_port();
        if root != to {
            self.out.events.push(Event::Root { from: root, to });
        }
        std::mem::take(&mut self.out)
    }

    fn tick(&mut self) {
        let version = self.state.config.force_version;
        self.state.since_topology_change = self.state.since_topology_change.saturating_add(1);
        for i in 0..self.ports.len() {
            let port = &mut self.ports[i];
            let ticked = machine::pti::tick(port, version);
            if ticked.own {
                self.due.add(Marks::one(i));
            }
            if ticked.others {
                self.due = Marks::ALL;
            }
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
        let port = PortState::begin(&self.state, number, config, link);
        self.ports.insert(i, port);
        self.due = Marks::ALL;
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
        self.due = Marks::ALL;
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
        self.due = Marks::ALL;
        for i in 0..self.ports.len() {
            if anew {
                let opening = self.ports[i].opening();
                self.note(i, opening);
            }
            let port = &mut self.ports[i];
            if anew {
                let (number, parameters, link) = (port.number, port.config, port.link);
                let kept = (port.counters, port.guard_shut, port.guard_while);
                *port = PortState::begin(&self.state, number, parameters, link);
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
            self.due.add(Marks::one(i));
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
    ///
    /// Only ports that are due are looked at. Machines look at their own port, but for these: role selection, role
    /// transitions, and the procedures for the whole tree make every port due.
    pub(super) fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let visit = std::mem::replace(&mut self.due, Marks::NONE);
            self.touched.add(visit);
            self.hear(visit);
            self.decide(visit);
            if self.due == Marks::NONE {
                for i in self.touched.iter(self.ports.len()) {
                    if machine::ptx::step(self, i) {
                        self.due.add(Marks::one(i));
                    }
                }
            }
            if self.due == Marks::NONE {
                #[cfg(test)]
                self.assert_rest();
                return;
            }
        }
        debug_assert!(false, "the machines do not come to rest: {self:?}");
    }

    /// The machines that take in what comes, and role selection.
    fn hear(&mut self, visit: Marks) {
        for i in visit.iter(self.ports.len()) {
            let mut moved = machine::prx::step(self, i);
            moved |= machine::ppm::step(self, i);
            moved |= machine::bdm::step(self, i);
            // To rest, before roles are chosen: what is received too old is aged, not acted upon.
            while machine::pim::step(self, i) {
                moved = true;
            }
            if moved {
                self.due.add(Marks::one(i));
            }
        }
        if machine::prs::step(self, visit) {
            self.due = Marks::ALL;
        }
    }

    /// The machines that act on roles. A port that becomes due while those before it are looked at is looked at in
    /// the same round.
    fn decide(&mut self, visit: Marks) {
        let end = self.ports.len();
        let mut from = 0;
        loop {
            let mut now = visit;
            now.add(self.due);
            let Some(i) = now.next(from, end) else {
                break;
            };
            self.touched.add(Marks::one(i));
            if machine::prt::step(self, i) {
                self.due = Marks::ALL;
            }
            let opening = self.ports[i].opening();
            if machine::pst::step(&mut self.ports[i]) {
                self.due.add(Marks::one(i));
                self.note(i, opening);
            }
            if machine::tcm::step(self, i) {
                self.due.add(Marks::one(i));
            }
            from = i + 1;
        }
    }

    /// No machine of any port moves.
    #[cfg(test)]
    fn assert_rest(&mut self) {
        for i in 0..self.ports.len() {
            let port = self.ports[i];
            let moved = machine::prx::step(self, i)
                || machine::ppm::step(self, i)
                || machine::bdm::step(self, i)
                || machine::pim::step(self, i)
                || machine::prs::step(self, Marks::ALL)
                || machine::prt::step(self, i)
                || machine::pst::step(&mut self.ports[i])
                || machine::tcm::step(self, i)
                || machine::ptx::step(self, i);
            assert!(
                !moved,
                "port {i} was not due: {port:?} became {:?}",
                self.ports[i]
            );
        }
    }

    /// Remembers what a port did with frames before the input.
    fn note(&mut self, i: usize, opening: Opening) {
        let number = self.ports[i].number;
        if !self.was.iter().any(|&(port, _)| port == number) {
            self.was.push((number, opening));
        }
    }

    /// What to close and to open, and what to log of it, by what ports did with frames before.
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
