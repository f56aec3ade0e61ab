use crate::kit::{Project, backups, tree};
use std::{fs, process::Command};

#[test]
fn a_flipped_bit_is_found_and_ends_with_13() {
    let project = Project::new();
    let id = project.back_up();
    let path = project.damage("notes");
    let ended = project.run(&["verify", &id]);
    ended.expect(13);
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    let stderr = ended.stderr();
    assert!(
        stderr.starts_with(&format!(
            "lifeboat: {id} is damaged\n  {file} is damaged: its SHA-256 is "
        )),
        "{stderr}"
    );
    ended.says(
        "hint: restore from another backup; this one is kept, but counts for no keep rule any more",
    );

    // From now on it counts for nothing, nor do the copies that share its bytes, and whoever looks is told.
    project.run(&["latest"]).expect(10);
    assert!(project.run(&["list"]).stdout().contains("✗ DAMAGED"));
    project.run(&["status"]).expect(3);
}

#[test]
fn programs_read_damage_in_one_document() {
    let project = Project::new();
    project.back_up();
    project.damage("notes");
    let ended = project.run(&["verify", "--all", "--json"]);
    ended.expect(13);
    let answer = ended.json();
    assert_eq!(answer["code"], 13);
    assert_eq!(answer["ok"], false);
    assert!(answer["error"].is_string() && answer["hint"].is_string());
    assert!(
        answer["backups"]
            .as_array()
            .unwrap()
            .iter()
            .any(|b| b["whole"] == false)
    );
}

#[test]
fn whole_backups_are_found_whole() {
    let project = Project::new();
    let id = project.back_up();
    let ended = project.run(&["verify", "--deep"]);
    ended.expect(0);
    assert!(
        ended.stdout().contains(&format!("✓ {id}")),
        "{}",
        ended.stdout()
    );
    let answer = project.run(&["verify", "--all", "--json"]).json();
    assert_eq!(answer["ok"], true);
}

#[test]
fn a_changed_manifest_is_not_believed() {
    let project = Project::new();
    let id = project.back_up();
    let path = project.store().join(format!("daily/{id}.json"));
    let forged = fs::read_to_string(&path).unwrap().replace("notes", "votes");
    fs::write(&path, forged).unwrap();
    project.run(&["verify", &id]).expect(13);
    project
        .run(&["restore", &id, "--to", "out", "--yes"])
        .expect(13);
    assert!(!project.path("out").exists());
    project.run(&["cat", &id, "photos"]).expect(13);
}

#[test]
fn a_manifest_that_cannot_be_read_ends_verify_with_13() {
    let project = Project::new();
    let id = project.back_up();
    fs::write(project.store().join(format!("daily/{id}.json")), "{}").unwrap();
    project.run(&["verify", &id]).expect(13);
    project.run(&["verify", "--all"]).expect(13);
}

#[test]
fn a_wrong_key_ends_with_12_and_nothing_is_touched() {
    let project = Project::new().with("BACKUP_ENCRYPTION_KEY", "the right key, long enough");
    let id = project.back_up();
    let before = backups(&project.store());
    let project = project.with("BACKUP_ENCRYPTION_KEY", "another key, as long as it");
    for arguments in [
        &["restore", "latest", "--to", "out", "--yes"][..],
        &["restore", &id, "--to", "out", "--yes"],
        &["verify", &id, "--deep"],
        &["cat", &id, "notes"],
    ] {
        let ended = project.run(arguments);
        ended.expect(12);
        assert!(
            ended.stderr().contains("hint: nothing was touched"),
            "{}",
            ended.stderr()
        );
        assert_eq!(
            ended
                .stdout()
                .lines()
                .filter(|l| l.contains("second"))
                .count(),
            0
        );
    }
    assert!(!project.path("out").exists());
    assert!(backups(&project.store()) == before, "the store was touched");
}

#[test]
fn no_key_ends_with_12_too() {
    let project = Project::new().with("BACKUP_ENCRYPTION_KEY", "the right key, long enough");
    let id = project.back_up();
    let project = project.without("BACKUP_ENCRYPTION_KEY");
    let ended = project.run(&["cat", &id, "notes"]);
    ended.expect(12);
    assert!(
        ended.stderr().contains("no key is configured"),
        "{}",
        ended.stderr()
    );
}

#[test]
fn damage_is_told_before_a_byte_of_it_is_restored() {
    let project = Project::new();
    let id = project.back_up();
    project.damage("photos");
    let ended = project.run(&["restore", &id, "--to", "out", "--yes"]);
    ended.expect(13);
    assert!(!project.path("out").exists());
    let leftovers = tree(project.path("").as_path());
    let leftovers: Vec<_> = leftovers
        .iter()
        .filter(|(name, _)| name.contains(".lifeboat-restore"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn cat_ends_with_13_when_what_it_wrote_was_damaged() {
    let project = Project::new();
    let id = project.back_up();
    project.damage("photos");
    project.run(&["cat", &id, "photos"]).expect(13);
}

/// The sidecar holds public keys only, and so signs nothing; the secret one comes out of its safe to restore.
#[test]
fn what_was_sealed_to_a_recipient_is_restored_with_its_identity_alone() {
    let keygen = |name: &str| {
        let secret = Command::new("age-keygen").output().unwrap().stdout;
        let secret = String::from_utf8(secret).unwrap();
        let public = secret
            .lines()
            .find_map(|line| line.strip_prefix("# public key: "));
        (name.to_owned(), public.unwrap().to_owned(), secret)
    };
    let (_, recipient, identity) = keygen("ours");
    let (_, _, other) = keygen("another");
    let project = Project::new()
        .without("BACKUP_ENCRYPTION_KEY")
        .with("BACKUP_AGE_RECIPIENTS", recipient);
    project.back_up();

    let project = project
        .without("BACKUP_AGE_RECIPIENTS")
        .with("BACKUP_AGE_IDENTITY", other);
    let out = project.path("out");
    let restore = ["restore", "latest", "--yes", "--to", out.to_str().unwrap()];
    project.run(&restore).expect(12);
    assert!(!out.exists());
    let project = project.with("BACKUP_AGE_IDENTITY", identity);
    project.run(&restore).expect(0);
    assert!(out.join("notes").is_dir());
}
