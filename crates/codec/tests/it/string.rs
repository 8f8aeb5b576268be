//! UTF-8 encoded strings.

use whimbrel_codec::{Malformed, check_str, is_mqtt_utf8};

#[test]
fn v5_1_5_4_1_well_formed_utf_8_only() {
    for good in [&b""[..], b"a", "A𪛔".as_bytes(), b"\xef\xbb\xbf", b"\xef\xbf\xbf", b"\x01\x1f\x7f\xc2\x9f"]
    {
        assert!(is_mqtt_utf8(good), "{good:02x?}");
    }
    for (bad, why) in [
        (&b"\xed\xa0\x80"[..], "the first surrogate"),
        (b"\xed\xbf\xbf", "the last surrogate"),
        (b"\xc0\x80", "an overlong null"),
        (b"\xc1\xbf", "an overlong letter"),
        (b"\xe0\x80\xaf", "an overlong slash"),
        (b"\xf4\x90\x80\x80", "past U+10FFFF"),
        (b"\xff", "no first byte"),
        (b"\x80", "a continuation alone"),
        (b"a\xe2\x82", "cut short"),
    ] {
        assert!(!is_mqtt_utf8(bad), "{why}");
    }
}

#[test]
fn v5_1_5_4_2_no_null_character() {
    for bad in [&b"\0"[..], b"a\0", b"\0a", b"0123456789abcdef0123456789abcdef\0"] {
        assert!(!is_mqtt_utf8(bad), "{bad:02x?}");
    }
    assert_eq!(check_str("a\0"), Err(Malformed::StringNul));
    assert_eq!(check_str("a"), Ok(()));
}

#[test]
fn v5_section_1_5_4_at_most_65_535_bytes() {
    assert_eq!(check_str(&"a".repeat(65_535)), Ok(()));
    assert_eq!(check_str(&"a".repeat(65_536)), Err(Malformed::StringTooLong));
}
