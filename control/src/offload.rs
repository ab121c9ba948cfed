//! Which hook a port's frames take, and why: measured facts decide, not hope. XDP must never forward by guess
//! what only a socket buffer knows (a tag beside the frame, an unfinished checksum).

use crate::{
    ethtool::Ethtool,
    netlink::{Device, FarEndPlace, Netlink},
};
use hitless_proto::config::{OffloadMode, PortConfig};
use std::{
    collections::BTreeSet,
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::PathBuf,
};

/// Where a port's frames are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// In the TC hook alone.
    Tc,
    /// Known unicast in the driver, the rest in the TC hook behind it.
    Xdp,
}

/// The choice for one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The hook.
    pub offload: Offload,
    /// One sentence that says why, and what to do for another choice.
    pub reason: String,
    /// Whether native XDP redirects reach this port's device.
    pub takes_redirects: bool,
}

/// What is known of the device and of what is at the other end of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The driver or the kind of virtual device.
    pub driver: String,
    /// Whether it is a veth, and then what its other end does.
    pub far_end: Option<FarEnd>,
    /// Why tags can not be kept in received frames, if so.
    pub tags_taken: Option<String>,
}

/// The other end of a veth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FarEnd {
    /// It can not be looked at from here.
    Hidden,
    /// Its features.
    Seen {
        /// Generic receive offload: without it native redirects to it are lost.
        gro: bool,
        /// Checksum offload: its frames come with unfinished checksums.
        tx_checksum: bool,
        /// Tag offload: its frames come with the tag beside them.
        tx_vlan: bool,
    },
}

impl FarEnd {
    /// The ethtool settings that it lacks for XDP.
    fn lacks(&self) -> Vec<&'static str> {
        match self {
            Self::Hidden => Vec::new(),
            Self::Seen {
                gro,
                tx_checksum,
                tx_vlan,
            } => [
                (!gro, "gro on"),
                (*tx_checksum, "tx off"),
                (*tx_vlan, "txvlan off"),
            ]
            .into_iter()
            .filter_map(|(lacks, setting)| lacks.then_some(setting))
            .collect(),
        }
    }
}

/// Drivers of virtual devices whose native XDP is slower than tcx, or which need their other end prepared.
const VIRTUAL: [&str; 4] = ["veth", "virtio_net", "tun", "tap"];

/// Chooses a hook for a port. Pure: the facts are all it looks at.
#[must_use]
pub fn choose(config: &PortConfig, facts: &Facts) -> Choice {
    let tc = |reason: String| Choice {
        offload: Offload::Tc,
        reason,
        takes_redirects: false,
    };
    let xdp = |reason: String| Choice {
        offload: Offload::Xdp,
        reason,
        takes_redirects: true,
    };
    match config.offload {
        OffloadMode::Tc => tc("configured".into()),
        OffloadMode::Auto if VIRTUAL.contains(&facts.driver.as_str()) => tc(format!(
            "auto: {} is faster and takes every offload of its peer in TC",
            facts.driver
        )),
        OffloadMode::Auto | OffloadMode::Xdp if facts.tags_taken.is_some() => tc(format!(
            "XDP would not see VLAN tags: {}",
            facts.tags_taken.as_deref().unwrap_or_default()
        )),
        OffloadMode::Auto => xdp(format!("auto: {} may have native XDP", facts.driver)),
        OffloadMode::Xdp => match &facts.far_end {
            None => xdp("configured".into()),
            Some(_) if config.trust_far_end => {
                xdp("configured; the far end is trusted to be fit (trust_far_end)".into())
            }
            Some(FarEnd::Hidden) => tc(format!(
                "XDP refused: the far end of {} can not be looked at from here; it needs gro on, tx off, txvlan off \
                 (ethtool -K); say trust_far_end: true when it has them",
                config.device
            )),
            Some(seen) => match seen.lacks().as_slice() {
                [] => xdp("configured; the far end is fit".into()),
                lacks => tc(format!(
                    "XDP refused: the far end of {} needs {} (there: ethtool -K DEVICE {})",
                    config.device,
                    lacks.join(", "),
                    lacks.join(" ")
                )),
            },
        },
    }
}

/// Looks at a port's device, and at its other end if it is a veth and can be seen.
pub async fn facts(netlink: &Netlink, config: &PortConfig, device: &Device) -> Facts {
    let wants_xdp = config.offload != OffloadMode::Tc;
    let ethtool = Ethtool::new(&device.name);
    let driver = device
        .kind
        .clone()
        .or_else(|| ethtool.as_ref().ok().and_then(|e| e.driver().ok()))
        .unwrap_or_else(|| "unknown".into());
    let far_end = match device.far_end {
        Some(place) if config.offload == OffloadMode::Xdp => Some(far_end(netlink, place).await),
        Some(_) => Some(FarEnd::Hidden),
        None => None,
    };
    let touches_device = wants_xdp && far_end.is_none() && !VIRTUAL.contains(&driver.as_str());
    let tags_taken = match ethtool {
        Ok(ethtool) if touches_device => keep_tags(&ethtool)
            .err()
            .map(|e| format!("rxvlan can not be turned off ({e})")),
        _ => None,
    };
    Facts {
        driver,
        far_end,
        tags_taken,
    }
}

/// Makes the device leave tags in the frames, where XDP sees them.
fn keep_tags(ethtool: &Ethtool) -> io::Result<()> {
    match ethtool.rx_vlan() {
        Ok(true) => {
            ethtool.set_rx_vlan_off()?;
            if ethtool.rx_vlan()? {
                Err(io::Error::other("the driver keeps it on"))
            } else {
                Ok(())
            }
        }
        Ok(false) => Ok(()),
        // A device without the setting has no such offload.
        Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        Err(e) => Err(e),
    }
}

async fn far_end(netlink: &Netlink, place: FarEndPlace) -> FarEnd {
    let Some(nsid) = place.nsid else {
        return std::thread::spawn(move || features(place.ifindex))
            .join()
            .unwrap_or(FarEnd::Hidden);
    };
    for path in namespaces() {
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if netlink.namespace_id(file.as_fd()).await.ok().flatten() != Some(nsid) {
            continue;
        }
        // A thread of its own: a namespace is entered for good.
        let looked = std::thread::spawn(move || {
            nix::sched::setns(&file, nix::sched::CloneFlags::CLONE_NEWNET)
                .map(|()| features(place.ifindex))
        });
        return match looked.join() {
            Ok(Ok(far_end)) => far_end,
            _ => FarEnd::Hidden,
        };
    }
    FarEnd::Hidden
}

fn features(ifindex: u32) -> FarEnd {
    let look = || -> io::Result<FarEnd> {
        let name = nix::net::if_::if_indextoname(ifindex)?;
        let ethtool = Ethtool::new(&name.to_string_lossy())?;
        Ok(FarEnd::Seen {
            gro: ethtool.gro()?,
            tx_checksum: ethtool.tx_checksum()?,
            tx_vlan: ethtool.tx_vlan()?,
        })
    };
    look().unwrap_or(FarEnd::Hidden)
}

/// The network namespaces that can be seen from here, each once.
fn namespaces() -> Vec<PathBuf> {
    let named = std::fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path());
    let of_processes = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| {
            e.file_name()
                .to_string_lossy()
                .bytes()
                .all(|b| b.is_ascii_digit())
        })
        .map(|e| e.path().join("ns/net"));
    let mut seen = BTreeSet::new();
    named
        .chain(of_processes)
        .filter(|path| std::fs::metadata(path).is_ok_and(|m| seen.insert((m.dev(), m.ino()))))
        .collect()
}
