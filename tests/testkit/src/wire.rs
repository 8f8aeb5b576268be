//! The primitive fields of MQTT on the wire: a writer that writes also what is wrong, and a strict reader. Not
//! packets: those are in `packet` and `decode`.

/// Why bytes are not what the specification asks for, with the statement where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl Broken {
    /// A reason in words.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Bytes under construction. It checks nothing, so that wrong packets can be built with it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// Starts an empty run of bytes.
pub fn bytes() -> Bytes {
    Bytes::default()
}

/// Reads bytes written as hexadecimal digits; spaces are ignored.
#[track_caller]
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| {
            u8::try_from(c.to_digit(16).unwrap_or_else(|| panic!("not a hexadecimal digit: {c:?}")))
                .unwrap_or(0)
        })
        .collect();
    assert!(digits.len().is_multiple_of(2), "an odd number of hexadecimal digits: {text:?}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

impl Bytes {
    /// One byte.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// A Two Byte Integer.
    #[must_use]
    pub fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A Four Byte Integer.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A Variable Byte Integer in its shortest form.
    #[must_use]
    pub fn variable(mut self, mut value: usize) -> Self {
        loop {
            let low = u8::try_from(value % 128).unwrap_or(0);
            value /= 128;
            if value == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    /// A UTF-8 Encoded String, or Binary Data: a length of two bytes and the bytes.
    #[must_use]
    pub fn string(self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let len = u16::try_from(value.len()).expect("a string of at most 65,535 bytes");
        self.u16(len).raw(value)
    }

    /// The bytes as they are.
    #[must_use]
    pub fn raw(mut self, value: impl AsRef<[u8]>) -> Self {
        self.0.extend(value.as_ref());
        self
    }

    /// A block with its length in front, as properties are.
    #[must_use]
    pub fn block(self, value: &Bytes) -> Self {
        self.variable(value.0.len()).raw(&value.0)
    }

    /// A whole packet: the first byte, the Remaining Length, and these bytes.
    #[must_use]
    pub fn packet(self, first: u8) -> Vec<u8> {
        bytes().u8(first).block(&self).0
    }
}

/// Reads the fields of one packet's body, strictly.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from these bytes.
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all is read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        if len > self.rest.len() {
            return Err(Broken::new(format!("a field of {len} bytes where {} are left", self.rest.len())));
        }
        let (head, tail) = self.rest.split_at(len);
        self.rest = tail;
        Ok(head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Broken> {
        Ok(self.take(1)?[0])
    }

    /// A Two Byte Integer.
    pub fn u16(&mut self) -> Result<u16, Broken> {
        let field = self.take(2)?;
        Ok(u16::from_be_bytes([field[0], field[1]]))
    }

    /// A Four Byte Integer.
    pub fn u32(&mut self) -> Result<u32, Broken> {
        let field = self.take(4)?;
        Ok(u32::from_be_bytes([field[0], field[1], field[2], field[3]]))
    }

    /// A Variable Byte Integer, in its shortest form only [MQTT-1.5.5-1].
    pub fn variable(&mut self) -> Result<u32, Broken> {
        let mut value = 0;
        for index in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                if byte == 0 && index > 0 {
                    return Err(Broken::new("a variable byte integer longer than needed [MQTT-1.5.5-1]"));
                }
                return Ok(value);
            }
        }
        Err(Broken::new("a variable byte integer of more than four bytes"))
    }

    /// Binary Data.
    pub fn binary(&mut self) -> Result<Vec<u8>, Broken> {
        let len = self.u16()?;
        Ok(self.take(usize::from(len))?.to_vec())
    }

    /// A UTF-8 Encoded String, well-formed and without U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2].
    pub fn string(&mut self) -> Result<String, Broken> {
        let text = String::from_utf8(self.binary()?)
            .map_err(|_| Broken::new("a string that is not well-formed UTF-8 [MQTT-1.5.4-1]"))?;
        if text.contains('\0') {
            return Err(Broken::new("a string with U+0000 [MQTT-1.5.4-2]"));
        }
        Ok(text)
    }

    /// A Packet Identifier, never zero [MQTT-2.2.1-4].
    pub fn packet_id(&mut self) -> Result<u16, Broken> {
        match self.u16()? {
            0 => Err(Broken::new("packet identifier zero [MQTT-2.2.1-4]")),
            id => Ok(id),
        }
    }

    /// Fails unless all is read.
    pub fn end(&self) -> Result<(), Broken> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Broken::new(format!("{} bytes after the packet's last field", self.rest.len())))
    }
}
