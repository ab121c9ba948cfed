//! The machines of 802.1D-2004 17.15, each with the states that it rests in; a state that is left at once is an
//! arm of the one before. A `step` does one transition and tells whether there was one.

pub(super) mod bdm;
pub(super) mod pim;
pub(super) mod ppm;
pub(super) mod prs;
pub(super) mod prt;
mod prt_closed;
mod prt_designated;
mod prt_root;
pub(super) mod prx;
pub(super) mod pst;
pub(super) mod pti;
pub(super) mod ptx;
pub(super) mod tcm;
