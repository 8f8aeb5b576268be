//! A relay that does nothing: the physical limit that brokers are compared with. Not a broker.
//!
//! It makes the system calls and moves the bytes that the same traffic costs any broker, and as little else as
//! possible, on one thread: an event loop of `epoll`, one read per ready connection, one write per receiver and turn.
//!
//! What it does: it accepts every CONNECT and SUBSCRIBE (5.0 and before), answers PINGREQ, copies each PUBLISH as it
//! came to every connection whose filter matches, to one member of each shared group in turn, and says what QoS 1 and 2
//! want to hear on either side. It holds publishers back while a receiver does not read.
//!
//! What it does not do: it checks nothing, keeps no session, no message and no packet identifier, retains nothing, has
//! no will, no keep-alive, no limit and no log, and hands out the publisher's packet identifiers: above QoS 0 a receiver
//! may have one publisher only. All clients of a run speak the same version.

mod connection;
mod frame;
mod relay;
mod routes;

use std::net::SocketAddr;
use std::process::ExitCode;

use crate::relay::Relay;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse::<u16>().ok());
    let (Some(port), None) = (port, arguments.next()) else {
        eprintln!("usage: relay PORT (on 127.0.0.1; 0: the system picks one)");
        return ExitCode::from(2);
    };
    let relay = Relay::listen(SocketAddr::from(([127, 0, 0, 1], port)));
    let ended = relay.and_then(|mut relay| {
        println!("listening on {}", relay.address()?);
        relay.run()
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error}");
            ExitCode::FAILURE
        }
    }
}
