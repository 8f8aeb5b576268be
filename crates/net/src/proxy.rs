//! The PROXY protocol, versions 1 and 2: what a proxy says of its client before everything else. Not whom to believe it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of the longest header of version 1, with its line end.
const LINE_BYTES_MAX: usize = 107;

/// Bytes behind the fixed part of a header of version 2, at most. Addresses take 216; the rest is for what a proxy tells
/// of TLS.
const EXTENSION_BYTES_MAX: usize = 4_096;

/// What a header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxied {
    /// The client's address; none where the proxy speaks for itself (a health check) or does not know it.
    pub client: Option<SocketAddr>,
    /// The common name of the certificate that the client has shown to the proxy, and that the proxy has found good.
    pub common_name: Option<String>,
}

/// Why what came is no header.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum NoHeader {
    #[error("what came is no header of the PROXY protocol; does the proxy send it (send-proxy-v2)?")]
    Foreign,
    #[error("the header of the PROXY protocol is malformed")]
    Malformed,
    #[error("the header of the PROXY protocol is longer than 4,112 bytes")]
    TooLong,
    #[error("the checksum of the PROXY protocol's header is wrong")]
    Checksum,
}

/// Reads the header, and not a byte behind it. Nothing, if the peer closes before its first byte, as health checks do. It
/// has no time limit of its own.
///
/// # Errors
/// What came is no header, or the connection broke.
pub async fn read_proxied<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Proxied>> {
    let mut start = [0; SIGNATURE.len()];
    if stream.read(&mut start[..1]).await? == 0 {
        return Ok(None);
    }
    // The shortest header of version 1 is longer than that.
    stream.read_exact(&mut start[1..]).await?;
    let read =
        if start == SIGNATURE { read_binary(stream).await? } else { read_line(stream, &start).await? };
    read.map(Some).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))
}

async fn read_line<S: AsyncRead + Unpin>(
    stream: &mut S,
    start: &[u8],
) -> io::Result<Result<Proxied, NoHeader>> {
    let mut line = start.to_vec();
    if !line.starts_with(b"PROXY ") {
        return Ok(Err(NoHeader::Foreign));
    }
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Ok(Err(NoHeader::Malformed));
        }
        line.push(stream.read_u8().await?);
    }
    Ok(parse_line(&line))
}

fn parse_line(line: &[u8]) -> Result<Proxied, NoHeader> {
    let line =
        str::from_utf8(line).ok().and_then(|line| line.strip_suffix("\r\n")).ok_or(NoHeader::Malformed)?;
    let words: Vec<&str> = line.split(' ').collect();
    let (is_four, [source, _, port, _]) = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => return Ok(Proxied::default()),
        ["PROXY", "TCP4", rest @ ..] => (true, <[&str; 4]>::try_from(rest).map_err(|_| NoHeader::Malformed)?),
        ["PROXY", "TCP6", rest @ ..] => {
            (false, <[&str; 4]>::try_from(rest).map_err(|_| NoHeader::Malformed)?)
        }
        _ => return Err(NoHeader::Malformed),
    };
    let address: IpAddr = source.parse().map_err(|_| NoHeader::Malformed)?;
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|_| is_number).ok_or(NoHeader::Malformed)?;
    if address.is_ipv4() != is_four {
        return Err(NoHeader::Malformed);
    }
    Ok(Proxied { client: Some(SocketAddr::new(address, port)), common_name: None })
}

async fn read_binary<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Result<Proxied, NoHeader>> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [.., high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > EXTENSION_BYTES_MAX {
        return Ok(Err(NoHeader::TooLong));
    }
    let mut header = [SIGNATURE.as_slice(), &fixed].concat();
    let from = header.len();
    header.resize(from + length, 0);
    stream.read_exact(header.get_mut(from..).unwrap_or_default()).await?;
    Ok(parse_binary(&header))
}

/// What the types of extensions are called.
mod extension {
    pub(super) const CHECKSUM: u8 = 0x03;
    pub(super) const TLS: u8 = 0x20;
    pub(super) const TLS_COMMON_NAME: u8 = 0x22;
}

/// A whole header, the signature included.
fn parse_binary(header: &[u8]) -> Result<Proxied, NoHeader> {
    let rest = header.strip_prefix(SIGNATURE.as_slice()).ok_or(NoHeader::Foreign)?;
    let [command, family, _, _, body @ ..] = rest else { return Err(NoHeader::Malformed) };
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(NoHeader::Malformed),
    };
    if is_local {
        // The proxy speaks for itself; whatever it says besides is to be passed over, the family included.
        return Ok(Proxied::default());
    }
    let (client, extensions) = addresses(*family, body)?;
    check_sum(header, extensions)?;
    let mut common_name = None;
    for extension in Extensions(extensions) {
        let (kind, value) = extension?;
        if kind == extension::TLS {
            common_name = tls_common_name(value)?;
        }
    }
    Ok(Proxied { client, common_name })
}

