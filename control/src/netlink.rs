//! Interfaces by rtnetlink: which there are, and every change of them.

use crate::ethtool::Way;
use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt};
use hitless_common::Mac;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage},
    nsid::{NsidAttribute, NsidMessage},
};
use rtnetlink::{Handle, LinkUnspec, MulticastGroup, new_multicast_connection};
use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd, BorrowedFd},
};

/// A network device as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number in this network namespace.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its own address; all zeroes if it has none of Ethernet's kind.
    pub mac: Mac,
    /// Octets of payload that it sends.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub admin_up: bool,
    /// Whether it is up and has a carrier: frames can pass.
    pub link_up: bool,
    /// The speed of its link in Mbit/s; 0 if the device does not know, as without a link.
    pub speed_mbps: u32,
    /// Whether both ends of its link may send at a time; false if the device does not know, as without a link.
    pub full_duplex: bool,
    /// Whether it takes frames to any address.
    pub promiscuous: bool,
    /// The kind of a virtual device (`veth`, `tun`, …); `None` for hardware.
    pub kind: Option<String>,
    /// Where a veth's other end is.
    pub far_end: Option<FarEndPlace>,
}

/// Where the other end of a veth is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FarEndPlace {
    /// Its number in its own network namespace.
    pub ifindex: u32,
    /// The identifier of that namespace in ours; `None` if it is ours.
    pub nsid: Option<i32>,
}

/// What happened to the interfaces.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// A device is there, as described.
    Present(Device),
    /// A device is gone from this namespace.
    Gone {
        /// Its number.
        ifindex: u32,
    },
    /// Messages were lost; ask for everything again.
    Overrun,
}

/// The connection to the kernel.
#[derive(Clone)]
pub struct Netlink {
    handle: Handle,
}

/// The changes, in order.
pub struct LinkChanges {
    messages: futures_util::stream::BoxStream<'static, LinkChange>,
}

impl LinkChanges {
    /// The next change; `None` if the connection ended.
    pub async fn next(&mut self) -> Option<LinkChange> {
        self.messages.next().await
    }
}

/// The interfaces, kept up with: what a standby has ready for a takeover, which then need not ask for them.
pub struct Interfaces {
    netlink: Netlink,
    changes: LinkChanges,
    devices: BTreeMap<u32, Device>,
}

impl Interfaces {
    /// Connects, and lists what there is.
    ///
    /// # Errors
    /// If the kernel gives no netlink socket, or refuses the list.
    pub async fn open() -> Result<Self> {
        let (netlink, changes) = Netlink::connect()?;
        let mut interfaces = Self {
            netlink,
            changes,
            devices: BTreeMap::new(),
        };
        interfaces.list().await?;
        Ok(interfaces)
    }

    async fn list(&mut self) -> Result<()> {
        let devices = self.netlink.devices().await?;
        self.devices = devices.into_iter().map(|d| (d.ifindex, d)).collect();
        Ok(())
    }

    /// The next change, to be given to [`Interfaces::follow`]; `None` if the connection ended. May be dropped while it
    /// waits.
    pub async fn next(&mut self) -> Option<LinkChange> {
        self.changes.next().await
    }

    /// Follows a change.
    ///
    /// # Errors
    /// If changes were lost and the kernel refuses the list.
    pub async fn follow(&mut self, change: LinkChange) -> Result<()> {
        match change {
            LinkChange::Present(device) => {
                self.devices.insert(device.ifindex, device);
            }
            LinkChange::Gone { ifindex } => {
                self.devices.remove(&ifindex);
            }
            LinkChange::Overrun => self.list().await?,
        }
        Ok(())
    }

    /// The connection, the changes that are still to come, and the devices before them.
    #[must_use]
    pub fn into_parts(self) -> (Netlink, LinkChanges, Vec<Device>) {
        let devices = self.devices.into_values().collect();
        (self.netlink, self.changes, devices)
    }
}

impl Netlink {
    /// Connects, and follows changes from now on.
    ///
    /// # Errors
    /// If the kernel gives no netlink socket.
    pub fn connect() -> Result<(Self, LinkChanges)> {
        let (connection, handle, messages) =
            new_multicast_connection(&[MulticastGroup::Link]).context("open a netlink socket")?;
        tokio::spawn(connection);
        let messages = messages
            .filter_map(|(message, _)| async { change(message) })
            .boxed();
        Ok((Self { handle }, LinkChanges { messages }))
    }

