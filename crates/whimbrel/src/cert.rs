//! `whimbrel cert`: certificates to try TLS with, from a CA of one's own. Not a CA to run a fleet by: it knows no
//! revocation, and its key lies beside the certificates.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Subcommand, ValueHint};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::cli::{FAILED, MISUSED};
use crate::output;

/// A clock that is a little behind does not make a fresh certificate one of the future.
const BEHIND: Duration = Duration::from_secs(3_600);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a private CA, a certificate for a server and one for a client.
    ///
    /// Writes ca.pem, server.pem, client.pem and, for their owner alone to read, ca.key, server.key, client.key. Files that are
    /// there stay, and then nothing is made. Whoever has ca.key can pass for any server and any client: it is for trying
    /// out, and nothing but ca.pem has a place on another machine's list of CAs.
    Dev(Dev),
}

#[derive(Debug, clap::Args)]
struct Dev {
    /// The folder for the files; made if it is not there
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
    /// A name or IP address of the server; may be repeated [default: localhost, 127.0.0.1, ::1]
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// The common name of the client
    #[arg(long, value_name = "NAME", default_value = "client")]
    client: String,
    /// Days for which the certificates are good
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> ExitCode {
    let Command::Dev(dev) = args.command;
    let made = match make(&dev) {
        Ok(made) => made,
        Err(error) => {
            return output::failure(MISUSED, format!("no certificate can be made of that: {error}"));
        }
    };
    match write(&dev.folder, &made) {
        Ok(()) => output::text(next_steps(&dev).as_bytes()),
        Err((path, error)) => output::failure(FAILED, format!("{}: {error}", path.display())),
    }
}

/// A file's name, its text, and whether only its owner may read it.
type Made = Vec<(&'static str, String, bool)>;

fn make(dev: &Dev) -> Result<Made, rcgen::Error> {
    let mut ca = params(dev, Vec::new(), "Whimbrel development CA")?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?.pem();
    let ca_key_pem = ca_key.serialize_pem();
    let issuer = Issuer::new(ca, ca_key);
    let mut made = vec![("ca.pem", ca_certificate, false), ("ca.key", ca_key_pem, true)];

    let names = if dev.name.is_empty() {
        ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
    } else {
        dev.name.clone()
    };
    let common_name = names.first().cloned().unwrap_or_default();
    let both = [
        ("server.pem", "server.key", names, common_name, ExtendedKeyUsagePurpose::ServerAuth),
        ("client.pem", "client.key", Vec::new(), dev.client.clone(), ExtendedKeyUsagePurpose::ClientAuth),
    ];
    for (certificate, key, names, common_name, purpose) in both {
        let mut leaf = params(dev, names, &common_name)?;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![purpose];
        leaf.use_authority_key_identifier_extension = true;
        let pair = KeyPair::generate()?;
        made.push((certificate, leaf.signed_by(&pair, &issuer)?.pem(), false));
        made.push((key, pair.serialize_pem(), true));
    }
    Ok(made)
}

fn params(dev: &Dev, names: Vec<String>, common_name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let day = Duration::from_secs(86_400);
    params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(BEHIND);
    params.not_after = date_time_ymd(1970, 1, 1) + now + day * dev.days;
    Ok(params)
}

fn write(folder: &Path, made: &Made) -> Result<(), (PathBuf, io::Error)> {
    fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    for (name, _, _) in made {
        let path = folder.join(name);
        if path.symlink_metadata().is_ok() {
            let there = io::Error::new(io::ErrorKind::AlreadyExists, "the file is there; nothing was made");
            return Err((path, there));
        }
    }
    for (name, text, is_secret) in made {
        let path = folder.join(name);
        let mode = if *is_secret { 0o600 } else { 0o644 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| (path, error))?;
    }
    Ok(())
}

/// What to do with them.
fn next_steps(dev: &Dev) -> String {
    let folder = std::path::absolute(&dev.folder).unwrap_or_else(|_| dev.folder.clone());
    let at = |name: &str| folder.join(name).display().to_string();
    let host = dev.name.first().map_or("localhost", String::as_str);
    let mut out = String::new();
    let _ = writeln!(out, "made a CA, a server's and a client's certificate, good for {} days\n", dev.days);
    let _ = writeln!(out, "# in the broker's configuration\n[[listener]]");
    let _ = writeln!(out, "address = \"localhost:8883\"\nprotocol = \"mqtts\"");
    let _ = writeln!(out, "certificate = \"{}\"\nkey = \"{}\"", at("server.pem"), at("server.key"));
    let _ = writeln!(out, "client_certificates = \"optional\"\nclient_ca = \"{}\"\n", at("ca.pem"));
    let _ = writeln!(out, "# clients");
    let _ = writeln!(out, "whimbrel sub -L mqtts://{host}/test --cafile {}", at("ca.pem"));
    let _ = writeln!(
        out,
        "whimbrel pub -L mqtts://{host}/test -m hello --cafile {} --cert {} --key {}",
        at("ca.pem"),
        at("client.pem"),
        at("client.key")
    );
    out
}
