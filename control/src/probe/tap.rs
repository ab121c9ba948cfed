//! The device that frames of a probe flow get in by.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};
use aya::{Ebpf, EbpfLoader};
use hitless_common::Mac;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::frame::LENGTH;
use super::{ProbeError, device_error};

/// The object file, or nothing when this program was built without an eBPF toolchain.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/inject.bpf.o"));

/// Why [`OBJECT`] is empty.
const MISSING: &str = env!("HITLESS_EBPF_MISSING");

const PROGRAM: &str = "inject_tcx";

/// Its name but for the number, which the kernel chooses.
const NAME: &[u8] = b"hlprobe%d";

/// What a TAP device is made with.
pub(super) fn open() -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
}

/// A TAP device whose frames come in at another device. It is gone with this value, or with the process.
#[derive(Debug)]
pub(super) struct Tap {
    file: File,
    name: String,
    address: Mac,
    /// Holds the program on the device.
    _program: Ebpf,
}

impl Tap {
    /// Makes one for the device of this number.
    pub(super) fn new(target: u32) -> Result<Self, ProbeError> {
        if OBJECT.is_empty() {
            return Err(ProbeError::Program(MISSING.into()));
        }
        let file = open().map_err(ProbeError::Tun)?;
        let mut request = named(NAME);
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        call(file.as_raw_fd(), libc::TUNSETIFF, &mut request)
            .map_err(|e| device_error("make the TAP device", e))?;
        let name = name(&request);
        let failed = |what: &str| {
            let what = format!("{what} {name}, the TAP device");
            move |e: io::Error| device_error(what, e)
        };
        let address = {
            let mut asked = named(name.as_bytes());
            call(file.as_raw_fd(), libc::SIOCGIFHWADDR, &mut asked)
                .map_err(failed("read the address of"))?;
            // SAFETY: the kernel has filled this member in.
            let found = unsafe { asked.ifr_ifru.ifru_hwaddr };
            let mut octets = [0; 6];
            for (octet, found) in octets.iter_mut().zip(found.sa_data) {
                *octet = found.cast_unsigned();
            }
            Mac(octets)
        };
        quieten(&name).map_err(failed("turn IPv6 off on"))?;
        let program = attach(&name, target).map_err(ProbeError::Program)?;
        bring_up(&name).map_err(failed("bring up"))?;
        Ok(Self {
            file,
            name,
            address,
            _program: program,
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its address, of its own and locally administered, which the frames come from.
    pub(super) fn address(&self) -> Mac {
        self.address
    }

    /// Sends a frame.
    pub(super) fn write(&self, octets: &[u8; LENGTH]) -> Result<(), Errno> {
        nix::unistd::write(&self.file, octets).map(drop)
    }
}

/// The kernel is to say nothing of its own there.
fn quieten(name: &str) -> io::Result<()> {
    match fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1") {
        // There is no IPv6 at all.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Puts the program on the device that hands its frames to the other one.
fn attach(name: &str, target: u32) -> Result<Ebpf, String> {
    let mut object = EbpfLoader::new()
        .override_global("TARGET", &target, true)
        .load(OBJECT)
        .map_err(|e| e.to_string())?;
    let program = object
        .program_mut(PROGRAM)
        .ok_or("the object file lacks it")?;
    let program: &mut SchedClassifier = program
        .try_into()
        .map_err(|_| "the object file has another of its name")?;
    program.load().map_err(|e| e.to_string())?;
    let order = TcAttachOptions::TcxOrder(LinkOrder::default());
    program
        .attach_with_options(name, TcAttachType::Ingress, order)
        .map_err(|e| e.to_string())?;
    Ok(object)
}

fn bring_up(name: &str) -> io::Result<()> {
    // Any socket will do.
    let way = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let mut request = named(name.as_bytes());
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_NOARP) as libc::c_short;
    call(way.as_raw_fd(), libc::SIOCSIFFLAGS, &mut request)
}

/// A request about the device of this name, which is shorter than its place.
fn named(name: &[u8]) -> libc::ifreq {
    // SAFETY: plain data, valid as all zeroes.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    let last = request.ifr_name.len() - 1;
    for (place, octet) in request.ifr_name[..last].iter_mut().zip(name) {
        *place = octet.cast_signed();
    }
    request
}

fn name(request: &libc::ifreq) -> String {
    let octets: Vec<u8> = request
        .ifr_name
        .iter()
        .map(|octet| octet.cast_unsigned())
        .take_while(|octet| *octet != 0)
        .collect();
    String::from_utf8_lossy(&octets).into_owned()
}

fn call(fd: RawFd, what: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: all requests that are made here read and write at most a `struct ifreq`, which outlives the call.
    match unsafe { libc::ioctl(fd, what, std::ptr::from_mut(request)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
