//! One client: from dialling to DISCONNECT. Not the sockets' readiness, and not who sends when.

use std::io;
use std::net::IpAddr;

use mio::{Registry, Token};
use whimbrel_codec::{
    Ack, ConnAck, Disconnect, Frame, PacketType, Peer, Publish, QoS, ReasonCode, Split, SubAck, split,
};

use super::broken::Broken;
use super::clock::Nanos;
use super::desk::{Desk, Run};
use super::greeting::{FILTERS_MAX, put_connect, put_subscribe, put_unsubscribe};
use super::link::{Input, Link};
use super::publisher::Publisher;
use super::receiver::Receiver;

/// What a packet from the broker may take, in bytes: more than the longest payload.
const PACKET_BYTES_MAX: u32 = 64 << 20;

pub(super) struct Connection {
    /// Its index in the plan.
    pub(super) client: usize,
    pub(super) state: State,
    pub(super) job: Job,
    link: Option<Link>,
    /// When it was to be dialled.
    dial_due: Nanos,
    written_at: Nanos,
    entrance: Entrance,
    pub(super) ping: Ping,
    /// Whether it stands in the list of those that may send.
    pub(super) queued: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Down,
    AwaitsConnAck,
    AwaitsSubAcks(usize),
    Up,
    /// It came to do one thing, has done it, and is to be closed.
    Done,
}

pub(super) enum Job {
    Publish(Box<Publisher>),
    Receive(Box<Receiver>),
    Hold,
    Churn,
}

/// What becomes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    /// A new one.
    New,
    /// The one that it left.
    Return,
    /// None remains.
    Wipe,
}

/// The question whether everything sent before has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ping {
    None,
    Asked,
    Answered,
}

impl Connection {
    pub(super) fn new(client: usize, job: Job) -> Connection {
        Connection {
            client,
            state: State::Down,
            job,
            link: None,
            dial_due: 0,
            written_at: 0,
            entrance: Entrance::New,
            ping: Ping::None,
            queued: false,
        }
    }

    /// Begins to connect; CONNECT leaves as soon as there is somebody to take it.
    pub(super) fn dial(
        &mut self,
        due: Nanos,
        entrance: Entrance,
        source: Option<IpAddr>,
        place: (&Registry, Token),
        run: &Run,
    ) -> io::Result<()> {
        let Some(client) = run.plan.clients.get(self.client) else { return Ok(()) };
        let stamped = run.settings.reads_late && matches!(self.job, Job::Receive(_));
        let mut link = Link::dial(&run.settings.target, source, stamped, place)?;
        put_connect(client, entrance, run, &mut link.out);
        self.link = Some(link);
        self.state = State::AwaitsConnAck;
        self.dial_due = due;
        self.entrance = entrance;
        self.ping = Ping::None;
        Ok(())
    }

    /// The socket is ready for something.
    pub(super) fn on_ready(
        &mut self,
        event: &mio::event::Event,
        buffer: &mut Vec<u8>,
        run: &Run,
        desk: &mut Desk,
    ) -> Result<(), Broken> {
        if event.is_writable()
            && let Some(link) = &mut self.link
        {
            link.on_writable()?;
            if let Job::Publish(publisher) = &mut self.job
                && self.state == State::Up
            {
                publisher.fill(run.clock.now(), desk, link);
                link.flush()?;
            }
        }
        if event.is_readable() {
            self.read(event.is_read_closed(), buffer, run, desk)?;
        }
        Ok(())
    }

