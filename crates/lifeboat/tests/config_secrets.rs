//! No secret comes out again, whatever else goes wrong around it.

mod config_world;

use config_world::World;
use lifeboat::config::settings;

const CANARY: &str = "canary-5f2a91";

#[track_caller]
fn assert_hidden(world: &World) {
    let said = match world.load() {
        Ok(loaded) => {
            let warnings: String = loaded.warnings.iter().map(ToString::to_string).collect();
            format!("{loaded:?} {loaded:#?} {warnings} {:?}", loaded.effective)
        }
        Err(mistakes) => {
            let parts: String = mistakes
                .iter()
                .map(|mistake| format!("{} {}", mistake.what(), mistake.hint()))
                .collect();
            format!("{mistakes} {mistakes:?} {parts}")
        }
    };
    let said = said.to_ascii_lowercase();
    assert!(!said.contains(CANARY), "{said}");
}

/// Names whose value is a secret, if not of ours: slips, and words of the full program.
const MORE_NAMES: [&str; 7] = [
    "BACKUP_ENCRYPTON_KEY",
    "BACKUP_PASSWORD",
    "backup_encryption_key",
    "LIFEBOAT_ENCRYPTION_KEY",
    "BACKUP_GPG_PASSPHRASE",
    "BACKUP_S3_SECRET_ACCESS_KEY",
    "BACKUP_ADMIN_TOKEN",
];

fn names() -> Vec<String> {
    let ours = settings()
        .filter(|setting| setting.secret)
        .map(|setting| setting.env_name());
    ours.chain(MORE_NAMES.map(str::to_owned)).collect()
}

#[test]
fn no_secret_of_the_environment_is_shown() {
    for name in names() {
        assert_hidden(&World::new().env(&name, CANARY));
        let with_mistake = World::new().env(&name, CANARY).env("BACKUP_DIR", "x");
        assert_hidden(&with_mistake);
        let none = World::new()
            .env(&name, CANARY)
            .env("BACKUP_ENCRYPTION", "none");
        assert_hidden(&none);
    }
}

#[test]
fn no_secret_of_a_file_is_shown() {
    for name in names() {
        let world = World::new();
        let path = world.file("secret", CANARY);
        let world = world.env(format!("{name}_FILE"), &path);
        assert_hidden(&world);
        assert_hidden(&world.env(&name, CANARY));
        // The secret where the name of its file belongs.
        assert_hidden(&World::new().env(format!("{name}_FILE"), CANARY));
    }
}

#[test]
fn no_secret_of_the_configuration_file_is_shown() {
    for text in [
        "encryption_key = \"%\"",
        "encryption_key = \"%",
        "encryption_key = '%\n'",
        "encryption_key = %",
        "encryption_key = [\"%\"]",
        "encryption_key = { a = \"%\" }",
        "encryption_key = \"%\" \"%\"",
        "encryption_key = \"\\%\"",
        "encryption_key = \"%\"\nencryption_key = \"%\"",
        "encrypton_key = \"%\"",
        "encryption_key \"%\"",
        "s3_secret_access_key = \"%\"",
        "job = \"%\"",
        "[[job]]\nname = \"a\"\nencryption_key = \"%\"",
        "[[job]]\nname = \"a\"\npassword = \"%\"",
        "encryption_key_file = \"%\"",
        "age_identity = \"\"\"\n%\n\"\"\"",
    ] {
        assert_hidden(&World::new().toml(&text.replace('%', CANARY)));
    }
}

#[test]
fn a_secret_key_among_the_recipients_is_refused_unseen() {
    let key = format!("AGE-SECRET-KEY-1{}", CANARY.to_ascii_uppercase());
    for text in [
        key.clone(),
        format!("age1abc,{key}"),
        key.to_ascii_lowercase(),
        format!("\"{key}\""),
    ] {
        let world = World::new().env("BACKUP_AGE_RECIPIENTS", &text);
        assert_hidden(&world);
        let report = world.mistakes();
        assert!(report.contains("BACKUP_AGE_RECIPIENTS=***"), "{report}");
    }
}