/// The client's address, and what follows the addresses.
fn addresses(family: u8, body: &[u8]) -> Result<(Option<SocketAddr>, &[u8]), NoHeader> {
    let cut = |length: usize| body.split_at_checked(length).ok_or(NoHeader::Malformed);
    match family {
        0x00 => Ok((None, body)),
        0x11 => {
            let (addresses, rest) = cut(12)?;
            let [a, b, c, d, _, _, _, _, high, low, ..] = addresses else { return Err(NoHeader::Malformed) };
            let address = IpAddr::from(Ipv4Addr::new(*a, *b, *c, *d));
            Ok((Some(SocketAddr::new(address, u16::from_be_bytes([*high, *low]))), rest))
        }
        0x21 => {
            let (addresses, rest) = cut(36)?;
            let address = addresses.first_chunk::<16>().ok_or(NoHeader::Malformed)?;
            let port = addresses.get(32..34).and_then(<[u8]>::first_chunk).ok_or(NoHeader::Malformed)?;
            let address = IpAddr::from(Ipv6Addr::from(*address));
            Ok((Some(SocketAddr::new(address, u16::from_be_bytes(*port))), rest))
        }
        // A client of the proxy's own machine has no address that would tell anything here.
        0x31 => Ok((None, cut(216)?.1)),
        _ => Err(NoHeader::Malformed),
    }
}

/// Where there is a checksum it is right.
fn check_sum(header: &[u8], extensions: &[u8]) -> Result<(), NoHeader> {
    let mut at = header.len() - extensions.len();
    for extension in Extensions(extensions) {
        let (kind, value) = extension?;
        at += 3;
        if kind == extension::CHECKSUM {
            let given = <[u8; 4]>::try_from(value).map_err(|_| NoHeader::Malformed)?;
            let (before, after) = header.split_at_checked(at).ok_or(NoHeader::Malformed)?;
            let after = after.get(4..).ok_or(NoHeader::Malformed)?;
            let sum = crc32c::crc32c(before);
            let sum = crc32c::crc32c_append(crc32c::crc32c_append(sum, &[0; 4]), after);
            return if sum == u32::from_be_bytes(given) { Ok(()) } else { Err(NoHeader::Checksum) };
        }
        at += value.len();
    }
    Ok(())
}

/// The name in the certificate that the client has shown, if it has shown one on this session and it was found good.
fn tls_common_name(value: &[u8]) -> Result<Option<String>, NoHeader> {
    // TLS was spoken; a certificate was shown on this connection, or on an earlier one of the same session.
    const SPOKEN: u8 = 1;
    const SHOWN: u8 = 2 | 4;
    let [client, verify @ ..] = value else { return Err(NoHeader::Malformed) };
    let (verify, inner) = verify.split_first_chunk::<4>().ok_or(NoHeader::Malformed)?;
    let shown = client & SPOKEN != 0 && client & SHOWN != 0;
    let mut name = None;
    for extension in Extensions(inner) {
        let (kind, value) = extension?;
        if kind == extension::TLS_COMMON_NAME {
            name = Some(String::from_utf8(value.to_vec()).map_err(|_| NoHeader::Malformed)?);
        }
    }
    Ok(name.filter(|name| shown && u32::from_be_bytes(*verify) == 0 && !name.is_empty()))
}

