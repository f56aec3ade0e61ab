//! What is said of every error, word for word: the number for scripts, the two lines for a person.

use lifeboat::exit::{Code, Failure};
use lifeboat_plan::{Missed, Refusal, event::Outcome};
use lifeboat_run::{
    Cancelled,
    backup::BackupError,
    prune::PruneError,
    restore::RestoreError,
    seal::SealError,
    source::SourceError,
    unseal::{PublishError, UnsealError},
    verify::VerifyError,
};
use lifeboat_store::{Error, ErrorKind};
use std::io;

#[track_caller]
fn says(error: impl Into<Failure>, code: Code, text: &str) {
    let failure = error.into();
    assert_eq!(failure.to_string(), text);
    assert_eq!(failure.code, code);
}

fn file() -> String {
    "shop_daily_20251213_020000.db.tar.zst".to_owned()
}

#[test]
fn every_trouble_with_a_store() {
    let store = |kind| Error::new(kind, "write", "daily/x", "the reason");
    for (kind, code, hint) in [
        (
            ErrorKind::NotFound,
            Code::NotFound,
            "check the name with `lifeboat list`, and that the store is mounted",
        ),
        (
            ErrorKind::Exists,
            Code::Refused,
            "nothing was overwritten; `lifeboat list` shows what is there",
        ),
        (
            ErrorKind::Full,
            Code::Failed,
            "free some space or shorten the retention (`lifeboat prune --dry-run` shows what would go)",
        ),
        (
            ErrorKind::Denied,
            Code::Failed,
            "mount the store writable for this user; `lifeboat doctor` tries it out",
        ),
        (
            ErrorKind::Corrupt,
            Code::Integrity,
            "`lifeboat verify --all` tells which backups are still whole",
        ),
        (
            ErrorKind::Busy,
            Code::Locked,
            "wait until the other run has ended, or look at it with `lifeboat status`",
        ),
        (
            ErrorKind::Passing,
            Code::Failed,
            "it is tried again by itself; `lifeboat doctor` tests the connection",
        ),
        (
            ErrorKind::Other,
            Code::Failed,
            "`lifeboat doctor` tests the store step by step",
        ),
    ] {
        let text = format!("lifeboat: cannot write \"daily/x\": the reason\nhint: {hint}");
        says(store(kind), code, &text);
        // The same whoever met it.
        says(BackupError::Store(store(kind)), code, &text);
        says(VerifyError::Store(store(kind)), code, &text);
        says(RestoreError::Store(store(kind)), code, &text);
        says(PruneError::Store(store(kind)), code, &text);
        says(UnsealError::Store(store(kind)), code, &text);
    }
}

#[test]
fn every_trouble_with_an_archive() {
    says(
        UnsealError::WrongKey { file: file() },
        Code::WrongKey,
        "lifeboat: shop_daily_20251213_020000.db.tar.zst cannot be opened with the key at hand\n\
         hint: nothing was touched; give the key it was sealed with (BACKUP_ENCRYPTION_KEY, BACKUP_AGE_IDENTITY)",
    );
    says(
        UnsealError::NoKey { file: file() },
        Code::WrongKey,
        "lifeboat: shop_daily_20251213_020000.db.tar.zst is encrypted, and no key is configured\n\
         hint: nothing was touched; set BACKUP_ENCRYPTION_KEY or BACKUP_AGE_IDENTITY",
    );
    let damaged = || UnsealError::Damaged {
        file: file(),
        reason: "it ends too early".to_owned(),
    };
    let text = "lifeboat: shop_daily_20251213_020000.db.tar.zst is damaged: it ends too early\n\
                hint: restore from an older backup or another copy; `lifeboat verify --all` tells which are whole";
    says(damaged(), Code::Integrity, text);
    says(RestoreError::Unseal(damaged()), Code::Integrity, text);
    says(VerifyError::Unseal(damaged()), Code::Integrity, text);
    says(
        UnsealError::Hostile {
            file: file(),
            reason: "\"../x\" leads out of it".to_owned(),
        },
        Code::Integrity,
        "lifeboat: shop_daily_20251213_020000.db.tar.zst is refused: \"../x\" leads out of it\n\
         hint: do not trust this file: Lifeboat never writes such an archive; take another copy",
    );
}

