//! Identifiers whose constructors refuse values that the standards do not allow.

use crate::limits::MAX_PORTS;

/// A switch port's number, 1 to [`MAX_PORTS`].
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortNo(u16);

impl PortNo {
    /// The port with this number, or `None` outside 1 to [`MAX_PORTS`].
    #[inline(always)]
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number >= 1 && number as usize <= MAX_PORTS {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number, 1 to [`MAX_PORTS`].
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Every port number, ascending.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=MAX_PORTS as u16).map(Self)
    }
}

/// A VLAN identifier, 1 to 4094 (IEEE 802.1Q-2018 9.6: 0 marks a priority tag, 4095 is reserved).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// The lowest VLAN identifier, 1.
    pub const MIN: Self = Self(1);
    /// The highest VLAN identifier, 4094.
    pub const MAX: Self = Self(4094);

    /// The VLAN with this identifier, or `None` outside 1 to 4094.
    #[inline(always)]
    #[must_use]
    pub const fn new(vid: u16) -> Option<Self> {
        if vid >= 1 && vid <= 4094 {
            Some(Self(vid))
        } else {
            None
        }
    }

    /// The identifier, 1 to 4094.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A 48-bit MAC address in transmission order.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// 00:00:00:00:00:00, which no station has.
    pub const ZERO: Self = Self([0; 6]);

    /// The address as a number, first octet most significant; the upper 16 bits are 0.
    #[inline(always)]
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        let m = self.0;
        u64::from_be_bytes([0, 0, m[0], m[1], m[2], m[3], m[4], m[5]])
    }

    /// The address from the low 48 bits of a number; the inverse of [`Mac::to_u64`].
    #[inline(always)]
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        let b = number.to_be_bytes();
        Self([b[2], b[3], b[4], b[5], b[6], b[7]])
    }

    /// Whether the I/G bit says group address (broadcast included).
    #[inline(always)]
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether a station can have this as its own address: not a group address, not zero.
    #[must_use]
    pub fn is_station(self) -> bool {
        !self.is_group() && self != Self::ZERO
    }

    /// Whether a bridge keeps frames to this address from being forwarded, or copies them to its control
    /// plane: 01:80:c2:00:00:00 to 0f (IEEE 802.1Q-2018 8.6.3) and 00:e0:2b:00:00:xx (EDP, ESRP, EAPS).
    /// Such an address is never learned and can not be configured as a station.
    #[must_use]
    pub const fn is_control(self) -> bool {
        let n = self.to_u64();
        n & !0x0f == 0x0180_c200_0000 || n & !0xff == 0x00e0_2b00_0000
    }
}

impl core::fmt::Debug for Mac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let m = self.0;
        write!(
            f,
            "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
            m[0], m[1], m[2], m[3], m[4], m[5]
        )
    }
}

#[cfg(feature = "std")]
mod text {
    use super::{Mac, PortNo, VlanId};
    use crate::limits::MAX_PORTS;
    use core::fmt;
    use core::str::FromStr;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    /// Why a text is no identifier: the value found and the rule it broke.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InvalidId(String);

    impl fmt::Display for InvalidId {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for InvalidId {}

    impl PortNo {
        /// The port with this number.
        ///
        /// # Errors
        /// Names the number and the range when it is outside 1 to [`MAX_PORTS`].
        pub fn try_new(number: i64) -> Result<Self, InvalidId> {
            u16::try_from(number)
                .ok()
                .and_then(Self::new)
                .ok_or_else(|| InvalidId(format!("port {number} is not in 1 to {MAX_PORTS}")))
        }
    }

    impl VlanId {
        /// The VLAN with this identifier.
        ///
        /// # Errors
        /// Names the number and the rule when it is outside 1 to 4094.
        pub fn try_new(vid: i64) -> Result<Self, InvalidId> {
            u16::try_from(vid).ok().and_then(Self::new).ok_or_else(|| {
                InvalidId(match vid {
                    0 => "VLAN id 0 marks a priority-tagged frame (IEEE 802.1Q 9.6); use 1 to 4094"
                        .into(),
                    4095 => "VLAN id 4095 is reserved (IEEE 802.1Q 9.6); use 1 to 4094".into(),
                    _ => format!("VLAN id {vid} is not in 1 to 4094"),
                })
            })
        }
    }

    impl fmt::Display for PortNo {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.get().fmt(f)
        }
    }

