//! The three versions of the protocol, as data. Not what a client may do in which.

/// A version of MQTT. Later versions compare as greater.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1 (2010), protocol name `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1 (2014), protocol name `MQTT`, level 4.
    V311,
    /// MQTT 5.0 (2019), protocol name `MQTT`, level 5.
    #[default]
    V5,
}

impl Version {
    /// The protocol level byte of CONNECT.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Version::V31 => 3,
            Version::V311 => 4,
            Version::V5 => 5,
        }
    }

    /// The protocol name of CONNECT.
    #[must_use]
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Version::V31 => "MQIsdp",
            Version::V311 | Version::V5 => "MQTT",
        }
    }

    /// Whether packets of this version carry properties and reason codes.
    #[must_use]
    #[inline]
    pub const fn has_properties(self) -> bool {
        matches!(self, Version::V5)
    }
}

impl core::fmt::Display for Version {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Version::V31 => "3.1",
            Version::V311 => "3.1.1",
            Version::V5 => "5.0",
        })
    }
}
