//! The sizes that both sides agree on.

/// Highest port number; ports are numbered 1 to this.
pub const MAX_PORTS: usize = 128;

/// 64-bit words in a port bitmap ([`crate::map::vlans::PortSet`]).
pub const PORT_WORDS: usize = MAX_PORTS / 64;

/// Slots of the ifindex table, a power of two. Eight times the ports: a probe nearly always hits at once.
pub const PORT_SLOTS: u32 = 1024;

/// Slots examined for one ifindex before it counts as unknown.
pub const PORT_PROBES: u32 = 8;

/// Smallest configurable forwarding database, in entries.
pub const MIN_FDB_SIZE: u32 = 64;

/// Largest configurable forwarding database, in entries (16 M; 512 MB of kernel memory).
pub const MAX_FDB_SIZE: u32 = 16 * 1024 * 1024;

/// Forwarding database of a switch that configures none, in entries.
pub const DEFAULT_FDB_SIZE: u32 = 65_536;

/// Bytes of a control frame that reach the control plane; longer frames are cut and say so.
pub const PUNT_BYTES: usize = 2032;
