//! Builds the programs that only tests and benches load, for `include_bytes_aligned!`.

fn main() -> std::process::ExitCode {
    ebpf_build::embed("probe")
}
