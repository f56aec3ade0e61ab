//! As much of HTTP as an upgrade needs: the head of an answer, and the chunks that a body may come in.

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) chunked: bool,
    /// Of the head itself, with the empty line that ends it.
    pub(super) length: usize,
}

impl Head {
    /// `None` while its end has not come.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1)?.parse().ok())
            .ok_or_else(|| format!("{first:?} is no answer of HTTP"))?;
        let chunked = lines
            .filter_map(|line| line.split_once(':'))
            .any(|(name, value)| {
                name.eq_ignore_ascii_case("transfer-encoding")
                    && value.trim().eq_ignore_ascii_case("chunked")
            });
        Ok(Some(Head {
            status,
            chunked,
            length: end + 4,
        }))
    }
}

/// Where in a chunked body the reader is.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Of the chunk in hand.
    left: usize,
    /// The line end behind a chunk's bytes is still to come.
    line_end: bool,
    finished: bool,
}

/// A size in hexadecimal and an extension that nobody uses.
const SIZE_LINE_MAX: usize = 256;

impl Chunks {
    /// How many bytes of `there` to skip, and how many behind them belong to the body; both are used up.
    /// `(0, 0)`: more must be read first.
    pub(super) fn next(&mut self, there: &[u8], limit: usize) -> Result<(usize, usize), String> {
        let mut skip = 0;
        while self.left == 0 && !self.finished {
            let rest = &there[skip..];
            let before = if self.line_end { 2 } else { 0 };
            let Some(line) = rest.get(before..) else {
                break;
            };
            if self.line_end && !rest.starts_with(b"\r\n") {
                return Err("a chunk does not end where it should".to_owned());
            }
            let Some(end) = line.windows(2).position(|two| two == b"\r\n") else {
                if line.len() > SIZE_LINE_MAX {
                    return Err("a chunk without a size".to_owned());
                }
                break;
            };
            let line_text = String::from_utf8_lossy(&line[..end]);
            let digits = line_text.split(';').next().unwrap_or_default().trim();
            self.left = usize::from_str_radix(digits, 16)
                .map_err(|_| format!("{digits:?} is not the size of a chunk"))?;
            self.line_end = true;
            self.finished = self.left == 0;
            skip += before + end + 2;
        }
        let length = (there.len() - skip).min(self.left).min(limit);
        self.left -= length;
        Ok((skip, length))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: x\r\n\r\nrest";
        for cut in 0..text.len() - 4 {
            assert_eq!(Head::parse(&text[..cut]), Ok(None));
        }
        let head = Head::parse(text).unwrap().unwrap();
        assert_eq!((head.status, head.chunked), (101, false));
        assert_eq!(&text[head.length..], b"rest");
        assert!(Head::parse(b"SSH-2.0\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_give_back_the_body_however_they_are_cut() {
        let coded = b"5\r\nhello\r\n1;x=y\r\n \r\n5\r\nworld\r\n0\r\n\r\n";
        for size in 1..coded.len() {
            let (mut chunks, mut body) = (Chunks::default(), Vec::new());
            let mut buffer: Vec<u8> = Vec::new();
            for part in coded.chunks(size) {
                buffer.extend_from_slice(part);
                loop {
                    let (skip, length) = chunks.next(&buffer, 3).unwrap();
                    body.extend_from_slice(&buffer[skip..skip + length]);
                    buffer.drain(..skip + length);
                    if length == 0 {
                        break;
                    }
                }
            }
            assert_eq!(body, b"hello world", "in parts of {size}");
            assert!(chunks.is_finished());
        }
        assert!(Chunks::default().next(b"zz\r\n", 9).is_err());
    }
}
