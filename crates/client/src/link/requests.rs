//! Requests on this connection: sent, waiting for their answers, answered.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use tokio::sync::oneshot;
use whimbrel_proto::{
    client::Misuse,
    codec::{PacketId, ReasonCode, SubscribeOptions, UserProperties},
};

use super::Link;
use crate::{
    Event, Granted, RequestError, Subscription,
    message::pairs,
    request::{Request, Unsubscription},
};

/// What waits for an answer of the server.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: VecDeque<(PacketId, Request)>,
    pings: VecDeque<oneshot::Sender<()>>,
    /// Who waits for the end of the connection.
    ended: Option<oneshot::Sender<Result<(), RequestError>>>,
}

impl Waiting {
    pub(super) fn ended(&mut self, reply: oneshot::Sender<Result<(), RequestError>>) {
        self.ended = Some(reply);
    }

    /// The connection is gone: the next one asks again, in the same order.
    pub(super) fn into_unanswered(self, unanswered: &mut VecDeque<Request>) {
        for ping in self.pings.into_iter().rev() {
            unanswered.push_front(Request::Ping(ping));
        }
        for (_, request) in self.requests.into_iter().rev() {
            unanswered.push_front(request);
        }
        if let Some(reply) = self.ended {
            let _ = reply.send(Ok(()));
        }
    }
}

impl Link<'_> {
    /// Sends the requests of the program, those that the last connection left first.
    pub(super) fn poll_requests(&mut self, cx: &mut Context<'_>) -> bool {
        let mut done = false;
        loop {
            let request = match self.work.unanswered.pop_front() {
                Some(request) => request,
                None => match self.work.requests.poll_recv(cx) {
                    Poll::Ready(Some(request)) => request,
                    _ => return done,
                },
            };
            self.request(request);
            done = true;
        }
    }

    fn request(&mut self, request: Request) {
        let request = match request {
            Request::Reauthenticate(reply) => return self.reauthenticate(reply),
            other => other,
        };
        let now = self.work.clock.now();
        let sent = match &request {
            Request::Subscribe(subscription, _) | Request::Resubscribe(subscription) => {
                let filters: Vec<(&str, SubscribeOptions)> = subscription
                    .filters
                    .iter()
                    .map(|(filter, options)| (filter.as_str(), *options))
                    .collect();
                let user = pairs(&subscription.user_properties);
                let user = UserProperties::from_pairs(&user);
                self.connection.subscribe(&filters, subscription.id, user, now, &mut self.out)
            }
            Request::Unsubscribe(unsubscription, _) => {
                let filters: Vec<&str> = unsubscription.filters.iter().map(String::as_str).collect();
                let user = pairs(&unsubscription.user_properties);
                let user = UserProperties::from_pairs(&user);
                self.connection.unsubscribe(&filters, user, now, &mut self.out)
            }
            Request::Ping(_) => {
                if self.connection.ping(now, &mut self.out).is_ok()
                    && let Request::Ping(reply) = request
                {
                    self.waiting.pings.push_back(reply);
                }
                return;
            }
            Request::Reauthenticate(_) => return,
        };
        match sent {
            Ok(packet_id) => self.waiting.requests.push_back((packet_id, request)),
            Err(misuse) => self.refuse(request, misuse),
        }
    }

    /// The request cannot be sent.
    fn refuse(&mut self, request: Request, misuse: Misuse) {
        match request {
            Request::Subscribe(_, reply) | Request::Unsubscribe(_, reply) => {
                let _ = reply.send(Err(RequestError::Misuse(misuse)));
            }
            Request::Resubscribe(subscription) => {
                let reason = match misuse {
                    Misuse::WildcardsNotAvailable => ReasonCode::WildcardSubscriptionsNotSupported,
                    Misuse::SubscriptionIdsNotAvailable => ReasonCode::SubscriptionIdsNotSupported,
                    Misuse::SharedNotAvailable => ReasonCode::SharedSubscriptionsNotSupported,
                    Misuse::PacketTooLarge { .. } => ReasonCode::PacketTooLarge,
                    _ => ReasonCode::Unspecified,
                };
                let refused = subscription.filters.into_iter().map(|(filter, _)| (filter, reason)).collect();
                self.work.inbox.push_change(Event::Resubscribed { refused });
            }
            Request::Ping(_) | Request::Reauthenticate(_) => {}
        }
    }

    /// The server has lost the session, and the subscriptions with it.
    pub(super) fn resubscribe(&mut self) {
        for subscription in self.work.subscriptions.take().into_iter().rev() {
            self.work.unanswered.push_front(Request::Resubscribe(subscription));
        }
    }

    pub(super) fn answered(&mut self, packet_id: PacketId, granted: Granted) {
        let Some(at) = self.waiting.requests.iter().position(|(id, _)| *id == packet_id) else { return };
        match self.waiting.requests.remove(at) {
            Some((_, Request::Subscribe(subscription, reply))) => {
                self.work.subscriptions.granted(subscription, &granted.reasons);
                let _ = reply.send(Ok(granted));
            }
            Some((_, Request::Resubscribe(subscription))) => self.resubscribed(subscription, &granted),
            Some((_, Request::Unsubscribe(Unsubscription { filters, .. }, reply))) => {
                self.work.subscriptions.remove(filters.iter().map(String::as_str));
                let _ = reply.send(Ok(granted));
            }
            Some((_, Request::Ping(_) | Request::Reauthenticate(_))) | None => {}
        }
    }

    fn resubscribed(&mut self, subscription: Subscription, granted: &Granted) {
        let refused = subscription
            .filters
            .iter()
            .zip(&granted.reasons)
            .filter(|(_, reason)| reason.is_error())
            .map(|((filter, _), reason)| (filter.clone(), *reason))
            .collect();
        self.work.subscriptions.granted(subscription, &granted.reasons);
        self.work.inbox.push_change(Event::Resubscribed { refused });
    }

    pub(super) fn pong(&mut self) {
        if let Some(reply) = self.waiting.pings.pop_front() {
            let _ = reply.send(());
        }
    }
}
