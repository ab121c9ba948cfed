//! The daemon of this slot, from its start to its end.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::choice::Origin;
use crate::line::{Cause, End};
use crate::restart::Kind;
use crate::socket::{self, Received};
use crate::{BANK_VARIABLE, EXIT_REBOOT, FD_VARIABLE, IMAGES_VARIABLE, PACKET_FD_VARIABLE, sys};

/// Exit code of a Rust program whose main thread panicked.
const EXIT_PANIC: i32 = 101;

/// What is started.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The daemon.
    pub program: &'a OsStr,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// The slot's packet socket, if there is one.
    pub packet_socket: Option<BorrowedFd<'a>>,
    /// Directory of the image banks, and which of them the daemon is from, if the slot has any.
    pub images: Option<(&'a Path, Origin)>,
}

/// A running daemon. Dropped, it is killed.
#[derive(Debug)]
pub struct Module {
    child: Child,
    ended: OwnedFd,
    /// Until the daemon closes its end.
    packets: Option<OwnedFd>,
    started: Instant,
    last_words: String,
    /// Why we killed it, if we did.
    killed: Option<(Cause, String)>,
}

/// The end of a daemon, for those who tell it and for those who start the next.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// What the other slot is told.
    pub end: End,
    /// Whether it was wanted.
    pub kind: Kind,
    /// How long it lived.
    pub lived: Duration,
}

impl Module {
    /// Starts a daemon with a socket to us.
    ///
    /// # Errors
    /// When its program can not be run.
    pub fn start(what: &Program<'_>) -> io::Result<Self> {
        let (ours, theirs) = socket::pair()?;
        let mut command = Command::new(what.program);
        command
            .args(what.arguments)
            .env(FD_VARIABLE, theirs.as_raw_fd().to_string())
            .env_remove(IMAGES_VARIABLE)
            .env_remove(BANK_VARIABLE)
            .stdin(Stdio::null());
        if let Some((directory, origin)) = what.images {
            command
                .env(IMAGES_VARIABLE, directory)
                .env(BANK_VARIABLE, origin.to_string());
        }
        if let Some(fd) = what.packet_socket {
            command.env(PACKET_FD_VARIABLE, fd.as_raw_fd().to_string());
        }
        let open: Vec<_> = [theirs.as_fd()]
            .into_iter()
            .chain(what.packet_socket)
            .collect();
        sys::bind_to_us(&mut command, &open);
        let mut child = command.spawn()?;
        let ended = match sys::pidfd(child.id()) {
            Ok(fd) => fd,
            Err(error) => {
                // Nobody could see its end.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        Ok(Self {
            child,
            ended,
            packets: Some(ours),
            started: Instant::now(),
            last_words: String::new(),
            killed: None,
        })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Readable when it has ended.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Readable when it has said something; `None` when it never will again.
    #[must_use]
    pub fn packets(&self) -> Option<BorrowedFd<'_>> {
        self.packets.as_ref().map(AsFd::as_fd)
    }

    /// The next packet that it sent.
    pub fn receive(&mut self) -> Received {
        let received = match &self.packets {
            Some(fd) => socket::receive(fd),
            None => Received::Nothing,
        };
        if received == Received::End {
            self.packets = None;
        }
        received
    }

