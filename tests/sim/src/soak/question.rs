//! Asks the broker for values of `$SYS`, on a connection of its own that waits.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use whimbrel_engine::proto::{
    Millis,
    client::{Connection, Event, Session, Settings},
    codec::{Connect, Disconnect, Split, SubscribeOptions, UserProperties, split},
};

const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The present values of these topics, as far as there are any.
///
/// # Errors
/// The broker does not answer.
pub(crate) fn ask(address: SocketAddr, topics: &[&str]) -> Result<Vec<(String, String)>, String> {
    let failed = |error: std::io::Error| format!("asking for $SYS: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(ANSWER_MAX)).map_err(failed)?;
    let connect = Connect { client_id: "asks", clean_start: true, keep_alive_secs: 60, ..Connect::default() };
    let (mut out, now) = (Vec::new(), Millis(0));
    let mut connection = Connection::new(&connect, Settings::default(), Session::default(), now, &mut out)
        .map_err(|misuse| misuse.to_string())?;
    let filters: Vec<(&str, SubscribeOptions)> =
        topics.iter().map(|topic| (*topic, SubscribeOptions::default())).collect();
    let (mut raw, mut values) = (Vec::new(), Vec::new());
    let deadline = Instant::now() + ANSWER_MAX;
    while values.len() < topics.len() && Instant::now() < deadline {
        stream.write_all(&std::mem::take(&mut out)).map_err(failed)?;
        let mut bytes = [0; 4_096];
        let count = stream.read(&mut bytes).map_err(failed)?;
        raw.extend_from_slice(bytes.get(..count).unwrap_or_default());
        while let Ok(Split::Whole { frame, len }) = split(&raw, u32::MAX) {
            let event = connection.handle(frame, now, &mut out);
            let mut open = false;
            match event.map_err(|violation| violation.to_string())? {
                Some(Event::Connected(_)) => open = true,
                Some(Event::Message { publish, topic, .. }) => {
                    values.push((topic.to_owned(), String::from_utf8_lossy(publish.payload).into_owned()));
                }
                _ => {}
            }
            if open {
                let properties = UserProperties::default();
                let sent = connection.subscribe(&filters, None, properties, now, &mut out);
                sent.map_err(|misuse| misuse.to_string())?;
            }
            raw.drain(..len);
        }
    }
    let _ = connection.disconnect(&Disconnect::default(), now, &mut out);
    stream.write_all(&out).map_err(failed)?;
    // The server closes when it has let go of everything.
    while stream.read(&mut [0; 4_096]).map_err(failed)? > 0 {}
    Ok(values)
}
