//! Unix sockets that carry one line a packet and never block.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind, connect,
    getsockopt, listen, recv, send, socket, socketpair, sockopt,
};
use nix::unistd::geteuid;

use crate::line::{MAX_LINE, packet};

/// Connections that may wait to be accepted.
const WAITING: i32 = 8;

fn flags() -> SockFlag {
    SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK
}

/// What came from a peer.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A packet.
    Packet(Vec<u8>),
    /// Nothing for now.
    Nothing,
    /// The peer is gone.
    End,
}

/// Two connected ends.
///
/// # Errors
/// When no descriptors are left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    Ok(socketpair(family, kind, None, flags())?)
}

/// A packet socket that receives nothing; `None` if the kernel gives none, which the daemon finds out by itself.
#[must_use]
pub fn packets() -> Option<OwnedFd> {
    socket(AddressFamily::Packet, SockType::Raw, flags(), None).ok()
}

/// Listens at a path that is nobody's, or a dead listener's.
///
/// # Errors
/// When the path is too long, or the directory can not be written.
pub fn listener(path: &Path) -> io::Result<OwnedFd> {
    let address = UnixAddr::new(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = new_socket()?;
    bind(listener.as_raw_fd(), &address)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listen(&listener, Backlog::new(WAITING)?)?;
    Ok(listener)
}

/// A connection that waits at a listener; `None` if there is none. Those of other users are turned away.
///
/// # Errors
/// What the kernel says.
pub fn accept(listener: &impl AsFd) -> io::Result<Option<OwnedFd>> {
    use std::os::fd::FromRawFd;
    let fd = match accept4(listener.as_fd().as_raw_fd(), flags()) {
        // SAFETY: a new descriptor that nobody else owns.
        Ok(fd) => unsafe { OwnedFd::from_raw_fd(fd) },
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let peer = getsockopt(&fd, sockopt::PeerCredentials)?;
    let known = peer.uid() == 0 || peer.uid() == geteuid().as_raw();
    Ok(known.then_some(fd))
}

/// A connection to whoever listens at a path; `None` if nobody does.
///
/// # Errors
/// When the path is too long, and what else the kernel says.
pub fn connected(path: &Path) -> io::Result<Option<OwnedFd>> {
    let fd = new_socket()?;
    match connect(fd.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) => Ok(Some(fd)),
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn new_socket() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        flags(),
        None,
    )?)
}

/// The next packet, cut to [`MAX_LINE`] bytes. An empty one counts as the end: no line is empty.
#[must_use]
pub fn receive(fd: &impl AsFd) -> Received {
    let mut buffer = [0; MAX_LINE];
    loop {
        return match recv(fd.as_fd().as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Received::End,
            Ok(length) => Received::Packet(buffer[..length].to_vec()),
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => Received::Nothing,
            Err(_) => Received::End,
        };
    }
}

/// Sends a line.
///
/// # Errors
/// When the peer is gone, or has not read for so long that its queue is full.
pub fn tell(fd: &impl AsFd, line: &impl std::fmt::Display) -> io::Result<()> {
    send_packet(fd.as_fd().as_raw_fd(), &packet(line))
}

/// Sends a packet on a descriptor, without waiting. One system call, usable wherever those are.
///
/// # Errors
/// As [`tell`].
pub fn send_packet(fd: i32, packet: &[u8]) -> io::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    loop {
        return match send(fd, packet, flags) {
            Err(Errno::EINTR) => continue,
            Err(errno) => Err(errno.into()),
            Ok(_) => Ok(()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::ToBoot;

    #[test]
    fn packets_stay_apart_and_the_end_is_seen() {
        let (a, b) = pair().unwrap();
        assert_eq!(receive(&b), Received::Nothing);
        tell(&a, &ToBoot::Kick).unwrap();
        tell(&a, &ToBoot::Watchdog(250)).unwrap();
        drop(a);
        assert_eq!(receive(&b), Received::Packet(b"kick".to_vec()));
        assert_eq!(receive(&b), Received::Packet(b"watchdog 250".to_vec()));
        assert_eq!(receive(&b), Received::End);
        assert!(tell(&b, &ToBoot::Kick).is_err());
    }

    #[test]
    fn a_peer_that_does_not_read_never_blocks() {
        let (a, _b) = pair().unwrap();
        let full = (0..100_000).any(|_| tell(&a, &ToBoot::Kick).is_err());
        assert!(full);
    }

    #[test]
    fn a_dead_listener_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        assert!(connected(&path).unwrap().is_none());
        drop(listener(&path).unwrap());
        assert!(connected(&path).unwrap().is_none());
        let listener = listener(&path).unwrap();
        assert!(accept(&listener).unwrap().is_none());
        let to = connected(&path).unwrap().unwrap();
        let from = accept(&listener).unwrap().unwrap();
        tell(&to, &ToBoot::ResetPeer).unwrap();
        assert_eq!(receive(&from), Received::Packet(b"reset-peer".to_vec()));
    }

    #[test]
    fn a_path_that_is_too_long_is_an_error() {
        assert!(listener(Path::new(&"x".repeat(200))).is_err());
    }
}
