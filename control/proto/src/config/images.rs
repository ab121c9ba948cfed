//! Which images a switch takes: the keys that their signatures are checked with, and what becomes of unsigned ones.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::check::Checker;
use super::names::InvalidName;
use super::{KeyPath, Rule, bounded};

/// Keys in one configuration at most.
pub const MAX_IMAGE_KEYS: usize = 16;

/// Characters of a key: 42 octets in base64, which needs no padding.
const KEY_CHARACTERS: usize = 56;

/// What a switch does with an image that nobody signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnsignedImages {
    /// It is not loaded.
    #[default]
    Refuse,
    /// It is loaded.
    Allow,
}

impl UnsignedImages {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Allow => "allow",
        }
    }
}

impl fmt::Display for UnsignedImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A public key of minisign, as the second line of its file has it: 56 characters of base64 that begin with `RW`, which
/// says Ed25519.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey(String);

impl ImageKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        // "Ed" and six bits of the key's number after it.
        let ed25519 = text.starts_with("RW") && matches!(text.as_bytes().get(2), Some(b'Q'..=b'T'));
        if text.len() == KEY_CHARACTERS && ed25519 && text.bytes().all(base64) {
            return Ok(Self(text.into()));
        }
        Err(InvalidName::of(
            text,
            "public key of minisign",
            "it must be the 56 characters that begin with RW, from the second line of the key's .pub file",
        ))
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for ImageKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ImageKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        bounded::text(d)?.parse().map_err(de::Error::custom)
    }
}

/// Which images a switch takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImagesConfig {
    /// What becomes of those that nobody signed.
    pub unsigned: UnsignedImages,
    /// Who may sign: a signature by any of these keys is good, one by another key never is. At most
    /// [`MAX_IMAGE_KEYS`].
    pub keys: BTreeSet<ImageKey>,
}

/// See [`ImagesConfig`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImagesDoc {
    /// See [`ImagesConfig::unsigned`].
    pub unsigned: UnsignedImages,
    /// See [`ImagesConfig::keys`].
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "keys")]
    pub keys: Vec<String>,
}

impl ImagesDoc {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<ImagesConfig> for ImagesDoc {
    fn from(images: ImagesConfig) -> Self {
        Self {
            unsigned: images.unsigned,
            keys: images.keys.into_iter().map(|key| key.0).collect(),
        }
    }
}

/// A text of a list, no longer than any other.
#[derive(Deserialize)]
struct Text(#[serde(deserialize_with = "bounded::text")] String);

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let keys = bounded::list::<_, Text, MAX_IMAGE_KEYS>(deserializer)?;
    Ok(keys.into_iter().map(|key| key.0).collect())
}

/// The checked section.
pub(super) fn check(checker: &mut Checker, at: &KeyPath, doc: &ImagesDoc) -> ImagesConfig {
    let at = at.key("keys");
    let mut keys = BTreeSet::new();
    for (i, text) in doc.keys.iter().enumerate() {
        let at = at.index(i);
        let Some(key) = checker.take(at.clone(), text.parse::<ImageKey>()) else {
            continue;
        };
        if !keys.insert(key) {
            checker.refuse(at, Rule::ImageKeyTwice);
        }
    }
    if keys.len() > MAX_IMAGE_KEYS {
        checker.refuse(at, Rule::TooManyImageKeys);
    }
    ImagesConfig {
        unsigned: doc.unsigned,
        keys,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ChangeProblem, Config, ConfigChange, Document, ImageChange, Problem};

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    fn other(i: usize) -> String {
        format!("RWT{i:03}{}", "x".repeat(50))
    }

    fn checked(images: serde_json::Value) -> Result<Config, Vec<Problem>> {
        let document = serde_json::json!({"switch": "sw1", "images": images});
        let document: Document = serde_json::from_value(document).unwrap();
        document.check().map_err(|invalid| invalid.problems)
    }

    #[test]
    fn a_key_is_one_of_minisign() {
        assert_eq!(KEY.parse::<ImageKey>().unwrap().as_str(), KEY);
        let long = format!("{KEY}A");
        let foreign = KEY.replacen("RW", "RX", 1);
        let padded = format!("{}=", &KEY[..55]);
        for bad in [
            "",
            "RW",
            &KEY[1..],
            &long,
            &foreign,
            &padded,
            "untrusted comment: minisign public key",
        ] {
            let error = bad.parse::<ImageKey>().unwrap_err().to_string();
            assert!(error.contains("56 characters"), "{error}");
        }
    }

    #[test]
    fn the_section_is_left_out_by_default_because_older_versions_do_not_know_it() {
        let config = Config::factory("sw1".parse().unwrap());
        assert_eq!(config.images, ImagesConfig::default());
        assert_eq!(config.images.unsigned, UnsignedImages::Refuse);
        let text = serde_json::to_string(&config).unwrap();
        assert!(!text.contains("images"), "{text}");
        assert_eq!(checked(serde_json::json!({})).unwrap(), config);
    }

    #[test]
    fn the_section_comes_back() {
        let config = checked(serde_json::json!({"unsigned": "allow", "keys": [KEY]})).unwrap();
        assert_eq!(config.images.unsigned, UnsignedImages::Allow);
        assert_eq!(config.images.keys, BTreeSet::from([KEY.parse().unwrap()]));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn what_is_no_section_is_refused_with_its_place() {
        let problems = checked(serde_json::json!({"keys": [KEY, "x", KEY]})).unwrap_err();
        let paths: Vec<String> = problems.iter().map(|p| p.path.to_string()).collect();
        assert_eq!(paths, ["images.keys[1]", "images.keys[2]"]);
        for wrong in [
            serde_json::json!({"images": {"unsigned": "maybe"}}),
            serde_json::json!({"images": {"key": KEY}}),
            serde_json::json!({"images": {"keys": (0..=MAX_IMAGE_KEYS).map(other).collect::<Vec<_>>()}}),
        ] {
            let mut document = wrong;
            document["switch"] = "sw1".into();
            assert!(serde_json::from_value::<Document>(document).is_err());
        }
    }

    #[test]
    fn keys_come_and_go() {
        let config = Config::factory("sw1".parse().unwrap());
        let add = |text: &str| {
            ConfigChange::Image(ImageChange::AddKey {
                key: text.parse().unwrap(),
            })
        };
        let delete = |text: &str| {
            ConfigChange::Image(ImageChange::DeleteKey {
                key: text.parse().unwrap(),
            })
        };
        let twice = config.changed(&[add(KEY), add(KEY)]).unwrap();
        assert_eq!(twice.images.keys.len(), 1);
        assert_eq!(twice.changed(&[delete(KEY)]).unwrap(), config);
        let error = config.changed(&[delete(KEY)]).unwrap_err();
        assert!(error.is_not_found());
        assert!(matches!(*error.problem, ChangeProblem::UnknownImageKey(_)));
        let many: Vec<_> = (0..=MAX_IMAGE_KEYS).map(|i| add(&other(i))).collect();
        assert!(config.changed(&many[1..]).is_ok());
        let error = config.changed(&many).unwrap_err().to_string();
        assert!(error.contains("at most 16"), "{error}");
    }
}
