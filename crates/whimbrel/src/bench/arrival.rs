//! When bytes arrived: by the kernel's own stamp, told on the clock of the run. Not who reads them, and not when.
//!
//! Whoever reads late still knows when the bytes came. The kernel stamps with the wall clock, which anybody may set;
//! between two settings its distance from the run's clock does not change, so that both are looked at with every read.
//! What was stamped while the distance changed counts as having come when it was read.
//!
//! A stamp is that of the last byte that a read brought: of several messages in one read, none is told earlier than it
//! came, and the first may be told later by as long as nobody had looked.

use std::io;

use socket2::Socket;

use super::clock::{Clock, Nanos};

/// Nanoseconds since 1970 by the wall clock.
type WallTime = u64;

#[derive(Debug)]
pub(super) struct Arrivals {
    clock: Clock,
    wall: Wall,
    /// Room for what the kernel says beside the bytes.
    control: Vec<u8>,
}

impl Arrivals {
    pub(super) fn new(clock: Clock) -> Arrivals {
        Arrivals { clock, wall: Wall::default(), control: control() }
    }

    pub(super) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// A turn begins: whatever is ready now will have been read at its end.
    pub(super) fn begin_turn(&mut self) {
        self.wall.doubt = self.wall.doubt.saturating_sub(1);
        self.wall.note(Look::take(self.clock));
    }

    /// Reads once, and tells how many bytes came, and when the last of them did.
    pub(super) fn receive(&mut self, stream: &Socket, room: &mut [u8]) -> io::Result<(usize, Nanos)> {
        let (len, stamp) = receive(stream, room, &mut self.control)?;
        let look = Look::take(self.clock);
        self.wall.note(look);
        let arrived = stamp.and_then(|stamp| self.wall.arrival(stamp));
        Ok((len, arrived.unwrap_or(look.after).min(look.after)))
    }

    /// How many stamps counted for nothing, since the wall clock was set about then.
    pub(super) fn doubted(&self) -> u64 {
        self.wall.doubted
    }
}

/// One look at both clocks: the run's before and after the wall's.
#[derive(Clone, Copy, Debug)]
struct Look {
    before: Nanos,
    wall: WallTime,
    after: Nanos,
}

impl Look {
    fn take(clock: Clock) -> Look {
        let before = clock.now();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Look { before, wall: since.map_or(0, super::clock::nanos), after: clock.now() }
    }
}

/// What is known of the distance of the wall clock from the run's: wall time minus the run's, in nanoseconds.
#[derive(Debug, Default)]
struct Wall {
    /// The least and the greatest distance with which all looks since the last setting agree.
    bounds: Option<(i64, i64)>,
    /// For how many more turns stamps count for nothing. What arrived in the turn in which the setting was noticed may
    /// be read in the next.
    doubt: u8,
    doubted: u64,
}

/// What the two clocks may differ by their own rounding.
const ROUNDING: i64 = 1_000;

impl Wall {
    fn note(&mut self, look: Look) {
        let least = distance(look.wall, look.after);
        let most = distance(look.wall, look.before);
        self.bounds = match self.bounds {
            Some((low, high)) if least <= high + ROUNDING && low <= most + ROUNDING => {
                let (low, high) = (low.max(least), high.min(most));
                Some((low.min(high), high))
            }
            Some(_) => {
                self.doubt = 2;
                Some((least, most))
            }
            None => Some((least, most)),
        };
    }

    /// When something came that has this stamp, at the latest.
    fn arrival(&mut self, stamp: WallTime) -> Option<Nanos> {
        let (low, _) = self.bounds?;
        if self.doubt > 0 {
            self.doubted += 1;
            return None;
        }
        Nanos::try_from(i128::from(stamp) - i128::from(low)).ok()
    }
}

fn distance(wall: WallTime, run: Nanos) -> i64 {
    wall as i64 - run as i64
}

/// Whether the system stamps what arrives by TCP.
pub(super) fn can_stamp() -> bool {
    Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).and_then(|socket| stamp(&socket)).is_ok()
}

