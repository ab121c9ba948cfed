//! What this program tells of itself: for the manifest of an image, and to compare it with one.

use hitless_ha::describe::Description;
use hitless_proto::config;

/// The description of this program.
#[must_use]
pub fn own() -> Description {
    Description::own(config::SECTIONS)
}
