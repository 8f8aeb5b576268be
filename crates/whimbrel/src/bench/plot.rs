//! Draws results as SVG: latency percentiles and throughput over time. Not the measuring.

use std::fmt::Write as _;

use serde_json::Value;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 80.0;
const TOP: f64 = 30.0;
const GAP: f64 = 70.0;
const CURVES: [(&str, &str, &str); 4] = [
    ("p50_us", "p50", "#2a9d8f"),
    ("p99_us", "p99", "#e9a23b"),
    ("p99.9_us", "p99.9", "#e76f51"),
    ("max_us", "max", "#9b2226"),
];

/// One chart's coordinates.
struct Frame {
    top: f64,
    seconds: f64,
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Frame {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + WIDTH * (seconds / self.seconds).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.top + HEIGHT * (1.0 - share.clamp(0.0, 1.0))
    }
}

/// A picture of one run's results as they are in its JSON.
pub(super) fn svg(results: &Value) -> String {
    let rows = results.get("series").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let step = 0.25;
    let seconds = rows.iter().filter_map(|row| number(row, "seconds")).fold(step, f64::max) + step;
    let (width, height) = (LEFT + WIDTH + 80.0, TOP + HEIGHT * 2.0 + GAP + 40.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    put_latencies(rows, seconds, &mut svg);
    put_throughput(rows, seconds, results.get("unit").and_then(Value::as_str).unwrap_or_default(), &mut svg);
    svg.push_str("</svg>\n");
    svg
}

fn put_latencies(rows: &[Value], seconds: f64, svg: &mut String) {
    let known: Vec<f64> =
        CURVES.iter().flat_map(|(key, ..)| rows.iter().filter_map(|row| number(row, key))).collect();
    let low = known.iter().copied().fold(f64::MAX, f64::min);
    let high = known.iter().copied().fold(0.0, f64::max);
    if known.is_empty() {
        return;
    }
    let low = 10_f64.powf(low.max(0.1).log10().floor());
    let high = 10_f64.powf(high.max(1.0).log10().ceil()).max(low * 10.0);
    let frame = Frame { top: TOP, seconds, low, high, logarithmic: true };
    put_axes(&frame, "latency", svg);
    let mut line = low;
    while line <= high * 1.01 {
        put_level(&frame, line, &micros(line), svg);
        line *= 10.0;
    }
    for (index, (key, name, colour)) in CURVES.iter().enumerate() {
        put_curve(&frame, rows, key, colour, svg);
        let y = TOP + 14.0 + 18.0 * index as f64;
        let x = LEFT + WIDTH + 12.0;
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{name}</text>");
    }
}

fn put_throughput(rows: &[Value], seconds: f64, unit: &str, svg: &mut String) {
    let key = "delivered_per_second";
    let high = rows.iter().filter_map(|row| number(row, key)).fold(1.0, f64::max);
    // Two digits more than the greatest, so that the levels are round numbers.
    let round = 10_f64.powf(high.log10().floor()) / 2.0;
    let high = (high / round).ceil() * round;
    let frame = Frame { top: TOP + HEIGHT + GAP, seconds, low: 0.0, high, logarithmic: false };
    put_axes(&frame, &format!("{unit} per second"), svg);
    for part in 0..=4 {
        let level = high * f64::from(part) / 4.0;
        put_level(&frame, level, &super::display::whole(level), svg);
    }
    put_curve(&frame, rows, key, "#264653", svg);
}

fn put_axes(frame: &Frame, title: &str, svg: &mut String) {
    let top = frame.top - 10.0;
    let bottom = frame.top + HEIGHT;
    // Writing to a string does not fail.
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{top:.1}\" font-weight=\"bold\">{title}</text>");
    let step = (frame.seconds / 8.0).max(0.25);
    for tick in 0..=8 {
        let seconds = step * f64::from(tick);
        if seconds > frame.seconds * 1.001 {
            break;
        }
        let (x, y) = (frame.x(seconds), bottom + 16.0);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{seconds:.1} s</text>");
    }
}

fn put_level(frame: &Frame, level: f64, name: &str, svg: &mut String) {
    let (y, right, x) = (frame.y(level), LEFT + WIDTH, LEFT - 8.0);
    let _ = writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{right:.1}\" stroke=\"#ddd\"/>");
    let base = y + 4.0;
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{name}</text>");
}

fn put_curve(frame: &Frame, rows: &[Value], key: &str, colour: &str, svg: &mut String) {
    let points: Vec<String> = rows
        .iter()
        .filter_map(|row| Some((number(row, "seconds")?, number(row, key)?)))
        .map(|(seconds, value)| format!("{:.1},{:.1}", frame.x(seconds + 0.125), frame.y(value)))
        .collect();
    let points = points.join(" ");
    let _ = writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>"
    );
}

fn number(row: &Value, key: &str) -> Option<f64> {
    row.get(key)?.as_f64()
}

fn micros(micros: f64) -> String {
    match micros {
        ..1e3 => format!("{micros} µs"),
        ..1e6 => format!("{} ms", micros / 1e3),
        _ => format!("{} s", micros / 1e6),
    }
}
