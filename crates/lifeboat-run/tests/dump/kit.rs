//! What these tests share.

use lifeboat_run::source::{EndWatch, Fault, Format, Seen};
use std::process::{Command, Stdio};

pub(crate) type Verdict = Result<Seen, (Fault, String)>;

pub(crate) fn judge(format: Format, bytes: &[u8]) -> Verdict {
    judge_pieces(format, [bytes])
}

pub(crate) fn judge_pieces<'a>(
    format: Format,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Verdict {
    let mut watch = EndWatch::new(format);
    for piece in pieces {
        watch.see(piece);
    }
    watch.end()
}

/// Whole as it is, refused when it is cut at `at`, for every one of these.
pub(crate) fn refuses_cuts(format: Format, whole: &[u8], at: impl IntoIterator<Item = usize>) {
    judge(format, whole).unwrap();
    for at in at {
        let verdict = judge(format, &whole[..at]);
        let refused = matches!(verdict, Err((Fault::NoEndMarker, _)));
        assert!(refused, "cut at {at} of {}: {verdict:?}", whole.len());
    }
}

/// The same verdict in whatever stretches the bytes come.
pub(crate) fn judges_alike_in_pieces(format: Format, bytes: &[u8]) {
    let verdict = judge(format, bytes);
    for size in [1, 2, 3, 5, 7, 8, 40, 41, 47, 48, 49, 97, 4096, 65_537] {
        assert_eq!(
            judge_pieces(format, bytes.chunks(size)),
            verdict,
            "in pieces of {size}"
        );
    }
    let mut dice = Dice(1);
    for round in 0..30 {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            // Mostly short ones, none at all among them.
            let most = [3, 60, 5000][dice.below(3)];
            let (piece, later) = rest.split_at(dice.below(most).min(rest.len()));
            pieces.push(piece);
            rest = later;
        }
        assert_eq!(
            judge_pieces(format, pieces),
            verdict,
            "cut up by chance, round {round}"
        );
    }
}

/// Whatever bit is wrong: there is a verdict.
pub(crate) fn survives_flips(format: Format, whole: &[u8], flips: usize) {
    let mut dice = Dice(7);
    for _ in 0..flips {
        let mut bytes = whole.to_vec();
        for _ in 0..=dice.below(3) {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
        let _ = judge(format, &bytes);
    }
}

/// Always the same chance.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

/// Runs a command that must succeed; its output.
pub(crate) fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
