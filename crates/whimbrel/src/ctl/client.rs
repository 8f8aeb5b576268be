//! One client with everything about it.

use serde_json::Value;
use whimbrel_broker::control::{Answer, Client, Connection, Request, Subscription};

use super::door::Door;
use super::paint::Paint;
use super::quantity::{ago, bytes, moment, number, span};
use super::table::{Align, Table, shown};
use super::{Failure, Said};

/// Subscriptions that are shown where not all are asked for.
const SUBSCRIPTIONS_SHOWN: usize = 100;

/// Asks for the client and its subscriptions and tells both.
pub(super) async fn show(
    door: &mut Door,
    client_id: String,
    all: bool,
    json: bool,
    paint: Paint,
) -> Result<Said, Failure> {
    let request = Request::Client { client_id: client_id.clone() };
    let Answer::Client(client) = door.ask(&request).await? else { return Err(door.foreign()) };
    let mut subscriptions: Vec<Subscription> = Vec::new();
    let mut more = client.subscriptions.now > 0;
    while more && (all || subscriptions.len() < SUBSCRIPTIONS_SHOWN) {
        let after = subscriptions.last().map(|last| last.filter.clone());
        let request = Request::Subscriptions { client_id: client_id.clone(), after };
        let Answer::Subscriptions(page) = door.ask(&request).await? else { return Err(door.foreign()) };
        more = page.more && !page.subscriptions.is_empty();
        subscriptions.extend(page.subscriptions);
    }
    if !all && subscriptions.len() > SUBSCRIPTIONS_SHOWN {
        subscriptions.truncate(SUBSCRIPTIONS_SHOWN);
        more = true;
    }
    let shown = number(subscriptions.len() as u64);
    let note = more.then(|| {
        format!("{shown} of {} subscriptions; all of them with --all", number(client.subscriptions.now))
    });
    let text = if json { object(&client, &subscriptions)? } else { text(&client, &subscriptions, paint) };
    Ok(Said { code: 0, text, note })
}

/// The client as one object, with its subscriptions in it.
fn object(client: &Client, subscriptions: &[Subscription]) -> Result<String, Failure> {
    let value =
        |value: Result<Value, serde_json::Error>| value.map_err(|error| Failure::failed(error.to_string()));
    let mut object = value(serde_json::to_value(client))?;
    if let Value::Object(members) = &mut object {
        members.insert("subscription_list".to_owned(), value(serde_json::to_value(subscriptions))?);
    }
    super::line(&object)
}

fn text(client: &Client, subscriptions: &[Subscription], paint: Paint) -> String {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("client", shown(&client.client_id));
    match &client.connection {
        Some(connection) => of_connection(connection, &mut row),
        None => row("connected", "no".to_owned()),
    }
    row("session", session(client));
    let (messages, size) = (client.queued_messages, client.queued_bytes);
    let of = |now: String, max: String| format!("{now} of {max}");
    row("queued messages", of(number(messages.now), number(messages.max)));
    row("queued bytes", of(bytes(size.now), bytes(size.max)));
    let inflight = client.inflight_messages as u64;
    row("in flight to it", format!("{} messages, {}", number(inflight), bytes(client.inflight_bytes as u64)));
    row("in flight from it", format!("{} messages at QoS 2", number(client.incoming_messages as u64)));
    row("lost", lost(client));
    if let Some(will) = &client.will {
        let retain = if will.retain { ", retained" } else { "" };
        let delay = if will.delay_secs > 0 {
            format!(", {} after the end", span(will.delay_secs.into()))
        } else {
            String::new()
        };
        row("will", format!("{} (QoS {}{retain}{delay})", shown(&will.topic), will.qos));
    }
    row("subscriptions", of(number(client.subscriptions.now), number(client.subscriptions.max)));
    let mut out = table.text(paint);
    if !subscriptions.is_empty() {
        out.push('\n');
        out.push_str(&of_subscriptions(subscriptions).text(paint));
    }
    out
}

fn of_connection(connection: &Connection, row: &mut impl FnMut(&str, String)) {
    row("connected", format!("for {}, since {}", ago(connection.since), moment(connection.since)));
    row("address", connection.address.clone().unwrap_or_else(|| "gone".to_owned()));
    row("MQTT", connection.version.clone());
    row(
        "keep-alive",
        match connection.keep_alive_secs {
            0 => "none".to_owned(),
            secs => format!("{secs} s"),
        },
    );
    row("receive maximum", number(connection.receive_maximum.into()));
    let blocked = if connection.blocked { "; its socket takes nothing now" } else { "" };
    row("waiting for its socket", format!("{}{blocked}", bytes(connection.outbox_bytes as u64)));
    if let Some(reason) = &connection.closing {
        row("closing", reason.clone());
    }
}

fn session(client: &Client) -> String {
    match (client.session_ends, client.session_expiry_secs) {
        (Some(ends), _) => format!("ends {} if it stays away", moment(ends)),
        (None, 0) => "ends with the connection".to_owned(),
        (None, secs) => format!("stays for {} after the connection", span(secs.into())),
    }
}

fn lost(client: &Client) -> String {
    let causes: Vec<String> =
        client.dropped_messages.iter().map(|(cause, count)| format!("{} {cause}", number(*count))).collect();
    if causes.is_empty() { "nothing".to_owned() } else { causes.join(", ") }
}

fn of_subscriptions(subscriptions: &[Subscription]) -> Table {
    let mut table = Table::new(&[
        ("FILTER", Align::Left),
        ("QOS", Align::Right),
        ("ID", Align::Right),
        ("OPTIONS", Align::Left),
    ]);
    for one in subscriptions {
        let options = [(one.no_local, "no local"), (one.retain_as_published, "retain as published")];
        let options: Vec<&str> = options.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
        let id = one.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let options = if options.is_empty() { "-".to_owned() } else { options.join(", ") };
        table.row([shown(&one.filter), one.qos.to_string(), id, options]);
    }
    table
}
