//! What `whimbrel pub` and `whimbrel sub` have in common: how to reach the server, as whom, and what to say when
//! it goes wrong. Not what they send or show.

mod end;
mod password;
mod properties;
mod race;
mod report;
mod runtime;
mod tls;
mod url;
mod values;

use std::path::PathBuf;

use whimbrel_client::{
    Address, ConnectionError, Farewell, Message, Options, QoS, Scheme, ScramHash, Version, Will,
    check_topic_filter, check_topic_name, tls::Sessions,
};

pub(crate) use end::End;
pub(crate) use properties::{PropertyArgs, Said};
pub(crate) use race::{Either, either};
pub(crate) use report::Report;
pub(crate) use runtime::{Stop, run};
pub(crate) use tls::TlsArgs;
pub(crate) use url::Url;
pub(crate) use values::{parse_qos, parse_seconds};

use values::{parse_expiry, parse_version};

/// The part of `--help` that is about both.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0        All went well
  1        Something failed while it ran
  2        The command line is wrong; nothing was sent
  7        The connection was lost
  27       The time of -W is over
  1 to 5   The server refused the connection (MQTT 3.1 and 3.1.1 return code)
  128 up   The server refused the connection, the message or every subscription, or ended the
           connection (MQTT 5.0 reason code: 133 client identifier, 134 password, 135 not
           authorized, 151 quota exceeded)
  130      Interrupted (pub)";

/// How to reach the server.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// The server's name or IP address
    #[arg(short = 'h', long, value_name = "HOST", default_value = "localhost", help_heading = "Server")]
    host: String,
    /// The server's port [default: 1883, with TLS 8883]
    #[arg(short, long, value_name = "PORT", help_heading = "Server",
        value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Server, user and topic in one: mqtt://[USER[:PASSWORD]@]HOST[:PORT][/TOPIC], with TLS mqtts://…, with WebSocket
    /// ws://… or wss://…, with QUIC quic://…; or unix:/PATH, a socket of this machine
    ///
    /// In user and password `%40` stands for `@`, `%3A` for `:`, and so on. Like -P, a password here is seen by
    /// everybody who may list the machine's processes.
    #[arg(short = 'L', long, value_name = "URL", conflicts_with_all = ["host", "port"], help_heading = "Server")]
    url: Option<Url>,
    /// The path at which the server speaks WebSocket (-L ws://… or wss://…) [default: /mqtt]
    #[arg(long, value_name = "PATH", requires = "url", help_heading = "Server")]
    ws_path: Option<String>,
    /// The protocol: 5, 311 or 31 [default: 5]
    #[arg(short = 'V', long, value_name = "VERSION", value_parser = parse_version, help_heading = "Server")]
    protocol_version: Option<Version>,
    /// Seconds of silence after which a sign of life is sent, 0 for never
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60, help_heading = "Server")]
    keepalive: u16,

    #[command(flatten)]
    tls: TlsArgs,

    /// The user name
    #[arg(short, long, value_name = "NAME", allow_hyphen_values = true, help_heading = "Identity")]
    username: Option<String>,
    /// The password. Everybody who may list the machine's processes sees it: rather use --password-file, or the
    /// environment variable WHIMBREL_PASSWORD
    #[arg(
        short = 'P',
        long = "pw",
        value_name = "PASSWORD",
        allow_hyphen_values = true,
        help_heading = "Identity",
        conflicts_with = "password_file"
    )]
    password: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE", help_heading = "Identity", value_hint = clap::ValueHint::FilePath)]
    password_file: Option<PathBuf>,
    /// Prove the password instead of sending it: scram-sha-256 or scram-sha-512 (5.0)
    ///
    /// The server proves in turn that it knows the user; one that does not is not believed.
    #[arg(long, value_name = "METHOD", value_parser = parse_auth, help_heading = "Identity")]
    auth: Option<ScramHash>,
    /// The client identifier; without it the server chooses one, or before 5.0 chance does
    #[arg(short, long, value_name = "ID", allow_hyphen_values = true, help_heading = "Identity")]
    id: Option<String>,
    /// A client identifier made of this and the number of the process
    #[arg(
        short = 'I',
        long,
        value_name = "PREFIX",
        allow_hyphen_values = true,
        conflicts_with = "id",
        help_heading = "Identity"
    )]
    id_prefix: Option<String>,

    /// Take up the session of this client identifier, and leave it for the next time
    #[arg(short = 'c', long, help_heading = "Session")]
    disable_clean_session: bool,
    /// Seconds that the server keeps the session afterwards, -1 for ever (5.0) [default: 0, with -c -1]
    #[arg(short = 'x', long, value_name = "SECONDS", value_parser = parse_expiry, allow_hyphen_values = true,
        help_heading = "Session")]
    session_expiry_interval: Option<u32>,

    /// The topic of a message that the server publishes if this client goes without a word
    #[arg(long, value_name = "TOPIC", help_heading = "Will")]
    will_topic: Option<String>,
    /// The payload of that message [default: empty]
    #[arg(
        long,
        value_name = "TEXT",
        requires = "will_topic",
        allow_hyphen_values = true,
        help_heading = "Will"
    )]
    will_payload: Option<String>,
    /// The quality of service of that message [default: 0]
    #[arg(long, value_name = "QOS", requires = "will_topic", value_parser = parse_qos, help_heading = "Will")]
    will_qos: Option<QoS>,
    /// Have that message retained
    #[arg(long, requires = "will_topic", help_heading = "Will")]
    will_retain: bool,

    #[command(flatten)]
    properties: PropertyArgs,

    /// Tell on standard error what is sent and received
    #[arg(short, long, help_heading = "Messages of this program")]
    debug: bool,
    /// Do not tell what fails; the exit code still does
    #[arg(long, help_heading = "Messages of this program")]
    quiet: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help, help_heading = "Messages of this program")]
    help: Option<bool>,
}

