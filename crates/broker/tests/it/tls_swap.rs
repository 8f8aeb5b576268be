//! Certificates that change while the broker runs: who is new gets the new ones, who may stay stays, who may not goes.

use std::{fs, time::Instant};

use whimbrel_broker::control::Reloaded;

use super::{
    pki::{Ca, Flaw},
    running::{DEADLINE, Running},
    tls::{Site, Tls},
};

fn reload(running: &Running) -> Reloaded {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(running.broker().control().reload("a test"))
}

/// The certificate that a server shows.
fn shown(tls: &Tls) -> Vec<u8> {
    tls.stream.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_reload_puts_a_new_certificate_in_force_and_nobody_is_disconnected() {
    let site = Site::new();
    let running = site.start(|_| {});
    let mut before = site.dial(running.addresses[0], None).unwrap();
    assert_eq!(before.connect("before"), Ok(0));
    assert!(reload(&running).certificates.is_empty(), "nothing has changed");

    site.ca.server(site.path(), "server");
    assert_eq!(
        reload(&running).certificates,
        [running.addresses[0].to_string().replace(&running.addresses[0].port().to_string(), "0")]
    );
    let mut after = site.dial(running.addresses[0], None).unwrap();
    assert_eq!(after.connect("after"), Ok(0));
    assert_ne!(shown(&before), shown(&after));
    before.ping().unwrap();
}

#[test]
fn files_that_are_wrong_change_nothing_and_are_told_with_their_line() {
    let site = Site::new();
    let running = site.start(|_| {});
    let before = shown(&site.dial(running.addresses[0], None).unwrap());
    let good = fs::read_to_string(&site.server.certificate).unwrap();

    fs::write(&site.server.certificate, format!("a comment\n{}", good.replace("-----END", "-----ENDE")))
        .unwrap();
    let faults = reload(&running).faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(
        (faults[0].file.as_ref(), faults[0].line),
        (Some(&site.server.certificate), Some(2)),
        "{faults:?}"
    );
    assert!(faults[0].message.contains("END line is missing"), "{}", faults[0].message);

    // Only one of the two files is new.
    let other = site.ca.server(site.path(), "other");
    fs::copy(&other.certificate, &site.server.certificate).unwrap();
    let faults = reload(&running).faults;
    assert!(faults[0].message.contains("belongs to another certificate"), "{faults:?}");

    assert_eq!(shown(&site.dial(running.addresses[0], None).unwrap()), before, "the old ones are in force");
    fs::copy(&other.key, &site.server.key).unwrap();
    assert_eq!(reload(&running).certificates.len(), 1);
    assert_ne!(shown(&site.dial(running.addresses[0], None).unwrap()), before);
}

#[test]
fn files_that_change_count_without_a_reload() {
    let site = Site::new();
    let running = site.start(|_| {});
    let before = shown(&site.dial(running.addresses[0], None).unwrap());
    site.ca.server(site.path(), "server");
    let begun = Instant::now();
    while shown(&site.dial(running.addresses[0], None).unwrap()) == before {
        assert!(begun.elapsed() < DEADLINE, "the new certificate does not come into force");
    }
}

#[test]
fn who_is_revoked_while_connected_goes_and_cannot_resume_and_the_others_stay() {
    let site = Site::new();
    let crl = site.ca.write_crl(&site.path().join("clients.crl"), &[]);
    let running = site.start(|listener| {
        site.require(listener);
        listener.crl = Some(crl.clone());
    });
    let at = running.addresses[0];
    let (good, bad) = ["good", "bad"].map(|name| site.ca.client(site.path(), name, Flaw::Nothing)).into();
    let mut stays = site.dial(at, Some(&good)).unwrap();
    let mut goes = site.dial(at, Some(&bad)).unwrap();
    assert_eq!([stays.connect("good"), goes.connect("bad")], [Ok(0), Ok(0)]);

    site.ca.write_crl(&crl, &["bad"]);
    assert_eq!(reload(&running).certificates.len(), 1);
    assert!(goes.receive(1).is_err(), "the revoked client is disconnected");
    stays.ping().unwrap();
    assert!(site.dial(at, Some(&bad)).and_then(|mut again| again.connect("bad")).is_err());
}

#[test]
fn clients_of_a_ca_that_is_no_longer_named_go() {
    let site = Site::new();
    let running = site.start(|listener| site.require(listener));
    let client = site.ca.client(site.path(), "client", Flaw::Nothing);
    let settings = site.settings(Some(&client));
    let mut goes = Tls::dial(running.addresses[0], &settings).unwrap();
    assert_eq!(goes.connect("client"), Ok(0));
    Ca::new("Another CA").write(&site.path().join("ca.pem"));
    assert_eq!(reload(&running).certificates.len(), 1);
    assert!(goes.receive(1).is_err());
}
