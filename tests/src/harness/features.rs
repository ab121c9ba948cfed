//! Device features that decide whether and how XDP works on a veth, by the `ETHTOOL` ioctl.

use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::netns::Netns;

/// A feature that can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Generic receive offload. On a veth it also lets XDP frames in from the peer.
    Gro,
    /// Generic segmentation offload.
    Gso,
    /// TCP segmentation offload.
    Tso,
    /// Transmit checksum offload: frames leave with unfinished checksums.
    TxChecksum,
    /// Transmit VLAN acceleration: the tag leaves beside the frame, not in it.
    TxVlan,
}

const ETH_FLAG_TXVLAN: u32 = 1 << 7;
const ETHTOOL_GTXCSUM: u32 = 0x16;
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_GTSO: u32 = 0x1e;
const ETHTOOL_STSO: u32 = 0x1f;
const ETHTOOL_GGSO: u32 = 0x23;
const ETHTOOL_SGSO: u32 = 0x24;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const ETHTOOL_GGRO: u32 = 0x2b;
const ETHTOOL_SGRO: u32 = 0x2c;

impl Feature {
    /// The commands that read and write it, and its bit if the value is a set of flags.
    fn commands(self) -> (u32, u32, Option<u32>) {
        match self {
            Self::Gro => (ETHTOOL_GGRO, ETHTOOL_SGRO, None),
            Self::Gso => (ETHTOOL_GGSO, ETHTOOL_SGSO, None),
            Self::Tso => (ETHTOOL_GTSO, ETHTOOL_STSO, None),
            Self::TxChecksum => (ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM, None),
            Self::TxVlan => (ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, Some(ETH_FLAG_TXVLAN)),
        }
    }
}

/// Reads a feature of a device.
///
/// # Errors
/// When there is no such device or the driver does not tell.
pub fn get(netns: &Netns, device: &str, feature: Feature) -> Result<bool> {
    let (read, _, bit) = feature.commands();
    netns.run(|| {
        let value = ethtool(device, read, 0)
            .with_context(|| format!("read {feature:?} of {device} in {}", netns.name()))?;
        Ok(value & bit.unwrap_or(u32::MAX) != 0)
    })
}

/// Switches a feature of a device and checks that it took.
///
/// # Errors
/// When there is no such device, or the driver refuses or ignores it.
pub fn set(netns: &Netns, device: &str, feature: Feature, on: bool) -> Result<()> {
    let (read, write, bit) = feature.commands();
    let what = || format!("set {feature:?} of {device} in {} to {on}", netns.name());
    netns.run(|| {
        let value = match bit {
            Some(bit) => {
                let flags = ethtool(device, read, 0).with_context(what)?;
                if on { flags | bit } else { flags & !bit }
            }
            None => u32::from(on),
        };
        ethtool(device, write, value).with_context(what)?;
        Ok(())
    })?;
    if get(netns, device, feature)? != on {
        bail!("{}: the driver ignored it", what());
    }
    Ok(())
}

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    cmd: u32,
    data: u32,
}

/// One `ETHTOOL` ioctl on a device of the current namespace; returns the value field.
fn ethtool(device: &str, cmd: u32, data: u32) -> Result<u32> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .context("socket")?;
    let mut value = EthtoolValue { cmd, data };
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if device.len() >= request.ifr_name.len() {
        bail!("device name {device:?} is longer than 15 octets");
    }
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request and the value that it points to live until the call returns, and the commands used
    // here read and write an ethtool_value.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if result < 0 {
        return Err(std::io::Error::last_os_error()).context("SIOCETHTOOL");
    }
    Ok(value.data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::run::Run;

    #[test]
    fn features_of_a_veth_go_off_and_on() {
        let run = Run::new().unwrap();
        let netns = Netns::new(&run, "a").unwrap();
        netns.veth("x", &netns, "y").unwrap();
        for feature in [
            Feature::Gro,
            Feature::Gso,
            Feature::Tso,
            Feature::TxChecksum,
            Feature::TxVlan,
        ] {
            for on in [false, true, false] {
                set(&netns, "x", feature, on).unwrap();
                assert_eq!(get(&netns, "x", feature).unwrap(), on, "{feature:?}");
                if feature == Feature::TxChecksum && !on {
                    // Segmentation depends on it.
                    assert!(!get(&netns, "x", Feature::Tso).unwrap());
                }
            }
            set(&netns, "x", feature, true).unwrap();
        }
        assert!(get(&netns, "z", Feature::Gro).is_err());
    }
}
