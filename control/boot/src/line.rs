//! What daemon and boot, and the two boots, tell each other: one line of printable ASCII a packet, on Unix sockets
//! that keep packets apart (`SOCK_SEQPACKET`).

use std::fmt;
use std::str::FromStr;

use crate::slot::Slot;

/// Longest line in bytes. What is longer is cut.
pub const MAX_LINE: usize = 1024;

/// Shortest time without a kick, in milliseconds, that a watchdog can be armed with.
pub const MIN_WATCHDOG_MS: u32 = 50;

/// Longest time without a kick, in milliseconds, that a watchdog can be armed with.
pub const MAX_WATCHDOG_MS: u32 = 60_000;

/// How a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By itself; the detail is the exit status.
    Exit,
    /// By a signal; the detail is its name.
    Signal,
    /// It panicked; the detail is the panic's message.
    Panic,
    /// Its boot killed it because it did not kick the watchdog.
    Watchdog,
    /// Its boot killed it because the other slot asked for that.
    Reset,
}

impl Cause {
    const ALL: [Self; 5] = [
        Self::Exit,
        Self::Signal,
        Self::Panic,
        Self::Watchdog,
        Self::Reset,
    ];

    /// The cause in a line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Panic => "panic",
            Self::Watchdog => "watchdog",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Cause {
    type Err = NotUnderstood;

    fn from_str(text: &str) -> Result<Self, NotUnderstood> {
        let found = Self::ALL.into_iter().find(|cause| cause.name() == text);
        found.ok_or(NotUnderstood)
    }
}

/// The end of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What ended it.
    pub cause: Cause,
    /// The process that was.
    pub pid: u32,
    /// More about the cause, in words; may be empty.
    pub detail: String,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cause, self.pid)?;
        if !self.detail.is_empty() {
            write!(f, " {}", self.detail)?;
        }
        Ok(())
    }
}

impl End {
    fn parse(text: &str) -> Result<Self, NotUnderstood> {
        let (cause, rest) = text.split_once(' ').ok_or(NotUnderstood)?;
        let (pid, detail) = rest.split_once(' ').unwrap_or((rest, ""));
        Ok(Self {
            cause: cause.parse()?,
            pid: pid.parse().map_err(|_| NotUnderstood)?,
            detail: detail.to_owned(),
        })
    }
}

/// A line that is none of those that the reader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnderstood;

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line that is not understood")
    }
}

impl std::error::Error for NotUnderstood {}

/// From a daemon to its boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToBoot {
    /// It is alive.
    Kick,
    /// Kill it when it does not kick for so many milliseconds; 0 disarms.
    Watchdog(u32),
    /// Its role and its version, one word each.
    State {
        /// `master` or `standby`.
        role: String,
        /// The program's version.
        version: String,
    },
    /// What it dies of; an empty text takes earlier ones back.
    LastWords(String),
    /// Kill the other slot's daemon and start it anew.
    ResetPeer,
}

impl fmt::Display for ToBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kick => f.write_str("kick"),
            Self::Watchdog(ms) => write!(f, "watchdog {ms}"),
            Self::State { role, version } => write!(f, "state {role} {version}"),
            Self::LastWords(text) => write!(f, "last-words {text}"),
            Self::ResetPeer => f.write_str("reset-peer"),
        }
    }
}

impl ToBoot {
    /// Reads a packet.
    ///
    /// # Errors
    /// When it is no line of this kind.
    pub fn parse(packet: &[u8]) -> Result<Self, NotUnderstood> {
        let line = read(packet);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (word, rest) {
            ("kick", "") => Ok(Self::Kick),
            ("reset-peer", "") => Ok(Self::ResetPeer),
            ("last-words", text) => Ok(Self::LastWords(text.trim().to_owned())),
            ("watchdog", ms) => match ms.parse() {
                Ok(ms @ (0 | MIN_WATCHDOG_MS..=MAX_WATCHDOG_MS)) => Ok(Self::Watchdog(ms)),
                _ => Err(NotUnderstood),
            },
            ("state", rest) => match rest.split_once(' ') {
                Some((role, version)) if is_word(role) && is_word(version) => Ok(Self::State {
                    role: role.to_owned(),
                    version: version.to_owned(),
                }),
                _ => Err(NotUnderstood),
            },
            _ => Err(NotUnderstood),
        }
    }
}

/// From a boot to its daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToDaemon {
    /// The other slot has a boot.
    PeerPresent,
    /// The other slot's boot is gone, and its daemon with it.
    PeerRemoved,
    /// The other slot's daemon has ended.
    PeerEnded(End),
}

impl fmt::Display for ToDaemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerPresent => f.write_str("peer-present"),
            Self::PeerRemoved => f.write_str("peer-removed"),
            Self::PeerEnded(end) => write!(f, "peer-ended {end}"),
        }
    }
}