#[test]
fn every_trouble_with_a_backup() {
    says(
        BackupError::NoSources,
        Code::NotFound,
        "lifeboat: there is nothing to back up\n\
         hint: mount the volumes below BACKUP_SOURCES_DIR; `lifeboat plan` shows what is left out and why",
    );
    let missed = |source: &str| Missed {
        source: source.to_owned(),
        reason: "is not there".to_owned(),
        code: None,
    };
    says(
        BackupError::AllMissed(vec![missed("storage"), missed("auth")]),
        Code::Failed,
        "lifeboat: no source could be captured, so there is no backup\n  \
           storage: is not there\n  \
           auth: is not there\n\
         hint: correct what is said of each; `lifeboat doctor` tries them one by one",
    );
    says(
        BackupError::Seal {
            source_name: "storage".to_owned(),
            error: SealError::Panicked("compressor"),
        },
        Code::Failed,
        "lifeboat: cannot seal \"storage\": the compressor thread panicked\n\
         hint: this is a fault of the program: please report it with the lines above",
    );
    says(
        BackupError::Seal {
            source_name: "storage".to_owned(),
            error: SealError::Source(SourceError::Refused("no".to_owned())),
        },
        Code::Failed,
        "lifeboat: cannot seal \"storage\": no\n\
         hint: nothing of it can be seen; `lifeboat doctor` tries everything out",
    );
    says(
        BackupError::ReadBack(UnsealError::Damaged {
            file: file(),
            reason: "it ends too early".to_owned(),
        }),
        Code::Failed,
        "lifeboat: read back after writing: shop_daily_20251213_020000.db.tar.zst is damaged: it ends too early\n\
         hint: the disk or the memory changed what was written: test both, then run it again; this backup was taken back",
    );
}

#[test]
fn every_trouble_with_a_restore() {
    says(
        RestoreError::Refused("/restore is not empty".to_owned()),
        Code::Refused,
        "lifeboat: /restore is not empty\n\
         hint: nothing was touched; correct that, or restore into a new folder with --to DIR",
    );
    says(
        RestoreError::NothingMatched {
            id: "shop_daily_20251213_020000".parse().unwrap(),
            paths: vec!["inv/*.txt".to_owned()],
        },
        Code::NotFound,
        "lifeboat: nothing in shop_daily_20251213_020000 matches inv/*.txt\n\
         hint: --path is matched inside the source, as in 'inv/*.txt'; `lifeboat cat ID SOURCE | tar -t` lists the names",
    );
    says(
        RestoreError::Publish(PublishError::Occupied {
            target: "/restore".into(),
        }),
        Code::Refused,
        "lifeboat: /restore is not empty\n\
         hint: nothing is ever restored over what is there; give --to a new folder",
    );
    says(
        RestoreError::Io {
            action: "make",
            path: "/restore".into(),
            error: io::Error::from(io::ErrorKind::StorageFull),
        },
        Code::Failed,
        "lifeboat: cannot make /restore: no storage space\n\
         hint: nothing was restored; is there space at the target, and the right to write?",
    );
}

#[test]
fn retention_that_says_no() {
    says(
        PruneError::Refused(Refusal::NothingGood(3)),
        Code::Refused,
        "lifeboat: nothing was dropped: none of 3 backups is known to be good\n\
         hint: `lifeboat verify --all` tells what is wrong with them",
    );
}

#[test]
fn a_signal() {
    let text = "lifeboat: stopped before the end, as asked\n\
                hint: nothing of it can be seen; run the same command again when it suits";
    says(Cancelled, Code::Interrupted, text);
    says(BackupError::Cancelled(Cancelled), Code::Interrupted, text);
    says(RestoreError::Cancelled(Cancelled), Code::Interrupted, text);
}

#[test]
fn outcomes_have_codes() {
    let codes = Outcome::ALL.map(|outcome| Code::from(outcome) as u8);
    assert_eq!(codes, [0, 3, 1, 1, 130, 1, 11]);
}

#[test]
fn nothing_in_a_text_can_move_a_terminal() {
    let failure = Failure::new(Code::Failed, "cannot read \x1b[2Jx\ny", "look\r");
    assert_eq!(
        failure.to_string(),
        "lifeboat: cannot read \u{fffd}[2Jx\u{fffd}y\nhint: look\u{fffd}"
    );
}
