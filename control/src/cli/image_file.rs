//! `image inspect`: what an image file is, without a switch.

use std::fmt::Write as _;
use std::path::Path;

use hitless_boot::image::{Image, ImageError, hex};
use minisign_verify::Signature;
use serde_json::{Value, json};

use super::failure::Failure;

/// An image file that was checked as a whole.
pub(super) struct Inspected {
    file: String,
    image: Image,
}

/// Opens an image file and checks all of it.
pub(super) fn inspect(file: &str) -> Result<Inspected, Failure> {
    let refused = |error: ImageError| Failure::File(error.to_string());
    let image = Image::open(Path::new(file)).map_err(refused)?;
    image.verify().map_err(refused)?;
    Ok(Inspected {
        file: file.to_owned(),
        image,
    })
}

impl Inspected {
    /// What the signature says of itself; `None` if there is none. Whether it is to be trusted is for a switch to say,
    /// which has the keys.
    fn signature(&self) -> Option<String> {
        let text = self.image.signature();
        if text.is_empty() {
            return None;
        }
        Some(match Signature::decode(text) {
            Ok(signature) => signature.trusted_comment().to_owned(),
            Err(error) => format!("not in minisign's form: {error}"),
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let manifest = self.image.manifest();
        let description: Vec<&str> = manifest.description().collect();
        json!({
            "file": self.file,
            "version": manifest.version().to_string(),
            "git": manifest.git(),
            "date": manifest.date(),
            "arch": manifest.arch(),
            "size": manifest.size(),
            "sha256": hex(manifest.sha256()),
            "lowest_compatible": manifest.lowest_compatible().to_string(),
            "signature": self.signature(),
            "description": description,
        })
    }

    pub(super) fn text(&self) -> String {
        let manifest = self.image.manifest();
        let signature = match self.signature() {
            Some(comment) => format!("signed ({comment}); whether that is trusted, a switch tells"),
            None => "none".to_owned(),
        };
        let size = format!("{} octets, whole", manifest.size());
        let lowest = format!("{} and later", manifest.lowest_compatible());
        let sha256 = hex(manifest.sha256());
        let mut text = String::new();
        for (name, value) in [
            ("Image", self.file.as_str()),
            ("Version", &manifest.version().to_string()),
            ("Commit", manifest.git()),
            ("Date", manifest.date()),
            ("Machine", manifest.arch()),
            ("Program", &size),
            ("SHA-256", &sha256),
            ("Works with", &lowest),
            ("Signature", &signature),
        ] {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<14}{value}");
        }
        let description: Vec<&str> = manifest.description().collect();
        if !description.is_empty() {
            text.push_str("Description\n");
        }
        for line in description {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}
