//! Where in a YAML text something stands. Each pass deserializes into nothing and raises an error at its goal,
//! for the sake of the line and column that serde_yaml attaches to errors.

use std::collections::BTreeSet;
use std::fmt;

use hitless_proto::config::Step;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Line and column, from 1, that an error carries.
pub(super) fn position(error: &serde_yaml::Error) -> (usize, usize) {
    error
        .location()
        .map_or((1, 1), |location| (location.line(), location.column()))
}

/// The value at the end of a key path; the innermost value that exists if the path leads on to a key that
/// the text leaves out.
pub(super) fn key_path(text: &str, steps: &[Step]) -> (usize, usize) {
    match (Walk { steps }).deserialize(serde_yaml::Deserializer::from_str(text)) {
        Err(error) => position(&error),
        Ok(never) => match never {},
    }
}

/// The first key that its mapping has had already. serde reports such a key without its place.
pub(super) fn duplicate_key(text: &str) -> Option<(usize, usize)> {
    let mut budget = MAX_VALUES;
    let scan = Scan {
        budget: &mut budget,
    };
    let error = scan
        .deserialize(serde_yaml::Deserializer::from_str(text))
        .err()?;
    error
        .to_string()
        .contains(DUPLICATE)
        .then(|| position(&error))
}

/// Values that a scan looks at, aliases resolved: more than any text of the allowed size has without them.
const MAX_VALUES: usize = 4 * 1024 * 1024;

const DUPLICATE: &str = "the same key again";

/// Never made: a walk always ends in an error.
enum Never {}

/// Walks down a key path. Visitor methods that are not defined here raise an error, which is what the end
/// of a path needs.
struct Walk<'a> {
    steps: &'a [Step],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Never;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Never, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Never;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the end of a key path")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Never, A::Error> {
        if let [Step::Key(wanted), steps @ ..] = self.steps {
            while let Some(key) = map.next_key::<String>()? {
                if key == *wanted {
                    return map.next_value_seed(Walk { steps });
                }
                map.next_value::<IgnoredAny>()?;
            }
        }
        Err(de::Error::custom("here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Never, A::Error> {
        if let [Step::Index(index), steps @ ..] = self.steps {
            for _ in 0..*index {
                seq.next_element::<IgnoredAny>()?;
            }
            if let Some(never) = seq.next_element_seed(Walk { steps })? {
                return Ok(never);
            }
        }
        Err(de::Error::custom("here"))
    }
}

/// Visits every value until a mapping has a key twice.
struct Scan<'a> {
    budget: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.budget = self
            .budget
            .checked_sub(1)
            .ok_or_else(|| de::Error::custom("too many values"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while map.next_key_seed(NewKey { seen: &mut seen })?.is_some() {
            let budget = &mut *self.budget;
            map.next_value_seed(Scan { budget })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let budget = self.budget;
        while seq
            .next_element_seed(Scan {
                budget: &mut *budget,
            })?
            .is_some()
        {}
        Ok(())
    }
}

/// A key that must not have been seen.
struct NewKey<'a> {
    seen: &'a mut BTreeSet<String>,
}

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<(), E> {
        if self.seen.insert(key.into()) {
            Ok(())
        } else {
            Err(E::custom(DUPLICATE))
        }
    }
}
