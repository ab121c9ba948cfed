//! What a container image stands for here: ours means the locally built binaries, any other an idle node
//! with the host's programs.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::topology::Node;

/// Where the binaries are in a node of our image; first in its PATH.
pub const BINARIES_IN_NODE: &str = "/usr/local/lib/hitless";

/// What our image runs when the file gives neither `entrypoint` nor `cmd`.
const COMMAND: [&str; 4] = [
    "hitless",
    "chassis",
    "--config",
    "/etc/hitless/hitless.yaml",
];

/// The programs that are in our image.
const BINARIES: [&str; 3] = ["hitless", "hitless-boot", "hitlessd"];

/// What a container's processes have as PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether the image is ours: its repository, without registry, tag and digest, is `hitless` or begins
/// with `hitless-`.
pub(crate) fn is_ours(image: &str) -> bool {
    let path = image.split('@').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let repository = last.split(':').next().unwrap_or_default();
    repository == "hitless" || repository.starts_with("hitless-")
}

/// The command that the node's first process starts, empty for an idle node. A `cmd` replaces the image's,
/// an `entrypoint` the image's together with its `cmd`, as in Docker.
pub(crate) fn command(node: &Node) -> Vec<String> {
    let given = [node.entrypoint.as_slice(), &node.cmd].concat();
    if given.is_empty() && is_ours(&node.image) {
        return COMMAND.map(String::from).to_vec();
    }
    given
}

/// PATH in the node.
pub(crate) fn path(node: &Node) -> String {
    if is_ours(&node.image) {
        format!("{BINARIES_IN_NODE}:{PATH}")
    } else {
        PATH.into()
    }
}

/// The directory of the locally built binaries, all of them, for a node of our image: the given one, or the one of the
/// running program, or the one above it (where cargo puts test programs).
pub(crate) fn binaries(node: &Node, given: Option<&Path>) -> Result<PathBuf, Error> {
    let candidates: Vec<PathBuf> = match given {
        Some(directory) => vec![directory.into()],
        None => {
            let exe = std::env::current_exe().unwrap_or_default();
            exe.ancestors()
                .skip(1)
                .take(2)
                .map(Path::to_path_buf)
                .collect()
        }
    };
    let has = |directory: &Path, binary: &str| directory.join(binary).is_file();
    let whole = |directory: &&PathBuf| BINARIES.iter().all(|b| has(directory, b));
    let directory = candidates.iter().find(whole);
    if let Some(found) = directory.and_then(|d| d.canonicalize().ok()) {
        return Ok(found);
    }
    // What is missing where most is there.
    let best = candidates
        .iter()
        .max_by_key(|d| BINARIES.iter().filter(|b| has(d, b)).count());
    let missing = |binary: &&&str| best.is_none_or(|d| !has(d, binary));
    let binary = BINARIES
        .iter()
        .find(missing)
        .copied()
        .unwrap_or(BINARIES[0]);
    Err(Error::NoBinary {
        node: node.name.clone(),
        image: node.image.clone(),
        binary,
        searched: candidates
            .iter()
            .map(|d| d.display().to_string())
            .collect::<Vec<_>>()
            .join(" or "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_images_by_name() {
        for ours in [
            "hitless",
            "hitless:latest",
            "hitless:0.1",
            "example.org:5000/lab/hitless:1",
            "example.org/hitless@sha256:00",
            "hitless-dev:1",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "",
            "alpine:3",
            "hitless/alpine",
            "nothitless",
            "x/hitlessly",
            "a:hitless",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
