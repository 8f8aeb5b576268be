//! `whimbrel pub`: publishes messages, with the flags that users of `mosquitto_pub` know. Not the client behind it.

mod lines;
mod source;

use std::{collections::VecDeque, path::PathBuf, process::ExitCode, time::Duration};

use whimbrel_client::{
    Backoff, Client, ConnectionError, Delivery, Event, Events, Message, Options, PublishError, QoS, Version,
};

use crate::{
    cli::MISUSED,
    connect::{
        ConnectArgs, EXIT_CODES, Either, End, Plan, Report, Stop, Tool, check_name, either, hint, parse_qos,
        parse_seconds, run as run_tool,
    },
    output,
};
use lines::Lines;
use source::Source;

/// Deliveries under way at a time. Whoever feeds lines faster than the server acknowledges waits.
const UNDER_WAY_MAX: usize = 1_000;

/// Publish messages
///
/// Sends one message, the same one several times, or each line of standard input, and ends when the server has
/// acknowledged them.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, args_override_self = true, after_help = EXIT_CODES)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct Args {
    /// The topic to publish to
    #[arg(short, long, value_name = "TOPIC", required_unless_present = "url", allow_hyphen_values = true)]
    topic: Option<String>,
    /// Send this text
    #[arg(short, long, value_name = "TEXT", group = "source", allow_hyphen_values = true)]
    message: Option<std::ffi::OsString>,
    /// Send an empty message; with -r it deletes the retained one
    #[arg(short, long, group = "source")]
    null_message: bool,
    /// Send the content of this file
    #[arg(short, long, value_name = "FILE", group = "source", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Send each line of standard input as a message
    #[arg(short = 'l', long, group = "source")]
    stdin_line: bool,
    /// Send all of standard input as one message
    #[arg(short, long, group = "source")]
    stdin_file: bool,
    /// The quality of service: 0, 1 or 2
    #[arg(short, long, value_name = "QOS", value_parser = parse_qos, default_value = "0")]
    qos: QoS,
    /// Have the message retained: who subscribes later gets it too
    #[arg(short, long)]
    retain: bool,
    /// Send the message this many times
    #[arg(long, value_name = "COUNT", default_value_t = 1, conflicts_with = "stdin_line",
        value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Wait so long between two times
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, requires = "repeat")]
    repeat_delay: Option<Duration>,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) fn run(args: Args) -> ExitCode {
    let (plan, template, source) = match args.prepare() {
        Ok(prepared) => prepared,
        Err(sentence) => return output::failure(MISUSED, sentence),
    };
    plan.report.start();
    let repeat = Repeat { count: args.repeat, delay: args.repeat_delay.unwrap_or_default() };
    run_tool(|stop| publish(plan, template, source, repeat, stop))
}

#[derive(Copy, Clone, Debug)]
struct Repeat {
    count: u64,
    delay: Duration,
}

impl Args {
    /// The plan, the message without its payload, and where the payload comes from.
    fn prepare(&self) -> Result<(Plan, Message, Source), String> {
        let mut plan = self.connect.plan(Tool::Publish)?;
        let topic = self.topic.clone().or_else(|| plan.url_topic.clone());
        let Some(topic) = topic else {
            return Err("a topic is missing: give one by -t, or in the URL".to_owned());
        };
        check_name("-t", &topic)?;
        let template = Message {
            topic,
            payload: Vec::new(),
            qos: self.qos,
            retain: self.retain,
            properties: std::mem::take(&mut plan.properties.publish),
        };
        let source = if self.stdin_line { Source::Lines } else { Source::One(self.payload()?) };
        // A session that was taken up may bring messages. They are not this program's to acknowledge.
        plan.options.manual_ack = true;
        // One message is sent now or not at all; a stream of lines outlives a connection.
        plan.options.reconnect = self.stdin_line.then(Backoff::default);
        Ok((plan, template, source))
    }

    fn payload(&self) -> Result<Vec<u8>, String> {
        if let Some(text) = &self.message {
            return Ok(text.clone().into_encoded_bytes());
        }
        if let Some(path) = &self.file {
            return source::file(path);
        }
        if self.stdin_file { source::standard_input() } else { Ok(Vec::new()) }
    }
}

