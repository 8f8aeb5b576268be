//! The lines of standard input, read by a thread of their own: reading cannot be interrupted.

use std::io::{self, BufRead, Read};

use tokio::sync::mpsc;

use super::source::BYTES_MAX;

/// Lines that wait to be sent.
const WAITING_MAX: usize = 64;

pub(super) struct Lines {
    lines: mpsc::Receiver<io::Result<Vec<u8>>>,
}

impl Lines {
    /// Begins to read. The thread ends with the input, or with the process.
    pub(super) fn start() -> Lines {
        let (send, lines) = mpsc::channel(WAITING_MAX);
        std::thread::spawn(move || read(io::stdin().lock(), |line| send.blocking_send(line).is_ok()));
        Lines { lines }
    }

    /// The next line without its end; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.lines.recv().await
    }
}

/// Gives every line to `give`, until it takes no more. The last line needs no end.
fn read(mut input: impl BufRead, mut give: impl FnMut(io::Result<Vec<u8>>) -> bool) {
    loop {
        let mut line = Vec::new();
        match (&mut input).take(BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                give(Err(error));
                return;
            }
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == BYTES_MAX {
            give(Err(io::Error::other("a line is longer than a message can be, 256 MiB")));
            return;
        }
        if !give(Ok(line)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_stands_between_their_ends() {
        let check = |input: &[u8], expect: &[&[u8]]| {
            let mut lines = Vec::new();
            read(input, |line| {
                lines.push(line.unwrap());
                true
            });
            assert_eq!(lines, expect);
        };
        check(b"", &[]);
        check(b"\n", &[b""]);
        check(b"a\r\n\nb", &[b"a\r", b"", b"b"]);
        check(b"x\0y\xff\n", &[b"x\0y\xff"]);
    }

    #[test]
    fn reading_ends_when_nobody_takes_the_lines() {
        let mut taken = 0;
        read(&b"a\nb\nc\n"[..], |_| {
            taken += 1;
            taken < 2
        });
        assert_eq!(taken, 2);
    }
}
