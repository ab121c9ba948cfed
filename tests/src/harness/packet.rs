//! Packet sockets: the system calls only.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::frames::{Frame, TPID_8021Q, Tag};

/// Frames sent by one system call at most.
pub const BATCH: usize = 32;

/// Longest frame that is received whole.
const MAX_FRAME: usize = 65_536 + 18;
/// Receive buffer: 64 MB hold some 80,000 short frames.
const RECEIVE_BUFFER: i32 = 64 << 20;

/// A raw packet socket on one device, not blocking.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// A socket on a device of the current namespace that only sends.
    ///
    /// # Errors
    /// When there is no such device or no permission.
    pub fn sender(device: &str) -> Result<Self> {
        Self::open(device, 0, false)
    }

    /// A socket on a device of the current namespace that also receives every frame coming in there.
    ///
    /// # Errors
    /// When there is no such device or no permission.
    pub fn receiver(device: &str) -> Result<Self> {
        Self::open(device, (libc::ETH_P_ALL as u16).to_be(), false)
    }

    /// A socket on a device of the current namespace that receives what comes in there to one of spanning tree's
    /// addresses, and whatever else goes to 01:80:c2 or 01:00:0c. The kernel leaves out the rest.
    ///
    /// # Errors
    /// When there is no such device or no permission.
    pub fn bpdus(device: &str) -> Result<Self> {
        Self::open(device, (libc::ETH_P_ALL as u16).to_be(), true)
    }

    fn open(device: &str, protocol: u16, bpdus: bool) -> Result<Self> {
        let ifindex = nix::net::if_::if_nametoindex(device)
            .with_context(|| format!("packet socket on {device}"))?;
        // Protocol 0 until bound: nothing comes in from other devices meanwhile.
        let fd = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )
        .context("packet socket (needs CAP_NET_RAW)")?;
        let socket = Self { fd };
        if protocol != 0 {
            socket.option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER)?;
            socket.option(libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
            socket.option(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        }
        if bpdus {
            socket.filter_bpdus()?;
        }
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = ifindex.cast_signed();
        // SAFETY: the address lives until the call returns and its size is given.
        let result = unsafe {
            libc::bind(
                socket.fd.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        check(result).with_context(|| format!("bind a packet socket to {device}"))?;
        Ok(socket)
    }

    /// Lets in frames whose destination begins as those of spanning tree do.
    fn filter_bpdus(&self) -> Result<()> {
        let op = |code: u32, jt, jf, k| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        let mut program = [
            op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            op(equal, 2, 0, 0x0180_c200),
            op(equal, 1, 0, 0x0100_0ccc),
            op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
            op(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        ];
        let filter = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_mut_ptr(),
        };
        // SAFETY: the program and what points to it live until the call returns, and their sizes are given.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const filter).cast(),
                size_of::<libc::sock_fprog>() as u32,
            )
        };
        check(result).context("filter for BPDUs")?;
        Ok(())
    }

    fn option(&self, level: i32, name: i32, value: i32) -> Result<()> {
        // SAFETY: the value lives until the call returns and its size is given.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                size_of::<i32>() as u32,
            )
        };
        check(result).with_context(|| format!("socket option {name} of level {level}"))?;
        Ok(())
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// As the kernel tells: EMSGSIZE over the device's MTU, EINVAL under 14 octets, ENOBUFS when the frame was
    /// dropped on the way through the device, ENETDOWN.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the frame lives until the call returns and its length is given.
        let sent =
            unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Sends the first [`BATCH`] frames by one system call; returns how many went out.
    ///
    /// # Errors
    /// As [`PacketSocket::send`], when the first frame did not go out.
    pub fn send_batch(&self, frames: &[Vec<u8>]) -> io::Result<usize> {
        // SAFETY: all-zero is a valid mmsghdr and iovec.
        let (mut messages, mut parts): ([libc::mmsghdr; BATCH], [libc::iovec; BATCH]) =
            unsafe { (zeroed(), zeroed()) };
        let count = frames.len().min(BATCH);
        for i in 0..count {
            parts[i].iov_base = frames[i].as_ptr().cast_mut().cast();
            parts[i].iov_len = frames[i].len();
            messages[i].msg_hdr.msg_iov = &raw mut parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: messages, parts and frames live until the call returns; the kernel only reads the frames.
        let sent =
            unsafe { libc::sendmmsg(self.fd.as_raw_fd(), messages.as_mut_ptr(), count as u32, 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(sent as usize)
    }

    /// The next frame that came in, with the tag that the kernel had taken out put back; `None` when there is
    /// none.
    ///
    /// # Errors
    /// ENETDOWN once when the device went down, and what else the kernel tells.
    pub fn receive(&self) -> io::Result<Option<Frame>> {
        let mut buffer = vec![0u8; MAX_FRAME];
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // Room for one tpacket_auxdata, aligned as control messages must be.
        let mut control = [0u64; 16];
        // SAFETY: all-zero is a valid msghdr.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: every buffer named in the message lives until the call returns.
        let length =
            unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut message, libc::MSG_TRUNC) };
        if length < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock {
                Ok(None)
            } else {
                Err(error)
            };
        }
        let length = length as usize;
        if length > buffer.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a frame of {length} octets is longer than {MAX_FRAME}"),
            ));
        }
        buffer.truncate(length);
        let frame = Frame::from_octets(buffer);
        Ok(Some(match auxiliary_tag(&message) {
            Some(tag) => frame.tagged(tag),
            None => frame,
        }))
    }

    /// Waits until a frame can be received; false when none came in time.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        // Rounded up: a rest of less than a millisecond must not become a busy loop.
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The tag in the message's PACKET_AUXDATA, if the kernel had taken one out of the frame.
fn auxiliary_tag(message: &libc::msghdr) -> Option<Tag> {
    // SAFETY: the kernel filled the control buffer and its length; the macros stay inside it.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_PACKET
                && (*header).cmsg_type == libc::PACKET_AUXDATA
            {
                let data: libc::tpacket_auxdata = libc::CMSG_DATA(header)
                    .cast::<libc::tpacket_auxdata>()
                    .read_unaligned();
                if data.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
                    return None;
                }
                let tpid = if data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID == 0 {
                    TPID_8021Q
                } else {
                    data.tp_vlan_tpid
                };
                return Some(Tag {
                    tpid,
                    tci: data.tp_vlan_tci,
                });
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    None
}
