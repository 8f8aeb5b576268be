//! From the configuration's words to the engine's and the authenticators' own structs.

use std::{num::NonZeroUsize, time::Duration};

use whimbrel_engine::{
    AccessOptions, ClientIdOf, DeniedWill, DiskFull, Level, Limits, QueueFull, ShareStrategy, Untold,
    proto::{codec::QoS, server},
};

use whimbrel_access::Partly;
use whimbrel_net::{
    tls::{self, AcceptorSettings, CertificateFiles, ClientCa, ClientCertificates, VersionMin},
    ws::{Origins, UpgradeRules},
};

use crate::{
    auth::{KeySource, PasswordFileOptions, TokenOptions},
    bans::flapping,
    config::{self, Auto, Config, Durability, Listener},
    guard, names, quota,
    rates::{Pace, Rates},
    worker::{DoorProxy, TcpOptions},
};

/// How long keys may take on their way.
const FETCH_WITHIN: Duration = Duration::from_secs(10);

/// Memory for all queues where the machine does not say how much it has.
const QUEUES_BYTES_FALLBACK: u64 = 1 << 30;

pub(crate) fn limits(config: &Config, connections_max: usize) -> Limits {
    let limits = &config.limits;
    let session = &config.session;
    let queues_bytes_max = size(limits.queues_bytes_max.or_else(quarter_of_memory));
    Limits {
        connection: connection(config),
        connections_max,
        sessions_max: limits.sessions_max as usize,
        subscriptions_total_max: limits.subscriptions_total_max as usize,
        filter_bytes_total_max: size(limits.filter_bytes_total_max),
        subscriptions_max: limits.subscriptions_max as usize,
        queue_messages_max: limits.queue_messages_max as usize,
        queue_bytes_max: size(limits.queue_bytes_max),
        queues_bytes_max,
        queues_spill_bytes: size(limits.queues_spill_bytes.or_else(|| queues_bytes_max as u64 / 2)),
        queues_disk_bytes_max: size(limits.queues_disk_bytes_max),
        queue_kept_messages: Limits::default().queue_kept_messages,
        queue_full: match session.queue_full {
            config::QueueFull::DropOldest => QueueFull::DropOldest,
            config::QueueFull::DropNewest => QueueFull::DropNewest,
            config::QueueFull::Refuse => QueueFull::Refuse,
        },
        disk_full: match config.store.disk_full {
            config::DiskFull::Wait => DiskFull::Wait,
            config::DiskFull::Refuse => DiskFull::Refuse,
        },
        will_grace_millis: u64::from(config.store.will_grace_secs) * 1_000,
        queue_qos0: session.queue_qos0,
        link_soft_bytes: limits.link_soft_bytes as usize,
        link_hard_bytes: limits.link_hard_bytes as usize,
        link_stall_millis: u64::from(limits.link_stall_secs) * 1_000,
        outbox_bytes_max: size(limits.outbox_bytes_max),
        retained_messages_max: size(limits.retained_messages_max),
        retained_bytes_max: size(limits.retained_bytes_max),
        share_strategy: match session.shared_strategy {
            config::SharedStrategy::RoundRobin => ShareStrategy::RoundRobin,
            config::SharedStrategy::LeastBacklog => ShareStrategy::LeastBacklog,
            config::SharedStrategy::Sticky => ShareStrategy::StickyByPublisher,
        },
        ..Limits::default()
    }
}

/// How sure what is promised on a listener has to be.
pub(crate) fn level(config: &Config, listener: &Listener) -> Level {
    match config.durability(listener) {
        Durability::Memory => Level::Memory,
        Durability::Process => Level::Process,
        Durability::Power => Level::Power,
    }
}

/// What MQTT is called where a server speaks several protocols on one port (ALPN).
const ALPN: &[u8] = b"mqtt";

/// The same for what a WebSocket begins with.
const ALPN_HTTP: &[u8] = b"http/1.1";

