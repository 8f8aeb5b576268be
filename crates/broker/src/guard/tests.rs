//! Attacks on passwords, on virtual time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{Admission, Budget, Empty, Guard, Hearing, Outcome, Settings};

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;

fn settings() -> Settings {
    let budget = |tries, secs: u64| Budget { tries, forgiven_millis: secs * SECOND };
    Settings {
        user_at_address: budget(5, 60),
        address: budget(100, 10),
        user: budget(200, 6),
        known_millis: 30 * DAY,
        refusal_millis: SECOND,
        shared_addresses: vec!["10.0.0.0/8".parse().unwrap()],
    }
}

fn guard() -> Arc<Guard> {
    Arc::new(Guard::new(settings(), 65_536))
}

fn address(number: u32) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::from_bits(0xC000_0000 + number)))
}

#[track_caller]
fn heard(guard: &Arc<Guard>, user: &str, address: Option<IpAddr>, now: u64) -> Hearing {
    match guard.admit(user, address, now) {
        Admission::Heard(hearing) => hearing,
        Admission::Wait => panic!("it has to wait"),
        Admission::Unheard(empty) => panic!("it is not heard: {empty:?}"),
    }
}

/// A wrong password; false where it is not heard.
fn guess(guard: &Arc<Guard>, user: &str, address: Option<IpAddr>, now: u64) -> Result<(), Empty> {
    match guard.admit(user, address, now) {
        Admission::Heard(hearing) => {
            hearing.tell(Outcome::Wrong, now);
            Ok(())
        }
        Admission::Wait => panic!("nothing is under way"),
        Admission::Unheard(empty) => Err(empty),
    }
}

fn comes_in(guard: &Arc<Guard>, user: &str, address: Option<IpAddr>, now: u64) {
    heard(guard, user, address, now).tell(Outcome::Right, now);
}

#[test]
fn somebody_who_mistypes_is_heard_five_times_and_then_once_a_minute() {
    let guard = guard();
    for _ in 0..5 {
        assert_eq!(guess(&guard, "anna", address(1), 0), Ok(()));
    }
    assert_eq!(guess(&guard, "anna", address(1), 59 * SECOND), Err(Empty::UserAtAddress));
    assert_eq!(guess(&guard, "anna", address(1), 60 * SECOND), Ok(()));
    assert_eq!(guess(&guard, "anna", address(1), 61 * SECOND), Err(Empty::UserAtAddress));
    assert_eq!(guess(&guard, "ben", address(1), 61 * SECOND), Ok(()), "another user there is heard");
    assert_eq!(guess(&guard, "anna", address(2), 61 * SECOND), Ok(()), "and the user elsewhere");
}

#[test]
fn who_goes_on_while_it_is_not_heard_does_not_wait_longer_for_it() {
    let guard = guard();
    (0..5).for_each(|_| assert_eq!(guess(&guard, "anna", address(1), 0), Ok(())));
    (1..60_000).step_by(10).for_each(|now| assert!(guess(&guard, "anna", address(1), now).is_err()));
    comes_in(&guard, "anna", address(1), 60 * SECOND);
}

#[test]
fn brute_force_from_one_address_gets_a_few_thousand_guesses_a_day() {
    let guard = guard();
    // Five guesses a second for a day, each at another user: as many users as it likes.
    let heard =
        (0..DAY).step_by(200).filter(|now| guess(&guard, &format!("user{now}"), address(1), *now).is_ok());
    let heard = heard.count();
    assert!((8_700..8_750).contains(&heard), "{heard}");
    // At one user: fewer.
    let heard = (0..DAY).step_by(200).filter(|now| guess(&guard, "anna", address(2), *now).is_ok()).count();
    assert!((1_440..1_450).contains(&heard), "{heard}");
}

#[test]
fn an_ipv6_customer_is_one_address_whatever_its_lower_bits() {
    let guard = guard();
    let six = |high: u128, low: u128| {
        Some(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | (high << 64) | low)))
    };
    let heard = (0..10_000_u128).filter(|low| guess(&guard, "anna", six(1, *low), 0).is_ok()).count();
    assert_eq!(heard, 5);
    assert_eq!(guess(&guard, "anna", six(2, 0), 0), Ok(()), "its neighbour is another");
    // An address of IPv4 is itself, however it is written.
    let wrapped = |number: u32| Some(IpAddr::V6(Ipv4Addr::from_bits(number).to_ipv6_mapped()));
    let heard =
        (0..10).filter(|number| guess(&guard, "ben", wrapped(0xC000_0200 + number), 0).is_ok()).count();
    assert_eq!(heard, 10);
}

