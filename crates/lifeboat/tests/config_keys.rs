//! Which keys seal, open and sign, and what is said of keys that contradict each other.

mod config_world;

use config_world::{World, effective};
use lifeboat_run::keys::{self, Seal};

const PASSPHRASE: &str = "correct horse battery staple";

struct Pair {
    identity: String,
    recipient: String,
}

fn pair() -> Pair {
    let (identity, recipient) = keys::generate();
    Pair {
        identity: identity.reveal().clone(),
        recipient,
    }
}

/// The seal in a word, `BACKUP_ENCRYPTION` as shown, and the warnings.
#[track_caller]
fn sealed(variables: &[(&str, &str)]) -> (String, String, Vec<String>) {
    let loaded = World::new().envs(variables).loaded();
    let seal = match &loaded.config.sealing.keys.seal {
        Seal::Open => "open".to_owned(),
        Seal::Passphrase(passphrase) => format!("passphrase {}", passphrase.reveal()),
        Seal::Recipients(recipients) => format!("recipients {}", recipients.join(" ")),
    };
    let (value, origin) = effective(&loaded, "BACKUP_ENCRYPTION");
    let warnings = loaded.warnings.into_iter().map(|warning| warning.what);
    (
        seal,
        format!("{} ({origin})", value.unwrap()),
        warnings.collect(),
    )
}

#[test]
fn the_key_that_is_given_decides() {
    let Pair {
        identity,
        recipient,
    } = pair();
    let to_recipient = format!("recipients {recipient}");
    for (variables, seal, shown) in [
        (
            &[][..],
            "open".to_owned(),
            "none (default, from no key being given)",
        ),
        (
            &[("BACKUP_ENCRYPTION_KEY", PASSPHRASE)],
            format!("passphrase {PASSPHRASE}"),
            "age (default, from BACKUP_ENCRYPTION_KEY)",
        ),
        (
            &[("BACKUP_AGE_RECIPIENTS", &recipient)],
            to_recipient.clone(),
            "age (default, from BACKUP_AGE_RECIPIENTS)",
        ),
        (
            &[("BACKUP_AGE_IDENTITY", &identity)],
            to_recipient.clone(),
            "age (default, from BACKUP_AGE_IDENTITY)",
        ),
        (
            &[
                ("BACKUP_AGE_RECIPIENTS", &recipient),
                ("BACKUP_ENCRYPTION", "AGE"),
            ],
            to_recipient.clone(),
            "AGE (environment)",
        ),
        (
            &[("BACKUP_ENCRYPTION", "none")],
            "open".to_owned(),
            "none (environment)",
        ),
    ] {
        assert_eq!(sealed(variables), (seal, shown.to_owned(), vec![]));
    }
}

#[test]
fn keys_that_are_hardly_meant_together_are_warned_of() {
    let Pair {
        identity,
        recipient,
    } = pair();
    let other = pair();
    for (variables, warning) in [
        (
            &[
                ("BACKUP_AGE_RECIPIENTS", &*recipient),
                ("BACKUP_ENCRYPTION_KEY", PASSPHRASE),
            ],
            "besides BACKUP_AGE_RECIPIENTS",
        ),
        (
            &[
                ("BACKUP_AGE_IDENTITY", &identity),
                ("BACKUP_ENCRYPTION_KEY", PASSPHRASE),
            ],
            "besides BACKUP_AGE_IDENTITY",
        ),
        (
            &[
                ("BACKUP_AGE_RECIPIENTS", &recipient),
                ("BACKUP_AGE_IDENTITY", &other.identity),
            ],
            "cannot open what is sealed",
        ),
        (
            &[
                ("BACKUP_ENCRYPTION", "none"),
                ("BACKUP_ENCRYPTION_KEY", PASSPHRASE),
            ],
            "archives are plain although a key is given",
        ),
        (
            &[
                ("BACKUP_ENCRYPTION", "age"),
                ("BACKUP_ENCRYPTION_KEY", "007"),
            ],
            "short enough",
        ),
    ] {
        let (_, _, warnings) = sealed(variables);
        assert!(
            warnings.len() == 1 && warnings[0].contains(warning),
            "{warnings:?}"
        );
    }
    let (_, _, warnings) = sealed(&[
        ("BACKUP_AGE_RECIPIENTS", &recipient),
        ("BACKUP_AGE_IDENTITY", &identity),
    ]);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn keys_that_contradict_what_is_wanted_are_refused() {
    let report = World::new().env("BACKUP_ENCRYPTION", "age").mistakes();
    assert!(
        report.contains(
            "BACKUP_ENCRYPTION=\"age\" (environment): asks for encryption, and there is no key"
        ),
        "{report}"
    );
    let report = World::new()
        .env("BACKUP_ENCRYPTION", "none")
        .env("BACKUP_AGE_RECIPIENTS", pair().recipient)
        .mistakes();
    assert!(
        report.contains("BACKUP_ENCRYPTION=\"none\" (environment): asks for plain archives"),
        "{report}"
    );
}

#[test]
fn a_key_file_is_read_with_its_comments_and_a_list_of_recipients_with_its_commas() {
    let (first, second) = (pair(), pair());
    let world = World::new();
    let path = world.file(
        "key",
        format!(
            "# created today\n# public key: {}\n{}\n",
            first.recipient, first.identity
        ),
    );
    let keys = world
        .env("BACKUP_AGE_IDENTITY_FILE", path)
        .loaded()
        .config
        .sealing
        .keys;
    assert_eq!(keys.identities.len(), 1);
    for list in [
        format!(
            "age_recipients = \"{}, {}\"",
            first.recipient, second.recipient
        ),
        format!(
            "age_recipients = [\"{}\", \"{}\"]",
            first.recipient, second.recipient
        ),
    ] {
        let keys = World::new().toml(&list).loaded().config.sealing.keys;
        let Seal::Recipients(recipients) = &keys.seal else {
            panic!("{keys:?}")
        };
        assert_eq!(
            recipients,
            &[first.recipient.clone(), second.recipient.clone()]
        );
    }
}

#[test]
fn keys_that_age_does_not_know_are_refused_with_their_line() {
    let good = pair().recipient;
    let report = World::new()
        .env("BACKUP_AGE_RECIPIENTS", format!("{good}\nage1abc"))
        .mistakes();
    assert!(report.contains("line 2 is no recipient of age"), "{report}");
    let report = World::new()
        .env("BACKUP_AGE_IDENTITY", "# mine\nAGE-SECRET-KEY-1ABC")
        .mistakes();
    assert!(
        report.contains("BACKUP_AGE_IDENTITY=*** (environment): line 2 of the identity"),
        "{report}"
    );
}

#[test]
fn who_signs_is_shown() {
    let signed = |name: &str, value: &str| {
        let (value, origin) = effective(
            &World::new().env(name, value).loaded(),
            "BACKUP_SIGNING_KEY",
        );
        format!("{} ({origin})", value.as_deref().unwrap_or("nothing"))
    };
    assert_eq!(signed("BACKUP_ENABLED", "true"), "nothing (default)");
    assert_eq!(
        signed("BACKUP_SIGNING_KEY", PASSPHRASE),
        "*** (environment)"
    );
    assert_eq!(
        signed("BACKUP_ENCRYPTION_KEY", PASSPHRASE),
        "*** (default, from BACKUP_ENCRYPTION_KEY)"
    );
    assert_eq!(
        signed("BACKUP_AGE_IDENTITY", &pair().identity),
        "*** (default, from BACKUP_AGE_IDENTITY)"
    );
}
