use super::Record;
use crate::message::{RecordError, fields};
use crate::schema::Subsystem;
use crate::schema::port::{DEVICE, ENABLED, IFINDEX, LINK_UP, OFFLOAD, PORT, UP, id};
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
        Self::write_key(self.port, out);
        let blank = Self::new(self.port);
        let base = base.unwrap_or(&blank);
        if self.device != base.device {
            DEVICE.bytes(out, self.device.as_bytes());
        }
        let numbers = [
            (IFINDEX, self.ifindex, base.ifindex),
            (LINK_UP, self.link_up.into(), base.link_up.into()),
            (ENABLED, self.enabled.into(), base.enabled.into()),
            (OFFLOAD, self.offload.into(), base.offload.into()),
            (UP, self.up.into(), base.up.into()),
        ];
        for (field, new, old) in numbers {
            if new != old {
                field.number(out, new.into());
            }
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
                (id::OFFLOAD, value) => port.offload = value.u8(OFFLOAD)?,
                (id::UP, value) => port.up = value.bool(UP)?,
                _ => {}
            }
        }
        Ok(port)
    }
}
