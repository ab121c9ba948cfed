//! The groups of the process at the other end of a Unix socket, which neither std nor nix asks for.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// Groups that are asked for at first; few users are in more.
const GUESS: usize = 64;

/// The supplementary groups that the process had when it connected (`SO_PEERGROUPS`, unix(7)).
///
/// # Errors
/// What `getsockopt(2)` says.
pub(super) fn peer(stream: BorrowedFd<'_>) -> nix::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; GUESS];
    loop {
        let mut octets = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: `groups` and `octets` live across the call, and `octets` is the size of `groups`.
        let result = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut octets,
            )
        };
        let found = octets as usize / size_of::<libc::gid_t>();
        match Errno::result(result) {
            Ok(_) => {
                groups.truncate(found);
                return Ok(groups);
            }
            // There are more, and the kernel has said how many.
            Err(Errno::ERANGE) if found > groups.len() => groups.resize(found, 0),
            Err(errno) => return Err(errno),
        }
    }
}
