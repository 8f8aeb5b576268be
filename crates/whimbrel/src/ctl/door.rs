//! The way to the control socket of a broker: finds it, asks, reads the answers. Not what is asked.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use whimbrel_broker::control::{Answer, Request, socket};

use super::{Failure, within};

/// How long an answer, or the next line of one, may take.
const ANSWER_SECS_MAX: u64 = 30;
/// How long the end of a broker may take.
const END_SECS_MAX: u64 = 30;

/// An open control socket.
pub(super) struct Door {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

/// Where somebody looked for a broker in vain.
#[derive(Default)]
struct Vain {
    tried: Vec<String>,
}

impl Door {
    /// The socket that was named, or the one of the only broker that this account can reach.
    pub(super) async fn open(named: Option<PathBuf>) -> Result<Self, Failure> {
        let (path, stream) = match named {
            Some(path) => {
                let stream = UnixStream::connect(&path).await;
                stream
                    .map_err(|error| Failure::failed(why_not(&path, &error)))
                    .map(|stream| (path, stream))?
            }
            None => find().await?,
        };
        let peer = stream.peer_cred().map_err(|error| Failure::failed(error.to_string()))?.uid();
        // Whoever has put a socket of his own into the place of a broker's learns nothing.
        if !socket::is_ours(peer) && !rustix::process::geteuid().is_root() {
            let (path, whose) = (path.display(), account(peer));
            let why =
                format!("{path} is served by {whose}, not by this account or root; it is not asked anything");
            return Err(Failure::failed(why));
        }
        Ok(Self { path, stream: BufReader::new(stream) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Asks, and reads the first answer. A refusal is a failure.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        self.say(request).await?;
        self.next().await
    }

    async fn say(&mut self, request: &Request) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(request).map_err(|error| Failure::failed(error.to_string()))?;
        line.push(b'\n');
        // A broker that lets nobody more in says so and closes before it reads: what it says tells more than a failed
        // write.
        let _ = self.stream.get_mut().write_all(&line).await;
        Ok(())
    }

    /// The same for what may take as long as it takes: it ends with the connection at the latest.
    pub(super) async fn ask_patiently(&mut self, request: &Request) -> Result<Answer, Failure> {
        self.say(request).await?;
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).await;
        self.heard(read, &line)
    }

    /// The next answer.
    pub(super) async fn next(&mut self) -> Result<Answer, Failure> {
        let mut line = Vec::new();
        let what = format!("the broker at {} has not answered", self.path.display());
        let read = within(ANSWER_SECS_MAX, &what, self.stream.read_until(b'\n', &mut line)).await?;
        self.heard(read, &line)
    }

    fn heard(&self, read: io::Result<usize>, line: &[u8]) -> Result<Answer, Failure> {
        match read {
            Err(error) => Err(self.failure(&error.to_string())),
            Ok(_) if !line.ends_with(b"\n") => Err(self.failure("it has closed the connection")),
            Ok(_) => match serde_json::from_slice(line) {
                Ok(Answer::Refused { message, .. }) => Err(Failure::failed(message)),
                Ok(answer) => Ok(answer),
                Err(_) => Err(self.foreign()),
            },
        }
    }

    /// Returns when the broker has ended.
    pub(super) async fn wait_for_end(&mut self) -> Result<(), Failure> {
        let mut rest = Vec::new();
        let end = self.stream.read_until(b'\n', &mut rest);
        // However the connection ends, it ends with the broker.
        within(END_SECS_MAX, "the broker was told to end and has not", end).await.map(drop)
    }

    /// The answer is none that belongs to the request.
    pub(super) fn foreign(&self) -> Failure {
        let path = self.path.display();
        Failure::failed(format!(
            "the broker at {path} answers in another way; is it of another version than this program?"
        ))
    }

    fn failure(&self, why: &str) -> Failure {
        Failure::failed(format!("the broker at {} does not answer: {why}", self.path.display()))
    }
}

/// The only broker at the places where one of this account may be.
async fn find() -> Result<(PathBuf, UnixStream), Failure> {
    let mut vain = Vain::default();
    for folder in socket::folders() {
        let mut living = living_in(&folder, &mut vain).await;
        match (living.len(), living.pop()) {
            (_, None) => {}
            (1, Some(only)) => return Ok(only),
            (count, Some(last)) => {
                let paths = living.iter().map(|(path, _)| path).chain([&last.0]);
                let paths: String = paths.map(|path| format!("\n  --socket {}", path.display())).collect();
                return Err(Failure::misused(format!("there are {count} brokers; name one:{paths}")));
            }
        }
    }
    let tried: String = vain.tried.iter().map(|line| format!("\n  {line}")).collect();
    Err(Failure::failed(format!(
        "no broker answers on this machine; looked at{tried}\nIf it runs, its log says where its control socket is: name \
         it with --socket PATH or WHIMBREL_CONTROL_SOCKET"
    )))
}

async fn living_in(folder: &Path, vain: &mut Vain) -> Vec<(PathBuf, UnixStream)> {
    let mut living = Vec::new();
    let sockets = match socket::sockets_in(folder) {
        Ok(sockets) => sockets,
        Err(error) => {
            vain.tried.push(why_not(&folder.join("control.sock"), &error));
            return living;
        }
    };
    if sockets.is_empty() {
        vain.tried.push(why_not(&folder.join("control.sock"), &io::ErrorKind::NotFound.into()));
    }
    for path in sockets {
        match UnixStream::connect(&path).await {
            Ok(stream) => living.push((path, stream)),
            Err(error) => vain.tried.push(why_not(&path, &error)),
        }
    }
    living
}

/// Why there is nobody at this path, and what to do.
fn why_not(path: &Path, error: &io::Error) -> String {
    let place = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("{place}: there is no such socket"),
        io::ErrorKind::ConnectionRefused if !is_socket(path) => format!("{place}: this is no socket"),
        io::ErrorKind::ConnectionRefused => {
            format!("{place}: nobody answers; the broker that has made it has ended")
        }
        io::ErrorKind::PermissionDenied => {
            let owner =
                [Some(path), path.parent()].into_iter().flatten().find_map(|path| fs::metadata(path).ok());
            let whose =
                owner.map_or_else(|| "another account".to_owned(), |metadata| account(metadata.uid()));
            format!("{place}: permission denied; it belongs to {whose}: ask as that account or as root")
        }
        _ => format!("{place}: {error}"),
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// The name of an account, else its number.
fn account(uid: u32) -> String {
    let names = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = names.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("account {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_told_with_the_path_and_what_to_do() {
        let check = |kind: io::ErrorKind, expect: &str| {
            let said = why_not(Path::new("/nonexistent/control.sock"), &kind.into());
            assert!(said.starts_with("/nonexistent/control.sock: ") && said.contains(expect), "{said}");
        };
        check(io::ErrorKind::NotFound, "no such socket");
        check(io::ErrorKind::PermissionDenied, "belongs to another account");
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
        assert!(why_not(&left, &io::ErrorKind::ConnectionRefused.into()).contains("has ended"));
        let said = why_not(Path::new("/etc/passwd"), &io::ErrorKind::ConnectionRefused.into());
        assert_eq!(said, "/etc/passwd: this is no socket");
        let said = why_not(Path::new("/etc/passwd"), &io::ErrorKind::PermissionDenied.into());
        assert!(said.contains("belongs to root: ask as that account or as root"), "{said}");
    }
}