/// How a listener speaks TLS, if it does.
pub(crate) fn tls(listener: &Listener) -> Option<AcceptorSettings> {
    if !listener.protocol.is_tls() {
        return None;
    }
    let pairs = listener.certificate.iter().zip(&listener.key);
    // Without a file of CAs the start fails: nobody is let in unasked.
    let clients =
        || ClientCa { ca: listener.client_ca.clone().unwrap_or_default(), revoked: listener.crl.clone() };
    Some(AcceptorSettings {
        certificates: pairs
            .map(|(certificate, key)| CertificateFiles { certificate: certificate.clone(), key: key.clone() })
            .collect(),
        clients: match listener.client_certificates {
            config::ClientCertificates::None => ClientCertificates::None,
            config::ClientCertificates::Optional => ClientCertificates::Optional(clients()),
            config::ClientCertificates::Required => ClientCertificates::Required(clients()),
        },
        alpn: match listener.protocol.is_websocket() {
            true => vec![ALPN_HTTP.to_vec(), ALPN.to_vec()],
            false => vec![ALPN.to_vec()],
        },
        version_min: match listener.tls_version_min {
            config::TlsVersion::Tls12 => VersionMin::Tls12,
            config::TlsVersion::Tls13 => VersionMin::Tls13,
        },
    })
}

/// What a listener asks of a request for WebSocket, if it speaks that.
pub(crate) fn upgrade(listener: &Listener) -> Option<UpgradeRules> {
    if !listener.protocol.is_websocket() {
        return None;
    }
    let origins: Vec<String> = listener.origins.iter().map(|origin| origin.as_str().to_owned()).collect();
    Some(UpgradeRules {
        path: listener.path.as_str().to_owned(),
        origins: match origins.as_slice() {
            [] => Origins::SameHost,
            listed if listed.iter().any(|origin| origin == "*") => Origins::Any,
            _ => Origins::Listed(origins),
        },
        head_bytes_max: listener.upgrade_bytes_max as usize,
        proxies: listener.proxy_trusted.iter().copied().collect(),
    })
}

/// Whom a listener believes whose a connection is, if it wants to be told.
pub(crate) fn proxy(listener: &Listener) -> Option<DoorProxy> {
    // Where the broker itself speaks TLS it is shown the certificate, and what a proxy tells of one counts for nothing.
    let asked = match listener.protocol.is_tls() {
        true => config::ClientCertificates::None,
        false => listener.client_certificates,
    };
    listener.proxy_protocol.then(|| DoorProxy {
        trusted: listener.proxy_trusted.iter().copied().collect(),
        asks_certificate: asked != config::ClientCertificates::None,
        needs_certificate: asked == config::ClientCertificates::Required,
    })
}

/// How fast connections may come to a listener.
pub(crate) fn rates(listener: &Listener) -> Rates {
    let pace = |rate: Auto<u32>, at_once: Auto<u32>| match rate {
        Auto::Auto => None,
        Auto::Set(rate) => Some(Pace::new(rate, at_once.or_else(|| rate))),
    };
    let Listener { connection_rate_max, source_rate_max, source_burst_max, .. } = listener;
    Rates::new(pace(*connection_rate_max, Auto::Auto), pace(*source_rate_max, *source_burst_max))
}

/// How a listener finds out whether the machines of its clients are there.
pub(crate) fn tcp(listener: &Listener) -> TcpOptions {
    let seconds = |seconds: u16| Duration::from_secs(seconds.into());
    let patience = listener.tcp_user_timeout_secs;
    TcpOptions {
        keep_alive: seconds(listener.tcp_keep_alive_secs),
        user_timeout: (patience > 0).then(|| seconds(patience)),
    }
}

/// Which part of a client's certificate says who it is, and whether that is its client identifier.
pub(crate) fn identity(listener: &Listener) -> Option<(tls::Identity, bool)> {
    let part = match listener.identity {
        config::Identity::None => return None,
        config::Identity::CommonName => tls::Identity::CommonName,
        config::Identity::AlternativeName => tls::Identity::AlternativeName,
        config::Identity::Subject => tls::Identity::Subject,
    };
    Some((part, listener.identity_as == config::IdentityAs::ClientId))
}

