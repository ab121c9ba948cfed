//! Builds the data path and the program of probe flows, and leaves them for `include_bytes_aligned!`; tells the linker how
//! programs are written.

fn main() -> std::process::ExitCode {
    // What backtraces need is most of a program; compressed, images are half as large.
    println!("cargo::rustc-link-arg-bins=-Wl,--compress-debug-sections=zlib");
    let data_path = ebpf_build::embed("hitless");
    if data_path == std::process::ExitCode::SUCCESS {
        ebpf_build::embed("inject")
    } else {
        data_path
    }
}
