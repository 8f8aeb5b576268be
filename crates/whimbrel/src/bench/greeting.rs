//! The packets with which a client comes, subscribes and gives that up. Not the conversation.

use whimbrel_codec::{
    Connect, ConnectProperties, Filters, PacketId, Subscribe, SubscribeOptions, Unsubscribe,
    UnsubscribeFilters,
};

use super::connection::Entrance;
use super::desk::Run;
use super::plan::Client;

/// Filters in one SUBSCRIBE.
pub(super) const FILTERS_MAX: usize = 500;
/// How long the session of a client that comes back is kept, in seconds.
const SESSION_EXPIRY_SECS: u32 = 3_600;

pub(super) fn put_connect(client: &Client, entrance: Entrance, run: &Run, out: &mut Vec<u8>) {
    let settings = &run.settings;
    let keeps = client.persistent && entrance != Entrance::Wipe;
    let connect = Connect {
        version: settings.version,
        // Before 5.0 one flag tells both that the old session goes and that the new one will not stay.
        clean_start: if settings.version.has_properties() { entrance != Entrance::Return } else { !keeps },
        keep_alive_secs: settings.keep_alive_secs,
        client_id: &client.id,
        user_name: settings.user_name.as_deref(),
        password: settings.password.as_deref().map(str::as_bytes),
        properties: ConnectProperties {
            session_expiry_secs: keeps.then_some(SESSION_EXPIRY_SECS),
            ..ConnectProperties::default()
        },
        will: None,
    };
    connect.encode(settings.version, out);
}

/// Asks for everything that the plan gives this client, in as many packets as that takes.
pub(super) fn put_subscribe(client: &Client, run: &Run, out: &mut Vec<u8>) {
    for (index, filters) in client.filters.chunks(FILTERS_MAX).enumerate() {
        let filters: Vec<_> =
            filters.iter().map(|filter| (filter.as_str(), SubscribeOptions::with_qos(client.qos))).collect();
        let Some(packet_id) = PacketId::new(index as u16 + 1) else { return };
        let subscribe = Subscribe {
            packet_id,
            subscription_id: None,
            user_properties: Default::default(),
            filters: Filters::from_slice(&filters),
        };
        subscribe.encode(run.settings.version, out);
    }
}

pub(super) fn put_unsubscribe(client: Option<&Client>, run: &Run, out: &mut Vec<u8>) {
    let (Some(client), Some(packet_id)) = (client, PacketId::new(1)) else { return };
    let filters: Vec<&str> = client.filters.iter().map(String::as_str).collect();
    let unsubscribe = Unsubscribe {
        packet_id,
        user_properties: Default::default(),
        filters: UnsubscribeFilters::from_slice(&filters),
    };
    unsubscribe.encode(run.settings.version, out);
}
