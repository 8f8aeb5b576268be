//! An MQTT client for asynchronous programs on tokio: 3.1, 3.1.1 and 5.0 behind one interface.
//!
//! [`Client::connect`] gives two things. The [`Client`] is what the program asks with; it can be cloned and given
//! around. [`Events`] is what the program is told: messages, and every change of the connection. One task behind both
//! owns the socket.
//!
//! ```no_run
//! use whimbrel_client::{Client, Event, Message, Options, QoS, Subscription};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, mut events) = Client::connect(Options::new("localhost".parse()?)).await?;
//! client.subscribe(Subscription::new("sensors/+", QoS::AtLeastOnce)).await?;
//! client.publish(Message::new("sensors/7", "21.5").qos(QoS::AtLeastOnce)).await?.await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Message(received) = event {
//!         println!("{}: {:?}", received.message.topic, received.message.payload);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//! * **It reconnects**, with growing pauses, and resumes the session: what was not acknowledged is sent again, and where
//!   the server has lost the session, the subscriptions are made again. Each of this is an [`Event`]. It does not
//!   reconnect where that cannot help: a wrong password, a client identifier that another client took over.
//! * **It cannot go silent.** A [`Delivery`] resolves when the server has acknowledged the message, or says why not. When
//!   the client gives up, the last event says why, and everything that waited resolves.
//! * **Its memory is bounded.** Messages that wait to be sent and messages that wait for the program have a maximum each
//!   ([`Limits`]). When the program does not take events, the client stops reading, and the server waits.
//! * **A message is acknowledged when the program has taken it** from [`Events`], or, with [`Options::manual_ack`], when
//!   the program says so.
//!
//! Sessions are kept in memory: they outlive connections and end with the process.
#![forbid(unsafe_code)]

mod backoff;
mod client;
mod clock;
mod deliveries;
mod error;
mod event;
mod inbox;
mod input;
mod link;
mod message;
mod options;
mod request;
mod subscriptions;
mod task;

pub use client::{Client, Delivery};
pub use error::{AuthenticationError, ConnectionError, PublishError, RequestError, ServerReason};
pub use event::{Connected, Event, Events};
pub use message::{Acknowledgement, Message, Properties, Received};
pub use options::{Backoff, ConnectProperties, Credentials, Limits, Options, Timeouts, Will};
pub use request::{Farewell, Granted, Subscription};
pub use whimbrel_scram::{Fault as ScramFault, Hash as ScramHash};

pub use whimbrel_net::{Address, AddressError, DialError, Scheme, tls};
pub use whimbrel_proto::{
    Violation,
    client::{Misuse, ServerLimits},
    codec::{
        Malformed, QoS, ReasonCode, RetainHandling, SubscribeOptions, Version, check_topic_filter,
        check_topic_name, matches as topic_matches,
    },
};
