//! `bpf-linker`: which LLVM it brings, and the wrapper that hands it the compiler's LLVM.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compiler::{Compiler, dotted, parse_version};

/// A linker that understands what a certain compiler writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linker {
    /// The linker itself.
    pub program: PathBuf,
    /// What cargo is told to call: a script that starts `program` with the right LLVM.
    pub wrapper: PathBuf,
    /// The LLVM inside `program`; `None` if it loads the compiler's.
    pub llvm: Option<[u32; 3]>,
}

impl fmt::Display for Linker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.program.display())?;
        match self.llvm {
            Some(version) => write!(f, "(LLVM {})", dotted(version)),
            None => write!(f, "(loads the compiler's LLVM)"),
        }
    }
}

impl Linker {
    /// Checks that `program` can link what `compiler` writes, and puts the wrapper for the two into
    /// `directory`.
    ///
    /// # Errors
    /// Why it can not, as a clause that follows the linker's path.
    pub fn inspect(program: &Path, compiler: &Compiler, directory: &Path) -> Result<Self, String> {
        let image = fs::read(program).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "does not exist".to_owned(),
            _ => format!("can not be read: {error}"),
        })?;
        let llvm = llvm_in(&image);
        if let Some(found) = llvm
            && found[0] < compiler.llvm[0]
        {
            return Err(format!(
                "has LLVM {}, older than the compiler's {}",
                dotted(found),
                dotted(compiler.llvm)
            ));
        }
        let library = compiler.llvm_library();
        if llvm.is_none() && library.is_none() {
            return Err(format!(
                "loads LLVM at run time, and no libLLVM.so.{} was found beside the compiler",
                compiler.llvm[0]
            ));
        }
        let linker = Self {
            program: program.to_owned(),
            wrapper: directory.join("bpf-linker"),
            llvm,
        };
        linker
            .write_wrapper(compiler, library.as_deref())
            .map_err(|error| format!("needs a wrapper in {}: {error}", directory.display()))?;
        linker.try_out()?;
        Ok(linker)
    }

    /// The linker takes the first `libLLVM*` that it meets in `LD_LIBRARY_PATH` and then beside every
    /// entry of `PATH`, whatever its version; so it gets a directory with exactly one.
    fn write_wrapper(&self, compiler: &Compiler, library: Option<&Path>) -> io::Result<()> {
        let libraries = self.wrapper.with_file_name("lib");
        fs::create_dir_all(&libraries)?;
        if let Some(library) = library {
            let link = libraries.join(format!("libLLVM-{}.so", compiler.llvm[0]));
            if fs::read_link(&link).ok().as_deref() != Some(library) {
                replace(&link, |new| symlink(library, new))?;
            }
        }
        let script = format!(
            "#!/bin/sh\n# Written by ebpf-build. Gives the linker the compiler's LLVM and no other.\n\
             LD_LIBRARY_PATH={} exec {} \"$@\"\n",
            quoted(&libraries),
            quoted(&self.program)
        );
        if fs::read(&self.wrapper).ok().as_deref() != Some(script.as_bytes()) {
            replace(&self.wrapper, |new| {
                fs::write(new, &script)?;
                fs::set_permissions(new, fs::Permissions::from_mode(0o755))
            })?;
        }
        Ok(())
    }

    /// Links an empty module: shows that the LLVM is found and fits the linker.
    fn try_out(&self) -> Result<(), String> {
        let input = self.wrapper.with_file_name("empty.ll");
        let output = self
            .wrapper
            .with_file_name(format!("empty.{}.o", std::process::id()));
        replace(&input, |new| fs::write(new, "target triple = \"bpfel\"\n"))
            .map_err(|error| format!("can not be tried out in {}: {error}", input.display()))?;
        let run = Command::new(&self.wrapper)
            .args(["--target", "bpfel", "-o"])
            .args([&output, &input])
            .output()
            .map_err(|error| format!("can not be run: {error}"))?;
        // Absent when the linker failed, which the status below tells better.
        fs::remove_file(&output).ok();
        if run.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&run.stderr);
        let said = text.lines().map(str::trim).find(|line| {
            ["unable to find", "error", "undefined", "panicked"]
                .iter()
                .any(|word| line.contains(word))
        });
        Err(format!(
            "can not link an empty module ({}): {}",
            run.status,
            said.unwrap_or("it says nothing")
        ))
    }
}

/// Makes `path` anew in one step, so that a build that runs at the same time sees it whole.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => make(&new)?,
    }
    fs::rename(&new, path)
}

/// `path` as one word of a shell script.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

/// The LLVM version that is linked into a program: LLVM signs its bitcode with `LLVM<version>`, so a
/// program that contains LLVM contains this text. None in a program that loads LLVM at run time.
fn llvm_in(image: &[u8]) -> Option<[u32; 3]> {
    const MARK: &[u8] = b"LLVM";
    image
        .windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .find_map(|(at, _)| {
            let rest = &image[at + MARK.len()..];
            let length = rest
                .iter()
                .take(16)
                .take_while(|b| b.is_ascii_digit() || **b == b'.')
                .count();
            let text = std::str::from_utf8(&rest[..length]).ok()?;
            (text.split('.').filter(|part| !part.is_empty()).count() == 3)
                .then(|| parse_version(text))?
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_llvm_that_is_linked_in() {
        assert_eq!(
            llvm_in(b"\0LLVM0700\0x LLVM 22 builds\0LLVM22.1.8\0"),
            Some([22, 1, 8])
        );
        assert_eq!(
            llvm_in(b"\0LLVM22.1.2-rust-1.95.0-stable\0"),
            Some([22, 1, 2])
        );
        assert_eq!(llvm_in(b"LLVM builds support LLVM 22, LLVM22"), None);
        assert_eq!(llvm_in(b"LLVM"), None);
    }

    #[test]
    fn quotes_for_the_shell() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
