//! Takes decisions from the front of an input. Not a generator: what is drawn beyond the end is zero.

/// An input that is being used up.
pub(crate) struct Draw<'a> {
    rest: &'a [u8],
}

impl<'a> Draw<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.slice(1).first().copied().unwrap_or(0)
    }

    /// A number below `bound`, which is at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// So many bytes, or as many as there are.
    pub(crate) fn slice(&mut self, len: usize) -> &'a [u8] {
        let (slice, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        slice
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.slice(usize::MAX)
    }

    /// A topic name of up to five levels. Most are of an alphabet so small that topics share parts; some levels are
    /// empty, begin with `$`, are too long to be stored inline, or are whatever the input says.
    pub(crate) fn topic(&mut self) -> String {
        let count = 1 + self.below(5);
        let topic = (0..count).map(|_| self.level()).collect::<Vec<_>>().join("/");
        if topic.is_empty() { "a".to_owned() } else { topic }
    }

    /// A topic filter over the same alphabet.
    pub(crate) fn filter(&mut self) -> String {
        let choice = self.byte();
        let count = usize::from(choice % 6);
        let mut levels: Vec<String> =
            (0..count).map(|_| if self.byte() < 128 { "+".to_owned() } else { self.level() }).collect();
        if choice >= 128 || levels.join("/").is_empty() {
            levels.push("#".to_owned());
        }
        levels.join("/")
    }

    fn level(&mut self) -> String {
        match self.below(10) {
            number @ 0..=5 => {
                ["a", "b", "c", "", "$s", "a level longer than eighteen bytes"][number].to_owned()
            }
            6 => self.byte().to_string(),
            len => String::from_utf8_lossy(self.slice(len - 5)).replace(['/', '+', '#', '\0'], "x"),
        }
    }
}
