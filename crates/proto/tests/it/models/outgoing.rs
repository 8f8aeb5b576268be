//! `Outgoing` against a plain list of deliveries.

use proptest::prelude::*;
use whimbrel_proto::{
    Outgoing, Stage,
    codec::{PacketId, QoS},
};

use crate::it::transcript::id;

#[derive(Clone, Debug)]
enum Step {
    Send(QoS),
    /// The same, finished at once, so often: it moves the identifiers along, over their end and over what is stuck.
    Spin(u32),
    Acknowledge(usize),
    Receive(usize),
    Refuse(usize),
    Complete(usize),
    /// An identifier from anywhere, which mostly is not in flight.
    Stray(u16),
    LoseLink,
    Resend(u16),
    /// Gives up every delivery whose message is a multiple of this.
    Extract(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0usize..12;
    prop_oneof![
        6 => prop_oneof![Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)].prop_map(Step::Send),
        1 => prop_oneof![9 => 1u32..100, 1 => 65_000u32..66_000].prop_map(Step::Spin),
        3 => at().prop_map(Step::Acknowledge),
        3 => at().prop_map(Step::Receive),
        1 => at().prop_map(Step::Refuse),
        3 => at().prop_map(Step::Complete),
        1 => (1u16..).prop_map(Step::Stray),
        1 => Just(Step::LoseLink),
        3 => (1u16..12).prop_map(Step::Resend),
        1 => (2u32..5).prop_map(Step::Extract),
    ]
}

/// A delivery as the model knows it.
#[derive(Clone, Debug, PartialEq)]
struct Delivery {
    id: PacketId,
    stage: Stage,
    message: Option<u32>,
    sent_on_link: bool,
}

#[derive(Default)]
struct Model {
    deliveries: Vec<Delivery>,
    messages: u32,
}

impl Model {
    fn find(&self, id: PacketId, stage: Stage) -> Option<usize> {
        self.deliveries.iter().position(|delivery| delivery.id == id && delivery.stage == stage)
    }

    /// The `at`th identifier in flight, or one that is not.
    fn id(&self, at: usize) -> PacketId {
        self.deliveries.get(at).map_or(id(1), |delivery| delivery.id)
    }
}

/// Identifiers that are in use for something else.
fn taken(id: PacketId) -> bool {
    id.value() % 10 == 3
}

fn apply(real: &mut Outgoing<u32>, model: &mut Model, step: &Step) -> Result<(), TestCaseError> {
    match *step {
        Step::Send(qos) => {
            if !real.has_room(10) {
                let unsent = model.deliveries.iter().any(|delivery| !delivery.sent_on_link);
                prop_assert!(unsent || model.deliveries.len() >= 10, "there was room");
                return Ok(());
            }
            model.messages += 1;
            let id = real.send(qos, model.messages, taken);
            prop_assert!(!taken(id));
            prop_assert!(model.deliveries.iter().all(|delivery| delivery.id != id), "an identifier twice");
            prop_assert_eq!(real.newest(), Some(&model.messages));
            let stage = Stage::Published(qos);
            model.deliveries.push(Delivery { id, stage, message: Some(model.messages), sent_on_link: true });
        }
        Step::Spin(times) => {
            for _ in 0..times {
                if !real.has_room(10) {
                    break;
                }
                let id = real.send(QoS::AtLeastOnce, 0, taken);
                prop_assert!(!taken(id));
                prop_assert!(
                    model.deliveries.iter().all(|delivery| delivery.id != id),
                    "an identifier twice"
                );
                prop_assert_eq!(real.acknowledged(id), Ok(0));
            }
        }
        Step::LoseLink => {
            real.link_lost();
            model.deliveries.iter_mut().for_each(|delivery| delivery.sent_on_link = false);
        }
        Step::Resend(receive_maximum) => {
            let sent = model.deliveries.iter().filter(|delivery| delivery.sent_on_link).count();
            let room = usize::from(receive_maximum).saturating_sub(sent);
            let unsent = model.deliveries.iter_mut().filter(|delivery| !delivery.sent_on_link);
            for delivery in unsent.take(room) {
                let again = real.resend(receive_maximum);
                prop_assert!(again.is_some(), "nothing is sent although there is room");
                let again = again.unwrap();
                prop_assert_eq!(again.packet_id(), delivery.id);
                prop_assert_eq!(again.stage(), delivery.stage);
                prop_assert_eq!(again.message().copied(), delivery.message);
                delivery.sent_on_link = true;
            }
            prop_assert!(real.resend(receive_maximum).is_none());
        }
        Step::Extract(multiple) => {
            let gone = |message: Option<u32>| message.is_some_and(|message| message % multiple == 0);
            let expected: Vec<_> =
                model.deliveries.iter().filter(|d| gone(d.message)).filter_map(|d| d.message).collect();
            prop_assert_eq!(real.extract(|sent| gone(sent.message().copied())), expected);
            model.deliveries.retain(|delivery| !gone(delivery.message));
        }
        ref answer => acknowledge(real, model, answer)?,
    }
    Ok(())
}

