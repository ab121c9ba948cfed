//! What is asked of a BPDU before the machines see it (802.1D-2004 9.3.4), and BPDU guard and filter.

use super::bridge::Bridge;
use super::event::Event;
use super::state::Role;
use hitless_wire::bpdu::{Bpdu, Vector};

impl Bridge {
    /// Takes a BPDU, or counts why not.
    pub(super) fn receive(&mut self, i: usize, bpdu: Bpdu) {
        let own = self.state.config.id();
        let rstp = self.rstp_version();
        let port = &mut self.ports[i];
        if port.config.bpdu_filter {
            port.counters.filtered += 1;
            return;
        }
        if !port.port_enabled() {
            port.counters.on_disabled += 1;
            return;
        }
        if !rstp && matches!(bpdu, Bpdu::Rst(_)) {
            port.counters.other_version += 1;
            return;
        }
        let vector = vector(&bpdu);
        // Too old, it still says that there is a bridge. Of RST BPDUs the machines take no more than that: 9.3.4 asks
        // only Config BPDUs, and updtRcvdInfoWhile ages the others at once.
        if vector.is_some_and(|v| v.times.message_age >= v.times.max_age) {
            port.counters.too_old += 1;
            if matches!(bpdu, Bpdu::Config(_)) {
                port.oper_edge = false;
                port.edge_delay_while = port.edge_delay();
                return;
            }
        }
        if port.oper_edge || port.config.admin_edge {
            port.counters.on_edge += 1;
            if port.config.bpdu_guard {
                port.guard_shut = true;
                port.guard_while = port.config.recovery.unwrap_or(0);
                port.counters.bpdu_guard += 1;
                let port = port.number;
                let active = true;
                self.out.events.push(Event::BpduGuard { port, active });
                return;
            }
        }
        if vector.is_some_and(|v| v.bridge == own && v.port == port.port_id()) {
            self.own(i);
            return;
        }
        let counters = &mut port.counters;
        *match bpdu {
            Bpdu::Config(_) => &mut counters.rx_config,
            Bpdu::Tcn => &mut counters.rx_tcn,
            Bpdu::Rst(_) => &mut counters.rx_rst,
        } += 1;
        port.rcvd_bpdu = Some(bpdu);
        self.end_loop_guard(i);
    }

    /// The port's own BPDU came back: what it sends into its LAN returns. It is disputed for as long, and no edge.
    fn own(&mut self, i: usize) {
        let port = &mut self.ports[i];
        port.counters.own += 1;
        port.oper_edge = false;
        port.edge_delay_while = port.edge_delay();
        if port.role != Role::Designated {
            return;
        }
        let opened = port.learn || port.forward;
        port.disputed = true;
        port.agreed = false;
        if opened {
            let port = port.number;
            self.out.events.push(Event::OwnBpdu { port });
        }
    }
}

fn vector(bpdu: &Bpdu) -> Option<&Vector> {
    match bpdu {
        Bpdu::Config(config) => Some(&config.vector),
        Bpdu::Rst(rst) => Some(&rst.vector),
        Bpdu::Tcn => None,
    }
}