async fn publish(plan: Plan, template: Message, source: Source, repeat: Repeat, mut stop: Stop) -> End {
    let Plan { options, farewell, report, .. } = plan;
    let version = options.version;
    let (client, events) = match either(connect(options), stop.wait()).await {
        Either::First(Ok(connected)) => connected,
        Either::First(Err(cause)) => {
            report.failure(format!("{cause}{}", hint(&cause, version)));
            return End::of_connection(&cause, version);
        }
        Either::Second(()) => return End::Interrupted,
    };
    let watching = tokio::spawn(watch(events, report, version));
    let sender = Sender { client: client.clone(), report };
    let sending = async {
        match source {
            Source::One(payload) => sender.one(Message { payload, ..template }, repeat).await,
            Source::Lines => sender.lines(&template).await,
        }
    };
    let end = match either(sending, stop.wait()).await {
        Either::First(end) => end,
        Either::Second(()) => End::Interrupted,
    };
    let parted = client.disconnect_with(farewell).await;
    if let Err(whimbrel_client::RequestError::Misuse(misuse)) = &parted {
        report.failure(format!("DISCONNECT cannot be sent: {misuse}"));
        return end.or(End::Failed);
    }
    drop(client);
    match watching.await {
        // The client ended by itself; what waited for it has been told nothing but that.
        Ok(Some(cause)) if !matches!(cause, ConnectionError::Ended) => {
            report.failure(&cause);
            End::of_connection(&cause, version)
        }
        _ => end,
    }
}

async fn connect(options: Options) -> Result<(Client, Events), ConnectionError> {
    Client::connect(options).await
}

/// Tells of every change of the connection; gives the cause of its end.
async fn watch(mut events: Events, report: Report, version: Version) -> Option<ConnectionError> {
    let mut last = None;
    while let Some(event) = events.next().await {
        report.change(&event, version);
        if let Event::Disconnected { cause, retry_in: None } = event {
            last = Some(cause);
        }
    }
    last
}

struct Sender {
    client: Client,
    report: Report,
}

impl Sender {
    /// One message, perhaps several times: the next when the one before has been delivered.
    async fn one(&self, message: Message, repeat: Repeat) -> End {
        let mut end = End::Done;
        for time in 1..=repeat.count {
            if time > 1 {
                tokio::time::sleep(repeat.delay).await;
            }
            let outcome = match self.client.publish(message.clone()).await {
                Ok(delivery) => delivery.await.map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                end = end.or(self.failed(&error));
                if matches!(error, PublishError::ClientEnded | PublishError::Misuse(_)) {
                    break;
                }
            }
        }
        end
    }

    /// Each line of standard input, many under way at a time.
    async fn lines(&self, template: &Message) -> End {
        let mut lines = Lines::start();
        let mut under_way = VecDeque::new();
        let mut end = End::Done;
        while let Some(line) = lines.next().await {
            let payload = match line {
                Ok(payload) => payload,
                Err(error) => {
                    self.report.failure(format!("standard input cannot be read: {error}"));
                    end = end.or(End::Failed);
                    break;
                }
            };
            match self.client.publish(Message { payload, ..template.clone() }).await {
                Ok(delivery) => under_way.push_back(delivery),
                Err(error) => {
                    end = end.or(self.failed(&error));
                    if matches!(error, PublishError::ClientEnded) {
                        break;
                    }
                }
            }
            while under_way.len() > UNDER_WAY_MAX {
                end = end.or(self.oldest(&mut under_way).await);
            }
        }
        while !under_way.is_empty() {
            end = end.or(self.oldest(&mut under_way).await);
        }
        end
    }

    async fn oldest(&self, under_way: &mut VecDeque<Delivery>) -> End {
        let Some(delivery) = under_way.pop_front() else { return End::Done };
        match delivery.await {
            Ok(_) => End::Done,
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &PublishError) -> End {
        // Why the client has ended is told once, when it has.
        if !matches!(error, PublishError::ClientEnded) {
            self.report.failure(error);
        }
        End::of_message(error)
    }
}
