//! The transport between the modules: a Unix stream socket. What a dying module has written stays readable after it is
//! gone, in order; its end is seen at once, because the kernel closes the socket.

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixListener as StdListener},
    },
    path::Path,
};
use tokio::{
    io::Interest,
    net::{UnixListener, UnixStream},
};

/// Octets read at a time.
const READ: usize = 256 << 10;

/// Room that the kernel is asked for: a bulk transfer then needs fewer turns.
const SOCKET_BUFFER: usize = 1 << 20;

/// The link to the other module, which is known by a descriptor of its process.
pub struct Link {
    stream: UnixStream,
    /// `None` if the process was gone already.
    peer: Option<OwnedFd>,
    buffer: Vec<u8>,
}

/// What reading brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many octets are in [`Link::received`].
    Octets(usize),
    /// Nothing has come.
    Nothing,
    /// The other side is closed.
    Closed,
}

impl Link {
    /// The link over a connected socket.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        // With less room it is slower, nothing else.
        let _ = socket::setsockopt(&stream, socket::sockopt::SndBuf, &SOCKET_BUFFER);
        Ok(Self {
            peer: peer_process(stream.as_fd())?,
            stream,
            buffer: vec![0; READ],
        })
    }

    /// Connects to the master's socket.
    ///
    /// # Errors
    /// What the kernel says, for instance that nobody listens there.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        Self::new(UnixStream::connect(path).await?)
    }

    /// The other module's process; `None` if it was gone already.
    #[must_use]
    pub fn peer(&self) -> Option<BorrowedFd<'_>> {
        self.peer.as_ref().map(AsFd::as_fd)
    }

    /// Waits until there is something to read, or, if `writing`, until something can be written.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn ready(&self, writing: bool) -> io::Result<()> {
        let interest = match writing {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        self.stream.ready(interest).await.map(drop)
    }

    /// Reads what has come, without waiting.
    ///
    /// # Errors
    /// What the kernel says; a reset connection counts as closed.
    pub fn read(&mut self) -> io::Result<Read> {
        match self.stream.try_read(&mut self.buffer) {
            Ok(0) => Ok(Read::Closed),
            Ok(octets) => Ok(Read::Octets(octets)),
            Err(e) => match e.kind() {
                io::ErrorKind::WouldBlock => Ok(Read::Nothing),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Ok(Read::Closed),
                _ => Err(e),
            },
        }
    }

    /// The octets that [`Link::read`] brought.
    #[must_use]
    pub fn received(&self, octets: usize) -> &[u8] {
        &self.buffer[..octets.min(self.buffer.len())]
    }

    /// Writes as much as goes without waiting; how much.
    ///
    /// # Errors
    /// What the kernel says, for instance that the other side is closed.
    pub fn write(&self, octets: &[u8]) -> io::Result<usize> {
        if octets.is_empty() {
            return Ok(0);
        }
        match self.stream.try_write(octets) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }
}

/// Listens for standbys. Only the master may call this: it takes away the socket of a master before it.
///
/// # Errors
/// What the kernel says.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    socket::bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket::listen(&fd, Backlog::new(4)?)?;
    UnixListener::from_std(StdListener::from(fd))
}

/// A descriptor of the process at the other end: the one that listened or connected there, even when its number is
/// used by another one by now.
fn peer_process(stream: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    /// `SO_PEERPIDFD`, since Linux 6.5.
    const SO_PEERPIDFD: libc::c_int = 77;
    let mut fd: libc::c_int = -1;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `fd` and `length` live across the call, and `length` is the size of `fd`.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        // SAFETY: a descriptor that the kernel has just given to us alone.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // It ended and was waited for.
        Some(libc::ESRCH | libc::EINVAL | libc::ENODATA) => Ok(None),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::fence::{Fenced, fence};
    use std::process::Command;
    use std::time::Duration;

    #[tokio::test]
    async fn what_was_written_before_the_end_is_read_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("modules.sock");
        let listener = listen(&path).unwrap();
        // The socket of a master before: taken away.
        drop(listener);
        let listener = listen(&path).unwrap();
        let (standby, accepted) = tokio::join!(Link::connect(&path), listener.accept());
        let (mut standby, master) = (standby.unwrap(), Link::new(accepted.unwrap().0).unwrap());
        assert_eq!(standby.read().unwrap(), Read::Nothing);
        assert_eq!(master.write(b"last words").unwrap(), 10);
        drop(master);
        standby.ready(false).await.unwrap();
        assert_eq!(standby.read().unwrap(), Read::Octets(10));
        assert_eq!(standby.received(10), b"last words");
        assert_eq!(standby.read().unwrap(), Read::Closed);
        assert!(standby.peer().is_some(), "this process");
    }

    #[test]
    fn a_stopped_process_is_gone_after_the_fence() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        // SAFETY: a system call with plain numbers; its result is checked below.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
        assert!(fd >= 0);
        // SAFETY: a descriptor that the kernel has just given to us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(child.id() as i32),
            nix::sys::signal::Signal::SIGSTOP,
        )
        .unwrap();
        let limit = Duration::from_secs(30);
        assert_eq!(fence(fd.as_fd(), limit).unwrap(), Fenced::Killed);
        assert_eq!(fence(fd.as_fd(), limit).unwrap(), Fenced::WasGone);
        child.wait().unwrap();
        assert_eq!(fence(fd.as_fd(), limit).unwrap(), Fenced::WasGone);
    }
}
