use super::*;

fn read_all(labels: &[(&str, &str)]) -> (Settings, Vec<LabelMistake>) {
    let labels = labels
        .iter()
        .map(|(name, value)| (format!("lifeboat.{name}"), (*value).to_owned()));
    read(&Address::own("shop", "db"), &labels.collect(), Tz::UTC)
}

#[test]
fn every_label_of_the_contract_is_understood() {
    let (settings, mistakes) = read_all(&[
        ("enable", "true"),
        ("kind", "postgres"),
        ("databases", "shop, my shop"),
        ("user", "backup"),
        ("password-file", "/run/secrets/pw"),
        ("exclude", "cache/,*.tmp"),
        ("hold", "stop"),
        ("pre", "touch /tmp/a"),
        ("post", "rm /tmp/a"),
        ("command", "seq 1 3"),
        ("extension", ".txt"),
        ("schedule", "@hourly"),
        ("restore-command", "cat > /x"),
        ("drill", "boot"),
    ]);
    assert_eq!(mistakes, []);
    assert_eq!(
        settings.kind,
        Some(KindLabel::Database(DatabaseKind::Postgres))
    );
    assert_eq!(settings.databases, ["shop", "my shop"]);
    assert_eq!(settings.exclude, ["cache/", "*.tmp"]);
    assert_eq!(settings.hold, HoldMode::Stop);
    assert_eq!(settings.extension.as_deref(), Some("txt"));
    assert_eq!(settings.schedule.unwrap().as_str(), "@hourly");
    assert_eq!(settings.drill, Some(Drill::Boot));
    for (name, kind) in KINDS {
        let command = ("command", "true");
        assert_eq!(read_all(&[("kind", name), command]).0.kind, Some(kind));
    }
    assert!(!read_all(&[("enable", "False")]).0.enable);
}

#[test]
fn a_label_of_another_program_and_an_empty_one_say_nothing() {
    let labels = BTreeMap::from([
        ("traefik.enable".to_owned(), "perhaps".to_owned()),
        ("lifeboat.hold".to_owned(), " ".to_owned()),
    ]);
    let read = read(&Address::own("shop", "db"), &labels, Tz::UTC);
    assert_eq!(read, (Settings::default(), Vec::new()));
}

#[test]
fn a_slip_in_a_name_is_told_with_what_was_meant() {
    for (slip, meant) in [
        ("holds", "lifeboat.hold"),
        ("shedule", "lifeboat.schedule"),
        ("Enable", "lifeboat.enable"),
        ("disable", "lifeboat.enable"),
        ("password_file", "lifeboat.password-file"),
        ("password", "lifeboat.password-file"),
        ("type", "lifeboat.kind"),
        ("restore_command", "lifeboat.restore-command"),
    ] {
        let (_, mistakes) = read_all(&[(slip, "hunter2")]);
        let [mistake] = &mistakes[..] else {
            panic!("{slip}: {mistakes:?}")
        };
        assert!(
            mistake.hint.contains(&format!("did you mean {meant}?")),
            "{slip}: {}",
            mistake.hint
        );
        assert!(
            !format!("{mistake:?}").contains("hunter2"),
            "a value is shown"
        );
    }
}

#[test]
fn all_mistakes_are_found_at_once_and_the_rest_is_understood() {
    let (settings, mistakes) = read_all(&[
        ("enable", "maybe"),
        ("kind", "postgresql"),
        ("hold", "freeze"),
        ("schedule", "every day"),
        ("password-file", "secret"),
        ("extension", "../x"),
        ("drill", "yes"),
        ("nonsense", "x"),
        ("databases", "shop"),
    ]);
    assert_eq!(settings.databases, ["shop"]);
    assert_eq!(mistakes.len(), 8, "{mistakes:?}");
    let kind = mistakes
        .iter()
        .find(|m| m.label == "lifeboat.kind")
        .unwrap();
    assert!(
        kind.hint.starts_with("did you mean postgres?"),
        "{}",
        kind.hint
    );
    assert!(mistakes.iter().all(|m| !m.what.contains("secret")));
}

#[test]
fn an_extension_and_a_kind_without_their_command_are_mistakes() {
    assert_eq!(read_all(&[("extension", "txt")]).1.len(), 1);
    assert_eq!(read_all(&[("kind", "command")]).1.len(), 1);
    assert_eq!(read_all(&[("kind", "command"), ("command", "date")]).1, []);
}
