//! The manifest as a file: it reads back as written, keeps what it does not know, refuses what is younger,
//! and has the canonical form that `jq` makes of it.

use lifeboat_plan::manifest::{Link, Mac, ManifestError};
use lifeboat_plan::{Archive, Compression, Encryption, Manifest, Missed, Proof, Standing, Status};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

use crate::shelf::at;

fn manifest() -> Manifest {
    Manifest {
        format: 1,
        id: "shop_weekly_20251213_020000_2".parse().unwrap(),
        name: "shop".parse().unwrap(),
        tier: lifeboat_plan::Tier::Weekly,
        kind: lifeboat_plan::BackupType::PreRestore,
        status: Status::Partial,
        created_at: at("2025-12-13T01:00:00.123456789Z"),
        completed_at: at("2025-12-13T01:00:42Z"),
        host: "höst \"one\"\\ \u{1f6df} \u{7f} \t".to_owned(),
        version: "0.1.0".to_owned(),
        sequence: 9_007_199_254_740_991,
        previous: Some(Link {
            id: "shop_daily_20251212_020000".parse().unwrap(),
            sha256: "ab".repeat(32),
        }),
        selection: Vec::new(),
        origin: Some("shop_daily_20251213_020000_2".parse().unwrap()),
        keep_until: Some(at("2025-12-27T01:00:00Z")),
        compose: Some(json!({"services": {"db": {"image": "postgres:17", "a": [1, null, true]}}})),
        archives: vec![Archive {
            source: "storage".to_owned(),
            kind: "files".to_owned(),
            file: "shop_weekly_20251213_020000_2.storage.tar.zst.age".to_owned(),
            size: 1 << 52,
            sha256: "cd".repeat(32),
            plain_size: 0,
            plain_xxh128: "ef".repeat(16),
            compression: Compression::Zstd,
            encryption: Encryption::Age,
            entries: Some(12),
            warnings: vec!["a\nb".to_owned(), "<é&>/".to_owned()],
            warnings_total: 2,
            facts: object(json!({"z": -1, "a": {"rows": 17, "Zeta": [], "alpha": {}}})),
            more: Map::new(),
        }],
        missed: vec![Missed {
            source: "db".to_owned(),
            reason: "pg_dump ended with exit code 1".to_owned(),
            code: Some("tool_exit".to_owned()),
        }],
        verified_at: Some(at("2025-12-13T01:01:00Z")),
        proofs: vec![Proof {
            at: at("2025-12-14T00:00:00Z"),
            proved: true,
            summary: "17 rows".to_owned(),
        }],
        mac: Some(Mac {
            algorithm: "hmac-sha256".to_owned(),
            key_id: "k1".to_owned(),
            value: "00".to_owned(),
        }),
        more: Map::new(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

#[test]
fn a_manifest_reads_back_as_it_was_written() {
    let written = manifest();
    let bytes = written.to_bytes();
    assert_eq!(bytes.last(), Some(&b'\n'));
    assert_eq!(Manifest::parse(&bytes).unwrap(), written);
    assert_eq!(Manifest::parse(&bytes).unwrap().to_bytes(), bytes);
}

#[test]
fn sizes_that_no_disk_has_add_up_to_the_largest_there_is() {
    let mut hostile = manifest();
    hostile.archives[0].size = u64::MAX;
    hostile.archives.push(hostile.archives[0].clone());
    assert_eq!(hostile.size(), u64::MAX);
}

#[test]
fn the_smallest_manifest_is_read_and_absent_members_stay_absent() {
    let text = br#"{"format":1,"id":"shop_daily_20251213_020000","name":"shop","tier":"daily",
        "type":"scheduled","status":"completed","created_at":"2025-12-13T01:00:00Z",
        "completed_at":"2025-12-13T01:00:01Z","host":"h","version":"0","sequence":1,"archives":[]}"#;
    let read = Manifest::parse(text).unwrap();
    assert!(read.is_completed() && read.mac.is_none() && read.missed.is_empty());
    let again: Value = serde_json::from_slice(&read.to_bytes()).unwrap();
    assert_eq!(again, serde_json::from_slice::<Value>(text).unwrap());
}

#[test]
fn members_of_a_younger_program_are_kept_and_authenticated() {
    let mut value: Value = serde_json::from_slice(&manifest().to_bytes()).unwrap();
    value["colour"] = json!({"z": 1, "a": [2, 3]});
    value["archives"][0]["dictionary"] = json!("abc");
    let bytes = serde_json::to_vec(&value).unwrap();
    let read = Manifest::parse(&bytes).unwrap();
    assert_eq!(read.more["colour"]["a"][1], 3);
    assert_eq!(read.archives[0].more["dictionary"], "abc");
    assert_eq!(
        serde_json::from_slice::<Value>(&read.to_bytes()).unwrap(),
        value
    );

    let plain = manifest();
    assert_ne!(read.canonical(), plain.canonical());
    assert_eq!(read.canonical(), Manifest::canonical_of(&bytes).unwrap());

    // Also where the struct has no room for it: the text is what is authenticated.
    value["proofs"][0]["by"] = json!("drill 2");
    let text = serde_json::to_vec(&value).unwrap();
    let canonical = Manifest::canonical_of(&text).unwrap();
    assert!(String::from_utf8(canonical).unwrap().contains("drill 2"));
    value["missed"][0]["code"] = json!(1);
    let core = Manifest::core_of(&serde_json::to_vec(&value).unwrap()).unwrap();
    assert!(String::from_utf8(core).unwrap().contains(r#""code":1"#));
}

#[test]
fn a_younger_format_is_refused_by_its_number_whatever_else_it_holds() {
    for text in [r#"{"format":2}"#, r#"{"format":99,"id":7,"status":"new"}"#] {
        match Manifest::parse(text.as_bytes()) {
            Err(ManifestError::Younger { found }) => assert!(found > 1),
            other => panic!("{text}: {other:?}"),
        }
    }
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"format":1}"#,
        r#"{"format":-1}"#,
        "{\"format\":1",
    ] {
        let read = Manifest::parse(text.as_bytes());
        assert!(
            matches!(read, Err(ManifestError::Shape(_))),
            "{text}: {read:?}"
        );
    }
}

#[test]
fn a_manifest_that_was_cut_anywhere_is_refused() {
    let bytes = manifest().to_bytes();
    for end in 0..bytes.len() - 2 {
        assert!(Manifest::parse(&bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn evidence_that_is_added_later_leaves_the_chain_whole() {
    let mut later = manifest();
    let core = later.core();
    later.verified_at = Some(at("2026-01-01T00:00:00Z"));
    later.proofs.clear();
    later.mac = None;
    assert_eq!(later.core(), core);
    assert_eq!(Manifest::core_of(&later.to_bytes()).unwrap(), core);
    later.archives[0].sha256.replace_range(..1, "d");
    assert_ne!(later.core(), core);
}

#[test]
fn the_mac_covers_every_member_but_itself() {
    let plain: Value = serde_json::from_slice(&manifest().to_bytes()).unwrap();
    let canonical =
        |value: &Value| Manifest::canonical_of(&serde_json::to_vec(value).unwrap()).unwrap();
    let before = canonical(&plain);
    for member in plain.as_object().unwrap().keys() {
        let mut changed = plain.clone();
        changed[member] = json!("another");
        assert_eq!(canonical(&changed) == before, member == "mac", "{member}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped check says so")]
fn the_canonical_form_is_what_jq_makes_of_it() {
    let full = manifest();
    let mut bare = manifest();
    bare.mac = None;
    bare.host = "\u{1}\u{1f}\u{80}\u{2028}".to_owned();
    bare.more = object(json!({"B": 1, "a": 2, "é": 3, "😀": 4, "\u{ffff}": 5, "_": 6}));
    for manifest in [full, bare] {
        let stored = manifest.to_bytes();
        let Some(by_jq) = jq(&["-cS", "del(.mac)"], &stored) else {
            eprintln!("SKIPPED: there is no jq here to compare the canonical form with");
            return;
        };
        let by_jq = by_jq.strip_suffix(b"\n").unwrap();
        assert_eq!(
            String::from_utf8_lossy(&manifest.canonical()),
            String::from_utf8_lossy(by_jq)
        );
        let core = jq(&["-cS", "del(.mac, .verified_at, .proofs)"], &stored).unwrap();
        assert_eq!(manifest.core(), core.strip_suffix(b"\n").unwrap());
    }
}

fn jq(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut jq = Command::new("jq")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    jq.stdin.take().unwrap().write_all(input).unwrap();
    let output = jq.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

#[test]
fn a_standing_is_read_off_a_manifest() {
    let mut manifest = manifest();
    let standing = Standing::of(&manifest, true);
    assert_eq!(standing.proven_at, Some(at("2025-12-14T00:00:00Z")));
    assert_eq!(standing.origin, manifest.origin);
    assert!(!standing.is_good(), "it is partial");

    manifest.status = Status::Completed;
    assert!(Standing::of(&manifest, true).is_good());
    assert!(!Standing::of(&manifest, false).is_good());

    // A drill that disproves it later takes the proof back, in whatever order they are written down.
    manifest.proofs.insert(
        0,
        Proof {
            at: at("2025-12-20T00:00:00Z"),
            proved: false,
            summary: "half the rows".to_owned(),
        },
    );
    let standing = Standing::of(&manifest, true);
    assert_eq!((standing.proven_at, standing.suspect), (None, true));
    assert!(!standing.is_good());
}
