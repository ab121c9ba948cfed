//! Texts of others in the log: one that contains a line break must not pass for two lines, and none may command the
//! terminal that shows it.

use std::borrow::Cow;
use std::io::{self, Write};

/// The text with everything escaped that is not shown as a character in its place: control characters, line breaks
/// among them, and what changes the direction of a text or is not seen.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unseen(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Standard error for the log in text form. The lines of an event behind its first one are indented, so that none of
/// them passes for another event.
pub struct Events<W = io::Stderr>(W);

impl Events {
    /// Writes to standard error.
    #[must_use]
    pub fn to_stderr() -> Self {
        Self(io::stderr())
    }
}

impl<W: Write> Write for Events<W> {
    /// Takes a whole event, which is how [`tracing_subscriber::fmt`] writes them.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = match event.strip_suffix(b"\n") {
            Some(text) => (text, &b"\n"[..]),
            None => (event, &b""[..]),
        };
        if !text.iter().any(|b| matches!(b, b'\n' | b'\r')) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let mut lines = Vec::with_capacity(event.len() + 64);
        for &octet in text {
            match octet {
                b'\n' => lines.extend(b"\n    "),
                // It would go back to where the line begins.
                b'\r' => lines.extend(b"\\r"),
                octet => lines.push(octet),
            }
        }
        lines.extend(end);
        self.0.write_all(&lines)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_seen_is_escaped() {
        for (text, shown) in [
            ("VLAN blue, Zürich — 東京", "VLAN blue, Zürich — 東京"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            (
                "\u{1b}[2J\u{9b}K\u{7f}\0",
                "\\u{1b}[2J\\u{9b}K\\u{7f}\\u{0}",
            ),
            (
                "x\u{202e}y\u{2028}z\u{feff}",
                "x\\u{202e}y\\u{2028}z\\u{feff}",
            ),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn an_event_is_one_line_at_the_left_edge() {
        for (event, written) in [
            ("12:00 INFO good\n", "12:00 INFO good\n"),
            (
                "12:00 INFO one\n12:01 INFO forged\n",
                "12:00 INFO one\n    12:01 INFO forged\n",
            ),
            (
                "12:00 INFO a\r12:01 b\n\n",
                "12:00 INFO a\\r12:01 b\n    \n",
            ),
            ("no end", "no end"),
            ("", ""),
        ] {
            let mut events = Events(Vec::new());
            events.write_all(event.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(events.0).unwrap(), written);
        }
    }

    proptest! {
        #[test]
        fn printable_texts_are_one_line(text in any::<String>()) {
            let shown = printable(&text);
            prop_assert!(!shown.contains(char::is_control), "{shown:?}");
            prop_assert_eq!(printable(&shown), &*shown);
        }
    }
}
