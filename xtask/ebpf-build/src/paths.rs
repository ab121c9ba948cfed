//! Where sources stand is nobody's business who has the program: paths of this machine are kept out of it.

use std::env;
use std::path::{Path, PathBuf};

/// Between two of a compiler's flags in `CARGO_ENCODED_RUSTFLAGS`.
pub const SEPARATOR: char = '\x1f';

/// The compiler's flags that keep the repository's place, and that of its dependencies' sources, out of what it makes, as
/// `CARGO_ENCODED_RUSTFLAGS` has them.
#[must_use]
pub fn remapped(root: &Path) -> String {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let flag =
        |(place, name): (&Path, &str)| format!("--remap-path-prefix={}={name}", place.display());
    let places = [
        Some((root, "hitless")),
        home.as_deref().map(|home| (home, "cargo")),
    ];
    let flags: Vec<String> = places.into_iter().flatten().map(flag).collect();
    flags.join(&SEPARATOR.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places_get_other_names() {
        let flags = remapped(Path::new("/some/place"));
        let flags: Vec<&str> = flags.split(SEPARATOR).collect();
        assert_eq!(flags[0], "--remap-path-prefix=/some/place=hitless");
        assert!(flags[1].ends_with("=cargo"), "{flags:?}");
    }
}