    impl fmt::Display for VlanId {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.get().fmt(f)
        }
    }

    impl fmt::Display for Mac {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let text = format!("{self:?}");
            f.pad(&text)
        }
    }

    impl FromStr for PortNo {
        type Err = InvalidId;
        fn from_str(s: &str) -> Result<Self, InvalidId> {
            let n = s
                .parse::<i64>()
                .map_err(|_| InvalidId(format!("{s:?} is not a port number, 1 to {MAX_PORTS}")))?;
            Self::try_new(n)
        }
    }

    impl FromStr for VlanId {
        type Err = InvalidId;
        fn from_str(s: &str) -> Result<Self, InvalidId> {
            let n = s
                .parse::<i64>()
                .map_err(|_| InvalidId(format!("{s:?} is not a VLAN id, 1 to 4094")))?;
            Self::try_new(n)
        }
    }

    impl FromStr for Mac {
        type Err = InvalidId;
        /// Accepts six two-digit hexadecimal octets separated by `:` or `-`.
        fn from_str(s: &str) -> Result<Self, InvalidId> {
            let wrong = || {
                InvalidId(format!(
                    "{s:?} is not a MAC address such as 02:00:00:00:01:0a"
                ))
            };
            let mut octets = [0u8; 6];
            let mut parts = s.split([':', '-']);
            for octet in &mut octets {
                let part = parts.next().ok_or_else(wrong)?;
                if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(wrong());
                }
                *octet = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
            }
            if parts.next().is_some() {
                return Err(wrong());
            }
            Ok(Self(octets))
        }
    }

    impl Serialize for PortNo {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.serialize_u16(self.get())
        }
    }

    impl Serialize for VlanId {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.serialize_u16(self.get())
        }
    }

    impl Serialize for Mac {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.collect_str(self)
        }
    }

    impl<'de> Deserialize<'de> for PortNo {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            Self::try_new(i64::deserialize(d)?).map_err(de::Error::custom)
        }
    }

    impl<'de> Deserialize<'de> for VlanId {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            Self::try_new(i64::deserialize(d)?).map_err(de::Error::custom)
        }
    }

    impl<'de> Deserialize<'de> for Mac {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            String::deserialize(d)?.parse().map_err(de::Error::custom)
        }
    }
}

#[cfg(feature = "std")]
pub use text::InvalidId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlan_ids_are_1_to_4094() {
        assert_eq!(VlanId::new(0), None);
        assert_eq!(VlanId::new(1), Some(VlanId::MIN));
        assert_eq!(VlanId::new(4094), Some(VlanId::MAX));
        assert_eq!(VlanId::new(4095), None);
    }

    #[test]
    fn port_numbers_are_1_to_128() {
        assert_eq!(PortNo::new(0), None);
        assert_eq!(PortNo::new(128).map(PortNo::get), Some(128));
        assert_eq!(PortNo::new(129), None);
        assert_eq!(PortNo::all().count(), MAX_PORTS);
    }

    #[test]
    fn a_mac_survives_the_way_to_a_number_and_back() {
        let mac = Mac([0x02, 0x11, 0x22, 0x33, 0x44, 0x55]);
        assert_eq!(mac.to_u64(), 0x0211_2233_4455);
        assert_eq!(Mac::from_u64(mac.to_u64()), mac);
        assert!(!mac.is_group() && mac.is_station());
        assert!(Mac::BROADCAST.is_group() && !Mac::ZERO.is_station());
    }

    #[test]
    fn control_addresses() {
        assert!(Mac([1, 0x80, 0xc2, 0, 0, 0x0f]).is_control());
        assert!(!Mac([1, 0x80, 0xc2, 0, 0, 0x10]).is_control());
        assert!(Mac([0, 0xe0, 0x2b, 0, 0, 4]).is_control());
        assert!(!Mac([0, 0xe0, 0x2b, 0, 1, 0]).is_control());
    }

    #[cfg(feature = "std")]
    #[test]
    fn text_forms() {
        let mac: Mac = "02:00:5e:Aa-01:0a".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:aa:01:0a");
        for bad in [
            "",
            "02:00:5e:aa:01",
            "02:00:5e:aa:01:0a:0b",
            "2:0:5e:aa:1:a",
            "02:00:5e:aa:01:0g",
            "+2:00:5e:aa:01:0a",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
        assert!(
            "4095"
                .parse::<VlanId>()
                .unwrap_err()
                .to_string()
                .contains("reserved")
        );
        assert!(
            "0".parse::<VlanId>()
                .unwrap_err()
                .to_string()
                .contains("priority")
        );
        assert!("129".parse::<PortNo>().is_err());
    }
}