    fn read(
        &mut self,
        to_the_end: bool,
        buffer: &mut Vec<u8>,
        run: &Run,
        desk: &mut Desk,
    ) -> Result<(), Broken> {
        loop {
            let Some(link) = &mut self.link else { return Ok(()) };
            let (len, more, now) = match link.read(buffer, &mut desk.arrivals)? {
                Input::Bytes { len, more, at } => (len, more, at),
                Input::Nothing => break,
                Input::Closed if self.state == State::Done => return Ok(()),
                Input::Closed => return Err(Broken::Closed),
            };
            let mut rest = buffer.get(..len).unwrap_or_default();
            while let Split::Whole { frame, len } = split(rest, PACKET_BYTES_MAX)? {
                self.on_frame(frame, now, run, desk)?;
                rest = rest.get(len..).unwrap_or_default();
            }
            if let Some(link) = &mut self.link {
                link.keep(rest);
            }
            if !more && !to_the_end {
                break;
            }
        }
        // What a publisher answers goes out together with what it may send now.
        if let Job::Publish(_) = self.job { Ok(()) } else { self.flush(run) }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self, run: &Run) -> Result<(), Broken> {
        match &mut self.link {
            Some(link) if link.unwritten() > 0 => {
                link.flush()?;
                self.written_at = run.clock.now();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Lets a publisher send what it may.
    pub(super) fn send(&mut self, now: Nanos, desk: &mut Desk) -> Result<(), Broken> {
        let Some(link) = &mut self.link else { return Ok(()) };
        if let (Job::Publish(publisher), State::Up) = (&mut self.job, self.state) {
            publisher.fill(now, desk, link);
        }
        if link.unwritten() > 0 {
            link.flush()?;
            self.written_at = now;
        }
        Ok(())
    }

    /// Whether it is in again, with the session that it left.
    pub(super) fn has_returned(&self) -> bool {
        (self.state, self.entrance) == (State::Up, Entrance::Return)
    }

    /// Whether the system has not taken all that was to be written.
    pub(super) fn is_blocked(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.unwritten() > 0)
    }

    #[inline]
    fn on_frame(&mut self, frame: Frame<'_>, now: Nanos, run: &Run, desk: &mut Desk) -> Result<(), Broken> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let version = run.settings.version;
        match (&mut self.job, frame.kind) {
            (Job::Receive(receiver), PacketType::Publish) => {
                let publish = Publish::decode(frame, version, Peer::Server)?;
                receiver.on_publish(&publish, now, run, desk);
                if let Some(packet_id) = publish.packet_id {
                    let kind = if publish.qos == QoS::AtLeastOnce {
                        PacketType::PubAck
                    } else {
                        receiver.hold(packet_id);
                        PacketType::PubRec
                    };
                    Ack::new(packet_id, ReasonCode::Success).encode(kind, version, &mut link.out);
                }
                if receiver.has_just_completed() {
                    put_unsubscribe(run.plan.clients.get(self.client), run, &mut link.out);
                }
                Ok(())
            }
            (Job::Publish(publisher), PacketType::PubAck | PacketType::PubRec | PacketType::PubComp) => {
                let ack = Ack::decode(frame, version, Peer::Server)?;
                publisher.on_ack(frame.kind, ack, now, desk, link);
                Ok(())
            }
            _ => self.on_rare_frame(frame, now, run, desk),
        }
    }

    fn on_rare_frame(
        &mut self,
        frame: Frame<'_>,
        now: Nanos,
        run: &Run,
        desk: &mut Desk,
    ) -> Result<(), Broken> {
        let version = run.settings.version;
        match (frame.kind, self.state) {
            (PacketType::ConnAck, State::AwaitsConnAck) => {
                let answer = ConnAck::decode(frame, version, Peer::Server)?;
                self.on_connack(&answer, now, run, desk)?;
            }
            (PacketType::SubAck, State::AwaitsSubAcks(left)) => {
                self.check_suback(SubAck::decode(frame, version, Peer::Server)?, run, desk);
                self.state = State::AwaitsSubAcks(left - 1);
                if left == 1 {
                    self.come_up(desk);
                }
            }
            (PacketType::SubAck, State::Up) => {
                self.check_suback(SubAck::decode(frame, version, Peer::Server)?, run, desk);
            }
            (PacketType::UnsubAck, State::Up) if now < desk.stop_at => self.subscribe(now, run),
            (PacketType::UnsubAck, State::Up) => {}
            (PacketType::PingResp, _) => {
                if self.ping == Ping::Asked {
                    self.ping = Ping::Answered;
                }
            }
            (PacketType::PubRel, _) => self.on_pubrel(Ack::decode(frame, version, Peer::Server)?, run, desk),
            (PacketType::Disconnect, _) => {
                return Err(Broken::Refused(Disconnect::decode(frame, version, Peer::Server)?.reason));
            }
            _ => desk.tally.unexpected += 1,
        }
        Ok(())
    }

    fn on_connack(
        &mut self,
        answer: &ConnAck<'_>,
        now: Nanos,
        run: &Run,
        desk: &mut Desk,
    ) -> Result<(), Broken> {
        if answer.reason.is_error() {
            return Err(Broken::Refused(answer.reason));
        }
        if let Some(resumed) = self.link.as_ref().and_then(Link::is_resumed) {
            desk.tally.handshakes += 1;
            desk.tally.resumed += u64::from(resumed);
        }
        if run.settings.connecting_is_measured && desk.measured.holds(self.dial_due) {
            desk.recorder.latency(now.saturating_sub(self.dial_due));
        }
        if matches!(self.job, Job::Hold) && self.entrance == Entrance::Return {
            desk.connected(now, self.dial_due);
        }
        if self.entrance == Entrance::Return && !answer.session_present {
            desk.tally.sessions_lost += 1;
        }
        let client = run.plan.clients.get(self.client);
        let filters = client.map_or(0, |client| client.filters.len());
        match &mut self.job {
            Job::Churn => {
                desk.connected(now, self.dial_due);
                self.state = State::Done;
                return Ok(());
            }
            Job::Publish(publisher) => {
                publisher.set_receive_maximum(answer.properties.receive_maximum.unwrap_or(u16::MAX));
            }
            Job::Receive(receiver) if receiver.subscribes_later() => {}
            _ if self.entrance == Entrance::New && filters > 0 => {
                self.state = State::AwaitsSubAcks(filters.div_ceil(FILTERS_MAX));
                self.subscribe(now, run);
                return Ok(());
            }
            _ => {}
        }
        self.come_up(desk);
        Ok(())
    }

    fn come_up(&mut self, desk: &mut Desk) {
        if self.entrance == Entrance::Wipe {
            self.state = State::Done;
        } else {
            self.state = State::Up;
            desk.up += 1;
        }
    }

    /// Asks for everything that the plan gives it.
    pub(super) fn subscribe(&mut self, now: Nanos, run: &Run) {
        let (Some(client), Some(link)) = (run.plan.clients.get(self.client), &mut self.link) else { return };
        if let Job::Receive(receiver) = &mut self.job {
            receiver.begin(now);
        }
        put_subscribe(client, run, &mut link.out);
    }

    fn check_suback(&self, suback: SubAck<'_>, run: &Run, desk: &mut Desk) {
        let wanted = run.plan.clients.get(self.client).map(|client| ReasonCode::granted(client.qos));
        for reason in suback.reasons.iter() {
            if reason.is_error() {
                desk.tally.refused += 1;
            } else if Some(reason) != wanted {
                desk.tally.wrong_qos += 1;
            }
        }
    }

    fn on_pubrel(&mut self, release: Ack<'_>, run: &Run, desk: &mut Desk) {
        let (Job::Receive(receiver), Some(link)) = (&mut self.job, &mut self.link) else {
            desk.tally.unexpected += 1;
            return;
        };
        if !receiver.release(release.packet_id) {
            desk.tally.unexpected += 1;
        }
        // [MQTT-4.3.3-11]
        let ack = Ack::new(release.packet_id, ReasonCode::Success);
        ack.encode(PacketType::PubComp, run.settings.version, &mut link.out);
    }

    /// Asks the broker for a sign of life, which comes behind all that it has sent before.
    pub(super) fn ask(&mut self, run: &Run) -> Result<(), Broken> {
        if let Some(link) = &mut self.link {
            link.out.extend_from_slice(&PINGREQ);
            self.ping = Ping::Asked;
        }
        self.flush(run)
    }

    /// Keeps the connection alive, and cheap.
    pub(super) fn look_after(&mut self, now: Nanos, run: &Run) -> Result<(), Broken> {
        if let Some(link) = &mut self.link {
            link.acknowledge_late();
        }
        let half = u64::from(run.settings.keep_alive_secs) * super::clock::SECOND / 2;
        if half > 0
            && self.state == State::Up
            && now.saturating_sub(self.written_at) > half
            && let Some(link) = &mut self.link
        {
            link.out.extend_from_slice(&PINGREQ);
            return self.flush(run);
        }
        Ok(())
    }

    /// Says goodbye, if there is anybody to say it to, and closes.
    pub(super) fn leave(&mut self, run: &Run, registry: &Registry, desk: &mut Desk) {
        if let Some(mut link) = self.link.take() {
            Disconnect::default().encode(run.settings.version, &mut link.out);
            // The connection ends either way.
            let _ = link.say_goodbye();
            link.close(registry);
        }
        self.is_down(desk);
    }

    /// Closes without a word.
    pub(super) fn drop_link(&mut self, registry: &Registry, desk: &mut Desk) {
        if let Some(link) = self.link.take() {
            link.close(registry);
        }
        self.is_down(desk);
    }

    fn is_down(&mut self, desk: &mut Desk) {
        if self.state == State::Up {
            desk.up -= 1;
        }
        self.state = State::Down;
    }
}

const PINGREQ: [u8; 2] = [PacketType::PingReq.bits() << 4, 0];
