//! The shape of a room: a struct whose fields, defaults and keys come from one list. Not a room itself.

use super::key::Key;
use super::setting::Given;

/// A section of the configuration and the struct that holds its values.
pub(super) trait Room: Default + 'static {
    /// The name of the section in the file.
    const SECTION: &'static str;
    /// What the section is about, line by line.
    const DOC: &'static [&'static str];
    /// Every key of the section.
    const ENTRIES: &'static [Entry<Self>];
}

/// A key and the field that it fills.
pub(super) struct Entry<R> {
    pub(super) key: Key,
    /// Puts the value into the field; false if the key does not allow it.
    pub(super) read: fn(&mut R, &Given<'_>, (u64, u64)) -> bool,
    /// The value of the field as it would stand in the file.
    pub(super) show: fn(&R) -> Option<String>,
}

/// Makes the struct, its `Default` and its keys out of one list, so that no field is without a key, no key
/// without a field, and the explanation of both is the same text. A row reads `name: Type = default,
/// within(min, max), unit("bytes"), flag("packet-bytes-max");` where what follows the default are the methods
/// of `Key`.
macro_rules! room {
    (
        $(#[doc = $room_doc:literal])+
        pub struct $room:ident($section:expr) {
            $(
                $(#[doc = $doc:literal])+
                $name:ident: $ty:ty = $default:expr $(, $fact:ident($($value:expr),+))*;
            )+
        }
    ) => {
        $(#[doc = $room_doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $room {
            $( $(#[doc = $doc])+ pub $name: $ty, )+
        }

        impl Default for $room {
            fn default() -> Self {
                Self { $($name: $default),+ }
            }
        }

        impl $crate::config::room::Room for $room {
            const SECTION: &'static str = $section;
            const DOC: &'static [&'static str] = &[$($room_doc),+];
            const ENTRIES: &'static [$crate::config::room::Entry<Self>] = &[$(
                $crate::config::room::Entry {
                    key: $crate::config::key::Key::new(
                        $section,
                        stringify!($name),
                        <$ty as $crate::config::setting::Setting>::KIND,
                        &[$($doc),+],
                        || <$ty as $crate::config::setting::Setting>::show(&$default),
                    )$(.$fact($($value),+))*,
                    read: |room, given, bounds| {
                        let value = <$ty as $crate::config::setting::Setting>::read(given, bounds);
                        value.map(|value| room.$name = value).is_some()
                    },
                    show: |room| <$ty as $crate::config::setting::Setting>::show(&room.$name),
                },
            )+];
        }
    };
}

pub(super) use room;