#[test]
fn many_addresses_that_guess_at_one_user_share_its_budget() {
    let guard = guard();
    let heard = (0..10_000).filter(|number| guess(&guard, "anna", address(*number), 0).is_ok()).count();
    assert_eq!(heard, 200);
    assert_eq!(guess(&guard, "anna", address(20_000), SECOND), Err(Empty::User));
    // So often one of them is heard: the true user at a new address may be that one.
    assert_eq!(guess(&guard, "anna", address(20_001), 6 * SECOND), Ok(()));
    let heard = (0..DAY)
        .step_by(500)
        .filter(|now| guess(&guard, "anna", address(*now as u32), 6 * SECOND + now).is_ok());
    assert!((14_300..14_500).contains(&heard.count()));
}

#[test]
fn who_only_knows_a_name_cannot_lock_its_user_out_from_where_it_comes_in() {
    let guard = guard();
    comes_in(&guard, "anna", address(7), 0);
    let office = Some("10.1.2.3".parse().unwrap());
    comes_in(&guard, "anna", office, 0);
    for number in 100..10_000 {
        let _ = guess(&guard, "anna", address(number), DAY);
    }
    assert_eq!(guess(&guard, "anna", address(20_000), DAY), Err(Empty::User));
    comes_in(&guard, "anna", address(7), DAY);
    comes_in(&guard, "anna", office, DAY);
    // It can mistype there as ever.
    assert_eq!(guess(&guard, "anna", address(7), DAY), Ok(()));
    comes_in(&guard, "anna", address(7), DAY);
    // After thirty days without a visit the place is as new as any.
    assert_eq!(guess(&guard, "anna", office, 31 * DAY + 1), Ok(()));
}

#[test]
fn who_stands_behind_the_attackers_address_and_was_in_lately_comes_in() {
    let guard = guard();
    comes_in(&guard, "anna", address(1), 0);
    let guesses =
        (0..1_000).filter(|number| guess(&guard, &format!("u{number}"), address(1), 0).is_ok()).count();
    assert_eq!(guesses, 100);
    comes_in(&guard, "anna", address(1), 0);
    assert!(matches!(guard.admit("ben", address(1), 0), Admission::Unheard(Empty::Address)), "ben was not");
}

#[test]
fn to_come_in_with_an_account_of_ones_own_gives_no_guesses_back() {
    let guard = guard();
    let heard = (0..1_000).filter(|number| {
        comes_in_if_heard(&guard, "mallory", address(1));
        guess(&guard, &format!("u{number}"), address(1), 0).is_ok()
    });
    assert_eq!(heard.count(), 100);
    let heard = (0..1_000).filter(|_| {
        comes_in_if_heard(&guard, "mallory", address(2));
        guess(&guard, "anna", address(2), 0).is_ok()
    });
    assert_eq!(heard.count(), 5);
}

fn comes_in_if_heard(guard: &Arc<Guard>, user: &str, address: Option<IpAddr>) {
    if let Admission::Heard(hearing) = guard.admit(user, address, 0) {
        hearing.tell(Outcome::Right, 0);
    }
}

#[test]
fn guesses_made_at_once_are_counted_before_the_first_is_answered() {
    let guard = guard();
    let under_way: Vec<_> = (0..5).map(|_| heard(&guard, "anna", address(1), 0)).collect();
    assert!(matches!(guard.admit("anna", address(1), 0), Admission::Wait));
    for hearing in under_way {
        hearing.tell(Outcome::Wrong, 30);
    }
    assert!(matches!(guard.admit("anna", address(1), 31), Admission::Unheard(Empty::UserAtAddress)));
    assert!(guard.state.lock().pending.is_empty());
}

#[test]
fn a_fleet_that_shares_a_name_and_an_address_waits_for_a_moment_and_comes_in() {
    let guard = guard();
    let mut under_way: Vec<_> = (0..5).map(|_| heard(&guard, "fleet", address(1), 0)).collect();
    assert!(matches!(guard.admit("fleet", address(1), 0), Admission::Wait));
    under_way.pop().unwrap().tell(Outcome::Right, 30);
    under_way.extend((0..60).map(|_| heard(&guard, "fleet", address(1), 31)));
    assert!(matches!(guard.admit("fleet", address(1), 31), Admission::Wait));
    for hearing in under_way {
        hearing.tell(Outcome::Right, 60);
    }
    (0..10_000).for_each(|_| comes_in(&guard, "fleet", address(1), 61));
    assert!(guard.state.lock().pending.is_empty());
}

#[test]
fn a_fleet_with_a_wrong_password_owes_no_more_than_its_budget() {
    let guard = guard();
    comes_in(&guard, "fleet", address(1), 0);
    let under_way: Vec<_> = (0..64).map(|_| heard(&guard, "fleet", address(1), 1)).collect();
    for hearing in under_way {
        hearing.tell(Outcome::Wrong, 1);
    }
    assert_eq!(guess(&guard, "fleet", address(1), 59 * SECOND), Err(Empty::UserAtAddress));
    // One is forgiven in a minute, and whoever owes anything is heard one by one.
    let one = heard(&guard, "fleet", address(1), 61 * SECOND);
    assert!(matches!(guard.admit("fleet", address(1), 61 * SECOND), Admission::Wait));
    one.tell(Outcome::Right, 61 * SECOND);
    comes_in(&guard, "fleet", address(1), 62 * SECOND);
}

