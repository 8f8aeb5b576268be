//! Sinks.

use whimbrel_codec::{CountSink, Sink, SliceSink};

fn put_everything(out: &mut impl Sink) {
    out.put_u8(1);
    out.put_u16(0x0203);
    out.put_u32(0x0405_0607);
    out.put_varint(300);
    out.put_str("ab");
    out.put_binary(&[9]);
}

#[test]
fn all_sinks_take_the_same_bytes() {
    let mut vec = Vec::new();
    put_everything(&mut vec);
    assert_eq!(vec, [1, 2, 3, 4, 5, 6, 7, 0xac, 2, 0, 2, b'a', b'b', 0, 1, 9]);
    let mut count = CountSink::default();
    put_everything(&mut count);
    assert_eq!(count.bytes, vec.len());
    let mut buffer = [0; 16];
    let mut slice = SliceSink::new(&mut buffer);
    assert!(slice.is_empty());
    put_everything(&mut slice);
    assert!(!slice.overflow());
    assert!(!slice.is_empty());
    assert_eq!(slice.len(), 16);
    assert_eq!(slice.written(), vec);
}

#[test]
fn a_slice_that_is_too_short_says_so_and_takes_nothing_more() {
    for room in 0..16 {
        let mut buffer = [0xee; 16];
        let mut slice = SliceSink::new(&mut buffer[..room]);
        put_everything(&mut slice);
        assert!(slice.overflow());
        let len = slice.len();
        assert!(len <= room);
        assert!(buffer[len..].iter().all(|&byte| byte == 0xee), "nothing is written past what counts");
    }
}

#[test]
fn a_slice_leaves_no_gap_where_something_did_not_fit() {
    let mut buffer = [0xee; 2];
    let mut slice = SliceSink::new(&mut buffer);
    slice.put(&[1]);
    slice.put(&[2, 3]);
    slice.put(&[4]);
    assert_eq!((slice.written(), slice.overflow()), (&[1][..], true));
    assert_eq!(buffer, [1, 0xee]);
}

#[test]
fn v5_table_1_1_variable_integers_take_the_fewest_bytes() {
    for (value, expect) in [
        (0, vec![0]),
        (127, vec![0x7f]),
        (128, vec![0x80, 1]),
        (16_383, vec![0xff, 0x7f]),
        (16_384, vec![0x80, 0x80, 1]),
        (2_097_151, vec![0xff, 0xff, 0x7f]),
        (2_097_152, vec![0x80, 0x80, 0x80, 1]),
        (268_435_455, vec![0xff, 0xff, 0xff, 0x7f]),
        (268_435_456, vec![0xff, 0xff, 0xff, 0x7f]),
        (u32::MAX, vec![0xff, 0xff, 0xff, 0x7f]),
    ] {
        let mut out = Vec::new();
        out.put_varint(value);
        assert_eq!(out, expect, "{value}");
    }
}

#[test]
fn fields_too_long_for_their_length_are_cut_at_a_character() {
    for (character, kept) in [("a", 65_535), ("é", 65_534), ("€", 65_535), ("𪛔", 65_532)] {
        let mut out = Vec::new();
        out.put_str(&character.repeat(65_536));
        assert_eq!(usize::from(u16::from_be_bytes([out[0], out[1]])), kept);
        assert_eq!(out.len(), 2 + kept);
        assert!(std::str::from_utf8(&out[2..]).is_ok());
    }
    let mut out = Vec::new();
    out.put_binary(&vec![1; 70_000]);
    assert_eq!(out.len(), 2 + 65_535);
    assert_eq!(out[..2], [0xff, 0xff]);
}
