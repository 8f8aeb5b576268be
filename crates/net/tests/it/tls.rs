//! TLS between the two sides of this crate: what they agree on, what they remember, what they say when they do not.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use whimbrel_net::{
    Address, Dialler, Scheme, Stream,
    tls::{Acceptor, AcceptorSettings, CertificateFiles, Connector, ConnectorSettings, Pin},
};

pub(super) const LONG: Duration = Duration::from_secs(20);

/// A CA and what it has issued, in a folder.
pub(super) struct Site {
    folder: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Site {
    pub(super) fn new() -> Site {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
        Site { folder, ca }
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn issue(&self, file: &str, names: &[&str]) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, file);
        let key = KeyPair::generate().unwrap();
        let files = CertificateFiles {
            certificate: self.path(&format!("{file}.pem")),
            key: self.path(&format!("{file}.key")),
        };
        fs::write(&files.certificate, params.signed_by(&key, &self.ca).unwrap().pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    pub(super) fn settings(&self) -> ConnectorSettings {
        ConnectorSettings { ca_file: Some(self.path("ca.pem")), ..ConnectorSettings::default() }
    }
}

pub(super) fn acceptor(certificates: Vec<CertificateFiles>) -> AcceptorSettings {
    AcceptorSettings { certificates, alpn: vec![b"test".to_vec()], ..AcceptorSettings::default() }
}

/// Says back what it hears, to everybody.
async fn echo(settings: AcceptorSettings) -> SocketAddr {
    let acceptor = Arc::new(Acceptor::open(settings).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut bytes = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    if stream.write_all(&bytes[..count]).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn dial(dialler: &mut Dialler, at: SocketAddr) -> Result<Stream, String> {
    let address = Address::new("localhost", at.port()).unwrap().over(Scheme::Mqtts);
    let mut stream = dialler.dial(&address, LONG).await.map_err(|error| error.to_string())?;
    let said = async {
        stream.write_all(b"hello").await?;
        stream.flush().await?;
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).await.map(|_| bytes)
    };
    let heard =
        tokio::time::timeout(LONG, said).await.expect("an answer").map_err(|error| error.to_string())?;
    assert_eq!(&heard, b"hello");
    Ok(stream)
}

fn dialler(settings: &ConnectorSettings) -> Dialler {
    Dialler::new(Some(Connector::new(settings).unwrap()))
}

fn shown(stream: &Stream) -> Vec<u8> {
    stream.peer_certificates().unwrap()[0].to_vec()
}

fn is_resumed(stream: &Stream) -> bool {
    let Stream::Tls(tls) = stream else { panic!("no TLS") };
    tls.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
}

#[tokio::test]
async fn who_comes_back_resumes() {
    let site = Site::new();
    let at = echo(acceptor(vec![site.issue("server", &["localhost"])])).await;
    let mut again = dialler(&site.settings());
    let first = dial(&mut again, at).await.unwrap();
    let second = dial(&mut again, at).await.unwrap();
    assert_eq!([is_resumed(&first), is_resumed(&second)], [false, true]);
    let stranger = dial(&mut dialler(&site.settings()), at).await.unwrap();
    assert!(!is_resumed(&stranger));
}

#[tokio::test]
async fn a_client_gets_the_certificate_for_the_name_that_it_asks_for() {
    let site = Site::new();
    let (one, two) = (site.issue("one", &["localhost"]), site.issue("two", &["*.house.example"]));
    let at = echo(acceptor(vec![one, two])).await;
    let by_name = |name: &str| ConnectorSettings { server_name: Some(name.to_owned()), ..site.settings() };
    let one = dial(&mut dialler(&site.settings()), at).await.unwrap();
    let two = dial(&mut dialler(&by_name("a.house.example")), at).await.unwrap();
    assert_ne!(shown(&one), shown(&two));
    let told = dial(&mut dialler(&by_name("b.other")), at).await.unwrap_err();
    assert!(told.contains("(CN=one) is for localhost, and not for `b.other`"), "{told}");
}

#[tokio::test]
async fn a_pinned_certificate_needs_no_ca_and_another_one_is_refused() {
    let site = Site::new();
    let files = site.issue("server", &["elsewhere"]);
    let at = echo(acceptor(vec![files])).await;
    let wrong: Pin = "ab".repeat(32).parse().unwrap();
    let pinned =
        |pin, ca_file| ConnectorSettings { pins: vec![pin], ca_file, ..ConnectorSettings::default() };
    let told = dial(&mut dialler(&pinned(wrong, None)), at).await.unwrap_err();
    let (_, rest) = told.split_once("has the fingerprint ").expect(&told);
    let right: Pin = rest[..64].parse().unwrap();
    assert_eq!(rest[..64].to_ascii_uppercase().parse(), Ok(right));
    dial(&mut dialler(&pinned(right, None)), at).await.unwrap();
    // With a CA its word counts as well, and the name is another.
    let told = dial(&mut dialler(&pinned(right, Some(site.path("ca.pem")))), at).await.unwrap_err();
    assert!(told.contains("is for elsewhere, and not for `localhost`"), "{told}");
}

#[tokio::test]
async fn a_protocol_that_is_not_spoken_is_refused_and_none_is_taken() {
    let site = Site::new();
    let at = echo(acceptor(vec![site.issue("server", &["localhost"])])).await;
    let offering = |alpn: &[u8]| ConnectorSettings { alpn: vec![alpn.to_vec()], ..site.settings() };
    let told = dial(&mut dialler(&offering(b"other")), at).await.unwrap_err();
    assert!(told.contains("does not speak our protocol (ALPN)"), "{told}");
    dial(&mut dialler(&offering(b"test")), at).await.unwrap();
    dial(&mut dialler(&site.settings()), at).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_named_with_its_ca() {
    let (site, other) = (Site::new(), Site::new());
    let at = echo(acceptor(vec![site.issue("server", &["localhost"])])).await;
    let told = dial(&mut dialler(&other.settings()), at).await.unwrap_err();
    // The same name and another key: the signature is what is wrong.
    assert!(told.contains("the server's certificate (CN=server)"), "{told}");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap();
    tokio::spawn(async move { while silent.accept().await.is_ok() {} });
    let told = dial(&mut dialler(&site.settings()), at).await.unwrap_err();
    assert!(told.contains("closed the connection during the handshake") || told.contains("reset"), "{told}");
}

#[test]
fn files_that_cannot_be_used_are_told_with_their_line() {
    let site = Site::new();
    let good = site.issue("server", &["localhost"]);
    let text = fs::read_to_string(&good.certificate).unwrap();
    let check = |certificate: &str, key: Option<&Path>, part: &str| {
        let path = site.path("tried.pem");
        fs::write(&path, certificate).unwrap();
        let key = key.unwrap_or(&good.key).to_owned();
        let told = Acceptor::open(acceptor(vec![CertificateFiles { certificate: path, key }])).unwrap_err();
        assert!(told.to_string().contains(part), "{told}, and not: {part}");
    };
    check("", None, "tried.pem: there is no certificate in it");
    check(&format!("{text}\n\n{}", text.replace("M", "!")), None, "what stands in it is no base64");
    let lines = text.lines().count();
    check(&format!("{text}{}", text.replace("END", "ENDE")), None, &format!("tried.pem:{}: ", lines + 1));
    check(
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        None,
        "tried.pem:1: this is no certificate",
    );
    check(&text, Some(&good.certificate), "there is no private key in it: that is a file of certificates");
    check(&text, Some(&site.issue("other", &["x"]).key), "the key belongs to another certificate");
    check(&text, Some(&site.path("absent")), "absent: the file cannot be read");
    fs::write(
        site.path("locked"),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    check(&text, Some(&site.path("locked")), "it is locked by a password");
    assert!(Acceptor::open(AcceptorSettings::default()).is_err());
}

#[test]
fn a_fingerprint_is_64_digits() {
    for wrong in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"+a".repeat(32)] {
        assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
    }
    let colons = vec!["AB"; 32].join(":");
    assert_eq!(colons.parse::<Pin>(), format!("sha256:{}", "ab".repeat(32)).parse());
}
