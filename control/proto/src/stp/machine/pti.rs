//! Port Timers machine (17.22).

use crate::stp::state::PortState;

/// TICK: every timer a second less, down to 0.
pub(in crate::stp) const fn tick(port: &mut PortState) {
    port.hello_when = port.hello_when.saturating_sub(1);
    port.tc_while = port.tc_while.saturating_sub(1);
    port.fd_while = port.fd_while.saturating_sub(1);
    port.rcvd_info_while = port.rcvd_info_while.saturating_sub(1);
    port.rr_while = port.rr_while.saturating_sub(1);
    port.rb_while = port.rb_while.saturating_sub(1);
    port.mdelay_while = port.mdelay_while.saturating_sub(1);
    port.edge_delay_while = port.edge_delay_while.saturating_sub(1);
    port.tx_count = port.tx_count.saturating_sub(1);
}
