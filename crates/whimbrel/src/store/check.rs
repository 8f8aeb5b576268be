//! What a check has found, as text.

use std::fmt::Write as _;

use whimbrel_broker::store::Checked;

use crate::ctl::quantity::{bytes, number};
use crate::ctl::shown;

/// Everything, the verdict last: it stays on the screen.
pub(super) fn text(checked: &Checked) -> String {
    let mut out = String::new();
    let count = |value: usize| number(value as u64);
    let rows = [
        ("store", checked.folder.display().to_string()),
        ("id", checked.store_id.clone()),
        ("segments", format!("{}, {}", count(checked.segments), bytes(checked.bytes))),
        ("records", format!("{}, positions {} to {}", number(checked.records), checked.first, checked.end)),
        ("sessions", count(checked.sessions)),
        ("subscriptions", count(checked.subscriptions)),
        ("messages", count(checked.messages)),
        ("owed", format!("{} (one for each that is owed one)", count(checked.owed))),
        ("retained", count(checked.retained)),
        ("wills", count(checked.wills)),
    ];
    for (name, value) in rows {
        let _ = writeln!(out, "{name:<14}  {}", shown(&value));
    }
    if !checked.kinds.is_empty() {
        let kinds: Vec<_> =
            checked.kinds.iter().map(|(kind, count)| format!("{} {kind}", number(*count))).collect();
        let _ = writeln!(out, "{:<14}  {}", "by kind", kinds.join(", "));
    }
    for file in &checked.foreign_files {
        let _ = writeln!(out, "note: {} is none of the store's files", shown(file));
    }
    if checked.open_publishes > 0 {
        let _ = writeln!(
            out,
            "note: {} publishes were not recorded whole; a start leaves them out, nobody was told that they were taken",
            count(checked.open_publishes)
        );
    }
    if let Some(torn) = &checked.torn_end {
        let _ = writeln!(
            out,
            "note: the last write was not whole; a start cuts it, nobody was promised it: {}",
            shown(&torn.message)
        );
    }
    if let Some(holder) = &checked.in_use_by {
        let _ = writeln!(
            out,
            "note: {} writes to it right now, so its end may only look like this; check a backup (`whimbrel ctl backup`)",
            shown(holder)
        );
    }
    for damage in &checked.damage {
        let _ = writeln!(out, "DAMAGED: {}", shown(&damage.message));
    }
    out.push_str(if checked.sound { "sound\n" } else { "the figures are of what lies before the damage\n" });
    out
}

/// One line for a store that was put back.
pub(super) fn restored_text(checked: &Checked) -> String {
    let count = |value: usize| number(value as u64);
    format!(
        "{} is restored and sound: {}, {} sessions with {} subscriptions, {} messages owed, {} retained, {} wills\n",
        checked.folder.display(),
        bytes(checked.bytes),
        count(checked.sessions),
        count(checked.subscriptions),
        count(checked.owed),
        count(checked.retained),
        count(checked.wills),
    )
}
