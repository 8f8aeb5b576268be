//! One run of `whimbrel sub`: connect, subscribe, write until something ends it.

use std::{io, time::Duration};

use tokio::time::{Instant, sleep_until};
use whimbrel_client::{
    Acknowledgement, Client, ConnectionError, Delivery, Event, Events, Message, QoS, Received, RequestError,
    Version,
};

use super::{Task, packet_filter::Verdict};
use crate::connect::{Either, End, Plan, Report, Stop, either, hint};

/// How long the deletion of retained messages may take at the end.
const DELETION: Duration = Duration::from_secs(10);

/// A run, connected.
struct Run<'a> {
    client: Client,
    events: Events,
    task: &'a mut Task,
    report: Report,
    version: Version,
    stop: Stop,
    deadline: Option<Instant>,
    /// Acknowledgements of messages that have been added and not written yet.
    acks: Vec<Acknowledgement>,
    /// Topics of retained messages that have been added, and are deleted once they are written.
    written_topics: Vec<String>,
    /// Retained messages that are being deleted.
    deletions: Vec<Delivery>,
    written: u64,
}

pub(super) async fn run(mut task: Task, mut stop: Stop) -> End {
    let Plan { options, farewell, report, .. } = &task.plan;
    let (options, farewell, report) = (options.clone(), farewell.clone(), *report);
    let version = options.version;
    let deadline = task.time.map(|time| Instant::now() + time);
    let connected = match either(Client::connect(options), end_of(deadline, &mut stop)).await {
        Either::First(connected) => connected,
        Either::Second(end) => {
            if end == End::TimedOut {
                report.failure("the time of -W is over, and there is no connection");
            }
            return end;
        }
    };
    let (client, events) = match connected {
        Ok(connected) => connected,
        Err(cause) => {
            report.failure(format!("{cause}{}", hint(&cause, version)));
            return End::of_connection(&cause, version);
        }
    };
    let (acks, written_topics, deletions) = (Vec::new(), Vec::new(), Vec::new());
    let task = &mut task;
    let mut run = Run {
        client,
        events,
        task,
        report,
        version,
        stop,
        deadline,
        acks,
        written_topics,
        deletions,
        written: 0,
    };
    let mut end = run.subscribe_and_write().await;
    run.finish_deletions().await;
    if let Err(RequestError::Misuse(misuse)) = run.client.disconnect_with(farewell).await {
        report.failure(format!("DISCONNECT cannot be sent: {misuse}"));
        end = end.or(End::Failed);
    }
    end
}

/// Returns when the time is over or a signal has come.
async fn end_of(deadline: Option<Instant>, stop: &mut Stop) -> End {
    match either(time_over(deadline), stop.wait()).await {
        Either::First(()) => End::TimedOut,
        // As with Mosquitto's: a listener that is interrupted has done what it was started for.
        Either::Second(()) => End::Done,
    }
}

