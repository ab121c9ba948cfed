//! What a `build.rs` calls to embed an object.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use crate::search::{Search, Toolchain};
use crate::{EDITIONS, INSTALLED_LINKER};

/// For a build script in a directory just below the root of the repository: builds the object `name`
/// of [`crate::OBJECTS`] and leaves it as `$OUT_DIR/<name>.bpf.o`. The crate then embeds it with
/// `aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/<name>.bpf.o"))`.
///
/// Without a toolchain the object is empty, the reason is printed as a warning, and
/// `env!("HITLESS_EBPF_MISSING")` holds it as one line; it is empty when all is well.
/// `HITLESS_EBPF=require` makes that an error, `HITLESS_EBPF=skip` asks for an empty object.
///
/// Fails, with a message for cargo, when the programs do not build, a file can not be written, or
/// `HITLESS_EBPF` has another value.
#[must_use]
pub fn embed(name: &str) -> ExitCode {
    match prepare(name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn prepare(name: &str) -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or_else(|| format!("{name} is not set: not run by cargo"))
    };
    let out = variable("OUT_DIR")?;
    let manifest = variable("CARGO_MANIFEST_DIR")?;
    let root = manifest
        .parent()
        .ok_or("the package is not below the repository's root")?;

    // That of the crate whose script this is: the data path must be of the same.
    let edition = EDITIONS.into_iter().find(|edition| {
        env::var_os(format!("CARGO_FEATURE_EDITION_{}", edition.to_uppercase())).is_some()
    });
    for path in [
        "ebpf/src",
        "ebpf/Cargo.toml",
        "ebpf/Cargo.lock",
        "common/src",
        "common/Cargo.toml",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    // While it is missing this reruns the script, so a later setup is noticed.
    println!(
        "cargo::rerun-if-changed={}",
        root.join(INSTALLED_LINKER).display()
    );
    // Not HITLESS_EBPF: it never changes an object that was built, and an empty one is retried anyway.
    for variable in ["HITLESS_EBPF_OBJECT", "HITLESS_EBPF_RUSTC", "BPF_LINKER"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }

    let wish = env::var("HITLESS_EBPF").unwrap_or_default();
    let missing = match wish.as_str() {
        "skip" => "the data path was left out of this build (HITLESS_EBPF=skip)".to_owned(),
        "" | "require" => match Search::from_env(root).run() {
            Ok(toolchain) => {
                if let Toolchain::Prebuilt { object } = &toolchain {
                    println!("cargo::rerun-if-changed={}", object.display());
                }
                // Standard output is read by cargo, so nothing of the child may get there.
                toolchain.build(root, name, edition, &out, &mut |mut command| {
                    command.stdout(Stdio::null()).status()
                })?;
                println!("cargo::rustc-env=HITLESS_EBPF_MISSING=");
                return Ok(());
            }
            Err(reason) if wish == "require" => return Err(reason.into()),
            Err(reason) => {
                let text = reason.to_string();
                for line in text.lines() {
                    println!("cargo::warning={line}");
                }
                text.lines().map(str::trim).collect::<Vec<_>>().join(" | ")
            }
        },
        other => {
            return Err(
                format!("HITLESS_EBPF={other} is not known; use require, skip or nothing").into(),
            );
        }
    };
    fs::write(out.join(format!("{name}.bpf.o")), [])?;
    println!("cargo::rustc-env=HITLESS_EBPF_MISSING={missing}");
    // A path that never exists: the next build looks again.
    println!(
        "cargo::rerun-if-changed={}",
        out.join("no-toolchain").display()
    );
    Ok(())
}
