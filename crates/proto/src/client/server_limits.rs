//! What the server allows this client: CONNACK's properties with their defaults. Not what we allow the server.

use crate::codec::{ConnAckProperties, PACKET_SIZE_MAX, QoS, Version};

/// The server's limits. Before 5.0 a server tells none, and all of these are at their widest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Messages of QoS 1 and 2 that may be unacknowledged.
    pub receive_maximum: u16,
    /// Highest QoS of a PUBLISH.
    pub qos_max: QoS,
    /// Whether it keeps retained messages.
    pub retain_available: bool,
    /// Largest packet it takes, in bytes.
    pub packet_bytes_max: u32,
    /// Highest topic alias it takes; 0 for none.
    pub topic_aliases_max: u16,
    /// Whether filters may have wildcards.
    pub wildcard_available: bool,
    /// Whether subscriptions may have identifiers.
    pub subscription_ids_available: bool,
    /// Whether subscriptions may be shared.
    pub shared_available: bool,
    /// The keep-alive that is in force, in seconds; 0 for none.
    pub keep_alive_secs: u16,
}

impl ServerLimits {
    /// What holds before CONNACK, and for all servers before 5.0.
    pub(super) fn widest(version: Version, keep_alive_secs: u16) -> Self {
        ServerLimits {
            receive_maximum: u16::MAX,
            qos_max: QoS::ExactlyOnce,
            retain_available: true,
            packet_bytes_max: u32::try_from(PACKET_SIZE_MAX).unwrap_or(u32::MAX),
            topic_aliases_max: 0,
            wildcard_available: true,
            subscription_ids_available: version == Version::V5,
            shared_available: true,
            keep_alive_secs,
        }
    }

    /// Takes what CONNACK says; what it leaves out keeps its default [MQTT-3.2.2-18].
    pub(super) fn learn(&mut self, told: &ConnAckProperties<'_>) {
        self.receive_maximum = told.receive_maximum.unwrap_or(self.receive_maximum);
        self.qos_max = told.qos_max.unwrap_or(self.qos_max);
        self.retain_available = told.retain_available.unwrap_or(true);
        self.packet_bytes_max =
            told.packet_size_max.unwrap_or(self.packet_bytes_max).min(self.packet_bytes_max);
        self.topic_aliases_max = told.topic_alias_max.unwrap_or(0);
        self.wildcard_available = told.wildcard_available.unwrap_or(true);
        self.subscription_ids_available =
            told.subscription_ids_available.unwrap_or(self.subscription_ids_available);
        self.shared_available = told.shared_available.unwrap_or(true);
        self.keep_alive_secs = told.server_keep_alive_secs.unwrap_or(self.keep_alive_secs);
    }
}