fn connection(config: &Config) -> server::Limits {
    let limits = &config.limits;
    let session = &config.session;
    server::Limits {
        connect_timeout_millis: u64::from(limits.connect_timeout_secs) * 1_000,
        keep_alive_secs_max: limits.keep_alive_secs_max,
        session_expiry_secs_max: limits.session_expiry_secs_max,
        receive_maximum: limits.receive_maximum,
        inflight_max: limits.inflight_max,
        packet_bytes_max: limits.packet_bytes_max,
        connect_bytes_max: limits.connect_bytes_max,
        topic_aliases_in_max: limits.topic_aliases_in_max,
        topic_aliases_out_max: limits.topic_aliases_out_max,
        topic_bytes_max: usize::from(limits.topic_bytes_max),
        topic_levels_max: usize::from(limits.topic_levels_max),
        user_properties_max: limits.user_properties_max as usize,
        user_properties_bytes_max: limits.user_properties_bytes_max as usize,
        filters_per_subscribe_max: limits.filters_per_subscribe_max as usize,
        qos_max: QoS::from_bits(session.qos_max).unwrap_or(QoS::ExactlyOnce),
        retain_available: session.retain_available,
        wildcard_available: session.wildcard_available,
        subscription_ids_available: session.subscription_ids_available,
        shared_available: session.shared_available,
        client_id_31_strict: session.client_id_31_strict,
    }
}

/// What becomes of what the rules deny.
pub(crate) fn access(config: &Config) -> AccessOptions {
    let access = &config.access;
    AccessOptions {
        untold: match access.denied_publish {
            config::DeniedPublish::Drop => Untold::Drop,
            config::DeniedPublish::Disconnect => Untold::Disconnect,
        },
        partly: match access.partial_subscriptions {
            config::PartialSubscriptions::Refuse => Partly::Refuse,
            config::PartialSubscriptions::Filter => Partly::Filter,
        },
        will: match access.denied_will {
            config::DeniedWill::Refuse => DeniedWill::Refuse,
            config::DeniedWill::Drop => DeniedWill::Drop,
        },
        client_id: match access.client_id_of {
            config::ClientIdOf::User => ClientIdOf::User,
            config::ClientIdOf::Anyone => ClientIdOf::Anyone,
        },
    }
}

/// What somebody meets who tries passwords.
pub(crate) fn guard(config: &Config) -> guard::Settings {
    let set = &config.guard;
    let budget = |tries, secs: u32| guard::Budget { tries, forgiven_millis: u64::from(secs) * 1_000 };
    guard::Settings {
        user_at_address: budget(set.tries_user_at_address, set.tries_user_at_address_secs),
        address: budget(set.tries_address, set.tries_address_secs),
        user: budget(set.tries_user, set.tries_user_secs),
        known_millis: u64::from(set.known_secs) * 1_000,
        refusal_millis: set.refusal_millis.into(),
        shared_addresses: set.shared_addresses.clone(),
    }
}

/// When clients are held off that fall over and over.
pub(crate) fn flapping(config: &Config) -> flapping::Settings {
    let set = &config.guard;
    let window_millis = u64::from(set.falls_window_secs) * 1_000;
    let forgiven_millis = (window_millis / u64::from(set.falls.max(1))).max(1);
    flapping::Settings {
        falls: guard::Budget { tries: set.falls, forgiven_millis },
        hold_millis: u64::from(set.hold_secs) * 1_000,
    }
}

/// How much clients and users may send.
pub(crate) fn quota(config: &Config) -> quota::Settings {
    let set = &config.quota;
    quota::Settings {
        client: quota::Rates { messages: set.messages_per_sec, bytes: set.bytes_per_sec },
        user: quota::Rates { messages: set.user_messages_per_sec, bytes: set.user_bytes_per_sec },
        user_connections: set.user_connections,
    }
}

/// What a listener says instead of it: messages and bytes of one connection in a second.
pub(crate) fn quota_of(listener: &Listener) -> [Option<u32>; 2] {
    [listener.messages_per_sec, listener.bytes_per_sec].map(|set| match set {
        Auto::Auto => None,
        Auto::Set(rate) => Some(rate),
    })
}

