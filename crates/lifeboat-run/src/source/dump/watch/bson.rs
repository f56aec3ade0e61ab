//! As much of BSON as the heads of mongodump's archives need.

/// The members of a document, not looked at before somebody asks.
pub(super) struct Document<'a>(&'a [u8]);

enum Value<'a> {
    Text(&'a [u8]),
    Boolean(bool),
    Int(i64),
    Other,
}

impl<'a> Document<'a> {
    /// `bytes` with their length at the front; `None` when they are no document.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let (length, members) = bytes.split_first_chunk::<4>()?;
        let (last, members) = members.split_last()?;
        let whole = u32::from_le_bytes(*length) as usize == bytes.len() && *last == 0;
        let document = whole.then_some(Document(members))?;
        let mut rest = document.0;
        while !rest.is_empty() {
            rest = member(rest)?.2;
        }
        Some(document)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Boolean(is) => Some(is),
            _ => None,
        }
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Int(int) => Some(int),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<Value<'a>> {
        let mut rest = self.0;
        loop {
            let (found, value, after) = member(rest)?;
            if found == name.as_bytes() {
                return Some(value);
            }
            rest = after;
        }
    }
}

/// Name and value of the first member, and what comes after it.
fn member(bytes: &[u8]) -> Option<(&[u8], Value<'_>, &[u8])> {
    let (kind, bytes) = bytes.split_first()?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (name, bytes) = (&bytes[..end], &bytes[end + 1..]);
    let (value, rest) = match kind {
        // text
        0x02 => {
            let (length, bytes) = bytes.split_first_chunk::<4>()?;
            let (text, rest) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            (Value::Text(text.strip_suffix(&[0])?), rest)
        }
        // document, array
        0x03 | 0x04 => {
            let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?) as usize;
            (Value::Other, bytes.split_at_checked(length)?.1)
        }
        0x08 => {
            let (value, rest) = bytes.split_first()?;
            (Value::Boolean(*value != 0), rest)
        }
        // null
        0x0a => (Value::Other, bytes),
        0x10 => {
            let (value, rest) = bytes.split_first_chunk::<4>()?;
            (Value::Int(i32::from_le_bytes(*value).into()), rest)
        }
        0x12 => {
            let (value, rest) = bytes.split_first_chunk::<8>()?;
            (Value::Int(i64::from_le_bytes(*value)), rest)
        }
        // number with a point, time, time stamp
        0x01 | 0x09 | 0x11 => (Value::Other, bytes.split_at_checked(8)?.1),
        _ => return None,
    };
    Some((name, value, rest))
}
