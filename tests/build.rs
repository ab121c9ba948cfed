//! Builds the programs that only tests and benches load, and the product's own for the packet-by-packet tests,
//! for `include_bytes_aligned!`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let probe = ebpf_build::embed("probe");
    if probe == ExitCode::SUCCESS {
        ebpf_build::embed("hitless")
    } else {
        probe
    }
}
