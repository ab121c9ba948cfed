//! Builds the data path and leaves it for `include_bytes_aligned!`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    ebpf_build::embed("hitless")
}
