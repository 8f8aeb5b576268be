//! Bans as commands and as text: who is kept out, until when and why. Not who is let in.

use clap::Subcommand;
use whimbrel_broker::bans::{Ban, Banned};
use whimbrel_broker::control::{Answer, BanChanged, Bans, Request};

use super::door::Door;
use super::paint::Paint;
use super::quantity::moment;
use super::table::{Align, Table, shown};
use super::{Failure, Said, line};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Keep somebody out, and end the connections that it has
    ///
    /// It counts at once and outlives a restart where the broker keeps a store. An MQTT 5.0 client is told 0x8A, banned, for
    /// how long and why; one that is connected is told 0x98, administrative action. A ban that there is already is replaced.
    Add {
        #[command(flatten)]
        of: Of,

        /// How long: a number and s, m, h or d, such as 90s, 10m, 12h, 7d. If left out, until it is removed
        #[arg(long = "for", value_name = "TIME", value_parser = secs)]
        secs: Option<u64>,

        /// Why, for whoever is banned and for the list
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Let somebody come again: a banned one, or a client that is held off because it lost its connection too often
    Remove {
        #[command(flatten)]
        of: Of,
    },
    /// List everybody who is kept out
    List,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Of {
    /// This client identifier
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    client: Option<String>,

    /// Who has proved this user name
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    user: Option<String>,

    /// An address, or a network such as 10.0.0.0/8
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
}

impl Of {
    fn banned(self) -> Result<Banned, Failure> {
        let Of { client, user, address } = self;
        let of = client.map(Banned::Client).or(user.map(Banned::User)).or(address.map(Banned::Address));
        of.ok_or_else(|| Failure::misused("name one: --client, --user or --address"))
    }
}

/// A time as people write it.
fn secs(word: &str) -> Result<u64, String> {
    let fault = || "allowed is a number and s, m, h or d, such as 90s, 10m, 12h or 7d".to_owned();
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match word.get(digits.len()..) {
        Some("s" | "") => 1,
        Some("m") => 60,
        Some("h") => 3_600,
        Some("d") => 86_400,
        _ => return Err(fault()),
    };
    let number: u64 = digits.parse().map_err(|_| fault())?;
    number.checked_mul(factor).filter(|secs| (1..=31_536_000_000).contains(secs)).ok_or_else(fault)
}

pub(super) async fn run(
    door: &mut Door,
    command: Command,
    json: bool,
    paint: Paint,
) -> Result<Said, Failure> {
    let (request, verb) = match command {
        Command::Add { of, secs, why } => (Request::BanAdd { of: of.banned()?, secs, why }, "banned"),
        Command::Remove { of } => (Request::BanRemove { of: of.banned()? }, "no longer banned"),
        Command::List => {
            let Answer::Bans(bans) = door.ask(&Request::Bans).await? else { return Err(door.foreign()) };
            return Ok(Said::text(if json { line(&bans)? } else { text(&bans, paint) }));
        }
    };
    let Answer::BanChanged(changed) = door.ask(&request).await? else { return Err(door.foreign()) };
    let BanChanged { ban, kept } = &changed;
    let end = match ban.until {
        Some(until) if verb == "banned" => format!(" until {}", moment(until)),
        _ => String::new(),
    };
    let words = format!("{} is {verb}{end}\n", of(&ban.of));
    // What is over need not be kept, and a broker without a store keeps nothing: it is said either way.
    let note = (!kept).then(|| "the disk does not have it: a restart of the broker forgets it".to_owned());
    Ok(Said { code: 0, text: if json { line(&changed)? } else { words }, note })
}

fn of(banned: &Banned) -> String {
    match banned {
        Banned::Client(id) => format!("client {}", shown(id)),
        Banned::User(name) => format!("user {}", shown(name)),
        Banned::Address(network) => format!("address {network}"),
    }
}

fn text(bans: &Bans, paint: Paint) -> String {
    let Bans { bans, held_off } = bans;
    let mut out = String::new();
    if !bans.is_empty() {
        let mut table = Table::new(&[
            ("BANNED", Align::Left),
            ("SINCE", Align::Left),
            ("UNTIL", Align::Left),
            ("WHY", Align::Left),
        ]);
        for Ban { of: banned, since, until, why } in bans {
            let until = until.map_or_else(|| "it is removed".to_owned(), moment);
            let why = why.as_deref().map_or_else(|| "-".to_owned(), shown);
            table.row([of(banned), moment(*since), until, why]);
        }
        out.push_str(&table.text(paint));
    }
    if !held_off.is_empty() {
        let mut table = Table::new(&[
            ("HELD OFF", Align::Left),
            ("USER", Align::Left),
            ("ADDRESS", Align::Left),
            ("UNTIL", Align::Left),
        ]);
        for held in held_off {
            let or_none = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), shown);
            let until = moment(held.until);
            table.row([shown(&held.client_id), or_none(&held.user), or_none(&held.address), until]);
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&table.text(paint));
    }
    if out.is_empty() { "nobody is kept out\n".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let times = ["90", "90s", "10m", "12h", "7d"].map(|word| secs(word).unwrap());
        assert_eq!(times, [90, 90, 600, 43_200, 604_800]);
        for word in ["", "s", "0", "-1", "1w", "1.5h", "99999999999999999999", "1 h"] {
            assert!(secs(word).is_err(), "{word}");
        }
    }

    #[test]
    fn who_is_kept_out_is_told_in_two_tables_or_in_a_word() {
        assert_eq!(
            text(&Bans { bans: Vec::new(), held_off: Vec::new() }, Paint::NONE),
            "nobody is kept out\n"
        );
        let ban = Ban {
            of: Banned::User("eve".to_owned()),
            since: 0,
            until: None,
            why: Some("she\u{7}".to_owned()),
        };
        let held_off = whimbrel_broker::control::HeldOff {
            client_id: "lamp".to_owned(),
            user: None,
            address: Some("192.0.2.7".to_owned()),
            until: 9,
        };
        let text = text(&Bans { bans: vec![ban], held_off: vec![held_off] }, Paint::NONE);
        assert!(
            text.contains("user eve") && text.contains("it is removed") && text.contains("she\\u{7}"),
            "{text}"
        );
        assert!(text.contains("HELD OFF") && text.contains("192.0.2.7"), "{text}");
    }
}
