//! The room `[[token]]`: one table for each identity provider whose tokens let somebody in. Not the verifying.

use std::{
    fmt::{self, Display},
    net::IpAddr,
    path::PathBuf,
    str::FromStr,
};

use whimbrel_net::Address;

use super::TOKEN;
use super::check::problem;
use super::form::{Form, Formless};
use super::key::{Kind, Reload};
use super::problem::{Fault, Problem};
use super::reader::Places;
use super::room::{Room, room};
use super::setting::{Given, Setting, Value, quoted};

room! {
    /// An identity provider (OpenID Connect, OAuth 2) or a program of your own whose signed tokens (JWT) let clients in. A
    /// client gives its token as the password. The table may be repeated, once for each issuer. docs/manual/tokens.md
    /// shows the whole way.
    ///
    /// A reload takes changes in, for whoever connects from then on; if one of the tables cannot be as it is written, all
    /// stay as they were.
    pub struct Token(TOKEN) {
        /// Who issues the tokens: what their claim `iss` has to be, to the letter. Without it, this table is for the
        /// tokens of every issuer for which there is no other.
        issuer: Option<String> = None, example("https://id.example/realms/house");

        /// For whom the tokens are: at least one of these has to be in their claim `aud`. Without it, only tokens without
        /// `aud` are taken.
        audience: Vec<String> = Vec::new(), example("mqtt");

        /// Where the issuer publishes its public keys (a JWK set; `jwks_uri` in its `/.well-known/openid-configuration`).
        /// `https`, or `http` on this machine. They are fetched in the background, at the start, every jwks_refresh_secs,
        /// and when a token names a key that is not known: its client then waits for them. Redirects are not followed.
        jwks_url: Option<KeysUrl> = None, example("https://id.example/realms/house/protocol/openid-connect/certs");

        /// The CAs (PEM) whose certificates are good for the server of jwks_url, in place of the machine's own.
        jwks_ca: Option<PathBuf> = None, example("provider-ca.pem"), reload(Reload::Reread);

        /// How old the keys become before they are fetched anew.
        jwks_refresh_secs: u32 = 3_600, within(1, 604_800), unit("seconds");

        /// The least time between two fetches, however many tokens name keys that nobody knows.
        jwks_pause_secs: u16 = 5, within(1, 300), unit("seconds");

        /// How long the keys that were fetched last count while the server cannot be reached. Then nobody is let in by
        /// them until it can.
        jwks_keep_secs: u32 = 86_400, within(1, 31_536_000), unit("seconds");

        /// The issuer's public keys in a file, in place of jwks_url: PEM, one or several, or a JWK set. It is read again at a
        /// reload. In the configuration file a relative path counts from the folder of that file.
        keys_file: Option<PathBuf> = None, example("issuer.pem"), reload(Reload::Reread);

        /// The secret that the issuer shares with the broker, in a file, in place of jwks_url: its bytes as they are, without
        /// the line's end behind them; 32 at least for HS256, 48 for HS384, 64 for HS512. Whoever knows it can make
        /// tokens. It is read again at a reload.
        secret_file: Option<PathBuf> = None, example("token.secret"), reload(Reload::Reread);

        /// The algorithms by which tokens may be signed. Without it, each public key is good for those of its kind that
        /// follow: RSA for RS256, RS384, RS512, PS256, PS384 and PS512, an elliptic curve for ES256 or ES384, Ed25519 for
        /// EdDSA; a secret is good for HS256. Where the key itself says its algorithm, for no other.
        algorithms: Vec<Algorithm> = Vec::new(), example("RS256");

        /// Whether a token has to say when it ends (`exp`). The connection ends with the token.
        expiry_required: bool = true;

        /// By how much the issuer's clock may differ from this one: so long a token counts before its `nbf` and behind its
        /// `exp`.
        clock_skew_secs: u16 = 30, within(0, 600), unit("seconds");

        /// The claim that is the client's user name. Here and in the other keys that name a claim, one inside of others is
        /// named by a path: `/realm_access/roles`.
        user_name_claim: Option<String> = Some("sub".to_owned());

        /// The claim that is the client's identifier: a CONNECT with another one, or with none, is refused.
        client_id_claim: Option<String> = None, example("client_id");

        /// The claim that says which groups of access.file the client is in, besides those in which the file has its user
        /// name: a text with spaces between the names, or a list.
        groups_claim: Option<String> = None, example("/realm_access/roles");

        /// The claim that says to what the client may publish, where no rule of access.file says it: a list of topic
        /// filters. A token without the claim allows nothing.
        publish_claim: Option<String> = None, example("publish");

        /// The claim that says what the client may subscribe to, where no rule of access.file says it.
        subscribe_claim: Option<String> = None, example("subscribe");
    }
}

/// The URL of a JWK set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysUrl {
    text: String,
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Hs256, "HS256"),
        (Self::Hs384, "HS384"),
        (Self::Hs512, "HS512"),
        (Self::Rs256, "RS256"),
        (Self::Rs384, "RS384"),
        (Self::Rs512, "RS512"),
        (Self::Ps256, "PS256"),
        (Self::Ps384, "PS384"),
        (Self::Ps512, "PS512"),
        (Self::Es256, "ES256"),
        (Self::Es384, "ES384"),
        (Self::EdDsa, "EdDSA"),
    ];

    /// As it stands in the head of a token.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, word)| word)
    }

    /// Whether both sides have the same secret.
    pub fn is_by_secret(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

impl FromStr for Algorithm {
    type Err = Formless;

    fn from_str(text: &str) -> Result<Self, Formless> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(known, _)| *known).ok_or(Formless)
    }
}

