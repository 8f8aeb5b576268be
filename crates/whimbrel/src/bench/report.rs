//! `whimbrel bench report`: one page (HTML) with several results side by side. Not the measuring.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueHint;
use serde_json::Value;

use super::json::FORMAT;
use super::{display, plot};
use crate::cli::MISUSED;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Results that runs wrote with --json
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// The page; standard output if not given
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let results: Result<Vec<Value>, String> = args.files.iter().map(|path| read(path)).collect();
    let page = match results {
        Ok(results) => page(&results),
        Err(wrong) => return output::failure(MISUSED, wrong),
    };
    match &args.output {
        None => output::text(page.as_bytes()),
        Some(path) => match fs::write(path, page) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => output::failure(crate::cli::FAILED, format!("{}: {error}", path.display())),
        },
    }
}

fn read(path: &Path) -> Result<Value, String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let mut value: Value = serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    if text_of(&value, "/format") != FORMAT {
        return Err(format!("{name}: is no result of `whimbrel bench`"));
    }
    if text_of(&value, "/label").is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        fields.insert("label".to_owned(), stem.into());
    }
    Ok(value)
}

const STYLE: &str = "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}th,td{padding:.3em .9em;border-bottom:1px solid #ddd;text-align:right}\
th:first-child,td:first-child{text-align:left}.wrong{color:#9b2226;font-weight:bold}.ratio{color:#777;font-size:85%}\
figure{margin:1.5em 0}ul{padding-left:1.2em;color:#7a4b00}";

/// One row of the table: its name, where its figure is, how it is shown.
type Row = (&'static str, &'static str, fn(f64) -> String);

const ROWS: [Row; 13] = [
    ("delivered per second", "/measured/delivered_per_second", display::whole),
    ("sent per second", "/measured/sent_per_second", display::whole),
    ("latency p50, µs", "/latency/p50_us", tenths),
    ("latency p90, µs", "/latency/p90_us", tenths),
    ("latency p99, µs", "/latency/p99_us", tenths),
    ("latency p99.9, µs", "/latency/p99.9_us", tenths),
    ("latency max, µs", "/latency/max_us", tenths),
    ("broker CPU, µs per message", "/broker/cpu_us_per_message", thousandths),
    ("generator CPU, µs per message", "/generator/cpu_us_per_message", thousandths),
    ("broker, cores", "/broker/cores", thousandths),
    ("broker, context switches", "/broker/context_switches", display::whole),
    ("broker, resident bytes", "/broker/rss_bytes", display::whole),
    ("measured seconds", "/measured/seconds", thousandths),
];

fn tenths(number: f64) -> String {
    format!("{number:.1}")
}

fn thousandths(number: f64) -> String {
    format!("{number:.3}")
}

fn page(results: &[Value]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>whimbrel bench</title>\n\
         <style>{STYLE}</style>\n<h1>whimbrel bench</h1>\n<table>\n<tr><th></th>"
    );
    for result in results {
        // Writing to a string does not fail.
        let _ = write!(page, "<th>{}<br>{}</th>", of(result, "label"), of(result, "scenario"));
    }
    page.push_str("</tr>\n");
    for (name, pointer, show) in ROWS {
        put_row(name, results, |result| result.pointer(pointer).and_then(Value::as_f64), show, &mut page);
    }
    let mut figures: Vec<String> = Vec::new();
    for result in results {
        for name in object_of(result, "/figures").map(|(name, _)| name) {
            if !figures.contains(name) {
                figures.push(name.clone());
            }
        }
    }
    for figure in &figures {
        let value = |result: &Value| result.pointer(&format!("/figures/{figure}/value"))?.as_f64();
        let unit = results.iter().map(|result| text_of(result, &format!("/figures/{figure}/unit")));
        let name = format!("{}, {}", figure.replace('_', " "), unit.max().unwrap_or_default());
        put_row(&name, results, value, thousandths, &mut page);
    }
    page.push_str("<tr><td>all right</td>");
    for result in results {
        let _ = write!(page, "<td>{}</td>", verdict(result));
    }
    page.push_str("</tr>\n</table>\n");
    for result in results {
        put_run(result, &mut page);
    }
    page.push_str("</html>\n");
    page
}

/// A row of figures; the second and later ones also as a multiple of the first, where the scenarios are the same.
fn put_row(
    name: &str,
    results: &[Value],
    value: impl Fn(&Value) -> Option<f64>,
    show: fn(f64) -> String,
    page: &mut String,
) {
    if results.iter().all(|result| value(result).is_none()) {
        return;
    }
    let _ = write!(page, "<tr><td>{}</td>", escaped(name));
    let first = results.first();
    for (index, result) in results.iter().enumerate() {
        let Some(number) = value(result) else {
            page.push_str("<td>–</td>");
            continue;
        };
        let _ = write!(page, "<td>{}", show(number));
        let base = first
            .filter(|first| index > 0 && text_of(first, "/scenario") == text_of(result, "/scenario"))
            .and_then(&value);
        if let Some(base) = base.filter(|base| *base != 0.0) {
            let _ = write!(page, " <span class=\"ratio\">×{:.2}</span>", number / base);
        }
        page.push_str("</td>");
    }
    page.push_str("</tr>\n");
}

fn verdict(result: &Value) -> String {
    if result.get("all_right") == Some(&Value::Bool(true)) {
        return "yes".to_owned();
    }
    let counted = object_of(result, "/whole_run/faults")
        .filter(|(_, count)| count.as_u64().is_some_and(|count| count > 0));
    let mut words: Vec<String> =
        counted.map(|(name, count)| format!("{count} {}", escaped(&name.replace('_', " ")))).collect();
    if words.is_empty() {
        words.push("no".to_owned());
    }
    format!("<span class=\"wrong\">{}</span>", words.join(", "))
}

fn put_run(result: &Value, page: &mut String) {
    let options: Vec<String> = object_of(result, "/options")
        .map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or_default()))
        .collect();
    let _ = write!(
        page,
        "<h2>{}: {}</h2>\n<p>{}</p>\n",
        of(result, "label"),
        of(result, "scenario"),
        escaped(&options.join(", "))
    );
    let warnings = result.get("warnings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !warnings.is_empty() {
        page.push_str("<ul>");
        for warning in warnings {
            let _ = write!(page, "<li>{}</li>", escaped(warning.as_str().unwrap_or_default()));
        }
        page.push_str("</ul>\n");
    }
    let _ = writeln!(page, "<figure>{}</figure>", plot::svg(result));
}

fn of(result: &Value, key: &str) -> String {
    escaped(text_of(result, &format!("/{key}")))
}

fn text_of<'a>(result: &'a Value, pointer: &str) -> &'a str {
    result.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn object_of<'a>(result: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    result.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