async fn time_over(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Run<'_> {
    async fn subscribe_and_write(&mut self) -> End {
        let asked = tokio::spawn(subscribe(
            self.client.clone(),
            std::mem::take(&mut self.task.subscription),
            std::mem::take(&mut self.task.unsubscribe),
            std::mem::take(&mut self.task.plan.properties.unsubscribe),
            self.report,
        ));
        let mut answer = Some(asked);
        loop {
            // Messages may come before SUBACK does, and are written meanwhile.
            let waiting = either(self.events.next(), end_of(self.deadline, &mut self.stop));
            let came = match &mut answer {
                Some(asked) => either(waiting, asked).await,
                None => Either::First(waiting.await),
            };
            let end = match came {
                Either::First(Either::First(Some(event))) => self.take(event),
                Either::First(Either::First(None)) => Some(End::Lost),
                Either::First(Either::Second(end)) => {
                    if end == End::TimedOut {
                        self.report.failure("the time of -W is over");
                    }
                    Some(end)
                }
                Either::Second(told) => {
                    answer = None;
                    self.subscribed(told.unwrap_or(Some(End::Failed)))
                }
            };
            if let Some(end) = end {
                return self.flush().unwrap_or(end);
            }
        }
    }

    /// The server has answered the subscriptions, or never will.
    fn subscribed(&self, end: Option<End>) -> Option<End> {
        match end {
            // The client's last event says why.
            Some(End::Lost) => None,
            Some(end) => Some(end),
            None => self.task.exit_after_subscribing.then_some(End::Done),
        }
    }

    /// Takes an event and all that are there after it, then writes. The end, if that was it.
    fn take(&mut self, first: Event) -> Option<End> {
        let mut next = Some(first);
        while let Some(event) = next {
            let end = match event {
                Event::Message(received) => self.message(received),
                Event::Disconnected { cause, retry_in: None } => Some(self.gone(&cause)),
                change => {
                    self.report.change(&change, self.version);
                    None
                }
            };
            if end.is_some() {
                return end;
            }
            if self.task.printer.is_full()
                && let Some(end) = self.flush()
            {
                return Some(end);
            }
            next = self.events.try_next();
        }
        self.flush()
    }

    fn gone(&self, cause: &ConnectionError) -> End {
        self.report.failure(cause);
        End::of_connection(cause, self.version)
    }

    fn message(&mut self, received: Received) -> Option<End> {
        let verdict = self.task.filter.judge(&received.message);
        if verdict == Verdict::End {
            // Not taken, so not acknowledged.
            return Some(End::Done);
        }
        if verdict != Verdict::Ignore && self.task.remove_retained && received.message.retain {
            self.written_topics.push(received.message.topic.clone());
        }
        if verdict == Verdict::Write {
            if let Err(fault) = self.task.printer.add(&received) {
                self.report.failure(fault);
            }
            self.written += 1;
        }
        self.acks.extend(received.ack);
        (Some(self.written) == self.task.count).then_some(End::Done)
    }

    /// Deletes the retained message of a topic: an empty one takes its place.
    fn delete(&mut self, topic: &str) {
        let empty = Message::new(topic, "").qos(QoS::AtLeastOnce).retain();
        match self.client.try_publish(empty) {
            Ok(delivery) => self.deletions.push(delivery),
            Err(error) => self.report.failure(format!("the retained message of {topic} stays: {error}")),
        }
    }

    /// Writes what has been added, and acknowledges it. The end, if nobody reads any more.
    fn flush(&mut self) -> Option<End> {
        match self.task.printer.flush() {
            Ok(()) => {
                self.acks.drain(..).for_each(Acknowledgement::send);
                for topic in std::mem::take(&mut self.written_topics) {
                    self.delete(&topic);
                }
                None
            }
            Err(error) => {
                // Not sent: these messages stay with the server.
                self.acks.clear();
                self.written_topics.clear();
                if error.kind() == io::ErrorKind::BrokenPipe {
                    return Some(End::Done);
                }
                self.report.failure(format!("standard output cannot be written: {error}"));
                Some(End::Failed)
            }
        }
    }

    async fn finish_deletions(&mut self) {
        let report = self.report;
        let deletions = std::mem::take(&mut self.deletions);
        let finishing = async {
            for deletion in deletions {
                if let Err(error) = deletion.await {
                    report.failure(format!("a retained message stays: {error}"));
                }
            }
        };
        let waited = either(tokio::time::timeout(DELETION, finishing), self.stop.wait()).await;
        if let Either::First(Err(_)) = waited {
            report.failure("the server did not acknowledge the deletion of all retained messages");
        }
    }
}

/// Subscribes and unsubscribes, and tells what the server refuses. Why the run is over, if it is.
async fn subscribe(
    client: Client,
    subscription: whimbrel_client::Subscription,
    unsubscribe: Vec<String>,
    user_properties: Vec<(String, String)>,
    report: Report,
) -> Option<End> {
    let filters: Vec<String> = subscription.filters.iter().map(|(filter, _)| filter.clone()).collect();
    if !filters.is_empty() {
        let granted = match client.subscribe(subscription).await {
            Ok(granted) => granted,
            Err(error) => return Some(failed(&error, report)),
        };
        let words = granted.reason_string.map(|words| format!(" ({words})")).unwrap_or_default();
        for (filter, reason) in filters.iter().zip(&granted.reasons) {
            if reason.is_error() {
                report.failure(format!(
                    "the server refused the subscription to {filter}: {}{words}",
                    reason.name()
                ));
            } else {
                report.detail(format!("subscribed to {filter} with QoS {}", *reason as u8));
            }
        }
        let refused = granted.reasons.iter().filter(|reason| reason.is_error());
        if let Some(first) = refused.clone().next()
            && refused.count() == granted.reasons.len()
        {
            return Some(End::of_reason(*first));
        }
    }
    if !unsubscribe.is_empty() {
        match client.unsubscribe_with(unsubscribe.clone(), user_properties).await {
            Err(error) => return Some(failed(&error, report)),
            Ok(released) => {
                for (filter, reason) in unsubscribe.iter().zip(&released.reasons) {
                    report.detail(format!("unsubscribed from {filter}: {}", reason.name()));
                }
            }
        }
    }
    None
}

fn failed(error: &RequestError, report: Report) -> End {
    // Why the client has ended, its last event tells.
    if !matches!(error, RequestError::ClientEnded) {
        report.failure(error);
    }
    End::of_request(error)
}