    /// Tells it a line.
    ///
    /// # Errors
    /// When it does not listen.
    pub fn tell(&self, line: &impl Display) -> io::Result<()> {
        match &self.packets {
            Some(fd) => socket::tell(fd, line),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// What it says that it dies of; an empty text takes that back.
    pub fn set_last_words(&mut self, text: String) {
        self.last_words = text;
    }

    /// Kills it. Told as its end are cause and detail of the first time.
    pub fn kill(&mut self, cause: Cause, detail: String) {
        self.killed.get_or_insert((cause, detail));
        // It may have ended by itself; then its pidfd says so.
        let _ = self.child.kill();
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        if let Ok(pid) = i32::try_from(self.pid()) {
            // As above. Not waited for, so the number is still this child's.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// How it ended; `None` while it runs. Everything that it said must have been received before.
    ///
    /// # Errors
    /// When the kernel does not tell, which it does of every child.
    pub fn end(&mut self) -> io::Result<Option<Ended>> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(None);
        };
        let (cause, detail) = explain(status, &self.last_words, self.killed.take());
        let wanted = cause == Cause::Reset || status.code() == Some(EXIT_REBOOT);
        Ok(Some(Ended {
            end: End {
                cause,
                pid: self.pid(),
                detail,
            },
            kind: if wanted { Kind::Wanted } else { Kind::Failure },
            lived: self.started.elapsed(),
        }))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // Both do nothing to a child that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a daemon died of. Last words count only where a panic ends in this way: one that was caught, and survived,
/// must not explain a later death.
fn explain(
    status: ExitStatus,
    last_words: &str,
    killed: Option<(Cause, String)>,
) -> (Cause, String) {
    let signal = status.signal();
    match killed {
        // It can have been faster than our signal.
        Some(killed) if signal == Some(libc::SIGKILL) => return killed,
        _ => {}
    }
    let failed = match status.code() {
        Some(code) => code != 0 && code != EXIT_REBOOT,
        None => signal == Some(libc::SIGABRT),
    };
    if failed && !last_words.is_empty() {
        return (Cause::Panic, last_words.to_owned());
    }
    match (status.code(), signal) {
        (Some(EXIT_PANIC), _) => (Cause::Panic, "no last words".into()),
        (Some(code), _) => (Cause::Exit, code.to_string()),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => (Cause::Signal, signal.as_str().into()),
            Err(_) => (Cause::Signal, format!("signal {number}")),
        },
        (None, None) => (Cause::Exit, status.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn signal(number: i32) -> ExitStatus {
        ExitStatus::from_raw(number)
    }

    #[test]
    fn ends_are_explained() {
        let reset = || Some((Cause::Reset, "asked by msm-b".to_owned()));
        for (status, words, killed, cause, detail) in [
            (exit(0), "", None, Cause::Exit, "0"),
            (exit(0), "caught", None, Cause::Exit, "0"),
            (exit(3), "", None, Cause::Exit, "3"),
            (exit(3), "oops", None, Cause::Panic, "oops"),
            (exit(75), "caught", None, Cause::Exit, "75"),
            (exit(101), "", None, Cause::Panic, "no last words"),
            (exit(101), "oops", None, Cause::Panic, "oops"),
            (signal(9), "caught", None, Cause::Signal, "SIGKILL"),
            (signal(11), "caught", None, Cause::Signal, "SIGSEGV"),
            (signal(6), "", None, Cause::Signal, "SIGABRT"),
            (signal(6), "oops", None, Cause::Panic, "oops"),
            (signal(40), "", None, Cause::Signal, "signal 40"),
            (signal(9), "oops", reset(), Cause::Reset, "asked by msm-b"),
            (exit(101), "oops", reset(), Cause::Panic, "oops"),
            (signal(11), "", reset(), Cause::Signal, "SIGSEGV"),
        ] {
            let explained = explain(status, words, killed);
            assert_eq!(explained, (cause, detail.to_owned()), "{status} {words}");
        }
    }

    fn shell_with(
        script: &str,
        packet_socket: Option<BorrowedFd<'_>>,
        images: Option<(&Path, Origin)>,
    ) -> Module {
        Module::start(&Program {
            program: "sh".as_ref(),
            arguments: &["-c".into(), script.into()],
            packet_socket,
            images,
        })
        .unwrap()
    }

    fn shell(script: &str) -> Module {
        shell_with(script, None, None)
    }

    fn end_of(module: &mut Module) -> Ended {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut fds = [PollFd::new(module.ended(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).unwrap();
        module.end().unwrap().unwrap()
    }

    #[test]
    fn a_daemon_has_its_end_of_the_socket_and_nothing_else_of_ours() {
        let mut module = shell(&format!(
            "ls -l /proc/self/fd/${FD_VARIABLE} >/dev/null; exit $?"
        ));
        assert_eq!(end_of(&mut module).end.detail, "0");
        assert_eq!(module.receive(), Received::End);
        assert_eq!(module.receive(), Received::Nothing);
    }

    #[test]
    fn a_daemon_has_the_packet_socket_that_outlives_it() {
        // Any socket will do here; a real one needs rights.
        let (held, _) = socket::pair().unwrap();
        let script = format!("test -S /proc/self/fd/${PACKET_FD_VARIABLE}; exit $?");
        for _ in 0..2 {
            let mut module = shell_with(&script, Some(held.as_fd()), None);
            assert_eq!(end_of(&mut module).end.detail, "0");
        }
    }

    #[test]
    fn a_daemon_knows_what_it_was_started_from() {
        let images = Some((Path::new("/images"), Origin::Factory));
        let script = "test $HITLESS_IMAGES.$HITLESS_BANK = /images.factory; exit $?";
        assert_eq!(
            end_of(&mut shell_with(script, None, images)).end.detail,
            "0"
        );
        let script = "test -z \"$HITLESS_IMAGES$HITLESS_BANK\"; exit $?";
        assert_eq!(end_of(&mut shell(script)).end.detail, "0");
    }

    #[test]
    fn a_reboot_is_wanted_and_a_failure_is_not() {
        assert_eq!(end_of(&mut shell("exit 75")).kind, Kind::Wanted);
        assert_eq!(end_of(&mut shell("exit 1")).kind, Kind::Failure);
        let mut module = shell("exec sleep 600");
        module.kill(Cause::Reset, String::new());
        module.kill(Cause::Watchdog, String::new());
        let ended = end_of(&mut module);
        assert_eq!((ended.kind, ended.end.cause), (Kind::Wanted, Cause::Reset));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let program = Program {
            program: "/nonexistent".as_ref(),
            arguments: &[],
            packet_socket: None,
            images: None,
        };
        assert!(Module::start(&program).is_err());
    }
}
