//! Builds the data path and leaves it for `include_bytes_aligned!`.

fn main() -> std::process::ExitCode {
    ebpf_build::embed("hitless")
}