    /// Every device there is.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub async fn devices(&self) -> Result<Vec<Device>> {
        let mut found = Vec::new();
        // Statistics are most of what the kernel would tell.
        let sparing = vec![LinkExtentMask::SkipStats];
        let request = self.handle.link().get();
        let mut links = request
            .set_filter_mask(AddressFamily::Unspec, sparing)
            .execute();
        let way = Way::open().ok();
        while let Some(message) = links.try_next().await.context("list the interfaces")? {
            found.extend(device(&message, way.as_ref()));
        }
        Ok(found)
    }

    /// Makes a device carry a port's frames: up, and promiscuous since they are to other addresses; or takes it
    /// down.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub async fn set_port_device(&self, ifindex: u32, up: bool) -> Result<()> {
        let link = LinkUnspec::new_with_index(ifindex).promiscuous(up);
        let link = if up { link.up() } else { link.down() };
        self.handle
            .link()
            .set(link.build())
            .execute()
            .await
            .with_context(|| {
                format!(
                    "set device {ifindex} {}",
                    if up { "up and promiscuous" } else { "down" }
                )
            })
    }

    /// Lets go of a device that is no port any more: its own frames alone come up from now on.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub async fn release_port_device(&self, ifindex: u32) -> Result<()> {
        let link = LinkUnspec::new_with_index(ifindex).promiscuous(false);
        self.handle
            .link()
            .set(link.build())
            .execute()
            .await
            .with_context(|| format!("take device {ifindex} out of promiscuous mode"))
    }

    /// The identifier that our namespace has for another one; `None` if it has none.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub async fn namespace_id(&self, namespace: BorrowedFd<'_>) -> Result<Option<i32>> {
        let mut message = NsidMessage::default();
        message.attributes = vec![NsidAttribute::Fd(namespace.as_raw_fd() as u32)];
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::GetNsId(message));
        request.header.flags = netlink_packet_core::NLM_F_REQUEST;
        let mut answers = self
            .handle
            .clone()
            .request(request)
            .context("ask for a namespace's identifier")?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNsId(found)) =
                answer.payload
            {
                return Ok(found.attributes.iter().find_map(|a| match a {
                    NsidAttribute::Id(id) if *id >= 0 => Some(*id),
                    _ => None,
                }));
            }
        }
        Ok(None)
    }
}

fn change(message: NetlinkMessage<RouteNetlinkMessage>) -> Option<LinkChange> {
    // A Linux bridge tells of its ports in messages of its own family: one that leaves it is not gone.
    let of_devices = |link: &LinkMessage| link.header.interface_family == AddressFamily::Unspec;
    match message.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) if of_devices(&link) => {
            device(&link, Way::open().ok().as_ref()).map(LinkChange::Present)
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) if of_devices(&link) => {
            Some(LinkChange::Gone {
                ifindex: link.header.index,
            })
        }
        NetlinkPayload::Overrun(_) => Some(LinkChange::Overrun),
        _ => None,
    }
}

/// What a message says of a device, and the device itself of its link by this way.
fn device(message: &LinkMessage, way: Option<&Way>) -> Option<Device> {
    let mut name = None;
    let mut mac = Mac::ZERO;
    let mut mtu = 0;
    let mut kind = None;
    let mut peer = None;
    let mut nsid = None;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(n) => name = Some(n.clone()),
            LinkAttribute::Address(octets) => {
                mac = octets.as_slice().try_into().map_or(mac, Mac);
            }
            LinkAttribute::Mtu(m) => mtu = *m,
            LinkAttribute::Link(index) => peer = Some(*index),
            LinkAttribute::LinkNetNsId(id) => nsid = Some(*id),
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    let name = name?;
    let flags = message.header.flags;
    let link_up = flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
    // What changes speed or duplex takes the link down for a moment: a message comes when it is up again.
    let mode = if link_up {
        way.and_then(|way| way.to(&name).link_mode().ok())
    } else {
        None
    };
    let is_veth = kind.as_deref() == Some(InfoKind::Veth.to_string().as_str());
    Some(Device {
        ifindex: message.header.index,
        name,
        mac,
        mtu,
        admin_up: flags.contains(LinkFlags::Up),
        link_up,
        speed_mbps: mode.and_then(|m| m.speed_mbps).unwrap_or(0),
        full_duplex: mode.is_some_and(|m| m.full_duplex),
        promiscuous: flags.contains(LinkFlags::Promisc),
        far_end: peer
            .filter(|_| is_veth)
            .map(|ifindex| FarEndPlace { ifindex, nsid }),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_leaves_a_linux_bridge_is_not_gone() {
        let gone = |family| {
            let mut link = LinkMessage::default();
            link.header.interface_family = family;
            link.header.index = 7;
            change(NetlinkMessage::from(RouteNetlinkMessage::DelLink(link)))
        };
        assert_eq!(
            gone(AddressFamily::Unspec),
            Some(LinkChange::Gone { ifindex: 7 })
        );
        assert_eq!(gone(AddressFamily::Bridge), None);
    }
}
