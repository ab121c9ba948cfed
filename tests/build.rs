//! Builds the programs that only tests and benches load, for `include_bytes_aligned!`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    ebpf_build::embed("probe")
}