/// What a client identifier has to be.
pub(crate) fn names(config: &Config) -> names::Rules {
    let access = &config.access;
    names::Rules {
        bytes_max: usize::from(access.client_id_longest),
        characters: match access.client_id_characters {
            config::Characters::Any => names::Characters::Any,
            config::Characters::Level => names::Characters::Level,
            config::Characters::Plain => names::Characters::Plain,
        },
        patterns: access.client_id.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
    }
}

/// How the password file is to be used, if there is one.
pub(crate) fn password_file(config: &Config) -> Option<PasswordFileOptions> {
    let authentication = &config.authentication;
    let mut options = PasswordFileOptions::new(authentication.password_file.as_ref()?);
    if let config::Auto::Set(at_once) = authentication.verifications_at_once_max {
        options.verifications_at_once_max = NonZeroUsize::new(usize::from(at_once))?;
    }
    options.verifications_waiting_max = NonZeroUsize::new(authentication.verifications_waiting_max as usize)?;
    options.remembered_max = authentication.remembered_max as usize;
    options.remembered_age_max = Duration::from_secs(u64::from(authentication.remembered_secs_max));
    Some(options)
}

/// Whose tokens are good, and what they have to be.
pub(crate) fn tokens(config: &Config) -> Vec<TokenOptions> {
    (1..).zip(&config.tokens).filter_map(|(number, token)| token_options(number, token)).collect()
}

/// Whether what a client may do follows from tokens, too.
pub(crate) fn tokens_grant(config: &Config) -> bool {
    config.tokens.iter().any(|token| token.publish_claim.is_some() || token.subscribe_claim.is_some())
}

/// None for a table without keys, which is a mistake that was told.
fn token_options(number: usize, token: &config::Token) -> Option<TokenOptions> {
    let secs = |secs: u32| Duration::from_secs(secs.into());
    let keys = match (&token.jwks_url, &token.keys_file, &token.secret_file) {
        (Some(url), _, _) => KeySource::Url {
            url: url.clone(),
            ca: token.jwks_ca.clone(),
            refresh: secs(token.jwks_refresh_secs),
            pause: secs(token.jwks_pause_secs.into()),
            keep: secs(token.jwks_keep_secs),
            within: FETCH_WITHIN,
        },
        (_, Some(path), _) => KeySource::File(path.clone()),
        (_, _, Some(path)) => KeySource::Secret(path.clone()),
        (None, None, None) => return None,
    };
    Some(TokenOptions {
        number,
        label: token.label(),
        issuer: token.issuer.clone(),
        audience: token.audience.clone(),
        keys,
        algorithms: token.algorithms.clone(),
        expiry_required: token.expiry_required,
        clock_skew_secs: token.clock_skew_secs.into(),
        user_name_claim: token.user_name_claim.clone().unwrap_or_default(),
        client_id_claim: token.client_id_claim.clone(),
        groups_claim: token.groups_claim.clone(),
        publish_claim: token.publish_claim.clone(),
        subscribe_claim: token.subscribe_claim.clone(),
    })
}

/// How many passwords are verified at the same time, and tokens besides them; how many of each wait.
pub(crate) fn verifications(config: &Config) -> (NonZeroUsize, NonZeroUsize) {
    let defaults = PasswordFileOptions::new("");
    let authentication = &config.authentication;
    let at_once = match authentication.verifications_at_once_max {
        config::Auto::Set(at_once) => NonZeroUsize::new(at_once.into()),
        config::Auto::Auto => None,
    };
    let waiting = NonZeroUsize::new(authentication.verifications_waiting_max as usize);
    (
        at_once.unwrap_or(defaults.verifications_at_once_max),
        waiting.unwrap_or(defaults.verifications_waiting_max),
    )
}

pub(crate) fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A quarter of the machine's memory, as Linux tells it.
fn quarter_of_memory() -> u64 {
    let kib = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    });
    kib.map_or(QUEUES_BYTES_FALLBACK, |kib| kib * 1_024 / 4)
}
