//! D-Bus's form of values (D-Bus Specification, "Marshaling"), as far as it is used: written in this machine's usual order of bytes,
//! little end first, and read with every length checked.

use zeroize::Zeroizing;

use super::KeyringError;

/// Bytes of the longest body, of ours and of theirs.
pub(super) const LONGEST_BODY: usize = 64 * 1024;

/// Writes a body into a buffer that is overwritten after use and never grows: one that did would leave a copy behind.
pub(super) struct Writer {
    bytes: Zeroizing<Vec<u8>>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(LONGEST_BODY)) }
    }

    /// None if it is too long to be sent.
    pub(super) fn finished(&self) -> Option<&[u8]> {
        (self.bytes.len() <= LONGEST_BODY && self.bytes.capacity() == LONGEST_BODY).then_some(&self.bytes)
    }

    pub(super) fn align(&mut self, to: usize) {
        let length = self.bytes.len().next_multiple_of(to);
        self.bytes.resize(length, 0);
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn number(&mut self, number: u32) {
        self.align(4);
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn boolean(&mut self, is_so: bool) {
        self.number(u32::from(is_so));
    }

    fn length(&mut self, length: usize) {
        // What is too long isn't sent.
        self.number(u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// A text, or an object's path.
    pub(super) fn string(&mut self, text: &str) {
        self.length(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    pub(super) fn signature(&mut self, signature: &str) {
        self.bytes.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.bytes.extend_from_slice(signature.as_bytes());
        self.bytes.push(0);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn structure(&mut self) {
        self.align(8);
    }

    pub(super) fn variant_string(&mut self, text: &str) {
        self.signature("s");
        self.string(text);
    }

    /// An array whose elements are aligned so; its length is written when it is known.
    pub(super) fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) {
        self.number(0);
        let at = self.bytes.len() - 4;
        self.align(alignment);
        let start = self.bytes.len();
        elements(self);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// An array of texts.
    pub(super) fn strings(&mut self, texts: &[String]) {
        self.array(4, |writer| texts.iter().for_each(|text| writer.string(text)));
    }

    /// `a{ss}`
    pub(super) fn strings_by_name(&mut self, entries: &[(&str, String)]) {
        self.array(8, |writer| {
            for (name, value) in entries {
                writer.structure();
                writer.string(name);
                writer.string(value);
            }
        });
    }

    /// `a{sv}` of a text and of texts by name.
    pub(super) fn properties(&mut self, (name, text): (&str, &str), (other, entries): (&str, &[(&str, String)])) {
        self.array(8, |writer| {
            writer.structure();
            writer.string(name);
            writer.variant_string(text);
            writer.structure();
            writer.string(other);
            writer.signature("a{ss}");
            writer.strings_by_name(entries);
        });
    }
}

/// What came back: its signature and its body.
pub(super) struct Answer {
    pub(super) signature: String,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Reads values one after the other.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    /// Of an answer that must have this signature.
    pub(super) fn new(answer: &'b Answer, signature: &str) -> Result<Self, KeyringError> {
        if answer.signature == signature { Ok(Self::of(&answer.body)) } else { Err(KeyringError::Unintelligible) }
    }

    pub(super) fn of(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], KeyringError> {
        let taken = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end)).ok_or(KeyringError::Unintelligible)?;
        self.at += count;
        Ok(taken)
    }

    fn align(&mut self, to: usize) -> Result<(), KeyringError> {
        self.take(self.at.next_multiple_of(to) - self.at).map(drop)
    }

    pub(super) fn byte(&mut self) -> Result<u8, KeyringError> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn number(&mut self) -> Result<u32, KeyringError> {
        self.align(4)?;
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn length(&mut self) -> Result<usize, KeyringError> {
        usize::try_from(self.number()?).map_err(|_| KeyringError::Unintelligible)
    }

    fn terminated(&mut self, length: usize) -> Result<&'b str, KeyringError> {
        let text = self.take(length)?;
        if self.byte()? != 0 || text.contains(&0) {
            return Err(KeyringError::Unintelligible);
        }
        std::str::from_utf8(text).map_err(|_| KeyringError::Unintelligible)
    }

    /// A text, or an object's path.
    pub(super) fn string(&mut self) -> Result<&'b str, KeyringError> {
        let length = self.length()?;
        self.terminated(length)
    }

    pub(super) fn signature(&mut self) -> Result<&'b str, KeyringError> {
        let length = usize::from(self.byte()?);
        self.terminated(length)
    }

    pub(super) fn bytes(&mut self) -> Result<&'b [u8], KeyringError> {
        let length = self.length()?;
        self.take(length)
    }

    pub(super) fn structure(&mut self) -> Result<(), KeyringError> {
        self.align(8)
    }

    /// An array of texts.
    pub(super) fn strings(&mut self, most: usize) -> Result<Vec<String>, KeyringError> {
        let length = self.length()?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(KeyringError::Unintelligible)?;
        let mut texts = Vec::new();
        while self.at < end {
            if texts.len() == most {
                return Err(KeyringError::Unintelligible);
            }
            texts.push(self.string()?.to_owned());
        }
        if self.at == end { Ok(texts) } else { Err(KeyringError::Unintelligible) }
    }

    /// A variant that says nothing to us: a text, bytes or a number.
    pub(super) fn skip_variant(&mut self) -> Result<(), KeyringError> {
        match self.signature()? {
            "s" | "o" => self.string().map(drop),
            "g" => self.signature().map(drop),
            "ay" => self.bytes().map(drop),
            "u" => self.number().map(drop),
            _ => Err(KeyringError::Unintelligible),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_as_the_specification_has_it() {
        let mut writer = Writer::new();
        writer.byte(1);
        writer.string("foo");
        writer.strings_by_name(&[("a", "b".to_owned())]);
        assert_eq!(
            writer.finished().unwrap(),
            b"\x01\0\0\0\x03\0\0\0foo\0\x0e\0\0\0\x01\0\0\0a\0\0\0\x01\0\0\0b\0".as_slice(),
            "each value at its alignment, the array's length without what is before its first element"
        );
        let mut long = Writer::new();
        long.bytes(&vec![0; LONGEST_BODY]);
        assert!(long.finished().is_none());
    }

    proptest! {
        #[test]
        fn bytes_of_anybody_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..9_usize) {
            let mut reader = Reader { bytes: &bytes, at: at.min(bytes.len()) };
            let _ = reader.skip_variant();
            let _ = reader.strings(4);
            let _ = reader.bytes();
            let _ = reader.structure();
            let _ = reader.string();
            prop_assert!(reader.at <= bytes.len());
        }
    }
}
