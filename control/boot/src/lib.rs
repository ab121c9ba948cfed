//! Boot ROM and watchdog of one slot, in one small process of one thread.
//!
//! It starts `hitlessd` from the slot's image, and when that ends it first tells the other slot's boot how, and then
//! starts it again. It links nothing of the daemon: what can bring the daemon down shall not bring this down. It
//! waits in one place ([`boot`]); what it decides is in modules without input and output ([`restart`], [`watchdog`],
//! [`line`], [`options`]).
//!
//! Files in the backplane directory, one of each a slot: `backplane-<slot>.sock`, where the other slot's boot
//! connects; `backplane-<slot>.lock`, held while the boot lives; `status-<slot>`, what [`status`] tells.

pub mod bank;
pub mod boot;
pub mod choice;
pub mod directory;
pub mod failure;
pub mod image;
pub mod line;
pub mod log;
pub mod module;
pub mod neighbour;
pub mod options;
pub mod restart;
pub mod slot;
pub mod socket;
pub mod status;
pub mod sys;
pub mod watchdog;

/// Environment variable with the number of the daemon's end of the socket to its boot.
pub const FD_VARIABLE: &str = "HITLESS_BOOT_FD";

/// Environment variable with the number of a packet socket that the slot's daemons share, one after the other. Closing the
/// last descriptor of one takes the kernel some 10 ms (it waits until no processor looks at it any more), for which a
/// daemon that ends would stay in the way of its successor. So the boot holds it.
pub const PACKET_FD_VARIABLE: &str = "HITLESS_PACKET_FD";

/// Environment variable with the directory of the switch's images, where both slots have their banks
/// ([`bank::Banks`]). Not set in a slot without banks.
pub const IMAGES_VARIABLE: &str = "HITLESS_IMAGES";

/// Environment variable with what the daemon was started from ([`choice::Origin`]). Not set in a slot without banks.
pub const BANK_VARIABLE: &str = "HITLESS_BANK";

/// Exit code by which a daemon asks to be started again at once (`EX_TEMPFAIL`).
pub const EXIT_REBOOT: i32 = 75;
