//! The one entry for development.

use std::path::Path;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask is not below a repository")?;
    let toolchain = ebpf_build::find(root)?;
    println!("eBPF toolchain: {toolchain}");
    for object in toolchain.build(root, &root.join("target/ebpf/objects"))? {
        println!("{}", object.display());
    }
    Ok(())
}