impl ToDaemon {
    /// Reads a packet.
    ///
    /// # Errors
    /// When it is no line of this kind.
    pub fn parse(packet: &[u8]) -> Result<Self, NotUnderstood> {
        let line = read(packet);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (word, rest) {
            ("peer-present", "") => Ok(Self::PeerPresent),
            ("peer-removed", "") => Ok(Self::PeerRemoved),
            ("peer-ended", end) => Ok(Self::PeerEnded(End::parse(end)?)),
            _ => Err(NotUnderstood),
        }
    }
}

/// From a boot to the other slot's boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToPeer {
    /// Always first: whose boot this is.
    Hello(Slot),
    /// Its daemon has ended.
    End(End),
    /// Kill your daemon and start it anew.
    Reset,
}

impl fmt::Display for ToPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(slot) => write!(f, "hello {slot}"),
            Self::End(end) => write!(f, "end {end}"),
            Self::Reset => f.write_str("reset"),
        }
    }
}

impl ToPeer {
    /// Reads a packet.
    ///
    /// # Errors
    /// When it is no line of this kind.
    pub fn parse(packet: &[u8]) -> Result<Self, NotUnderstood> {
        let line = read(packet);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (word, rest) {
            ("hello", slot) => Ok(Self::Hello(slot.parse().map_err(|_| NotUnderstood)?)),
            ("end", end) => Ok(Self::End(End::parse(end)?)),
            ("reset", "") => Ok(Self::Reset),
            _ => Err(NotUnderstood),
        }
    }
}

/// The packet of a line: at most [`MAX_LINE`] bytes, printable ASCII. Line breaks become spaces and other bytes `?`.
#[must_use]
pub fn packet(line: &impl fmt::Display) -> Vec<u8> {
    let mut packet = line.to_string().into_bytes();
    packet.truncate(MAX_LINE);
    packet.iter_mut().for_each(|byte| *byte = printable(*byte));
    packet
}

fn read(packet: &[u8]) -> String {
    let bytes = packet.iter().take(MAX_LINE);
    bytes.map(|byte| char::from(printable(*byte))).collect()
}

fn printable(byte: u8) -> u8 {
    match byte {
        b' '..=b'~' => byte,
        b'\n' | b'\r' | b'\t' => b' ',
        _ => b'?',
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(detail: &str) -> End {
        End {
            cause: Cause::Panic,
            pid: 77,
            detail: detail.into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for line in [
            ToBoot::Kick,
            ToBoot::Watchdog(0),
            ToBoot::Watchdog(250),
            ToBoot::State {
                role: "master".into(),
                version: "0.1.0".into(),
            },
            ToBoot::LastWords("index out of bounds at src/x.rs:3:5".into()),
            ToBoot::LastWords(String::new()),
            ToBoot::ResetPeer,
        ] {
            assert_eq!(ToBoot::parse(&packet(&line)), Ok(line));
        }
        for line in [
            ToDaemon::PeerPresent,
            ToDaemon::PeerRemoved,
            ToDaemon::PeerEnded(end("two words")),
            ToDaemon::PeerEnded(end("")),
        ] {
            assert_eq!(ToDaemon::parse(&packet(&line)), Ok(line));
        }
        for line in [ToPeer::Hello(Slot::B), ToPeer::End(end("7")), ToPeer::Reset] {
            assert_eq!(ToPeer::parse(&packet(&line)), Ok(line));
        }
        for cause in Cause::ALL {
            assert_eq!(cause.name().parse(), Ok(cause));
        }
    }

    #[test]
    fn lines_stand_as_agreed() {
        let line = |line: &dyn fmt::Display| String::from_utf8(packet(&line)).unwrap();
        assert_eq!(
            line(&ToDaemon::PeerEnded(end("a\nb"))),
            "peer-ended panic 77 a b"
        );
        assert_eq!(line(&ToPeer::Hello(Slot::A)), "hello msm-a");
        assert_eq!(line(&ToBoot::LastWords("a\u{e4}".into())), "last-words a??");
    }

    #[test]
    fn what_is_no_line_is_not_understood() {
        for text in [
            "",
            "kick 1",
            "watchdog",
            "watchdog -1",
            "watchdog 1",
            "watchdog 60001",
            "watchdog 99999999999",
            "state master",
            "state  0.1",
            "state a b c",
            "reset",
        ] {
            assert_eq!(
                ToBoot::parse(text.as_bytes()),
                Err(NotUnderstood),
                "{text:?}"
            );
        }
        for text in [
            "end",
            "end exit",
            "end exit x",
            "end crash 7",
            "hello",
            "hello msm-c",
        ] {
            assert_eq!(
                ToPeer::parse(text.as_bytes()),
                Err(NotUnderstood),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = ToBoot::parse(&bytes);
            let _ = ToDaemon::parse(&bytes);
            let _ = ToPeer::parse(&bytes);
        }

        #[test]
        fn any_last_words_fit_a_packet(text in ".{0,2000}") {
            let packet = packet(&ToBoot::LastWords(text));
            prop_assert!(packet.len() <= MAX_LINE);
            prop_assert!(packet.iter().all(|b| (b' '..=b'~').contains(b)));
            prop_assert!(matches!(ToBoot::parse(&packet), Ok(ToBoot::LastWords(_))));
        }
    }
}
