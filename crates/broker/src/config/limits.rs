//! The room `[limits]`: a bound on everything that clients can make the broker hold. Not the counting.

use super::room::room;
use super::setting::Auto;

room! {
    /// Bounds on everything that clients can make the broker hold or do. None can be switched off: a larger
    /// number is the way to allow more.
    pub struct Limits("limits") {
        /// Clients connected at once on all listeners. `auto` is what the limit of open files bears, less 5 %. A
        /// larger number is lowered to that, and the log says so. Beyond it, a client that is connected already may
        /// take its own place; others get CONNACK with 0x97 (3 in MQTT 3.1.1). An idle connection costs about 1.5 KiB in the
        /// broker and as much again in the kernel.
        connections_max: Auto<u32> = Auto::Auto, within(1, 10_000_000), unit("connections"),
            flag("connections-max");

        /// The largest packet taken from a client, header included. MQTT 5.0 clients are told. A client can
        /// make the broker hold as much for a packet that has not arrived whole.
        packet_bytes_max: u32 = 1_048_576, within(64, 268_435_460), unit("bytes"), flag("packet-bytes-max");

        /// The largest CONNECT taken, if packet_bytes_max is not smaller: nobody knows yet who sends it. It has to
        /// hold the will, the name and the password.
        connect_bytes_max: u32 = 131_072, within(64, 268_435_460), unit("bytes");

        /// Bytes of packets that have not arrived whole and of topic aliases that clients have set, of all clients
        /// together. Beyond, those with more than 64 KiB of them are closed; beyond three quarters, those that
        /// have had so much for more than 10 seconds. Connections whose CONNECT has not been accepted may hold a
        /// quarter as much besides.
        input_bytes_max: u64 = 268_435_456, within(1_048_576, 1_099_511_627_776), unit("bytes");

        /// How long a new connection may take to send its CONNECT; then it is closed.
        connect_timeout_secs: u16 = 10, within(1, 3_600), unit("seconds");

        /// The longest keep-alive. An MQTT 5.0 client that asks for a longer one, or for none, is told this
        /// one; older clients cannot be told and keep theirs. A connection that has died unseen is kept one and a
        /// half times as long.
        keep_alive_secs_max: u16 = 1_200, within(1, 65_535), unit("seconds"), flag("keep-alive-secs-max");

        /// How long a session may outlive its connection. Clients that ask for longer get this, and MQTT 5.0
        /// clients are told. At 0 no session outlives its connection.
        session_expiry_secs_max: u32 = 604_800, within(0, 4_294_967_294), unit("seconds"),
            flag("session-expiry-secs-max");

        /// Messages at QoS 1 and 2 that a client may have under way to the broker before they are
        /// acknowledged. MQTT 5.0 clients are told, and disconnected if they do not keep to it. Older clients
        /// cannot be told and are not bound by it: all of their 65,535 packet identifiers may be in use.
        receive_maximum: u16 = 1_000, within(1, 65_535), unit("messages");

        /// Messages at QoS 1 and 2 under way to a client before it has acknowledged them. The receive maximum
        /// of the client holds if it is smaller.
        inflight_max: u16 = 1_000, within(1, 65_535), unit("messages");

        /// Messages that wait for one session or for one shared group. What happens beyond is
        /// session.queue_full.
        queue_messages_max: u32 = 10_000, within(1, 100_000_000), unit("messages"), flag("queue-messages-max");

        /// Bytes of topic, properties and payload of the messages that wait for one session or for one shared
        /// group. What happens beyond is session.queue_full.
        queue_bytes_max: u64 = 16_777_216, within(1_024, 1_099_511_627_776), unit("bytes");

        /// Bytes of the messages in all queues and in flight to clients, 224 more for each, and bytes of wills and
        /// long client identifiers, all together. `auto` is a quarter of the memory of the machine (1 GiB if it
        /// does not say how much it has). A message counts once for each queue in which it waits, although its
        /// payload is in memory once. What happens to a message beyond is session.queue_full; a new client with a
        /// will or an identifier of more than 64 bytes is refused with 0x97. A client may always have 4 KiB in
        /// flight.
        queues_bytes_max: Auto<u64> = Auto::Auto, within(1_048_576, 1_099_511_627_776), unit("bytes");

        /// From so many of the bytes that queues_bytes_max counts on, what the store has of long queues stays on disk
        /// alone but for the first 64 messages of each, fewer as memory fills: such a message costs 64 bytes of memory
        /// whatever its size, and is read back when its turn comes near. `auto` is half of queues_bytes_max. It is for
        /// messages at QoS 1 and 2 in the queues of sessions that the store keeps; the queues of shared groups stay in
        /// memory.
        queues_spill_bytes: Auto<u64> = Auto::Auto, within(0, 1_099_511_627_776), unit("bytes");

        /// Bytes of topic, properties and payload that all queues together may have on disk alone. Beyond, messages
        /// stay in memory as far as queues_bytes_max lets them.
        queues_disk_bytes_max: u64 = 68_719_476_736, within(0, 1_125_899_906_842_624), unit("bytes");

        /// Encoded bytes for one client whose socket takes no more. Beyond, messages at QoS 0 are dropped for
        /// this client and those at QoS 1 and 2 wait in its queue.
        link_soft_bytes: u32 = 65_536, within(1_024, 1_073_741_824), unit("bytes");

        /// Encoded bytes for one client at which messages are dropped or wait as beyond link_soft_bytes even if
        /// its socket has not yet refused any. A client for which more than this and packet_bytes_max together
        /// wait is disconnected. Not below link_soft_bytes.
        link_hard_bytes: u32 = 1_048_576, within(1_024, 1_073_741_824), unit("bytes");

        /// How long the socket of a client may take nothing while something waits for it; then the client is
        /// disconnected.
        link_stall_secs: u16 = 30, within(1, 3_600), unit("seconds");

        /// Encoded bytes for all clients together whose sockets take no more. As it fills, link_soft_bytes
        /// shrinks for everybody, but not below a sixteenth of itself: so many clients that do not read cost
        /// about this, or a sixteenth of link_soft_bytes each where that is more.
        outbox_bytes_max: u64 = 268_435_456, within(1_048_576, 1_099_511_627_776), unit("bytes");

        /// The longest topic name, topic filter or client identifier.
        topic_bytes_max: u16 = 65_535, within(1, 65_535), unit("bytes");

        /// The levels of a topic name or topic filter: one more than it has slashes.
        topic_levels_max: u16 = 128, within(1, 65_535), unit("levels");

        /// Sessions, with a connection or without. A client whose session would be one more is refused. An absent
        /// session costs about 700 bytes, and its subscriptions and queue.
        sessions_max: u32 = 1_000_000, within(1, 100_000_000), unit("sessions");

        /// Subscriptions of all clients together. Each costs 60 to 250 bytes: where filters of many levels that
        /// nobody shares cost more on the average, fewer are taken.
        subscriptions_total_max: u32 = 10_000_000, within(1, 100_000_000), unit("subscriptions");

        /// Bytes of the topic filters of all subscriptions together.
        filter_bytes_total_max: u64 = 1_073_741_824, within(1_024, 1_099_511_627_776), unit("bytes");

        /// Subscriptions of one client. Each costs about 60 bytes, and the levels of its filter that nobody
        /// else has.
        subscriptions_max: u32 = 1_000, within(1, 10_000_000), unit("subscriptions");

        /// Topic filters in one SUBSCRIBE or UNSUBSCRIBE.
        filters_per_subscribe_max: u32 = 1_000, within(1, 1_000_000), unit("filters");

        /// User properties in one CONNECT, PUBLISH, SUBSCRIBE or UNSUBSCRIBE. Those of a message travel with it and are
        /// held as long as it is. A client that sends more is disconnected.
        user_properties_max: u32 = 64, within(0, 1_000_000), unit("properties");

        /// Bytes of the user properties in one packet as they are on the wire: names, values, and five for each.
        user_properties_bytes_max: u32 = 16_384, within(0, 268_435_455), unit("bytes");

        /// Topic aliases that a client may set for what it sends. Each costs the topic name, for as long as
        /// the connection lives. At 0 clients are told that there are none.
        topic_aliases_in_max: u16 = 64, within(0, 65_535), unit("aliases");

        /// Topic aliases that the broker sets for what it sends to one client, if the client allows as many.
        /// They save bytes on the wire and cost the topic name (longer ones than 256 bytes get none), for as long as the connection lives. At 0 it
        /// sets none.
        topic_aliases_out_max: u16 = 64, within(0, 65_535), unit("aliases");

        /// Retained messages. One more is refused to an MQTT 5.0 client at QoS 1 or 2 with 0x97. Where the publisher
        /// cannot be told, it is brought to those who are subscribed and not kept, and what its topic had is cleared.
        retained_messages_max: u64 = 1_000_000, within(0, 1_000_000_000), unit("messages"),
            flag("retained-messages-max");

        /// Bytes of topic, properties and payload of the retained messages. What happens beyond is the same as
        /// beyond retained_messages_max. Each message costs 120 bytes more, and up to 250 in the tree of topics.
        retained_bytes_max: u64 = 1_073_741_824, within(0, 1_099_511_627_776), unit("bytes");
    }
}
