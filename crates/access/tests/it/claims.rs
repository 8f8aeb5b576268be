//! What a token says of a client: `${claim}` in rules, groups, and the lists that grant where no rule speaks.

use std::sync::Arc;

use whimbrel_access::{Claims, Partly, Rights, Rules, Who};

fn who(claims: Option<Claims>) -> Arc<Who> {
    Arc::new(Who {
        client_id: "pump".into(),
        user_name: Some("alice".into()),
        address: None,
        listener: "house".into(),
        claims: claims.map(Arc::new),
    })
}

fn values(values: &[(&str, &str)]) -> Claims {
    Claims::new(values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(), Vec::new())
}

fn list(filters: &[&str]) -> Option<Vec<Box<str>>> {
    Some(filters.iter().map(|filter| (*filter).into()).collect())
}

fn rules(text: &str) -> Arc<Rules> {
    Rules::from_rule_file("access.toml", text).unwrap()
}

fn may(rights: &Rights, topic: &str) -> bool {
    rights.publish(topic, 0, false).allowed
}

const OF_TENANT: &str = "[[rule]]\nallow = ['publish', 'subscribe']\ntopics = 't/${tenant}/%c/#'\n";

#[test]
fn a_claim_stands_for_a_part_of_one_level() {
    let rights = Rights::new(&rules(OF_TENANT), &who(Some(values(&[("tenant", "acme"), ("site", "a")]))));
    for (topic, expect) in
        [("t/acme/pump/x", true), ("t/acme/pump", true), ("t/acme/other/x", false), ("t/other/pump/x", false)]
    {
        assert_eq!(may(&rights, topic), expect, "{topic}");
    }
    for (filter, expect) in
        [("t/acme/pump/#", true), ("t/acme/+/x", false), ("t/+/pump/x", false), ("#", false)]
    {
        assert_eq!(rights.subscribe(filter, Partly::Refuse).granted, expect, "{filter}");
    }
    let within = rules("[[rule]]\nallow = 'publish'\ntopics = 'a/x-${tenant}-${site}.%u/b'\n");
    let rights = Rights::new(&within, &who(Some(values(&[("tenant", "acme"), ("site", "a")]))));
    assert!(may(&rights, "a/x-acme-a.alice/b"));
    assert!(!may(&rights, "a/x-acme-b.alice/b"));
}

#[test]
fn who_has_no_token_or_one_without_the_claim_is_not_spoken_of() {
    for claims in [None, Some(values(&[])), Some(values(&[("Tenant", "acme"), ("tenants", "acme")]))] {
        let rights = Rights::new(&rules(OF_TENANT), &who(claims.clone()));
        assert!(!may(&rights, "t/acme/pump/x") && !may(&rights, "t//pump/x"), "{claims:?}");
        assert!(!rights.subscribe("t/acme/pump/#", Partly::Refuse).granted);
    }
    let denied = rules(
        "[[rule]]\ndeny = 'publish'\ntopics = 't/${tenant}'\n[[rule]]\nallow = 'publish'\ntopics = '#'\n",
    );
    assert!(may(&Rights::new(&denied, &who(None)), "t/acme"));
    assert!(!may(&Rights::new(&denied, &who(Some(values(&[("tenant", "acme")])))), "t/acme"));
    // Of a client whom nobody knows any more it may have been true.
    assert!(!may(&Rights::of_unknown(&denied, "pump"), "t/acme"));
}

#[test]
fn a_claim_cannot_widen_what_a_rule_allows() {
    let deny =
        "[[rule]]\ndeny = 'publish'\ntopics = 'd/${tenant}/x'\n[[rule]]\nallow = 'publish'\ntopics = 'd/#'\n";
    let first = "[[rule]]\nallow = ['publish', 'subscribe']\ntopics = '${tenant}/#'\n";
    for evil in ["", "+", "#", "a/b", "acme/#", "+/x", "a\0b"] {
        let who = who(Some(values(&[("tenant", evil)])));
        let rights = Rights::new(&rules(OF_TENANT), &who);
        for topic in ["t/acme/pump/x", "t//pump/x", "t/a/b/pump/x", "t/+/pump/x", "t/a/b"] {
            assert!(!may(&rights, topic), "{evil:?} {topic}");
        }
        assert!(!rights.subscribe("t/+/pump/#", Partly::Filter).granted, "{evil:?}");
        let denied = Rights::new(&rules(deny), &who);
        assert!(!may(&denied, "d/anything/x"), "{evil:?}: what denies takes all that it could mean");
    }
    let reserved = Rights::new(&rules(first), &who(Some(values(&[("tenant", "$SYS")]))));
    assert!(!may(&reserved, "$SYS/x") && !reserved.subscribe("$SYS/#", Partly::Refuse).granted);
}

