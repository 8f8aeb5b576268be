//! One visitor at the control socket: its requests one after the other, each read within its bounds. Not what is done.

use std::{future::Future, io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::{ANSWER_STALL_SECS_MAX, REQUEST_BYTES_MAX, REQUEST_SECS_MAX, line};
use crate::{
    config::Levels,
    control::{Answer, Control, Query, Refusal, Request},
};

/// Bytes read at once.
const READ_BYTES: usize = 8 << 10;

/// Serves a visitor until it goes, does not keep to the bounds, or asks for the end of the broker.
pub(super) async fn serve(stream: UnixStream, control: &Control) {
    let mut visit = Visit { stream, read: Vec::new() };
    while let Some(request) = visit.next_request().await {
        let goes_on = match request {
            Ok(line) => visit.answer(control, &line).await,
            Err(refusal) => visit.say(&refusal.into()).await.and(Err(io::ErrorKind::InvalidData.into())),
        };
        if goes_on.is_err() {
            return; // The visitor has gone, or goes.
        }
    }
}

struct Visit {
    stream: UnixStream,
    /// What was read and is not yet a request.
    read: Vec<u8>,
}

impl Visit {
    /// The next line, or why there is none; nothing when the visitor has said all.
    async fn next_request(&mut self) -> Option<Result<Vec<u8>, Refusal>> {
        match timeout(Duration::from_secs(REQUEST_SECS_MAX), self.read_line()).await {
            Ok(line) => line,
            Err(_) if self.read.is_empty() => None,
            Err(_) => Some(Err(Refusal::RequestTooSlow { secs: REQUEST_SECS_MAX })),
        }
    }

    async fn read_line(&mut self) -> Option<Result<Vec<u8>, Refusal>> {
        let mut looked_at = 0;
        loop {
            let fresh = self.read.get(looked_at..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(looked_at + at + 1);
                return Some(Ok(std::mem::replace(&mut self.read, rest)));
            }
            looked_at = self.read.len();
            if looked_at >= REQUEST_BYTES_MAX {
                return Some(Err(Refusal::RequestTooLarge { bytes_max: REQUEST_BYTES_MAX }));
            }
            self.read.reserve(READ_BYTES);
            let room = (REQUEST_BYTES_MAX - looked_at).min(READ_BYTES) as u64;
            match (&mut self.stream).take(room).read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn answer(&mut self, control: &Control, line: &[u8]) -> io::Result<()> {
        let request = match serde_json::from_slice(line) {
            Ok(request) => request,
            Err(error) => return self.say(&Refusal::NoRequest { why: error.to_string() }.into()).await,
        };
        let answer = match request {
            Request::Clients { query } => return self.list(control, &query).await,
            Request::Stop => {
                self.say(&Answer::Stopping {}).await?;
                control.stop();
                // The visitor sees by the end of the connection that the broker has ended.
                return std::future::pending().await;
            }
            Request::Status => Answer::Status(Box::new(control.status().await)),
            Request::Client { client_id } => {
                told(control.client(&client_id), |client| Answer::Client(Box::new(client))).await
            }
            Request::Subscriptions { client_id, after } => {
                told(control.subscriptions(&client_id, after.as_deref()), Answer::Subscriptions).await
            }
            Request::Kick { client_id, session } => {
                told(control.kick(&client_id, session), Answer::Kicked).await
            }
            Request::BanAdd { of, secs, why } => told(control.ban(of, secs, why), Answer::BanChanged).await,
            Request::BanRemove { of } => told(control.unban(of), Answer::BanChanged).await,
            Request::Bans => Answer::Bans(control.bans().await),
            Request::Why { client_id, action, topic, qos, retain } => {
                told(control.why(&client_id, action, &topic, (qos, retain)), Answer::Decided).await
            }
            Request::Reload => Answer::Reloaded(control.reload("control").await),
            Request::Backup { folder, bytes_per_sec } => {
                told(control.backup(&folder, bytes_per_sec), Answer::Backup).await
            }
            Request::Log { level } => match level.map(|level| parsed(&level)).transpose() {
                Ok(levels) => told(control.log_level(levels), Answer::Log).await,
                Err(refusal) => refusal.into(),
            },
        };
        self.say(&answer).await
    }

    async fn list(&mut self, control: &Control, query: &Query) -> io::Result<()> {
        let mut clients = match control.clients(query).await {
            Ok(clients) => clients,
            Err(refusal) => return self.say(&refusal.into()).await,
        };
        loop {
            let slice = clients.next_slice().await;
            if slice.is_empty() {
                return self.say(&Answer::End { matching: clients.matching(), left: clients.left() }).await;
            }
            let lines: io::Result<Vec<_>> =
                slice.into_iter().map(|client| line(&Answer::ClientSummary(client))).collect();
            self.write(&lines?.concat()).await?;
        }
    }

    async fn say(&mut self, answer: &Answer) -> io::Result<()> {
        self.write(&line(answer)?).await
    }

    /// Writes as fast as the visitor reads, as long as it reads at all.
    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let stall = Duration::from_secs(ANSWER_STALL_SECS_MAX);
            let written = timeout(stall, self.stream.write(bytes)).await??;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}

/// The answer, or why there is none.
async fn told<T>(
    asked: impl Future<Output = Result<T, Refusal>>,
    answer: impl FnOnce(T) -> Answer,
) -> Answer {
    asked.await.map_or_else(Answer::from, answer)
}

fn parsed(level: &str) -> Result<Levels, Refusal> {
    Levels::parse(level).ok_or_else(|| Refusal::LogLevel {
        why: format!("{level:?} is none; allowed is {}", Levels::allowed()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Broker, config::Config};

    /// What a visitor hears that says this and then nothing, on a clock that runs ahead while everybody waits.
    fn heard(said: &[u8]) -> String {
        let mut config = Config {
            listeners: vec![crate::config::Listener::on("127.0.0.1:0".parse().unwrap())],
            ..Config::default()
        };
        config.store.durability = crate::config::Durability::Memory;
        let broker = Broker::start(&config).unwrap();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let heard = runtime.block_on(async {
            let (mut visitor, stream) = UnixStream::pair().unwrap();
            visitor.write_all(said).await.unwrap();
            serve(stream, broker.control()).await;
            let mut heard = String::new();
            visitor.read_to_string(&mut heard).await.unwrap();
            heard
        });
        broker.stop();
        heard
    }

    #[test]
    fn a_request_that_does_not_come_whole_in_time_is_refused() {
        let refusal = Refusal::RequestTooSlow { secs: REQUEST_SECS_MAX };
        assert_eq!(heard(b"{\"ask\":"), String::from_utf8(line(&refusal.into()).unwrap()).unwrap());
        assert_eq!(
            heard(b"{\"ask\":\"log\"}\n").lines().count(),
            1,
            "who says nothing more is let go without a word"
        );
        assert_eq!(heard(b""), "");
    }
}
