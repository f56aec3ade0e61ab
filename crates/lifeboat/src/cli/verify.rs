//! `lifeboat verify`: is a backup still what was written?

use super::{
    args, listeners,
    port::{Port, only_near},
    screen::{Paint, Screen},
    signals::Signals,
    words,
};
use crate::exit::{Code, Failure, Result};
use lifeboat_plan::BackupId;
use lifeboat_run::{
    catalog::{Catalog, Item},
    unseal::Depth,
    verify::{Checked, VerifyError, verify},
};
use serde::Serialize;

pub fn run(args: &args::Verify, port: &Port, signals: &Signals, screen: &mut Screen) -> Result {
    only_near(&args.store.name)?;
    let catalog = port.catalog()?;
    let wanted: Vec<&Item> = match args.all {
        true => catalog.items.iter().collect(),
        false => vec![port.find(&catalog, &args.id)?],
    };
    let depth = match args.deep {
        true => Depth::Deep,
        false => Depth::Digest,
    };
    let cancel = signals.cancel();
    let listener = listeners::quiet(screen);
    let mut answers = Vec::new();
    for item in wanted {
        let checked = verify(
            item,
            depth,
            port.harbour(),
            chrono::Utc::now(),
            cancel,
            &listener,
        );
        let answer = match checked {
            Ok(checked) => Answer::of(checked),
            Err(VerifyError::Gone(id)) if args.all => {
                screen.line(format_args!("  {id}  was dropped meanwhile"));
                continue;
            }
            Err(error) => {
                let failure = Failure::from(error);
                if matches!(failure.code, Code::Interrupted) {
                    return Err(failure);
                }
                Answer::unknown(item.id(), failure)
            }
        };
        answer.print(screen);
        answers.push(answer);
    }
    if args.all {
        answers.extend(suspects(&catalog, screen));
    }
    conclude(answers, screen)
}

/// What became known of one backup.
#[derive(Serialize)]
struct Answer {
    id: BackupId,
    whole: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<Checked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    failure: Option<Failure>,
}

impl Answer {
    fn of(checked: Checked) -> Self {
        let failure = damage(&checked);
        Answer {
            id: checked.id.clone(),
            whole: failure.is_none(),
            checked: Some(checked),
            error: None,
            failure,
        }
    }

    /// It could not be found out.
    fn unknown(id: &BackupId, failure: Failure) -> Self {
        Answer {
            id: id.clone(),
            whole: false,
            checked: None,
            error: Some(failure.what.clone()),
            failure: Some(failure),
        }
    }

    fn print(&self, screen: &mut Screen) {
        let (paint, mark) = match self.whole {
            true => (Paint::Good, "✓"),
            false => (Paint::Bad, "✗"),
        };
        let mark = screen.paint(paint, mark);
        let Some(checked) = &self.checked else {
            let error = self.error.as_deref().unwrap_or_default();
            screen.line(format_args!("{mark} {}  {}", self.id, words::plain(error)));
            return;
        };
        screen.line(format_args!(
            "{mark} {}  {}, {} read{}",
            self.id,
            words::many(checked.archives as u64, "archive", "archives"),
            words::size(checked.bytes),
            if checked.deep {
                " and unsealed to the end"
            } else {
                ""
            }
        ));
        for line in checked.damage.iter().chain(&checked.remarks) {
            screen.line(format_args!("    {}", words::plain(line)));
        }
    }
}

/// How a verification ends that found damage.
pub fn damage(checked: &Checked) -> Option<Failure> {
    (!checked.is_whole()).then(|| {
        Failure::new(
            Code::Integrity,
            format!("{} is damaged", checked.id),
            "restore from another backup; this one is kept, but counts for no keep rule any more",
        )
        .with_details(checked.damage.clone())
    })
}

fn suspects(catalog: &Catalog, screen: &mut Screen) -> Vec<Answer> {
    let answers = catalog.suspects.iter().map(|suspect| {
        let failure = Failure::new(
            Code::Integrity,
            format!(
                "the manifest of {} cannot be relied on: {}",
                suspect.id, suspect.reason
            ),
            "its archives can still be opened one by one with `lifeboat restore FILE --to DIR`",
        );
        Answer::unknown(&suspect.id, failure)
    });
    let answers: Vec<Answer> = answers.collect();
    for answer in &answers {
        answer.print(screen);
    }
    answers
}

/// The worst of them decides: damage before all else.
fn conclude(answers: Vec<Answer>, screen: &mut Screen) -> Result {
    let bad: Vec<&Answer> = answers.iter().filter(|answer| !answer.whole).collect();
    let worst = bad
        .iter()
        .filter_map(|answer| answer.failure.as_ref())
        .max_by_key(|failure| failure.code as u8);
    let Some(worst) = worst else {
        screen.document(&serde_json::json!({ "ok": true, "backups": answers }));
        return Ok(Code::Done);
    };
    let failure = match bad[..] {
        [_] => worst.clone(),
        _ => Failure::new(
            worst.code,
            format!("{} of {} backups are not whole", bad.len(), answers.len()),
            worst.hint.clone(),
        )
        .with_details(bad.iter().map(|answer| answer.id.to_string()).collect()),
    };
    screen.fail_with(
        failure,
        &serde_json::json!({ "ok": false, "backups": answers }),
    )
}
