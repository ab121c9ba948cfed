//! Sending frames of the control plane's own out of ports' devices, past the data path.

use hitless_boot::PACKET_FD_VARIABLE;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};
use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

/// Frames handed to the kernel in one call; it takes 1,024 at most.
const BATCH: usize = 128;

/// So many frames at once are shared with another processor: they are the first words of a new master, and neighbours wait
/// for them.
const MANY: usize = 2048;

/// Octets of frames that may wait for slow devices at a time.
const WAITING_OCTETS: usize = 4 << 20;

/// The kernel's priority of network control (TC_PRIO_CONTROL): ahead of all data where a device has a queue.
const CONTROL: i32 = 7;

/// A frame and the number of the device that it shall leave by.
pub type Outgoing<'f> = (u32, &'f [u8]);

/// A packet socket that sends and receives nothing. It belongs to the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

/// A frame that was not sent.
#[derive(Debug)]
pub struct Unsent {
    /// Its place among the frames.
    pub index: usize,
    /// Why: ENXIO if there is no such device, ENETDOWN if it is down, EMSGSIZE if the frame is too long for it,
    /// ENOBUFS if its queue is full, EAGAIN if too many frames wait for slow devices.
    pub error: io::Error,
}

/// What became of some frames.
#[derive(Debug, Default)]
pub struct SendReport {
    /// How many the kernel took.
    pub sent: usize,
    /// The others, in their order.
    pub unsent: Vec<Unsent>,
}

impl PacketSocket {
    /// The socket that our boot holds (`HITLESS_PACKET_FD`), so that our end need not wait for the kernel to close it; or one
    /// of our own.
    ///
    /// # Errors
    /// If the kernel gives none, for instance for want of CAP_NET_RAW, or of CAP_NET_ADMIN for its priority and size.
    pub fn open() -> io::Result<Self> {
        let inherited = std::env::var(PACKET_FD_VARIABLE).ok();
        match inherited.and_then(|number| duplicate(number.parse().ok()?)) {
            Some(socket) => Self::of(socket),
            None => {
                let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
                // Protocol 0: no frame is ever received.
                Self::of(socket(AddressFamily::Packet, SockType::Raw, flags, None)?)
            }
        }
    }

    fn of(socket: OwnedFd) -> io::Result<Self> {
        setsockopt(&socket, sockopt::Priority, &CONTROL)?;
        setsockopt(&socket, sockopt::SndBufForce, &WAITING_OCTETS)?;
        Ok(Self { socket })
    }

