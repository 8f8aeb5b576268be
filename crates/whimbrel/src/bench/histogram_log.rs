//! The latencies as an HdrHistogram log (format 1.3, encoding V2), which other tools plot and compare. Not the
//! recording.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding};
use hdrhistogram::Histogram;

use super::clock::SECOND;
use super::crew::INTERVAL;
use super::findings::Findings;

const COOKIE: u32 = 0x1c84_9313;
const COMPRESSED_COOKIE: u32 = 0x1c84_9314;

/// The whole log: one line for each interval of the measured time.
pub(super) fn log(findings: &Findings) -> String {
    let mut log = String::from("#[Histogram log format version 1.3]\n");
    let start = findings.started + findings.from as f64 / SECOND as f64;
    // Writing to a string does not fail.
    let _ = writeln!(log, "#[StartTime: {start:.3} (seconds since epoch)]");
    let _ = writeln!(log, "#[Latencies in nanoseconds, {}; maxima in milliseconds]", findings.latency_of);
    log.push_str(
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
    );
    let length = INTERVAL as f64 / SECOND as f64;
    for interval in findings.series.values().filter(|interval| !interval.latencies.is_empty()) {
        let since = (interval.index * INTERVAL) as f64 / SECOND as f64 - findings.from as f64 / SECOND as f64;
        let most = interval.latencies.max() as f64 / 1e6;
        let histogram = Base64::encode_string(&compressed(&interval.latencies));
        let _ = writeln!(log, "{:.3},{length:.3},{most:.3},{histogram}", since.max(0.0));
    }
    log
}

/// The histogram behind its compressed form's head. The stream is zlib's, its blocks are stored as they are.
fn compressed(histogram: &Histogram<u64>) -> Vec<u8> {
    let plain = encoded(histogram);
    let mut stream = vec![0x78, 0x01];
    let mut chunks = plain.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let len = chunk.len() as u16;
        stream.push(u8::from(chunks.peek().is_none()));
        stream.extend_from_slice(&len.to_le_bytes());
        stream.extend_from_slice(&(!len).to_le_bytes());
        stream.extend_from_slice(chunk);
    }
    stream.extend_from_slice(&adler32(&plain).to_be_bytes());
    let mut bytes = COMPRESSED_COOKIE.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(stream.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&stream);
    bytes
}

fn encoded(histogram: &Histogram<u64>) -> Vec<u8> {
    let counts = counts(histogram);
    let mut bytes = Vec::new();
    for word in [COOKIE, counts.len() as u32, 0, u32::from(histogram.sigfig())] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(&histogram.low().to_be_bytes());
    bytes.extend_from_slice(&histogram.high().to_be_bytes());
    bytes.extend_from_slice(&1.0_f64.to_be_bytes());
    bytes.extend_from_slice(&counts);
    bytes
}

/// The counts up to the last that is not zero; a run of zeros is its negative length.
fn counts(histogram: &Histogram<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zeros = 0;
    for value in histogram.iter_all() {
        let count = value.count_at_value();
        if count == 0 {
            zeros += 1;
            continue;
        }
        if zeros > 0 {
            put_signed(-zeros, &mut bytes);
            zeros = 0;
        }
        put_signed(count as i64, &mut bytes);
        if value.value_iterated_to() >= histogram.max() {
            break;
        }
    }
    bytes
}

/// Seven bits a byte, least first, sign in the lowest bit; the ninth byte holds eight.
fn put_signed(number: i64, bytes: &mut Vec<u8>) {
    let mut left = (number << 1 ^ number >> 63) as u64;
    for _ in 0..8 {
        if left < 0x80 {
            bytes.push(left as u8);
            return;
        }
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::super::recorder::histogram;
    use super::*;

    #[test]
    fn numbers_are_written_as_the_format_wants() {
        let check = |number: i64, expect: &[u8]| {
            let mut bytes = Vec::new();
            put_signed(number, &mut bytes);
            assert_eq!(bytes, expect, "{number}");
        };
        check(0, &[0]);
        check(1, &[2]);
        check(-1, &[1]);
        check(64, &[0x80, 1]);
        check(i64::MIN, &[0xff; 9]);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn zeros_are_written_as_runs() {
        let mut latencies = histogram();
        for value in [3, 3, 5] {
            latencies.saturating_record(value);
        }
        // Three zeros, a two, one zero, a one.
        assert_eq!(counts(&latencies), [5, 4, 1, 2]);
        let bytes = compressed(&latencies);
        assert_eq!(bytes[..8], [0x1c, 0x84, 0x93, 0x14, 0, 0, 0, 55]);
        assert_eq!(bytes[15..19], COOKIE.to_be_bytes());
    }
}
