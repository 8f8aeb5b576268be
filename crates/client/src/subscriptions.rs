//! The subscriptions that the server has granted, to make them again when it has lost the session.

use whimbrel_proto::codec::ReasonCode;

use crate::Subscription;

#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    granted: Vec<Subscription>,
}

impl Subscriptions {
    /// SUBACK came. What it grants replaces what was granted for the same filter.
    pub(crate) fn granted(&mut self, mut subscription: Subscription, reasons: &[ReasonCode]) {
        self.remove(subscription.filters.iter().map(|(filter, _)| filter.as_str()));
        let mut reasons = reasons.iter();
        subscription.filters.retain(|_| reasons.next().is_some_and(|reason| !reason.is_error()));
        if !subscription.filters.is_empty() {
            self.granted.push(subscription);
        }
    }

    /// UNSUBACK came for these filters.
    pub(crate) fn remove<'a>(&mut self, filters: impl Iterator<Item = &'a str> + Clone) {
        for subscription in &mut self.granted {
            subscription.filters.retain(|(filter, _)| !filters.clone().any(|gone| gone == filter));
        }
        self.granted.retain(|subscription| !subscription.filters.is_empty());
    }

    /// Everything, as it was asked for.
    pub(crate) fn take(&mut self) -> Vec<Subscription> {
        std::mem::take(&mut self.granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QoS;

    #[test]
    fn what_was_granted_last_is_kept() {
        let mut subscriptions = Subscriptions::default();
        let options = crate::SubscribeOptions::with_qos(QoS::AtLeastOnce);
        let three = Subscription::new("a", QoS::AtMostOnce).and("b", options).and("c", options);
        let granted = [ReasonCode::GRANTED_QOS0, ReasonCode::NotAuthorized, ReasonCode::GrantedQoS1];
        subscriptions.granted(three, &granted);
        subscriptions.granted(Subscription::new("c", QoS::ExactlyOnce), &[ReasonCode::GrantedQoS2]);
        subscriptions.granted(Subscription::new("d", QoS::AtMostOnce), &[ReasonCode::QuotaExceeded]);
        subscriptions.remove(["x"].into_iter());
        let kept = [Subscription::new("a", QoS::AtMostOnce), Subscription::new("c", QoS::ExactlyOnce)];
        assert_eq!(subscriptions.granted, kept);
        subscriptions.remove(["a", "c"].into_iter());
        assert!(subscriptions.take().is_empty());
    }
}