    /// Sends frames as they are, with both addresses, tags and padding; those of one device in their order. Never waits;
    /// what one device refuses does not keep the next frame back.
    #[must_use]
    pub fn send(&self, frames: &[Outgoing<'_>]) -> SendReport {
        let send = |frames: &[Outgoing<'_>]| send_all(frames, |batch| self.send_batch(batch));
        if frames.len() < MANY {
            return send(frames);
        }
        let [(even, places), (odd, odd_places)] = by_device(frames);
        let (mut report, other) = std::thread::scope(|scope| {
            let helper = scope.spawn(|| send(&odd));
            let own = send(&even);
            // It panics where this thread would.
            (own, helper.join().unwrap_or_default())
        });
        report.placed(&places);
        report.take(other, &odd_places);
        report
    }

    /// Gives frames to the kernel: how many it took, before the first that it did not take. An error is about the first
    /// frame.
    fn send_batch(&self, frames: &[Outgoing<'_>]) -> io::Result<usize> {
        let mut addresses: Vec<libc::sockaddr_ll> = frames
            .iter()
            .map(|(ifindex, _)| libc::sockaddr_ll {
                sll_family: libc::AF_PACKET as u16,
                // The kernel reads it from the frame.
                sll_protocol: 0,
                // Device numbers are positive: one that is none is refused as no device.
                sll_ifindex: i32::try_from(*ifindex).unwrap_or(-1),
                sll_hatype: 0,
                sll_pkttype: 0,
                sll_halen: 0,
                sll_addr: [0; 8],
            })
            .collect();
        let mut parts: Vec<libc::iovec> = frames
            .iter()
            .map(|(_, octets)| libc::iovec {
                iov_base: octets.as_ptr().cast_mut().cast(),
                iov_len: octets.len(),
            })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = addresses
            .iter_mut()
            .zip(&mut parts)
            .map(|(address, part)| {
                // SAFETY: plain data, valid as all zeroes; it has padding on some targets, so it can not be spelled out.
                let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
                header.msg_name = std::ptr::from_mut(address).cast();
                header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
                header.msg_iov = part;
                header.msg_iovlen = 1;
                libc::mmsghdr {
                    msg_hdr: header,
                    msg_len: 0,
                }
            })
            .collect();
        // SAFETY: the messages point to one address and one part each, which outlive the call, as the octets of the
        // frames do; the kernel only reads those, and writes nothing but the lengths in `messages`.
        let taken = unsafe {
            libc::sendmmsg(
                self.socket.as_raw_fd(),
                messages.as_mut_ptr(),
                // At most BATCH.
                messages.len() as libc::c_uint,
                0,
            )
        };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}

/// Another descriptor of the packet socket with this number; `None` if it is none.
fn duplicate(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: `fcntl` takes any number; one that is not open is an error.
    let fd = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if fd < 0 {
        return None;
    }
    // SAFETY: a new descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let (mut domain, mut length) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the kernel writes an integer, which is as long as it is told.
    let told = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            (&raw mut domain).cast(),
            &raw mut length,
        )
    };
    (told == 0 && domain == libc::AF_PACKET).then_some(fd)
}

/// The frames of devices of even and of odd numbers, and their places among all.
fn by_device<'f>(frames: &[Outgoing<'f>]) -> [(Vec<Outgoing<'f>>, Vec<usize>); 2] {
    let mut parts = [(); 2].map(|()| (Vec::new(), Vec::new()));
    for (place, frame) in frames.iter().enumerate() {
        let (part, places) = &mut parts[frame.0 as usize % 2];
        part.push(*frame);
        places.push(place);
    }
    parts
}

/// Sends frames in batches by what tells how many of a batch were taken, or why not even the first was.
fn send_all(
    frames: &[Outgoing<'_>],
    mut send: impl FnMut(&[Outgoing<'_>]) -> io::Result<usize>,
) -> SendReport {
    let mut report = SendReport::default();
    let mut next = 0;
    while next < frames.len() {
        let batch = &frames[next..frames.len().min(next + BATCH)];
        match send(batch) {
            Ok(0) => {
                // The kernel takes one or says why not; without progress this must end all the same.
                report.give_up(next, frames.len(), || io::ErrorKind::WriteZero.into());
                break;
            }
            Ok(taken) => {
                next += taken;
                report.sent += taken;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                report.give_up(next, frames.len(), || io::ErrorKind::WouldBlock.into());
                break;
            }
            Err(error) => {
                report.unsent.push(Unsent { index: next, error });
                next += 1;
            }
        }
    }
    report
}

impl SendReport {
    /// It was of frames that had these places among others.
    fn placed(&mut self, places: &[usize]) {
        for unsent in &mut self.unsent {
            unsent.index = places[unsent.index];
        }
    }

    /// Adds that of other frames, which had these places.
    fn take(&mut self, mut other: Self, places: &[usize]) {
        other.placed(places);
        self.sent += other.sent;
        self.unsent.append(&mut other.unsent);
        self.unsent.sort_by_key(|unsent| unsent.index);
    }

    fn give_up(&mut self, from: usize, to: usize, why: impl Fn() -> io::Error) {
        self.unsent.extend((from..to).map(|index| Unsent {
            index,
            error: why(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, poll};
    use nix::sys::socket::{LinkAddr, SockProtocol, recvfrom};
    use proptest::prelude::*;
    use std::{io::ErrorKind, os::fd::AsFd};

    /// What becomes of a frame.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fate {
        Taken,
        Refused,
        /// Taken at the second try.
        Interrupted,
    }

    proptest! {
        /// Every frame is offered until it is taken or refused, in order, and a refusal keeps none of the others back.
        #[test]
        fn every_frame_has_its_turn(
            fates in prop::collection::vec(
                prop_oneof![8 => Just(Fate::Taken), 1 => Just(Fate::Refused), 1 => Just(Fate::Interrupted)],
                0..3 * BATCH,
            ),
            most in 1..2 * BATCH,
        ) {
            let octets = [0; 60];
            let frames: Vec<Outgoing<'_>> = (0..fates.len() as u32).map(|i| (i, &octets[..])).collect();
            let mut left = fates.clone();
            let mut seen = Vec::new();
            let report = send_all(&frames, |batch| {
                assert!(!batch.is_empty() && batch.len() <= BATCH);
                let mut taken = 0;
                for (index, _) in batch.iter().take(most) {
                    let fate = &mut left[*index as usize];
                    let kind = match fate {
                        Fate::Taken => {
                            seen.push(*index);
                            taken += 1;
                            continue;
                        }
                        Fate::Refused => ErrorKind::NetworkDown,
                        Fate::Interrupted => ErrorKind::Interrupted,
                    };
                    // The kernel tells what is wrong only when it is with the first frame.
                    if taken > 0 {
                        break;
                    }
                    if kind == ErrorKind::Interrupted {
                        *fate = Fate::Taken;
                    }
                    return Err(kind.into());
                }
                Ok(taken)
            });
            let refused = |i: &usize| fates[*i] == Fate::Refused;
            let expected: Vec<u32> = (0..fates.len()).filter(|i| !refused(i)).map(|i| i as u32).collect();
            prop_assert_eq!(report.sent, expected.len());
            prop_assert_eq!(seen, expected);
            prop_assert!(report.unsent.iter().map(|u| u.index).eq((0..fates.len()).filter(refused)));
        }
    }

    proptest! {
        /// Shared between two senders: each device's frames are in one hand and in order, and what was not sent is
        /// reported by its place among all.
        #[test]
        fn many_frames_are_shared_by_device(devices in prop::collection::vec(0..6u32, 0..300)) {
            let octets = [0; 60];
            let frames: Vec<Outgoing<'_>> = devices.iter().map(|device| (*device, &octets[..])).collect();
            let refuse = |part: &[Outgoing<'_>]| send_all(part, |batch| match batch[0].0 {
                3 | 4 => Err(ErrorKind::NetworkDown.into()),
                _ => Ok(1),
            });
            let [(even, places), (odd, odd_places)] = by_device(&frames);
            prop_assert!(even.iter().all(|(device, _)| device % 2 == 0));
            prop_assert!(odd.iter().all(|(device, _)| device % 2 == 1));
            prop_assert!(places.is_sorted() && odd_places.is_sorted());
            let mut report = refuse(&even);
            report.placed(&places);
            report.take(refuse(&odd), &odd_places);
            let whole = refuse(&frames);
            prop_assert_eq!(report.sent, whole.sent);
            let unsent = |report: &SendReport| -> Vec<usize> { report.unsent.iter().map(|u| u.index).collect() };
            prop_assert_eq!(unsent(&report), unsent(&whole));
        }
    }

    #[test]
    fn a_full_socket_ends_it() {
        let octets = [0; 60];
        let frames: Vec<Outgoing<'_>> = (0..5).map(|i| (i, &octets[..])).collect();
        let mut calls = 0;
        let report = send_all(&frames, |_| {
            calls += 1;
            match calls {
                1 => Ok(2),
                2 => Err(ErrorKind::WouldBlock.into()),
                _ => unreachable!("a full socket is not asked again"),
            }
        });
        assert_eq!(report.sent, 2);
        let unsent: Vec<usize> = report.unsent.iter().map(|u| u.index).collect();
        assert_eq!(unsent, [2, 3, 4]);
        assert!(
            report
                .unsent
                .iter()
                .all(|u| u.error.kind() == ErrorKind::WouldBlock)
        );
    }

    /// In a network namespace of its own, which ends with the thread. Only root may make one.
    #[test]
    fn one_device_does_not_hold_up_another() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("not run: only root may make a network namespace");
            return;
        }
        std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            for words in [
                "link add out type veth peer name in",
                "link set out up",
                "link set in up",
                "link add idle type veth peer name other",
            ] {
                let mut ip = std::process::Command::new("ip");
                assert!(ip.args(words.split(' ')).status().unwrap().success());
            }
            let number = |name| nix::net::if_::if_nametoindex(name).unwrap();
            let (out, idle) = (number("out"), number("idle"));
            // Everything that comes in, as it is.
            let all = SockProtocol::EthAll;
            let receiver = socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_NONBLOCK,
                all,
            )
            .unwrap();

            // A BPDU's length stands in the place of the type.
            let mut frame = [0; 60];
            frame[..17].copy_from_slice(&[
                1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 38, 0x42, 0x42, 3,
            ]);
            let numbered = |n: u8| {
                let mut frame = frame;
                frame[59] = n;
                frame
            };
            let long = [0; 2000];
            let (first, second, third) = (numbered(1), numbered(2), numbered(3));
            let report = PacketSocket::open().unwrap().send(&[
                (out, &first),
                (idle, &first),
                (out, &second),
                (999, &first),
                (u32::MAX, &first),
                (out, &long),
                (out, &third),
            ]);
            assert_eq!(report.sent, 3);
            let unsent: Vec<_> = report
                .unsent
                .iter()
                .map(|u| (u.index, u.error.raw_os_error().unwrap()))
                .collect();
            let expected = [
                (1, libc::ENETDOWN),
                (3, libc::ENXIO),
                (4, libc::ENXIO),
                (5, libc::EMSGSIZE),
            ];
            assert_eq!(unsent, expected);

            // A veth has passed them on when the call returns, or does so within the time of a soft interrupt.
            let mut received = Vec::new();
            let mut wait = [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)];
            while received.len() < 3 {
                assert_eq!(
                    poll(&mut wait, 10_000u16),
                    Ok(1),
                    "frames arrived: {received:?}"
                );
                let mut octets = [0; 2048];
                let (length, from) =
                    recvfrom::<LinkAddr>(receiver.as_raw_fd(), &mut octets).unwrap();
                if from.is_some_and(|a| a.ifindex() == number("in") as usize)
                    && octets[..12] == frame[..12]
                {
                    received.push(octets[..length].to_vec());
                }
            }
            assert_eq!(received, [first.to_vec(), second.to_vec(), third.to_vec()]);
        })
        .join()
        .unwrap();
    }
}
