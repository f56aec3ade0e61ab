//! Keys as people paste them, and manifests that can be believed.

use crate::kit::{has, key_pair, sh, temp, with_passphrase};
use chrono::{TimeZone, Utc};
use lifeboat_plan::Manifest;
use lifeboat_run::{
    Keyring, Secret,
    authenticity::{Authenticator, Authenticity, link_holds, link_to},
    keys::{KeyError, KeyTexts, Seal, generate, parse_identities, parse_recipients},
};

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[test]
fn recipients_come_in_lists_and_lines_with_comments() {
    let (_, one) = generate();
    let (_, two) = generate();
    let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN alice, of the shop";
    let text = format!("# the offline key\n{one}, {two}\n\n  {ssh}\n");
    assert_eq!(parse_recipients(&text).unwrap(), [&one, &two, ssh]);
}

#[test]
fn every_wrong_recipient_is_told_with_its_line_and_no_secret_is_repeated() {
    let (identity, one) = generate();
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ";
    let text = format!("{one}\nage1nonsense\n{}\n{rsa}", identity.reveal());
    let errors = parse_recipients(&text).unwrap_err();
    assert_eq!(
        errors,
        [
            KeyError::Recipient {
                line: 2,
                text: "age1nonsense".to_owned()
            },
            KeyError::SecretRecipient { line: 3 },
            KeyError::Recipient {
                line: 4,
                text: rsa.to_owned()
            },
        ]
    );
    assert!(!format!("{errors:?}").contains(identity.reveal().as_str()));
    assert_eq!(
        parse_recipients(" \n# nothing\n").unwrap_err(),
        [KeyError::Empty("the list of recipients")]
    );
}

#[test]
fn identities_come_as_age_keygen_writes_them() {
    let (one, recipient) = generate();
    let (two, _) = generate();
    let file = format!(
        "# created: 2026-11-21T10:00:00Z\n# public key: {recipient}\n{}\r\n\n{}",
        one.reveal(),
        two.reveal()
    );
    let parsed = parse_identities(&secret(&file)).unwrap();
    assert_eq!(parsed, [one.clone(), two]);
    let damaged = one.reveal().replace("SECRET-KEY-1", "SECRET-KEY-2");
    let errors = parse_identities(&secret(&format!("# x\n{damaged}"))).unwrap_err();
    assert_eq!(errors, [KeyError::Identity { line: 2 }]);
    assert!(parse_identities(&secret("# only comments")).is_err());
}

#[test]
fn ssh_keys_must_be_ed25519_and_open() {
    if !has("ssh-keygen") {
        return;
    }
    let dir = temp();
    sh(
        dir.path(),
        "ssh-keygen -q -t ed25519 -N '' -f good; ssh-keygen -q -t ed25519 -N 'secret' -f locked; ssh-keygen -q -t rsa -b 2048 -N '' -f rsa",
    );
    let read = |name: &str| secret(&std::fs::read_to_string(dir.path().join(name)).unwrap());
    assert!(parse_identities(&read("good")).is_ok());
    // As secret stores hand it over: without the last newline.
    assert!(parse_identities(&secret(read("good").reveal().trim_end())).is_ok());
    for name in ["locked", "rsa"] {
        let errors = parse_identities(&read(name)).unwrap_err();
        assert!(
            matches!(errors[..], [KeyError::Ssh(_)]),
            "{name}: {errors:?}"
        );
    }
}

#[test]
fn a_keyring_seals_to_recipients_else_to_its_own_identity_else_with_a_passphrase() {
    let (identity, recipient) = generate();
    let (_, other) = generate();
    let texts = KeyTexts {
        passphrase: Some(secret("p")),
        recipients: Some(other.clone()),
        identity: Some(identity),
        signing: None,
    };
    let seal_of = |texts: &KeyTexts| Keyring::new(texts.clone()).unwrap().seal;
    assert!(matches!(seal_of(&texts), Seal::Recipients(list) if list == [other]));
    let texts = KeyTexts {
        recipients: None,
        ..texts
    };
    assert!(matches!(seal_of(&texts), Seal::Recipients(list) if list == [recipient]));
    let texts = KeyTexts {
        identity: None,
        ..texts
    };
    assert!(matches!(seal_of(&texts), Seal::Passphrase(_)));
    let texts = KeyTexts::default();
    assert!(matches!(seal_of(&texts), Seal::Open));
}

#[test]
fn all_mistakes_of_a_keyring_are_told_at_once() {
    let texts = KeyTexts {
        passphrase: Some(secret("")),
        recipients: Some("bad".to_owned()),
        identity: Some(secret("worse")),
        signing: Some(secret("")),
    };
    assert_eq!(Keyring::new(texts).unwrap_err().len(), 4);
}

#[test]
fn a_canary_tells_whether_what_is_sealed_can_be_opened() {
    let (keys, _) = key_pair();
    assert_eq!(keys.confirm(), Ok(true));
    assert_eq!(with_passphrase("p").confirm(), Ok(true));
    assert_eq!(Keyring::none().confirm(), Ok(false));
    let (_, other) = generate();
    let mismatched = Keyring {
        seal: Seal::Recipients(vec![other.clone()]),
        ..keys.clone()
    };
    assert!(matches!(mismatched.confirm(), Err(KeyError::Canary(_))));
    let blind = Keyring {
        identities: Vec::new(),
        seal: Seal::Recipients(vec![other]),
        ..keys
    };
    assert_eq!(blind.confirm(), Ok(false));
}

