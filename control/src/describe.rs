//! What this program tells of itself: for the manifest of an image, and to compare it with one.

use hitless_ha::describe::Description;
use hitless_proto::config;

/// The description of this program.
#[must_use]
pub fn own() -> Description {
    Description::own(config::SECTIONS)
}

/// The lines of an image's manifest that only the program knows.
#[must_use]
pub fn manifest() -> String {
    let own = own();
    format!(
        "version {}\narch {}\nlowest-compatible {}\n{}",
        own.version,
        std::env::consts::ARCH,
        own.lowest_compatible,
        own.lines()
    )
}