#[test]
fn a_flood_of_other_names_keeps_nobody_out_who_has_been_in() {
    let guard = Arc::new(Guard::new(settings(), 64));
    comes_in(&guard, "anna", address(1), 0);
    for number in 0..100_000 {
        let _ = guess(&guard, &format!("user-{number}"), address(1_000 + number), 1);
    }
    assert!(guess(&guard, "ben", address(2), 1).is_err(), "strangers suffer");
    comes_in(&guard, "anna", address(1), 2);
}

#[test]
fn who_goes_before_the_answer_has_had_its_guess() {
    let guard = guard();
    (0..5).for_each(|_| drop(heard(&guard, "anna", address(1), 0)));
    assert_eq!(guess(&guard, "anna", address(1), 0), Err(Empty::UserAtAddress));
    // A client that came in before may have lost its patience.
    comes_in(&guard, "anna", address(2), 0);
    (0..100).for_each(|_| drop(heard(&guard, "anna", address(2), 0)));
    comes_in(&guard, "anna", address(2), 0);
}

#[test]
fn a_server_that_is_busy_has_looked_at_no_password() {
    let guard = guard();
    for _ in 0..100 {
        heard(&guard, "anna", address(1), 0).tell(Outcome::Unjudged, 0);
    }
    assert_eq!(guard.figures(0).owing, [0; 3]);
}

#[test]
fn a_refusal_comes_as_late_whether_somebody_has_looked_or_not() {
    let guard = guard();
    let told = |took: u64, now| heard(&guard, "anna", address(1), now).tell(Outcome::Wrong, now + took);
    assert_eq!((told(30, 0), guard.unheard_until(100)), (1_000, 1_100));
    // Where the looks take longer than that, those who are not heard wait as long as the last one did.
    assert_eq!((told(2_500, 200), guard.unheard_until(3_000)), (2_700, 5_500));
    assert_eq!((told(30, 6_000), guard.unheard_until(7_000)), (7_000, 8_000));
    assert_eq!(heard(&guard, "anna", address(1), 8_000).tell(Outcome::Right, 8_030), 8_030);
}

#[test]
fn behind_an_address_that_many_share_only_each_user_is_counted() {
    let guard = guard();
    let office = Some("10.1.2.3".parse().unwrap());
    let heard = (0..1_000).filter(|number| guess(&guard, &format!("u{number}"), office, 0).is_ok()).count();
    assert_eq!(heard, 1_000);
    let heard = (0..1_000).filter(|_| guess(&guard, "anna", office, 0).is_ok()).count();
    assert_eq!(heard, 5);
    let local = (0..1_000).filter(|_| guess(&guard, "ben", None, 0).is_ok()).count();
    assert_eq!(local, 5, "by a Unix socket, too");
}

#[test]
fn a_flood_of_names_does_not_have_the_attacker_forgotten() {
    // A table of 64 places, and an attacker with very many addresses who wants his guesses at anna to be forgotten.
    let guard = Arc::new(Guard::new(settings(), 64));
    (0..5).for_each(|_| assert_eq!(guess(&guard, "anna", address(1), 0), Ok(())));
    for number in 0..20_000 {
        let _ = guess(&guard, &format!("u{number}"), address(1_000 + number), 0);
    }
    assert!(guess(&guard, "anna", address(1), 0).is_err());
    assert!(guess(&guard, "anna", address(1), 59 * SECOND).is_err());
    let figures = guard.figures(0);
    assert_eq!(figures.entries_max, 64);
    assert!(figures.owing.iter().all(|owing| *owing <= 64), "{figures:?}");
}

#[test]
fn what_is_switched_off_is_not_counted_and_what_is_changed_counts_at_once() {
    let guard = guard();
    (0..5).for_each(|_| assert_eq!(guess(&guard, "anna", address(1), 0), Ok(())));
    assert_eq!(guard.figures(0).unheard, [1, 0, 0]);
    let off = Budget { tries: 0, forgiven_millis: 1 };
    guard.set(Settings { user_at_address: off, address: off, user: off, ..settings() });
    (0..1_000).for_each(|_| assert_eq!(guess(&guard, "anna", address(1), 0), Ok(())));
    guard.set(settings());
    assert_eq!(guess(&guard, "anna", address(1), 0), Err(Empty::UserAtAddress), "the five are not forgotten");
    assert_eq!(guess(&guard, "anna", address(1), 5 * 60 * SECOND), Ok(()));
    assert_eq!(guard.figures(400 * SECOND).owing, [0; 3]);
}