#[test]
fn a_name_of_a_claim_that_does_not_end_is_a_mistake() {
    for topics in ["a/${tenant", "a/${}/b", "${a/b}"] {
        let text = format!("[[rule]]\nallow = 'publish'\ntopics = '{topics}'\n");
        assert!(Rules::from_rule_file("f", &text).is_err(), "{topics}");
    }
    // Mosquitto knows no claims: there it is a text like any other.
    let rules = Rules::from_acl_file("acl", "pattern write a/${tenant}/%c\n").unwrap();
    assert!(may(&Rights::new(&rules, &who(Some(values(&[("tenant", "acme")])))), "a/${tenant}/pump"));
}

#[test]
fn a_token_puts_its_client_into_groups_that_the_file_knows() {
    let text = "[groups]\noperators = []\n[[rule]]\nallow = 'publish'\ntopics = 'x'\ngroups = 'operators'\n";
    let groups = |names: &[&str]| Claims::new(Vec::new(), names.iter().map(|name| (*name).into()).collect());
    let check = |claims: Option<Claims>, expect: bool| {
        assert_eq!(may(&Rights::new(&rules(text), &who(claims.clone())), "x"), expect, "{claims:?}");
    };
    check(None, false);
    check(Some(groups(&["guests", "Operators"])), false);
    check(Some(groups(&["guests", "operators"])), true);
}

#[test]
fn where_no_rule_speaks_the_lists_of_the_token_grant_and_rules_count_before_them() {
    let text = "[[rule]]\ndeny = ['publish', 'subscribe']\ntopics = 'a/secret'\n[[rule]]\nallow = 'publish'\ntopics = 'c'\n";
    let granting = |publish, subscribe| Some(values(&[]).granting(publish, subscribe).unwrap());
    let rights = Rights::new(&rules(text), &who(granting(list(&["a/+", "b/#"]), list(&["a/#"]))));
    for (topic, expect) in [
        ("a/x", true),
        ("a/secret", false),
        ("a/x/y", false),
        ("b", true),
        ("c", true),
        ("d", false),
        ("$SYS/x", false),
    ] {
        assert_eq!(may(&rights, topic), expect, "{topic}");
    }
    let grant = |filter: &str, partly| rights.subscribe(filter, partly).granted;
    for (filter, refused, filtered) in [
        ("a/x", true, true),
        ("a/#", false, true),
        ("#", false, true),
        ("b/#", false, false),
        ("a/secret", false, false),
    ] {
        assert_eq!(
            (grant(filter, Partly::Refuse), grant(filter, Partly::Filter)),
            (refused, filtered),
            "{filter}"
        );
    }
    assert!(
        rights.receive("a/x").allowed
            && !rights.receive("a/secret").allowed
            && !rights.receive("b/x").allowed
    );
    // A list that says nothing grants nothing.
    let nothing = Rights::new(&rules(text), &who(granting(list(&[]), list(&[]))));
    assert!(!may(&nothing, "a/x") && may(&nothing, "c"));
}

#[test]
fn without_a_file_only_those_are_bound_whose_token_says_what_they_may_do() {
    let open = Rules::open();
    let other = Rights::new(&open, &who(None));
    assert!(
        may(&other, "x") && other.subscribe("#", Partly::Refuse).whole && other.receive("$SYS/x").allowed
    );
    let bound = values(&[]).granting(list(&["a/#"]), None).unwrap();
    let bound = Rights::new(&open, &who(Some(bound)));
    assert!(may(&bound, "a/x") && !may(&bound, "b"));
    assert!(bound.subscribe("#", Partly::Refuse).whole, "of subscriptions it says nothing");
    assert!(!may(&Rights::of_unknown(&open, "pump"), "a/x"), "nobody knows what its token said");
}

#[test]
fn what_is_no_topic_filter_grants_nothing_at_all() {
    for wrong in ["", "a/#/b", "a+", "$share/g/a", "a\0"] {
        assert!(values(&[]).granting(list(&["a", wrong]), None).is_err(), "{wrong:?}");
        assert!(values(&[]).granting(None, list(&[wrong])).is_err(), "{wrong:?}");
    }
}
