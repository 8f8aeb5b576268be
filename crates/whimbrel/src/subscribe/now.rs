//! The time at which a message came, in the user's time zone.

use jiff::{Zoned, fmt::strtime};

/// One moment.
#[derive(Clone, Debug)]
pub(super) struct Now(Zoned);

impl Now {
    pub(super) fn get() -> Now {
        Now(Zoned::now())
    }

    #[cfg(test)]
    pub(super) fn at(zoned: Zoned) -> Now {
        Now(zoned)
    }

    /// What strftime gives for `%` and this letter; an error where it is none of its letters.
    pub(super) fn strftime(&self, letter: char) -> Result<String, String> {
        let pattern = format!("%{letter}");
        strtime::format(&pattern, &self.0).map_err(|_| format!("@{letter} is no sequence for a time"))
    }

    /// Nanoseconds of the second, nine digits.
    pub(super) fn nanoseconds(&self) -> String {
        format!("{:09}", self.0.subsec_nanosecond())
    }

    /// Date and time as ISO 8601 writes them.
    pub(super) fn iso(&self) -> String {
        self.0.strftime("%FT%T%z").to_string()
    }

    /// The same with microseconds.
    pub(super) fn iso_precise(&self) -> String {
        let microseconds = self.0.subsec_nanosecond() / 1_000;
        format!("{}.{microseconds:06}{}", self.0.strftime("%FT%T"), self.0.strftime("%z"))
    }

    /// Seconds since 1970, with nanoseconds.
    pub(super) fn unix(&self) -> String {
        format!("{}.{}", self.0.timestamp().as_second(), self.nanoseconds())
    }
}
