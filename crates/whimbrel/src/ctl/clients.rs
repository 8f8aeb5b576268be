//! Clients as a list.

use whimbrel_broker::control::{Answer, ClientSummary, Query, Request};

use super::door::Door;
use super::paint::Paint;
use super::quantity::{ago, number};
use super::table::{Align, Table, cell};
use super::{Failure, Said, line};

/// Asks for the clients and tells them, those that have to be left out at the end.
pub(super) async fn list(door: &mut Door, query: Query, json: bool, paint: Paint) -> Result<Said, Failure> {
    let (mut told, mut lines, mut table, mut last) = (0_u64, String::new(), table(), None);
    let mut answer = door.ask(&Request::Clients { query }).await?;
    let (matching, left) = loop {
        match answer {
            Answer::ClientSummary(client) if json => {
                lines.push_str(&line(&client)?);
                last = Some(client.client_id);
            }
            Answer::ClientSummary(client) => {
                table.row(row(&client));
                last = Some(client.client_id);
            }
            Answer::End { matching, left } => break (matching, left),
            _ => return Err(door.foreign()),
        }
        told += 1;
        answer = door.next().await?;
    };
    let note = (left > 0).then(|| {
        let behind = last.map(|last| format!(", or what follows with --after {}", quoted(&last)));
        let (told, matching) = (number(told), number(matching as u64));
        format!("{told} of {matching} clients; more with --limit or --all{}", behind.unwrap_or_default())
    });
    let text = match (json, table.is_empty()) {
        (true, _) => lines,
        (false, true) => String::new(),
        (false, false) => table.text(paint),
    };
    let nobody = (!json && told == 0 && left == 0).then(|| "no client is like that".to_owned());
    Ok(Said { code: 0, text, note: note.or(nobody) })
}

fn table() -> Table {
    Table::new(&[
        ("CLIENT", Align::Left),
        ("ADDRESS", Align::Left),
        ("MQTT", Align::Left),
        ("CONNECTED", Align::Right),
        ("SUBSCRIPTIONS", Align::Right),
        ("QUEUED", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("DROPPED", Align::Right),
    ])
}

fn row(client: &ClientSummary) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        cell(&client.client_id),
        or_dash(client.address.clone()),
        or_dash(client.version.clone()),
        client.connected_since.map_or_else(|| "no".to_owned(), ago),
        number(client.subscriptions as u64),
        number(client.queued_messages as u64),
        number(client.inflight_messages as u64),
        number(client.dropped_messages),
    ]
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:@%+,".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", super::table::shown(word).replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_identifier_to_go_on_from_can_be_copied_into_a_shell() {
        let quoted = ["pump-7", "", "a b", "it's"].map(super::quoted);
        assert_eq!(quoted, ["pump-7", "''", "'a b'", r"'it'\''s'"]);
    }
}
