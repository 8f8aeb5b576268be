//! The list of reason codes in SUBACK and UNSUBACK.

use core::fmt;

use crate::ReasonCode;

/// One reason code per topic filter, in the order of the request.
#[derive(Copy, Clone, Default)]
pub struct Reasons<'a> {
    source: Source<'a>,
}

#[derive(Copy, Clone)]
enum Source<'a> {
    /// Bytes that have been checked.
    Bytes(&'a [u8]),
    Slice(&'a [ReasonCode]),
}

impl Default for Source<'_> {
    fn default() -> Self {
        Source::Slice(&[])
    }
}

impl<'a> Reasons<'a> {
    /// These reason codes.
    #[must_use]
    pub const fn from_slice(reasons: &'a [ReasonCode]) -> Self {
        Reasons { source: Source::Slice(reasons) }
    }

    /// Bytes each of which is known to be a reason code.
    pub(crate) const fn from_bytes(bytes: &'a [u8]) -> Self {
        Reasons { source: Source::Bytes(bytes) }
    }

    /// Each reason code in order.
    pub fn iter(&self) -> impl Iterator<Item = ReasonCode> + Clone + use<'a> {
        let (bytes, reasons) = match self.source {
            Source::Bytes(bytes) => (bytes, [].as_slice()),
            Source::Slice(reasons) => ([].as_slice(), reasons),
        };
        bytes.iter().filter_map(|&code| ReasonCode::from_u8(code)).chain(reasons.iter().copied())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match self.source {
            Source::Bytes(bytes) => bytes.len(),
            Source::Slice(reasons) => reasons.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }
}

impl PartialEq for Reasons<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Reasons<'_> {}

impl fmt::Debug for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
