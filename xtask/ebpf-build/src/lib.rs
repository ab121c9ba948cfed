//! Finds a compiler and a linker for eBPF, and builds the data path (`ebpf/`) with them.
//!
//! Shared by `control/build.rs` and `tests/build.rs` ([`embed`]) and by `xtask` ([`find`],
//! [`Toolchain::build`]). It never installs or downloads a tool: only `cargo xtask setup` does.
//!
//! Order of the search, first match wins:
//! 1. `HITLESS_EBPF_OBJECT=FILE`: that object as it is, nothing is built.
//! 2. `HITLESS_EBPF_RUSTC=FILE`: only that compiler and the `cargo` beside it.
//! 3. rustup's `nightly`, then `stable`, then the release that `setup` installs where the distribution
//!    has no compiler for eBPF ([`FALLBACK_TOOLCHAIN`]).
//! 4. `/usr/bin/rustc`, `/usr/local/bin/rustc` (Debian: package `rustc-web`).
//!
//! A compiler is accepted with a precompiled `core` for [`TARGET`], or with the sources of `core`.
//! The linker is `BPF_LINKER`, `target/tools/bin/bpf-linker` or `bpf-linker` in `PATH`; its LLVM must
//! not be older than the compiler's.

mod build;
mod compiler;
mod embed;
mod linker;
mod paths;
mod search;

pub use build::BuildError;
pub use compiler::{Compiler, Core};
pub use embed::embed;
pub use linker::Linker;
pub use paths::{SEPARATOR, remapped};
pub use search::{NoToolchain, Refused, Search, Toolchain, Tools, find};

/// The compiler's name of the target that the data path is built for.
pub const TARGET: &str = "bpfel-unknown-none";

/// The object files that `ebpf/` yields, by the names of its binaries: the product's data path, the programs
/// that only tests and benches load, and what the command line measures upgrades with.
pub const OBJECTS: [&str; 3] = ["hitless", "probe", "inject"];

/// Two more versions that the same sources yield, by cargo's features `edition-<name>`: for tests of
/// upgrades.
pub const EDITIONS: [&str; 2] = ["older", "newer"];

/// Where `cargo xtask setup` installs the linker, below the root of the repository.
pub const INSTALLED_LINKER: &str = "target/tools/bin/bpf-linker";

/// The last linker release that loads LLVM at run time, so that no LLVM development files are needed,
/// and the LLVM major version that this release is made for.
pub const LINKER_RELEASE: (&str, u32) = ("0.10.4", 22);

/// The rustup toolchain with the LLVM that [`LINKER_RELEASE`] is made for. `nightly` and `stable` move
/// on to newer ones.
pub const FALLBACK_TOOLCHAIN: &str = "1.95.0";
