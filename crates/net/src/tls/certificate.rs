//! What stands in a certificate: whose it is, who signed it, from when to when it is valid. Not whether to trust it.

use rustls::pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
    revocation_list::CertificateRevocationList,
    x509::X509Name,
};

/// The longest identity that is taken out of a certificate, in bytes.
const IDENTITY_BYTES_MAX: usize = 1_024;

/// Which part of a client's certificate says who it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The first common name (CN) of the subject.
    CommonName,
    /// The first alternative name that is a host name, a URI or a mail address.
    AlternativeName,
    /// The whole subject, as RFC 4514 writes it: `CN=lamp-7,O=House`.
    Subject,
}

impl Identity {
    /// Who the certificate is for; nothing where it does not say so, or not in words that fit in a line of a log.
    #[must_use]
    pub fn of(self, certificate: &CertificateDer<'_>) -> Option<String> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let found = match self {
            Identity::CommonName => {
                parsed.subject().iter_common_name().next().and_then(|name| text(name.attr_value()))
            }
            Identity::AlternativeName => alternative_names(&parsed).into_iter().next(),
            Identity::Subject => Some(distinguished(parsed.subject())),
        };
        found.filter(|name| {
            !name.is_empty() && name.len() <= IDENTITY_BYTES_MAX && !name.chars().any(char::is_control)
        })
    }
}

/// What a message says of a certificate.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// Whom it may stand for.
    pub(super) alternative: Vec<String>,
    /// Until when it is valid, and from when on.
    pub(super) not_before: String,
    pub(super) not_after: String,
    /// Whether its subject is its issuer.
    pub(super) is_self_signed: bool,
    /// Seconds since 1970 of the same.
    pub(super) valid_secs: (i64, i64),
}

impl Names {
    /// Nothing where the certificate cannot be parsed.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Names> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let validity = parsed.validity();
        Some(Names {
            subject: or_nameless(distinguished(parsed.subject())),
            issuer: or_nameless(distinguished(parsed.issuer())),
            alternative: alternative_names(&parsed),
            not_before: validity.not_before.to_string(),
            not_after: validity.not_after.to_string(),
            is_self_signed: parsed.subject().as_raw() == parsed.issuer().as_raw(),
            valid_secs: (validity.not_before.timestamp(), validity.not_after.timestamp()),
        })
    }

    /// The certificate in a sentence.
    pub(super) fn called(&self) -> String {
        match self.alternative.first() {
            Some(name) if self.subject == NAMELESS => format!("for {name}"),
            _ => self.subject.clone(),
        }
    }
}

/// Until when a list of revoked certificates is good, in seconds since 1970, and in words; nothing if it does not say.
pub(super) fn next_update(list: &[u8]) -> Option<(i64, String)> {
    let (_, parsed) = CertificateRevocationList::from_der(list).ok()?;
    let next = parsed.next_update()?;
    Some((next.timestamp(), next.to_string()))
}

const NAMELESS: &str = "without a name";

fn or_nameless(name: String) -> String {
    if name.is_empty() { NAMELESS.to_owned() } else { name }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for extension in certificate.extensions() {
        let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else { continue };
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
                    found.push((*name).to_owned());
                }
                GeneralName::IPAddress(bytes) => found.extend(ip_address(bytes)),
                _ => {}
            }
        }
    }
    found
}

fn ip_address(bytes: &[u8]) -> Option<String> {
    use std::net::IpAddr;
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.ok().map(|address| address.to_string())
}

fn text(value: &x509_parser::der_parser::asn1_rs::Any<'_>) -> Option<String> {
    if let Ok(text) = value.as_str() {
        return Some(text.to_owned());
    }
    // Old certificates write BMPString: UTF-16 with the high byte first.
    let units = value.data.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair));
    (value.tag().0 == 30).then(|| String::from_utf16(&units.collect::<Vec<_>>()).ok()).flatten()
}

/// A name as RFC 4514 writes it: the last part first, what would be misread escaped.
fn distinguished(name: &X509Name<'_>) -> String {
    let mut parts = Vec::new();
    for relative in name.iter_rdn() {
        let attributes = relative.iter().map(|attribute| {
            let kind = attribute.attr_type();
            let key = short_name(&kind.to_id_string()).map_or_else(|| kind.to_id_string(), str::to_owned);
            let value = text(attribute.attr_value()).unwrap_or_else(|| "?".to_owned());
            format!("{key}={}", escaped(&value))
        });
        parts.push(attributes.collect::<Vec<_>>().join("+"));
    }
    parts.reverse();
    parts.join(",")
}

fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let special = ",+\"\\<>;=".contains(character)
            || (at == 0 && (character == '#' || character == ' '))
            || (at == last && character == ' ');
        if special {
            out.push('\\');
        }
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_pass_for_another_part_of_the_name() {
        let check = |value: &str, expect: &str| assert_eq!(escaped(value), expect);
        check("lamp 7", "lamp 7");
        check("a,CN=root", "a\\,CN\\=root");
        check(" #x ", "\\ #x\\ ");
        check("#x", "\\#x");
        check("a\nb", "a\\nb");
    }
}