/// What the command line comes to.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) options: Options,
    pub(crate) farewell: Farewell,
    /// The topic of the URL.
    pub(crate) url_topic: Option<String>,
    pub(crate) properties: Said,
    pub(crate) report: Report,
}

impl ConnectArgs {
    /// Makes a plan of it, or says what is wrong.
    pub(crate) fn plan(&self, tool: Tool) -> Result<Plan, String> {
        let properties = self.properties.read(tool).map_err(|error| error.to_string())?;
        let version = match self.protocol_version {
            Some(version) if properties.any && version != Version::V5 => {
                return Err("properties (-D) need protocol version 5: leave -V out".to_owned());
            }
            Some(version) => version,
            None => Version::V5,
        };
        let address = match &self.url {
            Some(url) => url.address.clone(),
            None => {
                let scheme = if self.tls.is_asked_for() { Scheme::Mqtts } else { Scheme::Mqtt };
                let port = self.port.unwrap_or_else(|| scheme.port());
                Address::new(&self.host, port).map_err(|error| error.to_string())?.over(scheme)
            }
        };
        let address = match &self.ws_path {
            Some(_) if !address.scheme().is_websocket() => {
                return Err("--ws-path is for servers that are written ws:// or wss://".to_owned());
            }
            Some(path) => address.at_path(path).map_err(|error| error.to_string())?,
            None => address,
        };
        let report = Report { debug: self.debug, quiet: self.quiet };
        let tls = self.tls.connector(address.scheme(), Sessions::Few)?.map(|(connector, key_log)| {
            if let Some(file) = key_log {
                report.failure(format!("the secrets of this connection go to {file} (SSLKEYLOGFILE)"));
            }
            connector
        });
        let mut options = Options { version, keep_alive_secs: self.keepalive, ..Options::new(address) };
        options.tls = tls;
        options.clean_start = !self.disable_clean_session;
        options.session_expiry_secs = self.session_expiry(version, &properties)?;
        options.client_id = self.client_id(version, options.session_expiry_secs)?;
        options.credentials.user_name =
            self.username.clone().or_else(|| self.url.as_ref().and_then(|url| url.user.clone()));
        options.credentials.password = self.password()?;
        options.scram = self.scram(version, &options, &properties)?;
        options.will = self.will(&properties)?;
        options.properties = properties.connect.clone();
        let mut farewell = properties.farewell.clone();
        if options.session_expiry_secs > 0 && version == Version::V5 {
            // What -x says holds after the end too.
            farewell.session_expiry_secs.get_or_insert(options.session_expiry_secs);
        }
        let url_topic = self.url.as_ref().and_then(|url| url.topic.clone());
        Ok(Plan { options, farewell, url_topic, properties, report })
    }