impl Display for Algorithm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl Form for Algorithm {
    const WORDS: &'static str = "\"RS256\", \"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \"ES256\", \"ES384\", \
        \"EdDSA\", and with secret_file \"HS256\", \"HS384\" and \"HS512\" (ES512 and ES256K cannot be verified here, and \
        \"none\" is no signature)";
    const EXAMPLE: &'static str = "RS256";
}

impl Form for String {
    const WORDS: &'static str = "a text";
    const EXAMPLE: &'static str = "another";
}

impl KeysUrl {
    /// Whether it is spoken to by TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands behind host and port, with the slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for KeysUrl {
    type Err = Formless;

    fn from_str(text: &str) -> Result<Self, Formless> {
        let (scheme, rest) = text.split_once("://").ok_or(Formless)?;
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(Formless),
        };
        let (place, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let written = |byte: u8| byte.is_ascii_graphic() && !b"#\"\\<>".contains(&byte);
        if !path.bytes().all(written) || place.contains(['@', '?']) {
            return Err(Formless);
        }
        // An IPv6 address stands in brackets, and a colon behind them begins the port.
        let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(Formless)?)),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| Formless)?,
            None if is_tls => 443,
            None => 80,
        };
        Address::new(host, port).map_err(|_| Formless)?;
        let is_here =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !is_tls && !is_here {
            return Err(Formless);
        }
        let (host, path) = (host.to_owned(), path.to_owned());
        Ok(Self { text: text.to_owned(), is_tls, host, port, path })
    }
}

impl Setting for Option<KeysUrl> {
    const KIND: Kind = Kind::Form {
        words: "a URL with https, or with http and an address of this machine: \"https://id.example/jwks.json\"",
        example: "https://id.example/jwks.json",
    };

    fn read(given: &Given<'_>, _: (u64, u64)) -> Option<Self> {
        match given.value {
            Value::Text(text) | Value::Word(text) => text.parse().ok().map(Some),
            _ => None,
        }
    }

    fn show(&self) -> Option<String> {
        self.as_ref().map(|url| quoted(url.as_str()))
    }
}

impl Token {
    /// What logs and messages call it.
    pub fn label(&self) -> String {
        self.issuer.clone().unwrap_or_else(|| "any issuer".to_owned())
    }
}

/// Keys that mean something with a URL alone.
const OF_URL: &[&str] = &["jwks_ca", "jwks_refresh_secs", "jwks_pause_secs", "jwks_keep_secs"];

/// Everything that is wrong between the keys of these tables.
pub(super) fn check(tokens: &[Token], places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, token) in (1..).zip(tokens) {
        let mut put = |name, fault| problems.push(problem(places, TOKEN, number, name, fault));
        let good = |names: &[&'static str]| places.are_good(TOKEN, number, names);
        if tokens.iter().take(number - 1).any(|earlier| earlier.issuer == token.issuer) {
            put("issuer", Fault::IssuerTaken);
        }
        if !good(&["jwks_url", "keys_file", "secret_file"]) {
            continue;
        }
        let named = [
            ("jwks_url", token.jwks_url.is_some()),
            ("keys_file", token.keys_file.is_some()),
            ("secret_file", token.secret_file.is_some()),
        ];
        let mut named = named.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name);
        if named.next().is_none() {
            put("jwks_url", Fault::NoKeys);
        }
        if let Some(second) = named.next() {
            let other = "the keys do not come from somewhere else: jwks_url, keys_file or secret_file";
            put(second, Fault::NeedsOther { other });
        }
        if token.jwks_url.is_none() {
            for entry in Token::ENTRIES.iter().filter(|entry| OF_URL.contains(&entry.key.name)) {
                if (entry.show)(token) != (entry.show)(&Token::default()) {
                    put(entry.key.name, Fault::NeedsOther { other: "jwks_url says where the keys are" });
                }
            }
        }
        let by_secret = token.secret_file.is_some();
        if let Some(wrong) = token.algorithms.iter().find(|algorithm| algorithm.is_by_secret() != by_secret) {
            put("algorithms", Fault::AlgorithmUnlikeKey { algorithm: wrong.word(), by_secret });
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_by_tls_or_from_this_machine() {
        let check = |text: &str, expect: Option<(bool, &str, u16, &str)>| {
            let parsed = text.parse::<KeysUrl>().ok();
            let parts = parsed.as_ref().map(|url| (url.is_tls(), url.host(), url.port(), url.path()));
            assert_eq!(parts, expect, "{text}");
        };
        check("https://id.example", Some((true, "id.example", 443, "/")));
        check("https://id.example:8443/a/b?c=d", Some((true, "id.example", 8443, "/a/b?c=d")));
        check("https://[2001:db8::1]/jwks", Some((true, "2001:db8::1", 443, "/jwks")));
        check("http://localhost:8080/jwks", Some((false, "localhost", 8080, "/jwks")));
        check("http://127.0.0.1/jwks", Some((false, "127.0.0.1", 80, "/jwks")));
        check("http://[::1]:1/jwks", Some((false, "::1", 1, "/jwks")));
        for text in [
            "",
            "id.example/jwks",
            "http://id.example/jwks",
            "http://127.0.0.1.id.example/jwks",
            "http://localhost@id.example/jwks",
            "https://user:password@id.example/",
            "ftp://id.example/",
            "file:///etc/passwd",
            "https://",
            "https://id.example:99999/",
            "https://id.example:/",
            "https://id.example/a b",
            "https://id.example/a\r\nHost: b",
            "https://id.example?a",
        ] {
            check(text, None);
        }
    }
}
