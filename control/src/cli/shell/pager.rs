//! `-- more --`: shows long answers a page at a time.

use std::io::{self, Write};
use std::os::fd::AsFd;

use crossterm::terminal;
use nix::errno::Errno;
use unicode_width::UnicodeWidthChar;

/// What stands below a page.
const MORE: &str = "-- more --";

/// Takes [`MORE`] away again.
const ERASE: &str = "\r          \r";

/// Columns and rows of a terminal that does not say how large it is.
const UNKNOWN_SIZE: (usize, usize) = (80, 24);

/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// What the operator wants after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A page more.
    Page,
    /// A line more.
    Line,
    /// No more.
    Quit,
}

impl Key {
    /// What a byte from the keyboard means; nothing for most.
    fn of(byte: u8) -> Option<Self> {
        match byte {
            b' ' => Some(Self::Page),
            b'\r' | b'\n' => Some(Self::Line),
            // Ctrl-C and Ctrl-D as well.
            b'q' | b'Q' | 0x03 | 0x04 => Some(Self::Quit),
            _ => None,
        }
    }
}

/// The terminal that a pager asks.
pub(super) trait Keyboard {
    /// Columns and rows of the window, as it is now.
    fn size(&self) -> (usize, usize);
    /// From now on keys come at once and are not shown: before the question is, since who reads it may be quick.
    fn attend(&mut self) -> io::Result<()>;
    /// Waits for a key.
    fn key(&mut self) -> io::Result<Key>;
    /// The end of [`Keyboard::attend`].
    fn release(&mut self);
}

/// Passes on what is written, and stops after every page. When the operator has enough, writing fails with
/// [`io::ErrorKind::BrokenPipe`], as if the reader of a pipe had gone away.
pub(super) struct Pager<K, W> {
    keyboard: K,
    output: W,
    on: bool,
    /// Rows that may still be filled before the operator is asked.
    rows_left: usize,
    /// Columns of the row that is being filled.
    column: usize,
    escape: Escape,
    /// The beginning of a character that is not whole yet.
    partial: Vec<u8>,
    has_quit: bool,
}

/// Where in an escape sequence, which takes no columns, the last character was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    Outside,
    Begun,
    Control,
}

impl<K: Keyboard, W: Write> Pager<K, W> {
    pub fn new(keyboard: K, output: W, on: bool) -> Self {
        let rows_left = keyboard.size().1.saturating_sub(1).max(1);
        Self {
            keyboard,
            output,
            on,
            rows_left,
            column: 0,
            escape: Escape::Outside,
            partial: Vec::new(),
            has_quit: false,
        }
    }

    /// Writes a character, after the question if it would begin a row below the page.
    fn put(&mut self, character: char, columns: usize) -> io::Result<()> {
        let width = self.width(character);
        if self.column == 0 && self.rows_left == 0 {
            self.ask()?;
        }
        if character == '\n' {
            self.end_row();
        } else {
            if self.column + width > columns {
                self.end_row();
                if self.rows_left == 0 {
                    // The terminal would begin a row by itself where the question is to stand.
                    self.output.write_all(b"\n")?;
                    self.ask()?;
                }
            }
            self.column += width;
        }
        let mut bytes = [0; 4];
        self.output
            .write_all(character.encode_utf8(&mut bytes).as_bytes())
    }

    fn width(&mut self, character: char) -> usize {
        match (self.escape, character) {
            (_, '\x1b') => self.escape = Escape::Begun,
            (Escape::Begun, '[') => self.escape = Escape::Control,
            (Escape::Begun, _) | (Escape::Control, '\x40'..='\x7e') => {
                self.escape = Escape::Outside;
            }
            (Escape::Control, _) => {}
            (Escape::Outside, '\t') => return TAB - self.column % TAB,
            (Escape::Outside, _) => return character.width().unwrap_or(0),
        }
        0
    }