    fn session_expiry(&self, version: Version, properties: &Said) -> Result<u32, String> {
        let said = match (self.session_expiry_interval, properties.session_expiry_secs) {
            (Some(_), Some(_)) => {
                return Err("the session expiry interval is given twice: by -x and by -D".to_owned());
            }
            (flag, property) => flag.or(property),
        };
        if said.is_some() && version != Version::V5 {
            return Err("-x needs protocol version 5".to_owned());
        }
        Ok(said.unwrap_or(if self.disable_clean_session && version == Version::V5 { u32::MAX } else { 0 }))
    }

    fn client_id(&self, version: Version, session_expiry_secs: u32) -> Result<String, String> {
        if let Some(id) = &self.id
            && !id.is_empty()
        {
            return Ok(id.clone());
        }
        if let Some(prefix) = &self.id_prefix {
            return Ok(format!("{prefix}{}", std::process::id()));
        }
        if self.disable_clean_session || session_expiry_secs == u32::MAX {
            return Err("a session that shall last needs a client identifier: give one by -i".to_owned());
        }
        if version == Version::V5 { Ok(String::new()) } else { Ok(chance_id()) }
    }

    fn scram(
        &self,
        version: Version,
        options: &Options,
        properties: &Said,
    ) -> Result<Option<ScramHash>, String> {
        let Some(hash) = self.auth else { return Ok(None) };
        let said = &properties.connect;
        if version != Version::V5 {
            Err("--auth needs protocol version 5: leave -V out".to_owned())
        } else if said.authentication_method.is_some() || said.authentication_data.is_some() {
            Err("the authentication method is given twice: by --auth and by -D".to_owned())
        } else if options.credentials.user_name.is_none() || options.credentials.password.is_none() {
            Err("--auth needs a user name (-u) and a password (--password-file or WHIMBREL_PASSWORD)"
                .to_owned())
        } else {
            Ok(Some(hash))
        }
    }

    fn password(&self) -> Result<Option<Vec<u8>>, String> {
        let url = self.url.as_ref().and_then(|url| url.password.clone());
        password::find(self.password.as_deref(), self.password_file.as_deref(), url)
    }

    fn will(&self, properties: &Said) -> Result<Option<Will>, String> {
        let Some(topic) = self.will_topic.clone() else { return Ok(None) };
        check_name("--will-topic", &topic)?;
        let message = Message {
            topic,
            payload: self.will_payload.clone().unwrap_or_default().into_bytes(),
            qos: self.will_qos.unwrap_or_default(),
            retain: self.will_retain,
            properties: properties.will.clone(),
        };
        Ok(Some(Will { message, delay_secs: properties.will_delay_secs.unwrap_or(0) }))
    }
}

fn parse_auth(text: &str) -> Result<ScramHash, String> {
    let hash = ScramHash::of_method(&text.to_ascii_uppercase());
    hash.ok_or_else(|| "the methods are scram-sha-256 and scram-sha-512".to_owned())
}

/// Says what is wrong with a topic name, before anything is sent.
pub(crate) fn check_name(flag: &str, topic: &str) -> Result<(), String> {
    check_topic_name(topic).map_err(|fault| format!("{flag} {topic}: {fault}"))
}

/// Says what is wrong with a topic filter, before anything is sent.
pub(crate) fn check_filter(flag: &str, filter: &str) -> Result<(), String> {
    check_topic_filter(filter).map_err(|fault| format!("{flag} {filter}: {fault}"))
}

/// Which of the two programs it is: each sends its own packets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Publish,
    Subscribe,
}

/// A client identifier by chance, short enough for every server: 3.1 takes 23 characters.
fn chance_id() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345678";
    let mut bytes = [0; 12];
    // A system without chance gives twelve equal letters, which is still an identifier.
    let _ = getrandom::fill(&mut bytes);
    let letter = |byte: &u8| LETTERS.get(usize::from(*byte % 32)).map_or('a', |letter| char::from(*letter));
    format!("whimbrel-{}", bytes.iter().map(letter).collect::<String>())
}

/// Where a client stands in its hints: another protocol version may help.
pub(crate) fn hint(cause: &ConnectionError, version: Version) -> &'static str {
    use whimbrel_client::ReasonCode;
    match (cause, version) {
        (ConnectionError::Refused(said), Version::V5)
            if said.reason == ReasonCode::UnsupportedProtocolVersion =>
        {
            "; try -V 311"
        }
        (ConnectionError::Closed { before_connack: true }, Version::V5) => " Try -V 311.",
        _ => "",
    }
}
