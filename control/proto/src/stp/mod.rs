//! Spanning tree: one bridge of 802.1D-2004 clause 17 (RSTP), or of 802.1D-1998 in its manner.
//!
//! A [`Bridge`] is one spanning tree domain. It takes [`Input`]s (a tick a second, BPDUs, links, parameters) and
//! answers each with an [`Output`]: what to close, flush, checkpoint, open and send, in this order. It has no clock
//! and does no I/O; its whole state is plain data ([`Checkpoint`]), and another process goes on with it by
//! [`Bridge::resume`]. [`SavedBridge`] and [`SavedPort`] are the same data in a form that time alone does not change.
//!
//! The machines are in `machine`, each in its file, with the names of the standard; conditions (17.20) and
//! procedures (17.21) are in files of their own. Where this bridge does not do as the standard says:
//!
//! * A disputed port (17.21.10) is closed, as 802.1Q has it, and stays so while the dispute lasts. A port that hears
//!   its own BPDUs is disputed too.
//! * While TxHoldCount holds back what a port has to say, agreements on it are ignored: they can only be to what it
//!   said before. As the standard has it, two parallel links could both open for a hello time while the cost of the
//!   root rises.
//! * What opens by a timer opens by Forward Delay: forwardDelay (17.20.5) is not Hello Time where RST BPDUs are sent.
//!   That is soon enough for a loop when what was known of a lost root goes round, and on segments with a bridge of
//!   802.1D-1998 that is silent. Agreements and edge ports open at once, as ever.
//! * A port that hears a BPDU waits for EdgeDelay, not Migrate Time, to become an edge port: on a shared segment nobody
//!   may have a reason to speak for a while.
//! * Times in BPDUs are kept to their ranges; neighbours can not take the delays away.
//! * Mode `dot1d` keeps a neighbour's information for Max Age less Message Age, answers inferior Config BPDUs at
//!   once, sends one BPDU a second and port, listens for Forward Delay after a link comes up, passes the root's notice
//!   of a topology change on for as long as the root gives it, and does not know RST BPDUs, so that neighbours fall
//!   back to its delays: as 802.1D-1998 does. Unlike it, BPDUs are sent by each port's own hello timer, and a port that
//!   closes makes no topology change.
//! * TCN BPDUs are for designated ports, as 802.1D-1998 has it: root ports of a segment would notify each other for
//!   ever.
//! * BPDU guard, BPDU filter and loop protection, which no standard has, and 802.1Q's restrictedRole (root guard).
//!
//! What to rely on, as far as simulation shows: after one change at a time there is no loop of forwarding ports at any
//! instant, also if the processes of a bridge end at any point of it and others resume. When several links change
//! within the time that BPDUs take to cross the network, an agreement can cross the information that it does not
//! answer (802.1D-2004 has no number to tell by): of 800 simulated networks with up to eight such changes each, two
//! had a loop, for less than the 2 ms that a BPDU takes over a link there. Three BPDUs lost in a row on a link with no
//! other sign of trouble make a neighbour take the link for unused: it may close a loop for as long, with this
//! protocol as with any implementation of it. Loop protection is against that.
#![forbid(unsafe_code)]

mod begin;
mod bridge;
mod conditions;
mod event;
mod machine;
mod marks;
mod params;
mod procedures;
mod receive;
mod resume;
mod saved;
mod state;
#[cfg(test)]
mod tests;
mod vector;

pub use bridge::Bridge;
pub use event::{Event, Flush, Input, InputError, Output};
pub use params::{
    BridgeConfig, CostMethod, ForceVersion, Link, ParameterError, PointToPoint, PortConfig,
};
pub use saved::{Deadlines, HELD, SavedBridge, SavedPort};
pub use state::{
    BdmState, BridgeState, Checkpoint, Counters, InfoIs, MIGRATE_TIME, Opening, PimState,
    PortState, PpmState, PrtState, PrxState, PstState, Role, TcmState,
};
pub use vector::{BridgeId, PortId, PriorityVector, Times};
