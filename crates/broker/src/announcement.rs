//! What the broker says of itself at start: who may connect where, what bounds it, and what an operator should look at.

use crate::config::{Address, Auto, ClientCertificates, Config, Durability, Listener, Method};

/// What the limit of open files means for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Files that the process may open.
    pub files: u64,
    /// Connections that so many files bear.
    pub borne: u32,
}

impl Room {
    /// Connections that are let in: what was asked for, as far as the files bear it.
    pub(crate) fn connections_max(self, config: &Config) -> u32 {
        config.limits.connections_max.or_else(|| self.borne).min(self.borne)
    }
}

/// Says where clients can connect, who may, and what bounds them.
pub(crate) fn announce(config: &Config, listening: &[(String, Listener)], room: Room, threads: usize) {
    for warning in warnings(config, room) {
        tracing::warn!("{warning}");
    }
    for (address, listener) in listening {
        let who = who_may_connect(config, listener);
        let transport = transport(listener);
        tracing::info!("listening on {address} (MQTT 3.1, 3.1.1, 5.0 over {transport}); {who} may connect");
    }
    let limits = &config.limits;
    tracing::info!(
        "limits: {} connections, packets of {} bytes, queues of {} messages or {} bytes per session, {} retained messages",
        room.connections_max(config),
        limits.packet_bytes_max,
        limits.queue_messages_max,
        limits.queue_bytes_max,
        limits.retained_messages_max,
    );
    tracing::info!(
        "whimbrel {} is ready with {threads} worker threads; {}",
        env!("CARGO_PKG_VERSION"),
        kept(config),
    );
}

/// What carries MQTT there.
fn transport(listener: &Listener) -> &'static str {
    match (&listener.address, listener.protocol) {
        (Address::Unix(_), protocol) if protocol.is_websocket() => "WebSocket over a Unix socket",
        (Address::Unix(_), _) => "a Unix socket",
        (_, protocol) => protocol.in_words(),
    }
}

/// What an acknowledgement is worth.
fn kept(config: &Config) -> String {
    let mut levels: Vec<Durability> =
        config.listeners.iter().map(|listener| config.durability(listener)).collect();
    levels.sort_unstable();
    levels.dedup();
    let worth = |level: &Durability| match level {
        Durability::Memory => "nothing is kept on disk (durability memory)",
        Durability::Process => "what was acknowledged survives the end of the process (durability process)",
        Durability::Power => "what was acknowledged survives a loss of power (durability power)",
    };
    match levels.as_slice() {
        [level] => worth(level).to_owned(),
        _ => "what was acknowledged is as sure as each listener's durability says".to_owned(),
    }
}

fn who_may_connect(config: &Config, listener: &Listener) -> String {
    let methods = config.methods(listener);
    let asked: Vec<String> = methods.iter().map(|method| who_is_asked(config, listener, method)).collect();
    let certificate = "who has a good certificate".to_owned();
    match (listener.client_certificates, asked.as_slice()) {
        (ClientCertificates::Required, _) if methods.has(Method::Certificate) => certificate,
        (ClientCertificates::Required, _) if methods.has(Method::Anonymous) => certificate,
        (ClientCertificates::Required, _) => format!("{certificate} and is also {}", asked.join(", or ")),
        (_, [first, others @ ..]) if !others.is_empty() => format!("{first}, and {},", others.join(", and ")),
        _ => asked.concat(),
    }
}

fn who_is_asked(config: &Config, listener: &Listener, method: Method) -> String {
    match (method, &config.authentication.password_file) {
        (Method::Certificate, _) => "who has a good certificate".to_owned(),
        (Method::Token, _) => "who has a good token".to_owned(),
        (Method::PasswordFile, Some(file)) => format!("who is in {}", file.display()),
        (Method::PasswordFile, None) => "nobody".to_owned(), // Such a broker does not start.
        (Method::Anonymous, _) if listener.address.is_loopback() => "anybody on this machine".to_owned(),
        (Method::Anonymous, _) => "anybody".to_owned(),
    }
}

pub(crate) fn warnings(config: &Config, room: Room) -> Vec<String> {
    let open = |listener: &&Listener| {
        config.methods(listener).has(Method::Anonymous)
            && !listener.address.is_loopback()
            && listener.client_certificates != ClientCertificates::Required
    };
    let mut warnings: Vec<String> = config
        .listeners
        .iter()
        .filter(open)
        .map(|listener| {
            format!(
                "listener {}: other machines can reach it and nobody is asked for a password, so everybody who \
                 reaches it can read and write every topic (danger_allow_anonymous_on_network)",
                listener.label()
            )
        })
        .collect();
    let Room { files, borne } = room;
    if let Auto::Set(wanted) = config.limits.connections_max
        && wanted > borne
    {
        warnings.push(format!(
            "limits.connections_max is {wanted}, but this process may open {files} files, which is enough for \
             {borne} connections: no more are taken. Raise the limit of open files (`ulimit -n`, LimitNOFILE of \
             systemd) or lower limits.connections_max"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Methods, Protocol};

    const ROOM: Room = Room { files: 1_024, borne: 912 };

    fn listener(address: &str, authentication: Auto<Methods>) -> Listener {
        let address = Address::Socket(address.parse().unwrap());
        Listener { authentication, danger_allow_anonymous_on_network: true, ..Listener::on(address) }
    }

    #[test]
    fn an_open_listener_is_warned_of_unless_only_this_machine_reaches_it() {
        let mut config = Config::default();
        config.authentication.password_file = Some("house.passwords".into());
        config.listeners = vec![
            listener("[::]:1", Auto::Auto),
            listener("[::]:2", Auto::Set(Method::Anonymous.into())),
            listener("127.0.0.1:3", Auto::Set(Method::Anonymous.into())),
        ];
        let who = config.listeners.iter().map(|listener| who_may_connect(&config, listener));
        assert_eq!(
            who.collect::<Vec<_>>(),
            ["who is in house.passwords", "anybody", "anybody on this machine"]
        );
        let warnings = warnings(&config, ROOM);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("listener [::]:2: other machines can reach it"), "{warnings:?}");
    }

    #[test]
    fn what_carries_mqtt_is_told_as_it_is() {
        let at =
            |address: Address, protocol: Protocol| transport(&Listener { protocol, ..Listener::on(address) });
        let unix = || Address::Unix("/run/mqtt.sock".into());
        assert_eq!(at(unix(), Protocol::Mqtt), "a Unix socket");
        assert_eq!(at(unix(), Protocol::Ws), "WebSocket over a Unix socket");
        assert_eq!(at(Address::Socket("127.0.0.1:1".parse().unwrap()), Protocol::Mqtt), "TCP");
    }

    #[test]
    fn connections_that_the_files_do_not_bear_are_warned_of_and_not_promised() {
        let mut config = Config::default();
        for (wanted, expected, warned) in
            [(Auto::Auto, 912, false), (Auto::Set(912), 912, false), (Auto::Set(913), 912, true)]
        {
            config.limits.connections_max = wanted;
            assert_eq!(ROOM.connections_max(&config), expected);
            let text = warnings(&config, ROOM).concat();
            assert_eq!(
                text.contains("913") && text.contains("1024") && text.contains("912"),
                warned,
                "{text}"
            );
            assert_eq!(text.is_empty(), !warned);
        }
    }
}
