//! The first rule that matches decides: against an oracle that goes through the rules one by one, with texts.

use whimbrel_access::{Rights, Rules};

use super::{
    draw::{CLIENTS, Draw, USERS, rights, who},
    one_by_one::{ADDRESSES, LISTENERS, Plain, file, oracle, plain},
};

#[test]
fn the_first_rule_that_matches_decides_whatever_the_rules_are() {
    let mut decided = [0; 2];
    for seed in 0..1_500 {
        let mut draw = Draw::new(seed + 1);
        let plain: Vec<Plain> = (0..1 + draw.below(40)).map(|_| plain(&mut draw)).collect();
        let text = file(&plain);
        let rules =
            Rules::from_rule_file("rules", &text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
        for _ in 0..12 {
            let user = (!draw.one_in(4)).then(|| draw.of(&USERS));
            let who = who(draw.of(&CLIENTS), user, draw.of(&ADDRESSES), draw.of(&LISTENERS));
            let rights = Rights::new(&rules, &who);
            for _ in 0..8 {
                let topic =
                    draw.topic(&["a", "b", "alice", "pump", "$SYS", "dev-pump", "alicepump", "x", ""]);
                let (qos, retain) = (draw.below(3) as u8, draw.one_in(2));
                let check = |decision: whimbrel_access::Decision,
                             expect: (bool, Option<usize>),
                             what: &str| {
                    let line = decision.rule.and_then(|rule| rules.describe(rule)).and_then(|rule| rule.line);
                    let wanted = expect.1.map(|number| {
                        text.lines()
                            .enumerate()
                            .filter(|(_, line)| *line == "[[rule]]")
                            .nth(number)
                            .unwrap()
                            .0
                            + 1
                    });
                    assert_eq!(
                        (decision.allowed, line),
                        (expect.0, wanted),
                        "{what} {topic} by {who:?}\n{text}"
                    );
                };
                check(
                    rights.publish(&topic, qos, retain),
                    oracle(&plain, &who, &topic, Some((qos, retain))),
                    "publish",
                );
                let receive = oracle(&plain, &who, &topic, None);
                decided[usize::from(receive.0)] += 1;
                check(rights.receive(&topic), receive, "receive");
            }
        }
    }
    assert!(decided.iter().all(|count| *count > 5_000), "both are drawn often: {decided:?}");
}

#[test]
fn without_a_rule_that_matches_it_is_denied() {
    let rules = Rules::from_rule_file("rules", "").unwrap();
    assert!(rules.is_empty());
    let rights = rights(&rules, "pump", Some("alice"));
    assert!(!rights.publish("a", 0, false).allowed && !rights.receive("a").allowed);
    assert_eq!(rights.publish("a", 0, false).rule, None);
}

#[test]
fn a_thousand_rules_are_one_walk_along_the_topic() {
    let mut text = String::new();
    for number in 0..1_000 {
        text += &format!("[[rule]]\nallow = \"publish\"\ntopics = \"plant/{number}/+/state\"\n");
    }
    let rules = Rules::from_rule_file("rules", &text).unwrap();
    assert_eq!(rules.len(), 1_000);
    let rights = rights(&rules, "pump", None);
    for number in [0, 517, 999] {
        let decision = rights.publish(&format!("plant/{number}/a/state"), 1, true);
        let line = rules.describe(decision.rule.unwrap()).unwrap().line;
        assert_eq!((decision.allowed, line), (true, Some(3 * number + 1)));
    }
    assert!(!rights.publish("plant/1000/a/state", 1, true).allowed);
}
