//! Dumps as SQL text: the last thing such a program writes is a comment that says so.
//!
//! Without it half a dump restores without an error: a `COPY` that ends with the file has ended.

use super::{Fault, NotWhole, Seen, Watch};

/// The first and the last bytes of a text, and how to judge them.
pub(super) struct Text {
    head: Vec<u8>,
    tail: Vec<u8>,
    judge: fn(head: &str, tail: &str) -> Result<(), String>,
}

/// Far more than what stands before the first statement or after the last one.
const KEPT: usize = 2 << 10;

const DATABASE: &str = "-- PostgreSQL database dump complete";
const CLUSTER: &str = "-- PostgreSQL database cluster dump complete";
const MYSQL: &str = "-- Dump completed";

impl Text {
    pub(super) fn postgres() -> Self {
        Self::judged_by(postgres)
    }

    pub(super) fn mysql() -> Self {
        Self::judged_by(mysql)
    }

    fn judged_by(judge: fn(&str, &str) -> Result<(), String>) -> Self {
        Text {
            head: Vec::with_capacity(KEPT),
            tail: Vec::with_capacity(2 * KEPT),
            judge,
        }
    }
}

impl Watch for Text {
    fn see(&mut self, bytes: &[u8]) {
        let room = KEPT - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() >= KEPT {
            self.tail.clear();
        } else if self.tail.len() + bytes.len() > 2 * KEPT {
            self.tail.drain(..self.tail.len() - KEPT);
        }
        self.tail
            .extend_from_slice(&bytes[bytes.len().saturating_sub(KEPT)..]);
    }

    fn end(self: Box<Self>) -> Result<Seen, NotWhole> {
        // What lies before the last lines may be anything, in any encoding.
        let tail = &self.tail[self.tail.len().saturating_sub(KEPT)..];
        let (head, tail) = (
            String::from_utf8_lossy(&self.head),
            String::from_utf8_lossy(tail),
        );
        match (self.judge)(&head, &tail) {
            Ok(()) => Ok(Seen::default()),
            Err(why) => Err((Fault::NoEndMarker, why)),
        }
    }
}

/// The trailer, then nothing but comment signs and, in younger versions, the end of the restriction that
/// the first lines of a database's dump began.
fn postgres(head: &str, tail: &str) -> Result<(), String> {
    let mut last = ended_lines(tail)
        .rev()
        .filter(|line| !line.is_empty() && *line != "--");
    // A dump of the cluster holds whole dumps of its databases, and ends its restriction before it ends.
    if head
        .lines()
        .any(|line| line == "-- PostgreSQL database cluster dump")
    {
        return ends_with(CLUSTER, last.next());
    }
    let mut restrictions = head
        .lines()
        .filter_map(|line| line.strip_prefix("\\restrict "));
    if let Some(key) = restrictions.next() {
        ends_with(&format!("\\unrestrict {key}"), last.next())?;
    }
    ends_with(DATABASE, last.next())
}

fn ends_with(wanted: &str, line: Option<&str>) -> Result<(), String> {
    match line == Some(wanted) {
        true => Ok(()),
        false => Err(format!("no `{wanted}` at its end, but {}", said(line))),
    }
}

fn mysql(_: &str, tail: &str) -> Result<(), String> {
    let last = ended_lines(tail).rev().find(|line| !line.is_empty());
    let rest = last.and_then(|line| line.strip_prefix(MYSQL));
    match rest {
        Some(rest) if rest.is_empty() || rest.starts_with(" on ") => Ok(()),
        _ => Err(format!("no `{MYSQL}` at its end, but {}", said(last))),
    }
}

/// Lines that have their end; what comes after the last line's end is one line more.
fn ended_lines(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    // A last line without its end was cut: it must not look like one that was meant so.
    text.split_inclusive('\n').map(|line| {
        line.strip_suffix('\n')
            .map_or("(a line without an end)", |line| {
                line.strip_suffix('\r').unwrap_or(line)
            })
    })
}

/// The line that stands there instead, without the data that may be in it.
fn said(line: Option<&str>) -> &'static str {
    match line {
        None => "nothing",
        Some("(a line without an end)") => "the middle of a line",
        Some(line) if line.starts_with("--") => "another comment",
        Some(_) => "data or a statement",
    }
}
