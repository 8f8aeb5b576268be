//! What several keys say together: a listener that nobody guards, two on one address, limits that contradict
//! each other. What one key allows has been checked before.

use super::authentication::{Method, Methods};
use super::key::grouped;
use super::listener::{ClientCertificates, Identity, IdentityAs, Listener, Protocol};
use super::problem::{Fault, Problem};
use super::reader::Places;
use super::setting::Auto;
use super::{Config, LISTENER, token, transport};

/// Everything that is wrong between keys. Keys whose own value was refused are left out.
pub(super) fn check(config: &Config, places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    let authentication_good = places.are_good("authentication", 0, &["method", "password_file"]);
    for (number, listener) in (1..).zip(&config.listeners) {
        let good = |names: &[&'static str]| places.are_good(LISTENER, number, names);
        if authentication_good && good(&["authentication"]) {
            let guarded = good(&["address", "danger_allow_anonymous_on_network", "client_certificates"]);
            problems.extend(guarded.then(|| open_to_network(config, places, number, listener)).flatten());
        }
        let earlier = || config.listeners.iter().take(number - 1).zip(1..);
        if good(&["address", "ipv6_only"]) {
            problems.extend(earlier().find_map(|(other, at)| {
                let other_good = places.are_good(LISTENER, at, &["address", "ipv6_only"]);
                other_good.then(|| address_taken(places, number, listener, other)).flatten()
            }));
        }
        if listener.name.is_some() && earlier().any(|(other, _)| other.name == listener.name) {
            problems.push(problem(places, LISTENER, number, "name", Fault::NameTaken));
        }
        problems.extend(transport::check(places, number, listener));
    }
    if authentication_good {
        problems.extend(no_password_file(config, places));
        problems.extend(chains(config, places));
        problems.extend(no_tokens(config, places));
    }
    problems.extend(token::check(&config.tokens, places));
    problems.extend(link_soft_above_hard(config, places));
    problems.extend(rules_twice(config, places));
    problems
}

fn open_to_network(config: &Config, places: &Places, number: usize, listener: &Listener) -> Option<Problem> {
    let open = config.methods(listener).has(Method::Anonymous)
        && !listener.address.is_loopback()
        && listener.client_certificates != ClientCertificates::Required
        && !listener.danger_allow_anonymous_on_network;
    let address = listener.address.to_string();
    open.then(|| problem(places, LISTENER, number, "address", Fault::OpenToNetwork { address }))
}

fn address_taken(places: &Places, number: usize, listener: &Listener, other: &Listener) -> Option<Problem> {
    // The ports of UDP are others than those of TCP.
    let is_quic = |listener: &Listener| listener.protocol == Protocol::Quic;
    let taken = is_quic(listener) == is_quic(other)
        && listener.address.collides(listener.ipv6_only, &other.address, other.ipv6_only);
    let by = other.address.to_string();
    taken.then(|| problem(places, LISTENER, number, "address", Fault::AddressTaken { by }))
}

/// Told once, where it was asked for: by a listener, or for all of them.
fn no_password_file(config: &Config, places: &Places) -> Option<Problem> {
    if config.authentication.password_file.is_some() {
        return None;
    }
    let asking = |(_, listener): &(usize, &Listener)| config.methods(listener).has(Method::PasswordFile);
    let (number, _) = (1..).zip(&config.listeners).find(asking)?;
    let (section, number, name) = match places.is_given(LISTENER, number, "authentication") {
        true => (LISTENER, number, "authentication"),
        false => ("authentication", 0, "method"),
    };
    Some(problem(places, section, number, name, Fault::NoPasswordFile))
}

/// Told once, where it was asked for.
fn no_tokens(config: &Config, places: &Places) -> Option<Problem> {
    if !config.tokens.is_empty() {
        return None;
    }
    let asking = |(_, listener): &(usize, &Listener)| config.methods(listener).has(Method::Token);
    let (number, _) = (1..).zip(&config.listeners).find(asking)?;
    let (section, number, name) = match places.is_given(LISTENER, number, "authentication") {
        true => (LISTENER, number, "authentication"),
        false => ("authentication", 0, "method"),
    };
    Some(problem(places, section, number, name, Fault::NoTokens))
}

/// What is wrong with the order of the methods, and with one that finds nothing to look at.
fn chains(config: &Config, places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    let never = |methods: &Methods| {
        let (before, method) = methods.pointless()?;
        Some(Fault::NeverAsked { method: method.word(), before: before.word() })
    };
    if let Auto::Set(methods) = &config.authentication.method {
        problems.extend(never(methods).map(|fault| problem(places, "authentication", 0, "method", fault)));
    }
    let of_listener = ["authentication", "identity", "identity_as"];
    for (number, listener) in (1..).zip(&config.listeners) {
        if !places.are_good(LISTENER, number, &of_listener) {
            continue;
        }
        let put = |fault| problem(places, LISTENER, number, "authentication", fault);
        if let Auto::Set(methods) = &listener.authentication {
            problems.extend(never(methods).map(put));
        }
        let named = listener.identity != Identity::None && listener.identity_as == IdentityAs::UserName;
        let methods = config.methods(listener);
        let counts_on_it = listener.authentication != Auto::Auto || methods.iter().count() == 1;
        if methods.has(Method::Certificate) && counts_on_it && !named {
            let other = "identity names a part of the certificate, and identity_as is \"user_name\"";
            problems.push(put(Fault::NeedsOther { other }));
        }
    }
    problems
}

/// There is one file of rules: which of two counts first nobody could say.
fn rules_twice(config: &Config, places: &Places) -> Vec<Problem> {
    let access = &config.access;
    let other = "no other file of rules is named in [access]";
    let named = [
        ("file", &access.file),
        ("mosquitto_acl_file", &access.mosquitto_acl_file),
        ("mosquitto_dynamic_security_file", &access.mosquitto_dynamic_security_file),
    ];
    let set = named.into_iter().filter(|(_, path)| path.is_some());
    set.skip(1).map(|(name, _)| problem(places, "access", 0, name, Fault::NeedsOther { other })).collect()
}

/// Told where somebody wrote: one of the two can be the default.
fn link_soft_above_hard(config: &Config, places: &Places) -> Option<Problem> {
    let (soft, hard) = ("link_soft_bytes", "link_hard_bytes");
    let limits = &config.limits;
    if limits.link_soft_bytes <= limits.link_hard_bytes || !places.are_good("limits", 0, &[soft, hard]) {
        return None;
    }
    let value = grouped(limits.link_soft_bytes.into());
    let other = format!("limits.{hard}, which is {}", grouped(limits.link_hard_bytes.into()));
    let fault = Fault::Above { value, other };
    let written = if places.is_given("limits", 0, soft) { soft } else { hard };
    Some(Problem { key: Some(format!("limits.{soft}")), ..problem(places, "limits", 0, written, fault) })
}

pub(super) fn problem(
    places: &Places,
    section: &'static str,
    number: usize,
    name: &'static str,
    fault: Fault,
) -> Problem {
    Problem { origin: places.of(section, number, name), key: Some(format!("{section}.{name}")), fault }
}
