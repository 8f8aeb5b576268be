//! Which test reaches which limit. A key that has none is found.

use whimbrel_broker::config::keys;

use super::{connections, links, packets, passwords, queues, sessions, sockets, stores, topics, websockets};

/// Keys and their tests: a test that is gone does not compile.
const TABLE: &[(&str, fn())] = &[
    ("listener.connections_max", sockets::connections_of_a_listener),
    ("listener.connection_rate_max", sockets::rate_of_a_listener),
    ("listener.source_rate_max", sockets::rate_of_a_source),
    ("listener.source_burst_max", sockets::burst_of_a_source),
    ("listener.upgrade_bytes_max", websockets::bytes_of_a_request),
    ("authentication.verifications_at_once_max", passwords::verifications_at_once),
    ("authentication.verifications_waiting_max", passwords::verifications_that_wait),
    ("authentication.remembered_max", passwords::verified_passwords_that_are_remembered),
    ("guard.entries_max", passwords::wrong_passwords_that_are_remembered),
    ("limits.connections_max", connections::connections),
    ("limits.packet_bytes_max", packets::bytes_of_a_packet),
    ("limits.connect_bytes_max", packets::bytes_of_a_connect),
    ("limits.input_bytes_max", sockets::bytes_of_packets_that_have_not_arrived_whole),
    ("limits.connect_timeout_secs", connections::time_for_connect),
    ("limits.keep_alive_secs_max", connections::keep_alive),
    ("limits.session_expiry_secs_max", sessions::session_expiry),
    ("limits.receive_maximum", packets::messages_of_a_client_under_way),
    ("limits.inflight_max", queues::messages_in_flight),
    ("limits.queue_messages_max", queues::messages_of_a_queue),
    ("limits.queue_bytes_max", queues::bytes_of_a_queue),
    ("limits.queues_bytes_max", queues::bytes_of_all_queues),
    ("limits.link_soft_bytes", links::bytes_for_a_slow_reader),
    ("limits.link_hard_bytes", links::bytes_for_one_that_asks_and_does_not_read),
    ("limits.link_stall_secs", links::time_without_progress),
    ("limits.outbox_bytes_max", links::bytes_for_all_slow_readers),
    ("limits.topic_bytes_max", topics::bytes_of_a_topic),
    ("limits.topic_levels_max", topics::levels_of_a_topic),
    ("limits.sessions_max", sessions::sessions),
    ("limits.subscriptions_total_max", stores::subscriptions_of_all),
    ("limits.filter_bytes_total_max", stores::bytes_of_all_filters),
    ("limits.subscriptions_max", stores::subscriptions_of_a_client),
    ("limits.filters_per_subscribe_max", packets::filters_of_a_packet),
    ("limits.user_properties_max", packets::user_properties_of_a_packet),
    ("limits.user_properties_bytes_max", packets::bytes_of_user_properties),
    ("limits.topic_aliases_in_max", topics::aliases_that_a_client_sets),
    ("limits.topic_aliases_out_max", topics::aliases_that_the_server_sets),
    ("limits.retained_messages_max", stores::retained_messages),
    ("limits.retained_bytes_max", stores::bytes_of_retained_messages),
];

#[test]
fn every_key_that_bounds_something_has_a_test() {
    // How long a password is remembered is tested where the time is passed in, with the store of them in the broker.
    // That publishers wait while too much waits for the disk, and what of long queues is on disk alone, is tested in the
    // engine, with a journal.
    // How many bans there are, which no client makes, is tested with the control door.
    let elsewhere = [
        "guard.bans_max",
        "session.qos_max",
        "authentication.remembered_secs_max",
        "store.staged_bytes_max",
        "limits.queues_spill_bytes",
        "limits.queues_disk_bytes_max",
    ];
    let bounds = |section: &str, name: &str| section == "limits" || name.ends_with("_max");
    let keys: Vec<String> = keys()
        .filter(|key| bounds(key.section, key.name))
        .map(|key| key.path())
        .filter(|key| !elsewhere.contains(&key.as_str()))
        .collect();
    let table: Vec<&str> = TABLE.iter().map(|(key, _)| *key).collect();
    let without: Vec<&String> = keys.iter().filter(|key| !table.contains(&key.as_str())).collect();
    assert!(without.is_empty(), "no test reaches {without:?}: write one and enter it");
    let gone: Vec<&&str> = table.iter().filter(|key| !keys.iter().any(|known| known == *key)).collect();
    assert!(gone.is_empty(), "there is no key {gone:?}");
    for (at, (key, test)) in TABLE.iter().enumerate() {
        let again =
            TABLE[..at].iter().any(|(known, other)| known == key || std::ptr::fn_addr_eq(*other, *test));
        assert!(!again, "{key} and its test stand here twice, or its test is another key's");
    }
}
