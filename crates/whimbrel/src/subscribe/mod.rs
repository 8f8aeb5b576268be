//! `whimbrel sub`: subscribes and writes what comes, with the flags that users of `mosquitto_sub` know. Not the client
//! behind it.

mod format;
mod json;
mod now;
mod packet_filter;
mod pretty;
mod printer;
mod session;

use std::{process::ExitCode, time::Duration};

use whimbrel_client::{QoS, RetainHandling, SubscribeOptions, Subscription, Version};

use crate::{
    cli::MISUSED,
    connect::{ConnectArgs, EXIT_CODES, Plan, Tool, check_filter, parse_qos, run as run_tool},
    output,
};
use format::Format;
use packet_filter::PacketFilter;
use printer::{Form, Printer};

/// The sequences of -F.
const FORMATS: &str = "\
Formats (-F):
  %t topic         %p payload       %x %X payload in hex    %l length of the payload
  %q QoS           %r retain        %m packet identifier    %% a percent sign
  %j JSON          %J JSON with the payload as it is, which must be JSON
  %I date and time %U seconds since 1970, with nanoseconds
  %C content type  %E expiry        %F payload format       %R response topic
  %D correlation data               %S subscription id      %P user properties   %A topic alias
  Between % and the letter: `-` for the left, `0` for zeros, a width, `.` and a greatest width.
  @X is strftime's %X, @N nanoseconds, @@ an at sign.   \\n \\t \\r \\0 \\a \\e \\v \\\\ are characters.

";

/// Subscribe, and write the messages that come
///
/// Writes each payload and a line end. Standard output that is closed ends the program quietly. A message is
/// acknowledged after it has been written, so that what was not written stays with the server where the session
/// lasts (-c).
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, args_override_self = true, after_help = EXIT_CODES, after_long_help = format!("{FORMATS}{EXIT_CODES}"))]
pub(crate) struct Args {
    /// A topic filter to subscribe to; may be given several times
    #[arg(short, long, value_name = "FILTER", required_unless_present_any = ["url", "unsubscribe"],
        allow_hyphen_values = true)]
    topic: Vec<String>,
    /// A topic filter to unsubscribe from, after the subscriptions have been made
    #[arg(short = 'U', long, value_name = "FILTER", allow_hyphen_values = true)]
    unsubscribe: Vec<String>,
    /// The greatest quality of service that the messages shall come with
    #[arg(short, long, value_name = "QOS", value_parser = parse_qos, default_value = "0")]
    qos: QoS,

    /// Do not write messages whose topic this filter matches; may be given several times
    #[arg(short = 'T', long, value_name = "FILTER", allow_hyphen_values = true, help_heading = "Selection")]
    filter_out: Vec<String>,
    /// Do not write retained messages
    #[arg(short = 'R', conflicts_with = "retained_only", help_heading = "Selection")]
    no_retained: bool,
    /// Write retained messages only, and end with the first that is none
    #[arg(long, help_heading = "Selection")]
    retained_only: bool,
    /// Delete every retained message that comes, but those of -T
    #[arg(long, help_heading = "Selection")]
    remove_retained: bool,
    /// Leave the retain flag as the publisher set it (5.0)
    #[arg(long, help_heading = "Selection")]
    retain_as_published: bool,
    /// When to send retained messages: always, new (if the subscription is new) or never (5.0)
    #[arg(long, value_name = "WHEN", value_parser = parse_retain_handling, help_heading = "Selection")]
    retain_handling: Option<RetainHandling>,

    /// End after this many messages
    #[arg(short = 'C', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..), help_heading = "End")]
    count: Option<u64>,
    /// End after this time, with exit code 27
    #[arg(short = 'W', value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..),
        help_heading = "End")]
    time: Option<u64>,
    /// End as soon as the server has answered the subscriptions
    #[arg(short = 'E', help_heading = "End")]
    exit_after_subscribing: bool,

    /// Write the topic before the payload
    #[arg(short, long, help_heading = "Output")]
    verbose: bool,
    /// Write no line end after a message
    #[arg(short = 'N', help_heading = "Output")]
    no_line_end: bool,
    /// Write messages by this pattern; --help lists its sequences
    #[arg(
        short = 'F',
        value_name = "FORMAT",
        allow_hyphen_values = true,
        help_heading = "Output",
        conflicts_with = "output"
    )]
    format: Option<String>,
    /// How to write messages
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Form::Payload, help_heading = "Output")]
    output: Form,
    /// Indent JSON objects (%j, %J, --output json)
    #[arg(long, help_heading = "Output")]
    pretty: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

fn parse_retain_handling(text: &str) -> Result<RetainHandling, String> {
    match text {
        "always" => Ok(RetainHandling::Send),
        "new" => Ok(RetainHandling::SendIfNew),
        "never" => Ok(RetainHandling::DoNotSend),
        _ => Err("write always, new or never".to_owned()),
    }
}

pub(crate) fn run(args: Args) -> ExitCode {
    let task = match args.prepare() {
        Ok(task) => task,
        Err(sentence) => return output::failure(MISUSED, sentence),
    };
    task.plan.report.start();
    run_tool(|stop| session::run(task, stop))
}

/// What is to be done.
#[derive(Debug)]
struct Task {
    plan: Plan,
    subscription: Subscription,
    unsubscribe: Vec<String>,
    filter: PacketFilter,
    printer: Printer,
    remove_retained: bool,
    count: Option<u64>,
    time: Option<Duration>,
    exit_after_subscribing: bool,
}

impl Args {
    fn prepare(&self) -> Result<Task, String> {
        let mut plan = self.connect.plan(Tool::Subscribe)?;
        let v5 = plan.options.version == Version::V5;
        if !v5 && (self.retain_as_published || self.retain_handling.is_some()) {
            return Err("--retain-as-published and --retain-handling need protocol version 5".to_owned());
        }
        let topics: Vec<String> = plan.url_topic.iter().chain(&self.topic).cloned().collect();
        for filter in &topics {
            check_filter("-t", filter)?;
        }
        for filter in &self.unsubscribe {
            check_filter("-U", filter)?;
        }
        if topics.is_empty() && self.unsubscribe.is_empty() {
            return Err("a topic is missing: give one by -t, or in the URL".to_owned());
        }
        let options = SubscribeOptions {
            qos: self.qos,
            no_local: false,
            retain_as_published: self.retain_as_published,
            retain_handling: self.retain_handling.unwrap_or_default(),
        };
        let subscription = Subscription {
            filters: topics.into_iter().map(|topic| (topic, options)).collect(),
            id: plan.properties.subscription_id,
            user_properties: std::mem::take(&mut plan.properties.subscribe),
        };
        let filter = PacketFilter::new(&self.filter_out, self.no_retained, self.retained_only)?;
        let format = self.format.as_deref().map(Format::parse).transpose()?;
        let printer = Printer::new(format, self.output, self.verbose, !self.no_line_end, self.pretty);
        // A message is acknowledged when it has been written.
        plan.options.manual_ack = true;
        Ok(Task {
            plan,
            subscription,
            unsubscribe: self.unsubscribe.clone(),
            filter,
            printer,
            remove_retained: self.remove_retained,
            count: self.count,
            time: self.time.map(Duration::from_secs),
            exit_after_subscribing: self.exit_after_subscribing,
        })
    }
}
