//! Builds the data path and leaves it for `include_bytes_aligned!`; tells the linker how programs are written.

fn main() -> std::process::ExitCode {
    // What backtraces need is most of a program; compressed, images are half as large.
    println!("cargo::rustc-link-arg-bins=-Wl,--compress-debug-sections=zlib");
    ebpf_build::embed("hitless")
}