fn manifest() -> Manifest {
    let at = Utc.with_ymd_and_hms(2025, 12, 13, 2, 0, 0).unwrap();
    let mut manifest = Manifest {
        host: "närnia".to_owned(),
        sequence: 7,
        compose: Some(serde_json::json!({"services": {"db": {"image": "postgres:16", "n": 1.5}}})),
        archives: vec![crate::kit::Sample::new(b"x", Some(1)).archive],
        ..Manifest::empty("shop_daily_20251213_020000".parse().unwrap(), at)
    };
    manifest.more.insert(
        "younger".to_owned(),
        serde_json::json!(["a\"\\\u{1F6DF}", null, true]),
    );
    manifest
}

fn judged(authenticator: &Authenticator, stored: &[u8]) -> Authenticity {
    let parsed = Manifest::parse(stored).unwrap();
    authenticator.judge(stored, &parsed).unwrap()
}

#[test]
fn a_signed_manifest_is_verified_and_any_change_is_a_forgery() {
    let ours = Authenticator::new(&with_passphrase("correct horse"));
    let mut manifest = manifest();
    ours.sign(&mut manifest);
    let stored = manifest.to_bytes();
    assert_eq!(judged(&ours, &stored), Authenticity::Verified);

    let text = String::from_utf8(stored).unwrap();
    for (from, to) in [
        ("\"sequence\": 7", "\"sequence\": 8"),
        ("\"kind\": \"files\"", "\"kind\": \"filed\""),
        ("null", "false"),
        ("\"format\": 1", "\"added\": 1, \"format\": 1"),
    ] {
        assert!(text.contains(from), "{from}");
        let forged = text.replacen(from, to, 1);
        assert_eq!(
            judged(&ours, forged.as_bytes()),
            Authenticity::Forged,
            "{from}"
        );
    }
    // Only the form changed: said in other white space, it is still what was signed.
    let compact = serde_json::to_vec(&serde_json::from_str::<serde_json::Value>(&text).unwrap());
    assert_eq!(judged(&ours, &compact.unwrap()), Authenticity::Verified);
}

#[test]
fn other_keys_and_no_keys_are_told_apart_from_forgeries() {
    let ours = Authenticator::new(&with_passphrase("correct horse"));
    let theirs = Authenticator::new(&with_passphrase("another"));
    let mut manifest = manifest();
    let nobody = Authenticator::new(&Keyring::none());
    assert_eq!(
        judged(&nobody, &manifest.to_bytes()),
        Authenticity::Unsigned
    );
    assert_eq!(judged(&ours, &manifest.to_bytes()), Authenticity::Stripped);
    // A host may back up with the recipient alone; the identity comes out for the restore.
    let restorer = Authenticator::new(&Keyring {
        identities: vec![Secret::new("AGE-SECRET-KEY-1".to_owned())],
        ..Keyring::none()
    });
    assert_eq!(
        judged(&restorer, &manifest.to_bytes()),
        Authenticity::Unsigned
    );
    theirs.sign(&mut manifest);
    let key_id = theirs.key_id().unwrap().to_owned();
    assert_eq!(
        judged(&ours, &manifest.to_bytes()),
        Authenticity::UnknownKey { key_id }
    );

    nobody.sign(&mut manifest);
    assert_eq!(manifest.mac, None);
    assert!(!nobody.signs());
}

#[test]
fn a_changed_signing_key_still_verifies_what_the_old_one_signed() {
    let mut manifest = manifest();
    Authenticator::new(&with_passphrase("correct horse")).sign(&mut manifest);
    let mut keys = with_passphrase("correct horse");
    keys.signing = Some(secret("a new one"));
    let both = Authenticator::new(&keys);
    assert_eq!(judged(&both, &manifest.to_bytes()), Authenticity::Verified);
}

#[test]
fn the_chain_holds_when_evidence_is_added_and_breaks_when_facts_change() {
    let mut manifest = manifest();
    let link = link_to(&manifest);
    manifest.verified_at = Some(Utc.with_ymd_and_hms(2025, 12, 14, 0, 0, 0).unwrap());
    Authenticator::new(&with_passphrase("p")).sign(&mut manifest);
    assert!(link_holds(&link, &manifest));
    manifest.sequence += 1;
    assert!(!link_holds(&link, &manifest));
}

#[test]
fn jq_and_openssl_alone_verify_a_manifest() {
    if !has("jq") || !has("openssl") {
        return;
    }
    let ours = Authenticator::new(&with_passphrase("correct horse"));
    let mut manifest = manifest();
    ours.sign(&mut manifest);
    let dir = temp();
    std::fs::write(dir.path().join("manifest.json"), manifest.to_bytes()).unwrap();
    let found = sh(
        dir.path(),
        r#"
        SECRET='correct horse'
        KEY=$(openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt "pass:$SECRET" -kdfopt 'salt:lifeboat manifest key v1' -kdfopt iter:600000 PBKDF2 | tr -d ':\n')
        printf 'lifeboat key id' | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -r | cut -c1-16
        jq -cSj 'del(.mac)' manifest.json | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -r | cut -d' ' -f1
        "#,
    );
    let mac = manifest.mac.unwrap();
    assert_eq!(
        String::from_utf8(found).unwrap(),
        format!("{}\n{}\n", mac.key_id, mac.value)
    );
}
