//! The search, over fake compilers and linkers (shell scripts) in a temporary directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;
use crate::{Core, TARGET};

/// A script must not be started while another thread forks with it still open for writing (ETXTBSY),
/// so these tests run one after the other.
static SCRIPTS: Mutex<()> = Mutex::new(());

struct Fake {
    directory: tempfile::TempDir,
    _one_at_a_time: MutexGuard<'static, ()>,
}

impl Fake {
    fn new() -> Self {
        let one_at_a_time = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            directory: tempfile::tempdir().unwrap(),
            _one_at_a_time: one_at_a_time,
        }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    fn script(&self, relative: &str, body: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A sysroot with a compiler, cargo and an LLVM library, but no `core`.
    fn compiler(&self, name: &str, release: &str, llvm: &str) -> PathBuf {
        let sysroot = self.path(name);
        self.script(&format!("{name}/bin/cargo"), "exit 0");
        fs::create_dir_all(sysroot.join("lib")).unwrap();
        let major = llvm.split('.').next().unwrap();
        fs::write(sysroot.join(format!("lib/libLLVM.so.{major}.1")), "").unwrap();
        self.script(
            &format!("{name}/bin/rustc"),
            &format!(
                "case $1 in\n-vV) printf 'rustc x\\nhost: x86_64-unknown-linux-gnu\\nrelease: {release}\\n\
                 LLVM version: {llvm}\\n' ;;\n--print) echo '{}' ;;\nesac",
                sysroot.display()
            ),
        )
    }

    fn add_precompiled_core(&self, name: &str) {
        let lib = self.path(name).join("lib/rustlib").join(TARGET).join("lib");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("libcore-1234.rlib"), "").unwrap();
    }

    fn add_core_sources(&self, name: &str) {
        fs::create_dir_all(self.path(name).join("lib/rustlib/src/rust/library/core")).unwrap();
    }

    /// A linker that contains the given LLVM; an empty version means that it loads one.
    fn linker(&self, relative: &str, llvm: &str) -> PathBuf {
        self.script(relative, &format!("exit 0\n# LLVM{llvm}"))
    }

    /// A rustup that knows the toolchains given with their compilers.
    fn rustup(&self, toolchains: &[(&str, &Path)]) -> OsString {
        let arms: String = toolchains
            .iter()
            .map(|(name, rustc)| format!("{name}) echo '{}' ;;\n", rustc.display()))
            .collect();
        self.script("rustup", &format!("case $3 in\n{arms}*) exit 1 ;;\nesac"))
            .into()
    }

    /// A search that finds nothing until a test adds something.
    fn search(&self) -> Search {
        Search {
            root: self.path("root"),
            object: None,
            rustc: None,
            rustup: self.path("no-rustup").into(),
            system: Vec::new(),
            linker: None,
            path: Vec::new(),
        }
    }
}

fn reasons(failed: &NoToolchain) -> String {
    failed
        .refused
        .iter()
        .map(|r| format!("{} {}\n", r.candidate, r.reason))
        .collect()
}

fn compiler_of(toolchain: &Toolchain) -> &Compiler {
    match toolchain {
        Toolchain::Tools(tools) => &tools.compiler,
        Toolchain::Prebuilt { .. } => panic!("a compiler was expected, found {toolchain}"),
    }
}

#[test]
fn a_prebuilt_object_wins_over_everything() {
    let fake = Fake::new();
    let object = fake.path("hitless.bpf.o");
    let mut elf = [0_u8; 64];
    elf[..4].copy_from_slice(b"\x7fELF");
    elf[18] = 247;
    fs::write(&object, elf).unwrap();
    let search = Search {
        object: Some(object.clone()),
        ..fake.search()
    };
    assert_eq!(search.run(), Ok(Toolchain::Prebuilt { object }));
}

#[test]
fn a_prebuilt_object_for_another_machine_is_refused_and_nothing_else_is_tried() {
    let fake = Fake::new();
    let rustc = fake.compiler("system", "1.96.0", "22.1.8");
    fake.add_precompiled_core("system");
    let search = Search {
        object: Some("/proc/self/exe".into()),
        system: vec![rustc],
        linker: Some(fake.linker("bpf-linker", "")),
        ..fake.search()
    };
    let failed = search.run().unwrap_err();
    assert_eq!(
        reasons(&failed),
        "HITLESS_EBPF_OBJECT=/proc/self/exe is not an eBPF object\n"
    );
}

#[test]
fn nightly_comes_before_stable_and_before_the_system() {
    let fake = Fake::new();
    let nightly = fake.compiler("nightly", "1.97.0-nightly", "22.1.4");
    let stable = fake.compiler("stable", "1.95.0", "22.1.2");
    let system = fake.compiler("system", "1.96.0", "22.1.8");
    for name in ["nightly", "stable"] {
        fake.add_core_sources(name);
    }
    fake.add_precompiled_core("system");
    let search = Search {
        rustup: fake.rustup(&[("nightly", &nightly), ("stable", &stable)]),
        system: vec![system.clone()],
        linker: Some(fake.linker("bpf-linker", "")),
        ..fake.search()
    };
    let found = search.run().unwrap();
    assert_eq!(compiler_of(&found).rustc, nightly);
    assert_eq!(compiler_of(&found).core, Core::Source);

    fs::remove_dir_all(fake.path("nightly/lib/rustlib")).unwrap();
    assert_eq!(compiler_of(&search.run().unwrap()).rustc, stable);

    fs::remove_dir_all(fake.path("stable/lib/rustlib")).unwrap();
    let found = search.run().unwrap();
    assert_eq!(compiler_of(&found).rustc, system);
    assert_eq!(compiler_of(&found).core, Core::Precompiled);
}

