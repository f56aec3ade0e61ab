//! A stream cut anywhere, handed over as the numbers, texts and stretches that a grammar asks for.

/// Says, of what came, what has to come next.
pub(super) trait Grammar {
    fn first(&self) -> Need;

    /// Bytes of a number, without the one for its sign.
    fn int_size(&self) -> u64;

    fn got(&mut self, got: Got<'_>) -> Result<Need, String>;
}

/// What has to come next.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// A few, all of them kept.
    Bytes(u64),
    /// A byte that is not zero for a number below zero, then the number, its lowest byte first.
    Int,
    /// Its length as a number, then so many bytes, the first few of them kept.
    Text(usize),
    Skip(u64),
}

pub(super) enum Got<'a> {
    Bytes(&'a [u8]),
    Int(i64),
    /// `None` is something else than no bytes.
    Text(Option<&'a [u8]>),
    Skipped,
}

pub(super) struct Tokens<G> {
    grammar: G,
    need: Need,
    /// Of a text, once its length is known: bytes still to come.
    text_left: Option<u64>,
    kept: Vec<u8>,
    wrong: Option<String>,
}

impl<G: Grammar + Default> Default for Tokens<G> {
    fn default() -> Self {
        let grammar = G::default();
        Tokens {
            need: grammar.first(),
            grammar,
            text_left: None,
            kept: Vec::new(),
            wrong: None,
        }
    }
}

impl<G: Grammar> Tokens<G> {
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while self.wrong.is_none() && !bytes.is_empty() {
            bytes = self.step(bytes);
        }
    }

    /// The grammar, and whether the stream has ended between two tokens; or what was wrong with it.
    pub(super) fn end(self) -> Result<(G, bool), String> {
        match self.wrong {
            Some(why) => Err(why),
            None => Ok((
                self.grammar,
                self.kept.is_empty() && self.text_left.is_none(),
            )),
        }
    }

    /// Takes some of `bytes`, at least one, and gives back the others.
    fn step<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match self.need {
            Need::Bytes(size) => self.collect(bytes, size, |tokens, kept| {
                tokens.tell(Got::Bytes(kept));
            }),
            Need::Int => self.collect(
                bytes,
                self.grammar.int_size() + 1,
                |tokens, kept| match int(kept) {
                    Some(int) => tokens.tell(Got::Int(int)),
                    None => tokens.wrong = Some(TOO_LARGE.to_owned()),
                },
            ),
            Need::Text(keep) => match self.text_left {
                None => self.collect(
                    bytes,
                    self.grammar.int_size() + 1,
                    |tokens, kept| match int(kept) {
                        None => tokens.wrong = Some(TOO_LARGE.to_owned()),
                        Some(length) => match u64::try_from(length) {
                            Err(_) => tokens.tell(Got::Text(None)),
                            Ok(0) => tokens.tell(Got::Text(Some(&[]))),
                            Ok(length) => tokens.text_left = Some(length),
                        },
                    },
                ),
                Some(left) => {
                    let (now, later) = split(bytes, left);
                    let room = keep.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&now[..now.len().min(room)]);
                    self.text_left = Some(left - now.len() as u64);
                    if self.text_left == Some(0) {
                        self.text_left = None;
                        let text = std::mem::take(&mut self.kept);
                        self.tell(Got::Text(Some(&text)));
                    }
                    later
                }
            },
            Need::Skip(left) => {
                let (now, later) = split(bytes, left);
                match left - now.len() as u64 {
                    0 => self.tell(Got::Skipped),
                    left => self.need = Need::Skip(left),
                }
                later
            }
        }
    }

    /// Adds to what is kept until it is `size` bytes.
    fn collect<'b>(
        &mut self,
        bytes: &'b [u8],
        size: u64,
        whole: impl FnOnce(&mut Self, &[u8]),
    ) -> &'b [u8] {
        let (now, later) = split(bytes, size - self.kept.len() as u64);
        self.kept.extend_from_slice(now);
        if self.kept.len() as u64 == size {
            let mut kept = std::mem::take(&mut self.kept);
            whole(self, &kept);
            kept.clear();
            self.kept = kept;
        }
        later
    }

    fn tell(&mut self, got: Got<'_>) {
        match self.grammar.got(got) {
            Ok(need) => self.need = need,
            Err(why) => self.wrong = Some(why),
        }
    }
}

const TOO_LARGE: &str = "a number in it is too large";

fn split(bytes: &[u8], at: u64) -> (&[u8], &[u8]) {
    let at = usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
    bytes.split_at(at)
}

fn int(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = bytes.split_first()?;
    let mut wide = [0; 8];
    wide.get_mut(..digits.len())?.copy_from_slice(digits);
    let value = i64::try_from(u64::from_le_bytes(wide)).ok()?;
    Some(if *sign == 0 { value } else { -value })
}