/// Extensions in a row: a type, a length, a value.
struct Extensions<'a>(&'a [u8]);

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<(u8, &'a [u8]), NoHeader>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let cut = || {
            let [kind, high, low, rest @ ..] = self.0 else { return None };
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
            Some((*kind, value, rest))
        };
        let Some((kind, value, rest)) = cut() else {
            self.0 = &[];
            return Some(Err(NoHeader::Malformed));
        };
        self.0 = rest;
        Some(Ok((kind, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of bytes, and those behind the header.
    fn read(bytes: &[u8]) -> (io::Result<Option<Proxied>>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut rest = bytes;
        let read = runtime.block_on(read_proxied(&mut rest));
        (read, rest.to_vec())
    }

    fn client(text: &str) -> Proxied {
        Proxied { client: Some(text.parse().unwrap()), common_name: None }
    }

    /// A header of version 2.
    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE, &[command, family][..], &length, body].concat()
    }

    const FOUR: &[u8] = &[192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x34, 0x07, 0x5b];

    fn extension(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    }

    #[test]
    fn both_versions_and_not_a_byte_behind_them() {
        let check = |header: &[u8], expect: Proxied| {
            let (read, rest) = read(&[header, b"\x10\x00mqtt"].concat());
            assert_eq!(read.unwrap(), Some(expect), "{}", header.escape_ascii());
            assert_eq!(rest, b"\x10\x00mqtt", "{}", header.escape_ascii());
        };
        check(b"PROXY TCP4 192.0.2.7 127.0.0.1 4660 1883\r\n", client("192.0.2.7:4660"));
        check(b"PROXY TCP6 2001:db8::7 ::1 65535 1883\r\n", client("[2001:db8::7]:65535"));
        check(b"PROXY UNKNOWN\r\n", Proxied::default());
        check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Proxied::default());
        check(&header(0x21, 0x11, FOUR), client("192.0.2.7:4660"));
        let six: Vec<u8> = [&[0x20, 1, 0x0d, 0xb8], &[0; 11][..], &[7], &[0; 16], &[1, 2, 3, 4]].concat();
        check(&header(0x21, 0x21, &six), client("[2001:db8::7]:258"));
        check(&header(0x21, 0x31, &[b'x'; 216]), Proxied::default());
        check(&header(0x20, 0x00, b""), Proxied::default());
        check(&header(0x20, 0x11, FOUR), Proxied::default());
        // LOCAL is taken with any family and any block.
        for family in 0..=0xff {
            check(&header(0x20, family, b""), Proxied::default());
            check(&header(0x20, family, &[0xff; 7]), Proxied::default());
        }
        check(&header(0x20, 0x11, &[FOUR, &extension(0x03, &[0; 4])].concat()), Proxied::default());
        check(&header(0x20, 0x00, &[7; EXTENSION_BYTES_MAX]), Proxied::default());
        check(&header(0x21, 0x11, &[FOUR, &extension(0xe0, b"whatever")].concat()), client("192.0.2.7:4660"));
    }

    #[test]
    fn the_name_of_a_certificate_counts_if_it_was_shown_and_found_good() {
        let check = |flags: u8, verify: u32, expect: Option<&str>| {
            let inner = [extension(0x21, b"TLSv1.3"), extension(0x22, b"lamp-7")].concat();
            let tls = extension(0x20, &[&[flags][..], &verify.to_be_bytes(), &inner].concat());
            let (read, _) = read(&header(0x21, 0x11, &[FOUR, &tls].concat()));
            assert_eq!(read.unwrap().unwrap().common_name.as_deref(), expect, "{flags} {verify}");
        };
        check(7, 0, Some("lamp-7"));
        check(5, 0, Some("lamp-7"));
        check(3, 0, Some("lamp-7"));
        check(1, 0, None);
        check(6, 0, None);
        check(7, 19, None);
    }

    #[test]
    fn a_checksum_is_checked() {
        let body = |sum: [u8; 4]| {
            [FOUR, &extension(0x01, b"h2"), &extension(0x03, &sum), &extension(0xe1, b"x")].concat()
        };
        let right = crc32c::crc32c(&header(0x21, 0x11, &body([0; 4]))).to_be_bytes();
        assert!(read(&header(0x21, 0x11, &body(right))).0.is_ok());
        let wrong = u32::from_be_bytes(right) ^ 1;
        let error = read(&header(0x21, 0x11, &body(wrong.to_be_bytes()))).0.unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
    }

    #[test]
    fn what_is_no_header_is_refused_and_nothing_is_guessed() {
        let check = |bytes: &[u8], part: &str| {
            let error = read(bytes).0.unwrap_err().to_string();
            assert!(error.contains(part), "{}: {error}", bytes.escape_ascii());
        };
        check(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", "send-proxy-v2");
        check(b"GET / HTTP/1.1\r\n\r\n", "send-proxy-v2");
        check(b"PROXY TCP4 192.0.2.7 127.0.0.1 4660\r\n", "malformed");
        check(b"PROXY TCP4 192.0.2.7 127.0.0.1 +4660 1883\r\n", "malformed");
        check(b"PROXY TCP4 192.0.2.7 127.0.0.1 66666 1883\r\n", "malformed");
        check(b"PROXY TCP4 ::1 ::1 1 2\r\n", "malformed");
        check(b"PROXY TCP4  192.0.2.7 127.0.0.1 1 2\r\n", "malformed");
        check(b"PROXY HTTP 192.0.2.7 127.0.0.1 1 2\r\n", "malformed");
        check(&[b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(), "malformed");
        check(&header(0x11, 0x11, FOUR), "malformed");
        check(&header(0x22, 0x11, FOUR), "malformed");
        check(&header(0x21, 0x12, FOUR), "malformed");
        check(&header(0x21, 0x11, &FOUR[..11]), "malformed");
        check(&header(0x21, 0x11, &[FOUR, &[0x20, 0, 9, 1]].concat()), "malformed");
        check(&header(0x21, 0x11, &[FOUR, &[0x20]].concat()), "malformed");
        check(&header(0x21, 0x11, &[0; 5_000]), "4,112");
        check(&header(0x20, 0x11, &[0; 5_000]), "4,112");
        check(b"PROXY", "early eof");
        assert_eq!(read(b"").0.unwrap(), None);
    }

    #[test]
    fn any_cut_of_a_header_is_an_end_and_no_panic() {
        let tls = extension(0x20, &[&[7, 0, 0, 0, 0][..], &extension(0x22, b"lamp-7")].concat());
        let whole = header(0x21, 0x11, &[FOUR, &tls].concat());
        for length in 1..whole.len() {
            assert_eq!(read(&whole[..length]).0.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            let mut shorter = whole[..length].to_vec();
            if let Some(body) = length.checked_sub(16) {
                shorter[14..16].copy_from_slice(&u16::try_from(body).unwrap().to_be_bytes());
                let _ = read(&shorter).0;
            }
        }
    }
}
