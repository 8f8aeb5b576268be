//! The room `[access]`: who may publish and subscribe to what. Not the rules.

use std::path::PathBuf;

use super::form::ClientIdPattern;
use super::key::Reload;
use super::room::room;
use super::setting::Choice;

room! {
    /// Who may publish and subscribe to what. Without a file of rules everybody who is let in may do everything; with one
    /// nobody may do what no rule allows. docs/access.md shows the whole way.
    pub struct Access("access") {
        /// The file with the rules (TOML; docs/access.md says how they read). It is read again at a reload and within two
        /// seconds after somebody has changed it: then it counts at once, for those who are connected too, and a file with
        /// a mistake changes nothing. In the configuration file a relative path counts from the folder of that file.
        file: Option<PathBuf> = None, example("access.toml"), reload(Reload::Reread);

        /// An acl_file of Mosquitto in place of it, decided as Mosquitto 2.0 decides: subscriptions are granted, and each
        /// message is looked at.
        mosquitto_acl_file: Option<PathBuf> = None, example("acl"), reload(Reload::Reread);

        /// A dynamic-security.json of Mosquitto in place of it: its roles, groups and clients, as far as they say what
        /// somebody may do. Its passwords are not read.
        mosquitto_dynamic_security_file: Option<PathBuf> = None, example("dynamic-security.json"),
            reload(Reload::Reread);

        /// What happens to a message that its client may not publish and cannot be told so, since it is older than MQTT
        /// 5.0 or since the message is of QoS 0: `drop` acknowledges it, where it has to be, and nobody gets it;
        /// `disconnect` ends the connection. At QoS 1 and 2 a 5.0 client is told 0x87, not authorized.
        denied_publish: DeniedPublish = DeniedPublish::Drop;

        /// What happens to a client that leaves a will which it may not publish: `refuse` does not let it in, `drop` lets
        /// it in without the will.
        denied_will: DeniedWill = DeniedWill::Refuse;

        /// What happens to a SUBSCRIBE of which a client may read a part only: `refuse` refuses it, `filter` grants it and
        /// leaves out what the client may not read. It is about rules of access.file; Mosquitto's say it themselves.
        partial_subscriptions: PartialSubscriptions = PartialSubscriptions::Refuse;

        /// Who may come with the client identifier of a session: `user` is the user whose session it is, `anyone` is
        /// whoever may connect. It counts only where there are rules.
        client_id_of: ClientIdOf = ClientIdOf::User;

        /// Which client identifiers a client may have: one that fits one of these. `%u` is the user name that it has
        /// proved, and fits nothing where it has proved none; `*` is any characters. A client with another is refused (0x85;
        /// 2 in MQTT 3.1.1). One that has none is assigned one as ever. If nothing is set, every identifier may be had.
        client_id: Vec<ClientIdPattern> = Vec::new(), example("%u-*");

        /// Which characters a client identifier may have: `any`; `level` are those of one level of a topic, without `+`,
        /// `#`, `/` and control characters; `plain` are letters and digits of ASCII and `.`, `_`, `:`, `-`.
        client_id_characters: Characters = Characters::Any;

        /// The longest client identifier, if limits.topic_bytes_max is not smaller.
        client_id_longest: u16 = 65_535, within(1, 65_535), unit("bytes");
    }
}

/// What happens to a message that is denied and whose client cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedPublish {
    /// Nobody gets it.
    Drop,
    /// The connection ends.
    Disconnect,
}

/// What happens to a client whose will is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedWill {
    /// It is not let in.
    Refuse,
    /// It has no will.
    Drop,
}

/// What happens to a filter of which a part is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialSubscriptions {
    /// It is refused.
    Refuse,
    /// That part is left out.
    Filter,
}

/// Who may have a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientIdOf {
    /// The user whose it is.
    User,
    /// Whoever may connect.
    Anyone,
}

/// Which characters a client identifier may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Characters {
    /// Every one that MQTT allows.
    Any,
    /// Those of one level of a topic.
    Level,
    /// Letters and digits, and a few others.
    Plain,
}

impl Choice for Characters {
    const WORDS: &'static [&'static str] = &["any", "level", "plain"];
    const VALUES: &'static [Self] = &[Self::Any, Self::Level, Self::Plain];
}

impl Choice for DeniedPublish {
    const WORDS: &'static [&'static str] = &["drop", "disconnect"];
    const VALUES: &'static [Self] = &[Self::Drop, Self::Disconnect];
}

impl Choice for DeniedWill {
    const WORDS: &'static [&'static str] = &["refuse", "drop"];
    const VALUES: &'static [Self] = &[Self::Refuse, Self::Drop];
}

impl Choice for PartialSubscriptions {
    const WORDS: &'static [&'static str] = &["refuse", "filter"];
    const VALUES: &'static [Self] = &[Self::Refuse, Self::Filter];
}

impl Choice for ClientIdOf {
    const WORDS: &'static [&'static str] = &["user", "anyone"];
    const VALUES: &'static [Self] = &[Self::User, Self::Anyone];
}
