use super::{KEY_LAST, Record, in_order};
use crate::message::{RecordError, fields};
use crate::schema::Subsystem;
#[cfg(feature = "edition-newer")]
use crate::schema::port::MTU;
#[cfg(not(feature = "edition-older"))]
use crate::schema::port::OFFLOAD;
use crate::schema::port::{DEVICE, ENABLED, IFINDEX, LINK_UP, PORT, UP, id};
use hitless_common::PortNo;

/// A port and its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRecord {
    /// Its number.
    pub port: PortNo,
    /// The name of its device.
    pub device: String,
    /// The device's number; 0 while there is no such device.
    pub ifindex: u32,
    /// Whether the device is up and has a carrier.
    pub link_up: bool,
    /// Whether it is enabled by configuration.
    pub enabled: bool,
    /// How its frames are handled, as a number of the master's.
    pub offload: u8,
    /// Whether frames can pass.
    pub up: bool,
    /// Octets of payload that it sends.
    #[cfg(feature = "edition-newer")]
    pub mtu: u32,
}

impl PortRecord {
    /// The record of a port of which nothing is known.
    #[must_use]
    pub const fn new(port: PortNo) -> Self {
        Self {
            port,
            device: String::new(),
            ifindex: 0,
            link_up: false,
            enabled: false,
            offload: 0,
            up: false,
            #[cfg(feature = "edition-newer")]
            mtu: 0,
        }
    }
}

impl Record for PortRecord {
    const SUBSYSTEM: Subsystem = Subsystem::Ports;
    type Key = PortNo;

    fn key(&self) -> PortNo {
        self.port
    }

    fn write_key(port: PortNo, out: &mut Vec<u8>) {
        PORT.number(out, port.get().into());
    }

    fn read_key(record: &[u8]) -> Result<PortNo, RecordError> {
        let mut port = None;
        for field in fields(record) {
            if let (id::PORT, value) = field? {
                port = Some(value.port(PORT)?);
            }
        }
        port.ok_or(RecordError::Missing(PORT.name))
    }

    fn write(&self, base: Option<&Self>, out: &mut Vec<u8>) {
        if !KEY_LAST {
            Self::write_key(self.port, out);
        }
        let blank = Self::new(self.port);
        let base = base.unwrap_or(&blank);
        if self.device != base.device {
            DEVICE.bytes(out, self.device.as_bytes());
        }
        let mut numbers = [
            (IFINDEX, self.ifindex, base.ifindex),
            (LINK_UP, self.link_up.into(), base.link_up.into()),
            (ENABLED, self.enabled.into(), base.enabled.into()),
            #[cfg(not(feature = "edition-older"))]
            (OFFLOAD, self.offload.into(), base.offload.into()),
            (UP, self.up.into(), base.up.into()),
            #[cfg(feature = "edition-newer")]
            (MTU, self.mtu, base.mtu),
        ];
        in_order(&mut numbers);
        for (field, new, old) in numbers {
            if new != old {
                field.number(out, new.into());
            }
        }
        if KEY_LAST {
            Self::write_key(self.port, out);
        }
    }

    fn read(base: Option<&Self>, record: &[u8]) -> Result<Self, RecordError> {
        let key = Self::read_key(record)?;
        let mut port = base.cloned().unwrap_or_else(|| Self::new(key));
        port.port = key;
        for field in fields(record) {
            match field? {
                (id::DEVICE, value) => port.device = value.text(DEVICE)?.into(),
                (id::IFINDEX, value) => port.ifindex = value.u32(IFINDEX)?,
                (id::LINK_UP, value) => port.link_up = value.bool(LINK_UP)?,
                (id::ENABLED, value) => port.enabled = value.bool(ENABLED)?,
                #[cfg(not(feature = "edition-older"))]
                (id::OFFLOAD, value) => port.offload = value.u8(OFFLOAD)?,
                (id::UP, value) => port.up = value.bool(UP)?,
                #[cfg(feature = "edition-newer")]
                (id::MTU, value) => port.mtu = value.u32(MTU)?,
                _ => {}
            }
        }
        Ok(port)
    }
}