#[test]
fn the_named_compiler_is_the_only_one() {
    let fake = Fake::new();
    let named = fake.compiler("named", "1.96.0", "22.1.8");
    let system = fake.compiler("system", "1.96.0", "22.1.8");
    fake.add_precompiled_core("system");
    let search = Search {
        rustc: Some(named.clone()),
        system: vec![system],
        linker: Some(fake.linker("bpf-linker", "")),
        ..fake.search()
    };
    let failed = search.run().unwrap_err();
    assert_eq!(failed.refused.len(), 1);
    assert!(
        reasons(&failed).contains("has neither a compiled core"),
        "{}",
        reasons(&failed)
    );

    fake.add_precompiled_core("named");
    assert_eq!(compiler_of(&search.run().unwrap()).rustc, named);
}

#[test]
fn each_refused_compiler_gets_its_reason() {
    let fake = Fake::new();
    let old = fake.compiler("old", "1.63.0", "14.0.6");
    let bare = fake.compiler("bare", "1.96.0", "22.1.8");
    fs::remove_file(fake.path("bare/bin/cargo")).unwrap();
    let search = Search {
        rustup: fake.rustup(&[("stable", &old)]),
        system: vec![bare, fake.path("absent/rustc")],
        ..fake.search()
    };
    let failed = search.run().unwrap_err();
    let text = failed.to_string();
    for expected in [
        "rustup's nightly: that toolchain is not installed",
        "rustup's stable: is Rust 1.63.0, at least 1.95 is needed",
        "bare/bin/rustc has no cargo beside it",
        "absent/rustc does not exist",
        "HITLESS_EBPF_OBJECT=",
        "apt-get install rustc-web",
        "rustup toolchain install",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    assert!(failed.compilers.is_empty());
}

#[test]
fn a_linker_with_an_older_llvm_is_refused() {
    let fake = Fake::new();
    let rustc = fake.compiler("system", "1.96.0", "22.1.8");
    fake.add_precompiled_core("system");
    fake.linker("old/bpf-linker", "21.1.0");
    fake.linker("new/bpf-linker", "23.1.0");
    let mut search = Search {
        system: vec![rustc.clone()],
        path: vec![fake.path("old")],
        ..fake.search()
    };
    let failed = search.run().unwrap_err();
    assert_eq!(failed.compilers.len(), 1);
    let text = failed.to_string();
    assert!(
        text.contains("has LLVM 21.1.0, older than the compiler's 22.1.8"),
        "{text}"
    );
    assert!(
        text.contains("target/tools/bin/bpf-linker does not exist"),
        "{text}"
    );

    search.path.push(fake.path("new"));
    let Toolchain::Tools(Tools { linker, .. }) = search.run().unwrap() else {
        panic!("no tools")
    };
    assert_eq!(linker.llvm, Some([23, 1, 0]));
    assert_eq!(linker.program, fake.path("new/bpf-linker"));
}

#[test]
fn the_next_compiler_is_tried_when_no_linker_fits_the_first() {
    let fake = Fake::new();
    let nightly = fake.compiler("nightly", "1.99.0-nightly", "23.1.0");
    let system = fake.compiler("system", "1.96.0", "22.1.8");
    fake.add_core_sources("nightly");
    fake.add_precompiled_core("system");
    let search = Search {
        rustup: fake.rustup(&[("nightly", &nightly)]),
        system: vec![system.clone()],
        linker: Some(fake.linker("bpf-linker", "22.1.0")),
        ..fake.search()
    };
    assert_eq!(compiler_of(&search.run().unwrap()).rustc, system);
}

#[test]
fn the_wrapper_gives_the_linker_exactly_the_llvm_of_the_compiler() {
    let fake = Fake::new();
    let rustc = fake.compiler("with space", "1.96.0", "22.1.8");
    fake.add_precompiled_core("with space");
    // Fails unless it is handed one library of the right version.
    let linker = fake.script(
        "linker's/bpf-linker",
        "cd \"$LD_LIBRARY_PATH\" && [ \"$(ls)\" = libLLVM-22.so ] && [ -e libLLVM-22.so ]",
    );
    let search = Search {
        rustc: Some(rustc),
        linker: Some(linker),
        ..fake.search()
    };
    let found = search.run();
    assert!(found.is_ok(), "{}", found.unwrap_err());
    fs::remove_file(fake.path("with space/lib/libLLVM.so.22.1")).unwrap();
    let failed = search.run().unwrap_err();
    assert!(
        reasons(&failed).contains("no libLLVM.so.22 was found"),
        "{}",
        reasons(&failed)
    );
}

#[test]
fn a_linker_that_can_not_link_is_refused_with_what_it_says() {
    let fake = Fake::new();
    let rustc = fake.compiler("system", "1.96.0", "22.1.8");
    fake.add_precompiled_core("system");
    let linker = fake.script(
        "bpf-linker",
        "echo 'error: unknown symbol LLVMx' >&2; exit 1",
    );
    let search = Search {
        system: vec![rustc],
        linker: Some(linker),
        ..fake.search()
    };
    let failed = search.run().unwrap_err();
    assert!(
        reasons(&failed).contains("error: unknown symbol LLVMx"),
        "{}",
        reasons(&failed)
    );
}
