//! Hears frames of a probe flow leave by a device.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hitless_common::Mac;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeSpec;

use super::frame::{self, REACH};
use super::{ProbeError, device_error};

/// Octets that may wait to be heard: some ten thousand frames, so seconds in which the listener gets no processor.
const WAITING_OCTETS: usize = 8 << 20;

/// Words of the filter, see linux/filter.h and linux/bpf_common.h.
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Where a filter finds which way a frame goes (SKF_AD_OFF + SKF_AD_PKTTYPE).
const WAY: u32 = 0xffff_f004;

/// A frame that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// Its number.
    pub number: u64,
    /// When it left, since 1970.
    pub at: Duration,
    /// For how long the sender had paused in all.
    pub paused: Duration,
}

/// A packet socket that hears what one sender's frames leave by one device.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
}

impl Listener {
    /// At the device of this number, for frames from this address.
    pub(super) fn open(device: u32, source: Mac) -> Result<Self, ProbeError> {
        let failed = |e: io::Error| device_error("listen to the frames", e);
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        // Without a protocol it hears nothing, until it is bound.
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)
            .map_err(|e| failed(e.into()))?;
        setsockopt(&socket, sockopt::RcvBufForce, &WAITING_OCTETS).map_err(|e| failed(e.into()))?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).map_err(|e| failed(e.into()))?;
        filter(&socket, source).map_err(failed)?;
        bind(&socket, device).map_err(failed)?;
        Ok(Self { socket })
    }

    /// The next frame, if one waits.
    pub(super) fn receive(&self) -> io::Result<Option<Heard>> {
        loop {
            let mut octets = [0; REACH];
            let mut parts = [io::IoSliceMut::new(&mut octets)];
            let mut space = nix::cmsg_space!(TimeSpec);
            let received = recvmsg::<()>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut space),
                MsgFlags::MSG_DONTWAIT,
            );
            let (length, at) = match received {
                Ok(message) => {
                    let mut at = None;
                    for told in message.cmsgs()? {
                        if let ControlMessageOwned::ScmTimestampns(time) = told {
                            at = Some(Duration::from(time));
                        }
                    }
                    (message.bytes, at.unwrap_or_else(now))
                }
                Err(Errno::EAGAIN) => return Ok(None),
                // A port that is pulled: what does not leave is lost, and what leaves later is heard.
                Err(Errno::EINTR | Errno::ENETDOWN) => continue,
                Err(e) => return Err(e.into()),
            };
            if let Some((number, paused)) = frame::read(octets.get(..length).unwrap_or(&[])) {
                return Ok(Some(Heard { number, at, paused }));
            }
        }
    }

    /// Waits until there is something to hear, for so long at most.
    pub(super) fn wait(&self, patience: Duration) -> io::Result<()> {
        let mut wait = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
        match poll(&mut wait, patience) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Lets in what leaves and comes from this address; the port's other frames cost the listener nothing.
fn filter(socket: &OwnedFd, source: Mac) -> io::Result<()> {
    let source = source.to_u64();
    let step = |code, k| libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    // Goes on to the next but so many if it is another value.
    let equal = |k, jf| libc::sock_filter {
        code: JUMP_IF_EQUAL,
        jt: 0,
        jf,
        k,
    };
    let mut steps = [
        step(LOAD_BYTE, WAY),
        equal(u32::from(libc::PACKET_OUTGOING), 5),
        step(LOAD_WORD, 6),
        equal((source >> 16) as u32, 3),
        step(LOAD_HALF, 10),
        equal((source & 0xffff) as u32, 1),
        step(RETURN, u32::MAX),
        step(RETURN, 0),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as libc::c_ushort,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the kernel reads the program and its steps, which outlive the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    done(result)
}

/// Hears everything of the device from here on: what leaves is told to those alone who want all protocols.
fn bind(socket: &OwnedFd, device: u32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        // Device numbers are positive: one that is none is refused as no device.
        sll_ifindex: i32::try_from(device).unwrap_or(-1),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the kernel reads the address, which is as long as it is told.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    done(result)
}

fn done(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
