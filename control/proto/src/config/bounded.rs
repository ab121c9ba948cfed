//! Lists and texts with a largest size, so that a small hostile document (YAML aliases) can not become a
//! large one in memory. The limits are far above what the rules allow.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

/// Longest text that a document may hold in one value, in bytes.
pub(super) const MAX_TEXT: usize = 255;

/// Deserializes a list of at most `MAX` items.
pub(super) fn list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                if items.len() == MAX {
                    return Err(de::Error::custom(format_args!(
                        "the list has more than {MAX} items"
                    )));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(List::<T, MAX>(PhantomData))
}

/// Deserializes a list of at most `MAX` items that may be absent.
pub(super) fn optional_list<'de, D, T, const MAX: usize>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Items<T, const MAX: usize>(Vec<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Items<T, MAX> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            list::<_, _, MAX>(deserializer).map(Self)
        }
    }

    let items = Option::<Items<T, MAX>>::deserialize(deserializer)?;
    Ok(items.map(|items| items.0))
}

/// A text of at most [`MAX_TEXT`] bytes.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text of at most {MAX_TEXT} bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                short(text).map(|text| Text(text.into()))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// The text, unless it is longer than [`MAX_TEXT`] bytes.
pub(super) fn short<E: de::Error>(text: &str) -> Result<&str, E> {
    if text.len() > MAX_TEXT {
        return Err(E::custom(format_args!(
            "the text has {} bytes; at most {MAX_TEXT} are allowed",
            text.len()
        )));
    }
    Ok(text)
}

/// Deserializes a text.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Text::deserialize(deserializer).map(|text| text.0)
}

/// Deserializes a text that may be absent.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(Option::<Text>::deserialize(deserializer)?.map(|text| text.0))
}
