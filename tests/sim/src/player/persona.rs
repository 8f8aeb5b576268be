//! Who a client is, and what all clients of a run are given to. Drawn by a plan, for the whole run.

use whimbrel_engine::proto::codec::Version;

/// Who a client is.
#[derive(Clone, Debug)]
pub struct Persona {
    /// Its number; its client identifier is made of it.
    pub number: u32,
    /// The version that it speaks.
    pub version: Version,
    /// Seconds that its session outlives the connection; 0 for none, `u32::MAX` before 5.0.
    pub expiry_secs: u32,
    /// Its keep-alive.
    pub keep_alive_secs: u16,
    /// Receive Maximum.
    pub receive_maximum: Option<u16>,
    /// Maximum Packet Size.
    pub packet_bytes_max: Option<u32>,
    /// Topic aliases that it takes.
    pub topic_aliases_in: u16,
    /// Topic aliases that it sets.
    pub topic_aliases_out: u16,
    /// It takes the lowest packet identifier that is free.
    pub reuses_ids: bool,
    /// Its will.
    pub will: Option<WillPlan>,
    /// How often the application holds an answer back.
    pub lazy_percent: u32,
    /// What it does, by weight.
    pub weights: Weights,
}

/// A will, but for its number and topic.
#[derive(Clone, Debug)]
pub struct WillPlan {
    /// Its QoS.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
    /// Its delay.
    pub delay_secs: u32,
}

/// How much a client is given to each deed.
#[derive(Copy, Clone, Debug, Default)]
pub struct Weights {
    /// One PUBLISH.
    pub publish: u32,
    /// Many at once.
    pub burst: u32,
    /// SUBSCRIBE.
    pub subscribe: u32,
    /// UNSUBSCRIBE.
    pub unsubscribe: u32,
    /// DISCONNECT, normal.
    pub leave: u32,
    /// DISCONNECT that asks for the will.
    pub leave_with_will: u32,
    /// A reset.
    pub reset: u32,
    /// The end of its sending half without a word.
    pub half_close: u32,
    /// Nothing passes any more.
    pub silence: u32,
    /// A second connection.
    pub take_over: u32,
    /// No reading for a while.
    pub pause: u32,
    /// PINGREQ.
    pub ping: u32,
}

/// What all clients of a run are given to.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// What all topics and filters begin with.
    pub prefix: Box<str>,
    /// Topics to publish to.
    pub topics: Vec<Box<str>>,
    /// Filters to subscribe to.
    pub filters: Vec<Box<str>>,
    /// Each QoS of a publication, by weight.
    pub publish_qos: [u32; 3],
    /// Each QoS of a subscription, by weight.
    pub subscribe_qos: [u32; 3],
    /// How often a publication has RETAIN.
    pub retain_percent: u32,
    /// How many of these clear the topic.
    pub clear_percent: u32,
    /// How often a message expires.
    pub expiry_percent: u32,
    /// How often payloads are large.
    pub large_percent: u32,
    /// Messages of a burst at most.
    pub burst_max: u64,
    /// How often a subscription has an identifier.
    pub id_percent: u32,
    /// How often it has each of the options of 5.0.
    pub option_percent: u32,
    /// How often a session is thrown away.
    pub clean_start_percent: u32,
    /// Milliseconds between two deeds at most.
    pub rest_millis_max: u64,
}