    fn end_row(&mut self) {
        self.rows_left = self.rows_left.saturating_sub(1);
        self.column = 0;
    }

    fn ask(&mut self) -> io::Result<()> {
        // What is shown by then still gets its carriage returns from the terminal.
        self.output.flush()?;
        self.keyboard.attend()?;
        let answer = self.question();
        self.keyboard.release();
        match answer? {
            // The last row of the page before stays in sight.
            Key::Page => self.rows_left = self.keyboard.size().1.saturating_sub(2).max(1),
            Key::Line => self.rows_left = 1,
            Key::Quit => {
                self.has_quit = true;
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(())
    }

    fn question(&mut self) -> io::Result<Key> {
        self.output.write_all(MORE.as_bytes())?;
        self.output.flush()?;
        let key = self.keyboard.key();
        self.output.write_all(ERASE.as_bytes())?;
        self.output.flush()?;
        key
    }
}

impl<K: Keyboard, W: Write> Write for Pager<K, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_quit {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !self.on {
            self.output.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let columns = self.keyboard.size().0;
        self.partial.extend_from_slice(bytes);
        let text = std::mem::take(&mut self.partial);
        for chunk in text.utf8_chunks() {
            for character in chunk.valid().chars() {
                self.put(character, columns)?;
            }
            let at_end = chunk.invalid().as_ptr_range().end == text.as_ptr_range().end;
            if at_end
                && std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none())
            {
                self.partial = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() {
                self.put(char::REPLACEMENT_CHARACTER, columns)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// The terminal at standard input.
#[derive(Default)]
pub(super) struct Terminal {
    raw: Option<Raw>,
}

impl Keyboard for Terminal {
    fn size(&self) -> (usize, usize) {
        window_size()
    }

    fn attend(&mut self) -> io::Result<()> {
        self.raw = Some(Raw::enter()?);
        Ok(())
    }

    fn key(&mut self) -> io::Result<Key> {
        loop {
            let mut byte = [0];
            match nix::unistd::read(io::stdin().as_fd(), &mut byte) {
                // The terminal is gone.
                Ok(0) => return Ok(Key::Quit),
                Ok(_) => {
                    if let Some(key) = Key::of(byte[0]) {
                        return Ok(key);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn release(&mut self) {
        self.raw = None;
    }
}

/// Columns and rows of the terminal.
pub(super) fn window_size() -> (usize, usize) {
    match terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns.into(), rows.into()),
        _ => UNKNOWN_SIZE,
    }
}

/// Keys come at once and are not shown, until it is dropped.
struct Raw;

impl Raw {
    fn enter() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = terminal::disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// A window, and the keys that will be hit.
    struct Hands {
        size: (usize, usize),
        keys: Vec<Key>,
        attending: Rc<Cell<bool>>,
        /// Octets that were written and not flushed.
        unflushed: Rc<Cell<usize>>,
    }

    impl Hands {
        fn new(size: (usize, usize), keys: &[Key]) -> Self {
            Self {
                size,
                keys: keys.to_vec(),
                attending: Rc::default(),
                unflushed: Rc::default(),
            }
        }
    }

    impl Keyboard for Hands {
        fn size(&self) -> (usize, usize) {
            self.size
        }

        fn attend(&mut self) -> io::Result<()> {
            assert_eq!(self.unflushed.get(), 0);
            assert!(!self.attending.replace(true));
            Ok(())
        }

        fn release(&mut self) {
            assert!(self.attending.replace(false));
        }

        fn key(&mut self) -> io::Result<Key> {
            assert!(!self.keys.is_empty(), "asked once too often");
            Ok(self.keys.remove(0))
        }
    }

    /// What is seen, with the questions in their places, and whether all was written.
    fn paged(size: (usize, usize), keys: &[Key], text: &str) -> (String, bool) {
        let mut output = Vec::new();
        let mut pager = Pager::new(Hands::new(size, keys), &mut output, true);
        let whole = pager.write_all(text.as_bytes()).is_ok();
        assert!(pager.keyboard.keys.is_empty(), "not asked");
        let seen = String::from_utf8(output).unwrap();
        (seen.replace(ERASE, "|"), whole)
    }

    fn numbers(count: usize) -> String {
        (1..=count).map(|n| format!("{n}\n")).collect()
    }

    #[test]
    fn a_page_is_not_asked_about() {
        assert_eq!(paged((80, 5), &[], &numbers(4)), (numbers(4), true));
    }

    #[test]
    fn pages_lines_and_the_end() {
        let (seen, whole) = paged((80, 5), &[Key::Page, Key::Line, Key::Quit], &numbers(99));
        assert_eq!(
            seen,
            "1\n2\n3\n4\n-- more --|5\n6\n7\n-- more --|8\n-- more --|"
        );
        assert!(!whole);
    }

    #[test]
    fn long_lines_fill_rows() {
        // Ten columns: 25 characters take three rows.
        let (seen, _) = paged(
            (10, 4),
            &[Key::Quit],
            &format!("{}\nnext\n", "x".repeat(25)),
        );
        assert_eq!(seen, format!("{}\n-- more --|", "x".repeat(25)));
        // A line that fills its row takes one.
        assert!(paged((10, 3), &[], &format!("{0}\n{0}\n", "x".repeat(10))).1);
        // A question within a line.
        let (seen, _) = paged((10, 2), &[Key::Page], &"x".repeat(15));
        assert_eq!(seen, "xxxxxxxxxx\n-- more --|xxxxx");
    }

    #[test]
    fn wide_characters_and_colours() {
        let (_, whole) = paged((4, 3), &[], "漢字\n\x1b[31mabcd\x1b[0m\n");
        assert!(whole);
        let (seen, _) = paged((4, 2), &[Key::Quit], "漢字漢\n");
        assert_eq!(seen, "漢字\n-- more --|");
    }

    #[test]
    fn characters_may_come_in_pieces() {
        let mut output = Vec::new();
        let hands = Hands::new((80, 24), &[]);
        let mut pager = Pager::new(hands, &mut output, true);
        for byte in "é漢\n".bytes() {
            pager.write_all(&[byte]).unwrap();
        }
        pager.write_all(b"\xffx").unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "é漢\n\u{fffd}x");
    }

    #[test]
    fn nobody_is_asked_when_paging_is_off() {
        let hands = Hands::new((10, 2), &[]);
        let mut output = Vec::new();
        Pager::new(hands, &mut output, false)
            .write_all(numbers(50).as_bytes())
            .unwrap();
        assert_eq!(output, numbers(50).as_bytes());
    }

    /// Looks whether somebody listens when it shows the question, and to nothing else.
    struct Screen {
        attending: Rc<Cell<bool>>,
        unflushed: Rc<Cell<usize>>,
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let is_asking = bytes == MORE.as_bytes() || bytes == ERASE.as_bytes();
            assert_eq!(self.attending.get(), is_asking, "{bytes:?}");
            self.unflushed.update(|octets| octets + bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.unflushed.set(0);
            Ok(())
        }
    }

    #[test]
    fn a_key_at_the_sight_of_the_question_is_not_too_early() {
        let hands = Hands::new((80, 5), &[Key::Page, Key::Line, Key::Quit]);
        let screen = Screen {
            attending: hands.attending.clone(),
            unflushed: hands.unflushed.clone(),
        };
        let mut pager = Pager::new(hands, screen, true);
        assert!(pager.write_all(numbers(99).as_bytes()).is_err());
        assert!(!pager.keyboard.attending.get());
    }

    #[test]
    fn keys() {
        assert_eq!(Key::of(b' '), Some(Key::Page));
        assert_eq!(Key::of(b'\r'), Some(Key::Line));
        assert_eq!(Key::of(0x03), Some(Key::Quit));
        assert_eq!(Key::of(b'x'), None);
    }
}
