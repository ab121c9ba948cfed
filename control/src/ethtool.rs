//! The few device features that decide whether XDP can forward rightly, speed and duplex, by the ethtool ioctls.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::{
    ffi::CStr,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

const ETHTOOL_GSET: u32 = 0x01;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GTXCSUM: u32 = 0x16;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const ETHTOOL_GGRO: u32 = 0x2b;
const FLAG_TX_VLAN: u32 = 1 << 7;
const FLAG_RX_VLAN: u32 = 1 << 8;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// The start of `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

/// `struct ethtool_cmd`.
#[repr(C)]
#[derive(Default)]
struct Settings {
    command: u32,
    modes: [u32; 2],
    speed: u16,
    duplex: u8,
    port_to_mdio: [u8; 5],
    packets: [u32; 2],
    speed_high: u16,
    rest: [u8; 14],
}

/// What devices say that do not know their speed.
const SPEEDS_UNKNOWN: [u32; 3] = [0, 0xffff, u32::MAX];

const DUPLEX_FULL: u8 = 1;

const _: () = assert!(size_of::<Settings>() == 44);

/// How a link runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkMode {
    /// Its speed in Mbit/s; `None` if the device does not know, as without a link.
    pub speed_mbps: Option<u32>,
    /// Whether both ends may send at a time; false if the device does not know.
    pub full_duplex: bool,
}

/// One device of the current thread's network namespace.
pub struct Ethtool {
    socket: Way,
    device: String,
}

/// The way to the devices of the current thread's network namespace.
#[derive(Clone)]
pub struct Way(Arc<OwnedFd>);

impl Way {
    /// A new one.
    ///
    /// # Errors
    /// If there is no socket to be had.
    pub fn open() -> io::Result<Self> {
        // Any socket will do. Bound to nothing it costs little: a new master asks for all of its ports.
        let (family, kind) = (AddressFamily::Inet, SockType::Datagram);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self(Arc::new(socket)))
    }

    /// To a device by name.
    #[must_use]
    pub fn to(&self, device: &str) -> Ethtool {
        Ethtool {
            socket: self.clone(),
            device: device.into(),
        }
    }
}

impl Ethtool {
    /// For a device by name.
    ///
    /// # Errors
    /// If there is no socket to be had.
    pub fn new(device: &str) -> io::Result<Self> {
        Way::open().map(|way| way.to(device))
    }

    /// The driver's name.
    ///
    /// # Errors
    /// What the driver says.
    pub fn driver(&self) -> io::Result<String> {
        let mut info = DriverInfo {
            command: ETHTOOL_GDRVINFO,
            driver: [0; 32],
            rest: [0; 160],
        };
        self.call((&raw mut info).cast())?;
        let name = CStr::from_bytes_until_nul(&info.driver).map_err(io::Error::other)?;
        Ok(name.to_string_lossy().into_owned())
    }

    /// Speed and duplex.
    ///
    /// # Errors
    /// What the driver says, for instance that it has no such thing.
    pub fn link_mode(&self) -> io::Result<LinkMode> {
        let mut settings = Settings {
            command: ETHTOOL_GSET,
            ..Settings::default()
        };
        self.call((&raw mut settings).cast())?;
        let speed = u32::from(settings.speed_high) << 16 | u32::from(settings.speed);
        Ok(LinkMode {
            speed_mbps: (!SPEEDS_UNKNOWN.contains(&speed)).then_some(speed),
            full_duplex: settings.duplex == DUPLEX_FULL,
        })
    }

    /// Whether checksums are left to the device.
    ///
    /// # Errors
    /// What the driver says.
    pub fn tx_checksum(&self) -> io::Result<bool> {
        self.get(ETHTOOL_GTXCSUM).map(|v| v != 0)
    }

    /// Whether generic receive offload is on; on a veth it makes native XDP redirects arrive.
    ///
    /// # Errors
    /// What the driver says.
    pub fn gro(&self) -> io::Result<bool> {
        self.get(ETHTOOL_GGRO).map(|v| v != 0)
    }

    /// Whether tags are put beside the frame on transmission.
    ///
    /// # Errors
    /// What the driver says.
    pub fn tx_vlan(&self) -> io::Result<bool> {
        self.get(ETHTOOL_GFLAGS).map(|v| v & FLAG_TX_VLAN != 0)
    }

    /// Whether the device takes tags out of received frames.
    ///
    /// # Errors
    /// What the driver says.
    pub fn rx_vlan(&self) -> io::Result<bool> {
        self.get(ETHTOOL_GFLAGS).map(|v| v & FLAG_RX_VLAN != 0)
    }

    /// Makes the device leave tags in received frames.
    ///
    /// # Errors
    /// What the driver says, for instance that it can not.
    pub fn set_rx_vlan_off(&self) -> io::Result<()> {
        let flags = self.get(ETHTOOL_GFLAGS)? & !FLAG_RX_VLAN;
        let mut value = Value {
            command: ETHTOOL_SFLAGS,
            data: flags,
        };
        self.call((&raw mut value).cast())
    }

    fn get(&self, command: u32) -> io::Result<u32> {
        let mut value = Value { command, data: 0 };
        self.call((&raw mut value).cast())?;
        Ok(value.data)
    }

    fn call(&self, data: *mut libc::c_char) -> io::Result<()> {
        // SAFETY: plain data, valid as all zeroes.
        let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
        let name = self.device.as_bytes();
        if name.len() >= request.ifr_name.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the device name is too long",
            ));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name) {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_data = data;
        // SAFETY: `data` points to a structure of the size that its command asks for, alive across the call.
        let result = unsafe {
            libc::ioctl(
                self.socket.0.as_raw_fd(),
                libc::SIOCETHTOOL,
                &raw mut request,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}