/// Has the kernel stamp what arrives on this socket from now on.
#[cfg(target_os = "linux")]
pub(super) fn stamp(socket: &Socket) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};
    Ok(setsockopt(socket, ReceiveTimestampns, &true)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn stamp(_: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn control() -> Vec<u8> {
    nix::cmsg_space!(nix::sys::time::TimeSpec)
}

#[cfg(not(target_os = "linux"))]
fn control() -> Vec<u8> {
    Vec::new()
}

#[cfg(target_os = "linux")]
fn receive(stream: &Socket, room: &mut [u8], control: &mut [u8]) -> io::Result<(usize, Option<WallTime>)> {
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut place = [io::IoSliceMut::new(room)];
    let read = recvmsg::<()>(stream.as_raw_fd(), &mut place, Some(control), MsgFlags::empty())?;
    let stamp = read.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(time) => {
            let (seconds, nanos) = (u64::try_from(time.tv_sec()).ok()?, u64::try_from(time.tv_nsec()).ok()?);
            Some(seconds * super::clock::SECOND + nanos)
        }
        _ => None,
    });
    Ok((read.bytes, stamp))
}

#[cfg(not(target_os = "linux"))]
fn receive(stream: &Socket, room: &mut [u8], _: &mut [u8]) -> io::Result<(usize, Option<WallTime>)> {
    let (_, len) = rustix::net::recv(stream, room, rustix::net::RecvFlags::empty())?;
    Ok((len, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wall clock is this much ahead of the run's.
    const AHEAD: u64 = 1_700_000_000_000_000_000;

    fn look(at: Nanos, takes: Nanos, ahead: u64) -> Look {
        Look { before: at, wall: at + takes / 2 + ahead, after: at + takes }
    }

    #[test]
    fn a_stamp_is_told_on_the_clock_of_the_run_and_never_too_early() {
        let mut wall = Wall::default();
        wall.note(look(1_000, 10_000, AHEAD));
        assert_eq!(wall.arrival(AHEAD + 500), Some(5_500), "as late as the look allows");
        wall.note(look(50_000, 40, AHEAD));
        assert_eq!(wall.arrival(AHEAD + 40_000), Some(40_020), "a better look narrows it down");
        wall.note(look(90_000, 60_000, AHEAD));
        assert_eq!(wall.arrival(AHEAD + 80_000), Some(80_020), "and a worse one does not widen it");
        assert_eq!(wall.doubted, 0);
    }

    #[test]
    fn stamps_count_for_nothing_in_the_turn_in_which_the_wall_clock_is_set_and_in_the_next() {
        for ahead in [AHEAD - 50_000, AHEAD + 50_000, 0] {
            let mut wall = Wall::default();
            wall.note(look(1_000, 100, AHEAD));
            assert_eq!(wall.arrival(AHEAD + 900), Some(950));
            wall.note(look(10_000, 100, ahead));
            assert_eq!(wall.arrival(AHEAD + 9_000), None);
            for still in [true, false] {
                wall.doubt -= 1;
                wall.note(look(20_000, 100, ahead));
                assert_eq!(wall.arrival(ahead + 15_000).is_none(), still);
            }
            assert_eq!(wall.doubted, 2);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_read_late_came_when_it_came() {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        stamp(&socket).unwrap();
        socket.connect(&listener.local_addr().unwrap().into()).unwrap();
        let stream = socket;
        let (mut peer, _) = listener.accept().unwrap();
        let clock = Clock::start();
        let mut arrivals = Arrivals::new(clock);
        arrivals.begin_turn();
        let mut told = Vec::new();
        // The kernel begins to stamp a little after the first socket wants it.
        for _ in 0..100 {
            let before = clock.now();
            peer.write_all(b"x").unwrap();
            // Until the loopback has handed it over, and long after.
            while clock.now() < before + 2_000_000 {
                std::thread::yield_now();
            }
            let (len, arrived) = arrivals.receive(&stream, &mut [0; 8]).unwrap();
            assert_eq!(len, 1);
            assert!(arrived >= before, "{arrived} {before}");
            told.push(arrived - before);
        }
        told.sort_unstable();
        assert!(told[50] < 1_000_000, "the middle one was read 2 ms late: {told:?}");
    }
}
