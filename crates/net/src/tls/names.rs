//! Which of a listener's certificates a client gets: the one for the name that it asks for (SNI), else the first.

use std::sync::Arc;

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The certificates of one listener; never empty.
#[derive(Debug)]
pub(super) struct ByName(pub(super) Vec<Entry>);

/// A certificate and the names that it is for, in small letters.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) names: Vec<String>,
    pub(super) certified: Arc<CertifiedKey>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = hello.server_name().map(str::to_ascii_lowercase);
        let matching = |entry: &&Entry| {
            wanted.as_deref().is_some_and(|wanted| entry.names.iter().any(|name| is_for(name, wanted)))
        };
        let entry = self.0.iter().find(matching).or_else(|| self.0.first())?;
        Some(entry.certified.clone())
    }
}

/// Whether a certificate's name is for this host; `*.` stands for exactly one label.
fn is_for(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(label, parent)| !label.is_empty() && parent == rest),
        None => name == host,
    }
}

#[cfg(test)]
mod tests {
    use super::is_for;

    #[test]
    fn a_star_is_one_label() {
        let check =
            |name: &str, host: &str, expect: bool| assert_eq!(is_for(name, host), expect, "{name} {host}");
        check("a.example", "a.example", true);
        check("a.example", "b.example", false);
        check("*.example", "a.example", true);
        check("*.example", "a.b.example", false);
        check("*.example", "example", false);
        check("*.example", ".example", false);
    }
}