/// The steps that the peer takes.
fn acknowledge(real: &mut Outgoing<u32>, model: &mut Model, step: &Step) -> Result<(), TestCaseError> {
    match *step {
        Step::Acknowledge(at) => {
            let id = model.id(at);
            let found = model.find(id, Stage::Published(QoS::AtLeastOnce));
            let expected = found.and_then(|at| model.deliveries.remove(at).message);
            prop_assert_eq!(real.acknowledged(id).ok(), expected);
        }
        Step::Receive(at) => {
            let id = model.id(at);
            let expected = if let Some(at) = model.find(id, Stage::Published(QoS::ExactlyOnce)) {
                model.deliveries[at].stage = Stage::Released;
                Some(model.deliveries[at].message.take())
            } else {
                model.find(id, Stage::Released).map(|_| None)
            };
            prop_assert_eq!(real.received(id).ok(), expected);
        }
        Step::Refuse(at) => {
            let id = model.id(at);
            let found = model.find(id, Stage::Published(QoS::ExactlyOnce));
            let expected = found.and_then(|at| model.deliveries.remove(at).message);
            prop_assert_eq!(real.refused(id).ok(), expected);
        }
        Step::Complete(at) => {
            let id = model.id(at);
            let found = model.find(id, Stage::Released);
            prop_assert_eq!(real.completed(id).is_ok(), found.is_some());
            found.map(|at| model.deliveries.remove(at));
        }
        Step::Stray(value) => {
            let known = model.deliveries.iter().any(|delivery| delivery.id == id(value));
            prop_assert_eq!(real.contains(id(value)), known);
            if !known {
                prop_assert!(real.acknowledged(id(value)).is_err());
                prop_assert!(real.received(id(value)).is_err());
                prop_assert!(real.completed(id(value)).is_err());
            }
        }
        ref other => prop_assert!(false, "{other:?} is no answer of the peer"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Also: identifiers never collide, over their end too; what is sent again comes in order with the original
    /// identifier; the receive maximum holds.
    #[test]
    fn deliveries_in_flight_are_a_list(steps in prop::collection::vec(step(), 0..120)) {
        let (mut real, mut model) = (Outgoing::default(), Model::default());
        for step in &steps {
            apply(&mut real, &mut model, step)?;
            let list: Vec<_> = real.iter().map(|s| (s.packet_id(), s.stage(), s.message().copied())).collect();
            let expected: Vec<_> = model.deliveries.iter().map(|d| (d.id, d.stage, d.message)).collect();
            prop_assert_eq!(list, expected);
            prop_assert!(model.deliveries.iter().all(|d| real.contains(d.id)), "what is in flight is found");
            prop_assert_eq!((real.len(), real.is_empty()), (model.deliveries.len(), model.deliveries.is_empty()));
            let on_link = model.deliveries.iter().filter(|d| d.sent_on_link).count();
            prop_assert_eq!(real.resent(), on_link);
            prop_assert_eq!(real.must_resend(), model.deliveries.iter().any(|d| !d.sent_on_link));
        }
    }
}

#[test]
fn identifiers_go_round_past_a_delivery_that_is_stuck() {
    let mut outgoing = Outgoing::default();
    let stuck = outgoing.send(QoS::AtLeastOnce, 0, |_| false);
    for round in 0..3 {
        for _ in 0..65_534 {
            let id = outgoing.send(QoS::AtLeastOnce, 1, |_| false);
            assert_ne!(id, stuck, "round {round}");
            outgoing.acknowledged(id).unwrap();
        }
    }
    assert_eq!(outgoing.acknowledged(stuck), Ok(0));
}

#[test]
fn numbers_ascend_and_name_the_packet_identifier() {
    let mut outgoing = Outgoing::default();
    assert_eq!((outgoing.next_number(), outgoing.reserve(), outgoing.reserve()), (0, 0, 1));
    assert_eq!(outgoing.next_number(), 2);
    assert_eq!(outgoing.send_numbered(1, QoS::AtLeastOnce, "one"), id(2));
    assert_eq!(
        outgoing.iter().map(|sent| (sent.number(), sent.packet_id())).collect::<Vec<_>>(),
        [(1, id(2))]
    );
    // What an earlier life of the session has given out is not given out again.
    outgoing.skip_to(100);
    outgoing.skip_to(50);
    assert_eq!((outgoing.reserve(), outgoing.next_number()), (100, 101));
    assert_eq!(outgoing.send_numbered(100, QoS::ExactlyOnce, "hundred"), id(101));
    assert_eq!(outgoing.iter().map(whimbrel_proto::Sent::number).collect::<Vec<_>>(), [1, 100]);
    assert!(outgoing.received(id(101)).is_ok());
    assert_eq!(outgoing.completed(id(101)), Ok(100));
}

#[test]
fn v5_2_2_1_4_an_identifier_is_free_when_nothing_a_lap_before_holds_it() {
    let mut outgoing = Outgoing::default();
    for _ in 0..3 {
        outgoing.send(QoS::AtLeastOnce, (), |_| false);
    }
    assert!(outgoing.acknowledged(id(2)).is_ok());
    // Numbers 0 and 2 are in flight; a lap is 65,535 numbers.
    let free = [65_534, 65_535, 65_536, 65_537, 65_538].map(|number| outgoing.is_free(number));
    assert_eq!(free, [true, false, true, false, true]);
    outgoing.skip_to(65_535);
    assert_eq!((outgoing.reserve(), outgoing.reserve()), (65_536, 65_538));
    assert!(outgoing.acknowledged(id(1)).is_ok());
    assert!(outgoing.is_free(65_535));
}

#[test]
fn v5_4_4_0_1_what_an_earlier_life_had_in_flight_is_sent_again_in_its_order() {
    let mut outgoing = Outgoing::default();
    outgoing.restore(7, Some((QoS::AtLeastOnce, "seven")));
    outgoing.restore(9, None);
    outgoing.restore(12, Some((QoS::ExactlyOnce, "twelve")));
    assert_eq!((outgoing.len(), outgoing.resent(), outgoing.next_number()), (3, 0, 13));
    assert!(outgoing.must_resend() && !outgoing.has_room(10), "what was sent before comes first");
    let mut again = Vec::new();
    while let Some(sent) = outgoing.resend(10) {
        again.push((sent.packet_id(), sent.stage(), sent.message().copied()));
    }
    let expect = [
        (id(8), Stage::Published(QoS::AtLeastOnce), Some("seven")),
        (id(10), Stage::Released, None),
        (id(13), Stage::Published(QoS::ExactlyOnce), Some("twelve")),
    ];
    assert_eq!(again, expect);
    assert!(outgoing.has_room(10) && !outgoing.must_resend());
    assert_eq!(outgoing.messages_mut().map(|message| *message).collect::<Vec<_>>(), ["seven", "twelve"]);
    assert_eq!(outgoing.acknowledged(id(8)), Ok("seven"));
}

#[test]
fn an_end_of_one_delivery_takes_no_other_along_however_many_are_in_flight() {
    let mut outgoing = Outgoing::default();
    for number in 0..1_000 {
        outgoing.send(QoS::AtLeastOnce, number, |_| false);
    }
    for number in 0..1_000 {
        assert_eq!(outgoing.acknowledged(id(number + 1)), Ok(number));
        assert_eq!(outgoing.len(), usize::from(999 - number));
    }
}
