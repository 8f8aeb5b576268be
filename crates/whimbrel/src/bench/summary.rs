//! The results as text for people. Not the other forms.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use hdrhistogram::Histogram;

use super::display::{micros, whole};
use super::findings::Findings;
use super::json::{self, QUANTILES};
use super::options::Results;
use super::process::Usage;
use super::{histogram_log, plot};

/// Says what was found, and writes the files that were asked for.
pub(super) fn tell(findings: &Findings, results: &Results) -> Result<(), String> {
    let to_standard_output = results.json.as_deref().is_some_and(|path| path == Path::new("-"));
    let text = text(findings);
    let told = match to_standard_output {
        true => io::stderr().lock().write_all(text.as_bytes()),
        false => io::stdout().lock().write_all(text.as_bytes()),
    };
    told.or_else(ignore_absent_reader).map_err(|error| format!("the results cannot be told: {error}"))?;
    if let Some(path) = &results.json {
        let json = format!("{:#}\n", json::value(findings));
        if to_standard_output {
            io::stdout()
                .lock()
                .write_all(json.as_bytes())
                .or_else(ignore_absent_reader)
                .map_err(|error| format!("the results cannot be told: {error}"))?;
        } else {
            write(path, json.as_bytes())?;
        }
    }
    if let Some(path) = &results.histogram {
        write(path, histogram_log::log(findings).as_bytes())?;
    }
    if let Some(path) = &results.plot {
        write(path, plot::svg(&json::value(findings)).as_bytes())?;
    }
    Ok(())
}

/// Refuses files that cannot be written before anybody has waited for what is to be in them.
pub(super) fn check(results: &Results) -> Result<(), String> {
    let json = results.json.as_ref().filter(|path| path.as_path() != Path::new("-"));
    for path in [json, results.histogram.as_ref(), results.plot.as_ref()].into_iter().flatten() {
        let is_new = !path.exists();
        let told = |error| format!("{} cannot be written: {error}", path.display());
        fs::OpenOptions::new().create(true).append(true).open(path).map_err(told)?;
        if is_new {
            // A run that fails leaves no file.
            fs::remove_file(path).map_err(told)?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// A reader that has gone away (`| head`) has what it wanted.
fn ignore_absent_reader(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// The whole text.
pub(super) fn text(findings: &Findings) -> String {
    let mut text = String::new();
    let options: Vec<String> =
        findings.options.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let label = if findings.label.is_empty() { String::new() } else { format!(" [{}]", findings.label) };
    line(&mut text, format_args!("{}{label}: {}", findings.scenario, options.join(", ")));
    put_throughput(findings, &mut text);
    put_latency(findings, &mut text);
    put_costs(findings, &mut text);
    for (name, value, unit) in &findings.figures {
        line(&mut text, format_args!("  {:<13} {} {unit}", name.replace('_', " "), figure(*value)));
    }
    put_verdict(findings, &mut text);
    text
}

fn put_throughput(findings: &Findings, text: &mut String) {
    let tally = &findings.tally;
    let (unit, seconds) = (findings.unit, findings.seconds());
    if tally.delivered_measured > 0 {
        let delivered = whole(tally.delivered_measured as f64);
        let rate = whole(findings.delivered_per_second());
        line(text, format_args!("  delivered     {rate} {unit}/s  ({delivered} in {seconds:.2} s)"));
    }
    if tally.sent_measured > 0 && unit == "messages" {
        line(text, format_args!("  sent          {} {unit}/s", whole(findings.sent_per_second())));
    }
    if tally.bytes_measured > 0 {
        let megabytes = tally.bytes_measured as f64 / 1e6 / seconds;
        line(text, format_args!("  payload       {megabytes:.1} MB/s"));
    }
}

fn put_latency(findings: &Findings, text: &mut String) {
    put_quantiles("latency", &findings.latency_of, &findings.latencies(), text);
    let of = "from the moment when a message was due to its last acknowledgement";
    put_quantiles("acknowledged", of, &findings.acknowledgements(), text);
}

fn put_quantiles(name: &str, of: &str, all: &Histogram<u64>, text: &mut String) {
    if all.is_empty() {
        return;
    }
    line(text, format_args!("  {name:<13} {of}"));
    let told =
        QUANTILES.map(|(name, quantile)| format!("{name:<6} {:<9}", micros(all.value_at_quantile(quantile))));
    for row in told.chunks(3) {
        line(text, format_args!("                {}", row.join("  ").trim_end()));
    }
}

fn put_costs(findings: &Findings, text: &mut String) {
    let unit = findings.unit.trim_end_matches('s');
    let mut put = |name: &str, usage: &Usage| {
        let cores = findings.cores_of(usage.cpu_nanos);
        let kernel = usage.kernel_share * 100.0;
        let per_message = findings
            .micros_per_message(usage)
            .map(|micros| format!("{micros:.3} µs CPU per {unit}, "))
            .unwrap_or_default();
        let switches = usage.switches as f64 / findings.tally.delivered_measured.max(1) as f64;
        let memory = usage.rss_bytes as f64 / 1e6;
        let switches = match findings.tally.delivered_measured {
            0 => String::new(),
            _ => format!("{switches:.3} context switches per {unit}, "),
        };
        line(text, format_args!("  {name:<13} {per_message}{cores:.2} cores ({kernel:.0} % kernel)"));
        line(text, format_args!("                {switches}{memory:.1} MB resident"));
    };
    if let Some(broker) = &findings.broker {
        put("broker", broker);
    }
    put("generator", &findings.own);
}

fn put_verdict(findings: &Findings, text: &mut String) {
    for warning in findings.warnings() {
        line(text, format_args!("  note: {warning}"));
    }
    for broken in &findings.broken {
        line(text, format_args!("  broken: {broken}"));
    }
    let tally = &findings.tally;
    let counted: Vec<String> = tally
        .faults()
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {}", name.replace('_', " ")))
        .collect();
    let all = format!(
        "{} sent, {} delivered over the whole run",
        whole(tally.sent as f64),
        whole(tally.delivered as f64)
    );
    let verdict = match (findings.faults().is_empty(), counted.is_empty()) {
        (true, true) => format!("all right: {all}"),
        (true, false) => format!("accepted: {} ({all})", counted.join(", ")),
        (false, true) => format!("WRONG: see the notes ({all})"),
        (false, false) => format!("WRONG: {} ({all})", counted.join(", ")),
    };
    line(text, format_args!("  {verdict}"));
}

fn figure(value: f64) -> String {
    if value.abs() >= 100.0 { whole(value) } else { format!("{value:.3}") }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}
