//! What the keys of a listener's transports say together: TLS, WebSocket, QUIC, Unix sockets. A key that would change nothing is
//! a mistake that would otherwise go unseen.

use super::LISTENER;
use super::address::Address;
use super::check::problem;
use super::listener::{ClientCertificates, Identity, Listener, Protocol};
use super::problem::{Fault, Problem};
use super::reader::Places;
use super::room::Room;
use super::setting::Auto;

/// Keys that mean something with TLS alone.
const TLS: &[&str] = &["certificate", "key", "tls_version_min", "client_ca", "crl"];

/// Keys that mean something with TCP alone.
const TCP: &[&str] = &["ipv6_only", "tcp_keep_alive_secs", "tcp_user_timeout_secs"];

/// Which protocols are spoken over TLS.
const SPEAKS_TLS: &str = "protocol is \"mqtts\", \"wss\" or \"quic\"";

/// Keys that mean something with WebSocket alone.
const WEBSOCKET: &[&str] = &["path", "origins", "upgrade_bytes_max"];

/// Keys that mean something with TLS, or where a proxy tells of it.
const CERTIFICATES: &[&str] = &["client_certificates", "identity", "identity_as"];

/// Everything that is wrong between the keys of this listener.
pub(super) fn check(places: &Places, number: usize, listener: &Listener) -> Vec<Problem> {
    let mut found = Found { places, number, listener, problems: Vec::new() };
    if found.good(&["protocol", "address"]) {
        found.check_socket();
        found.check_websocket();
        found.check_rates();
        found.check_proxy();
        found.check_tls();
    }
    found.problems
}

struct Found<'a> {
    places: &'a Places,
    number: usize,
    listener: &'a Listener,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn good(&self, names: &[&'static str]) -> bool {
        self.places.are_good(LISTENER, self.number, names)
    }

    fn put(&mut self, name: &'static str, fault: Fault) {
        self.problems.push(problem(self.places, LISTENER, self.number, name, fault));
    }

    /// Whether somebody has set it to something: the default file names every key.
    fn is_given(&self, name: &'static str) -> bool {
        let entry = Listener::ENTRIES.iter().find(|entry| entry.key.name == name);
        let unlike =
            entry.is_some_and(|entry| (entry.show)(self.listener) != (entry.show)(&Listener::default()));
        unlike && self.places.is_given(LISTENER, self.number, name)
    }

    /// Each of these keys counts only if another one is so.
    fn need(&mut self, names: &[&'static str], other: &'static str) {
        for name in names {
            if self.is_given(name) {
                self.put(name, Fault::NeedsOther { other });
            }
        }
    }

    fn check_socket(&mut self) {
        match &self.listener.address {
            Address::Unix(_) => {
                if self.listener.protocol.is_tls() {
                    self.put("protocol", Fault::NeedsOther { other: "address is one of TCP" });
                }
                self.need(TCP, "address is one of TCP");
            }
            _ => self.need(&["unix_mode"], "address is a Unix socket (unix:/path)"),
        }
        if self.listener.protocol == Protocol::Quic {
            self.need(&["tcp_keep_alive_secs", "tcp_user_timeout_secs"], "protocol is not \"quic\"");
        }
    }

    fn check_rates(&mut self) {
        let Listener { address, proxy_protocol, protocol, source_rate_max, .. } = self.listener;
        // By a Unix socket nobody has an address, unless somebody tells it.
        if matches!(address, Address::Unix(_)) && !proxy_protocol && !protocol.is_websocket() {
            self.need(&["source_rate_max"], "address is one of TCP");
        }
        if *source_rate_max == Auto::Auto {
            self.need(&["source_burst_max"], "source_rate_max sets a rate");
        }
    }

    fn check_websocket(&mut self) {
        if !self.listener.protocol.is_websocket() {
            self.need(WEBSOCKET, "protocol is \"ws\" or \"wss\"");
        }
    }

    fn check_proxy(&mut self) {
        let Listener { protocol, proxy_protocol, proxy_trusted, address, .. } = self.listener;
        if *protocol == Protocol::Mqtt && !proxy_protocol {
            self.need(&["handshake_timeout_secs"], "protocol is not \"mqtt\", or proxy_protocol is true");
        }
        if !protocol.is_websocket() && !proxy_protocol {
            self.need(&["proxy_trusted"], "proxy_protocol is true, or protocol is \"ws\" or \"wss\"");
        }
        if *protocol == Protocol::Quic {
            self.need(&["tls_version_min"], "protocol is \"mqtts\" or \"wss\": QUIC has TLS 1.3 alone");
            self.need(&["proxy_protocol"], "protocol is not \"quic\"");
            return;
        }
        let is_unix = matches!(address, Address::Unix(_));
        if *proxy_protocol && proxy_trusted.is_empty() && !is_unix && self.good(&["proxy_trusted"]) {
            self.put("proxy_protocol", Fault::NeedsOther { other: "proxy_trusted names the proxies" });
        }
    }

    fn check_tls(&mut self) {
        let is_tls = self.listener.protocol.is_tls();
        if !is_tls {
            self.need(TLS, SPEAKS_TLS);
            if !self.listener.proxy_protocol {
                let other = "protocol is \"mqtts\", \"wss\" or \"quic\", or proxy_protocol is true";
                return self.need(CERTIFICATES, other);
            }
            if ![Identity::None, Identity::CommonName].contains(&self.listener.identity) {
                self.put(
                    "identity",
                    Fault::NeedsOther {
                        other: "the broker itself speaks TLS; a proxy tells the common_name",
                    },
                );
            }
        }
        let (certificates, keys) = (self.listener.certificate.len(), self.listener.key.len());
        if is_tls && self.good(&["certificate", "key"]) {
            if certificates == 0 || keys == 0 {
                self.put("protocol", Fault::NoCertificate);
            } else if certificates != keys {
                self.put("key", Fault::KeysUnlikeCertificates { certificates, keys });
            }
        }
        if !self.good(&["client_certificates", "client_ca", "identity"]) {
            return;
        }
        let asked = self.listener.client_certificates != ClientCertificates::None;
        if is_tls && asked && self.listener.client_ca.is_none() {
            let other = "client_ca names the file with the CAs of the clients";
            self.put("client_certificates", Fault::NeedsOther { other });
        }
        if !asked && is_tls {
            let of_clients = ["client_ca", "crl", "identity", "identity_as"];
            self.need(&of_clients, "client_certificates is \"optional\" or \"required\"");
        } else if !asked {
            self.need(&["identity", "identity_as"], "client_certificates is \"optional\" or \"required\"");
        } else if self.listener.identity == Identity::None {
            self.need(&["identity_as"], "identity names a part of the certificate");
        }
    }
}
