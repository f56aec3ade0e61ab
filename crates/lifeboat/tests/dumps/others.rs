//! Redis, Valkey, MongoDB's tool, and any program.

use crate::kit::{self, Held, OWNER};
use lifeboat::docker::{
    Address, Command,
    cover::CommandSource,
    dumps::{self, How},
    kind::DatabaseKind,
};
use lifeboat_run::{
    Cancel,
    source::{Sizes, Source},
};
use std::time::Duration;

#[test]
fn a_snapshot_of_redis_comes_back_with_its_keys() {
    for (image, client) in [("redis:7", "redis-cli"), ("valkey:8", "valkey-cli")] {
        let Some(engine) = kit::engine(&[image]) else {
            continue;
        };
        let check = client.replace("-cli", "-check-rdb");
        let password = "canary-p'w$7ü";
        let held = Held::run(
            &engine,
            &["-e", &format!("PW={password}")],
            image,
            &["--requirepass", password],
        );
        let ask = format!("REDISCLI_AUTH=\"$PW\" {client} --no-auth-warning");
        held.until(image, &format!("{ask} PING | grep -q PONG"));
        held.sh(&format!(
            "seq 1 500 | sed 's/.*/SET k& v&/' | {ask} >/dev/null; {ask} -n 3 SET x y"
        ));
        let server = kit::server(&held, DatabaseKind::Redis);
        let sources = kit::open(&held, &server);
        assert_eq!(kit::names(&sources), ["db"]);
        let (dump, sealed) = kit::pour(sources[0].as_ref()).unwrap();
        assert_eq!(sealed.facts()["keys"]["db0"], 500, "{:?}", sealed.facts());
        assert_eq!(sealed.facts()["keys"]["db3"], 1);
        assert!(!format!("{:?}", sealed.facts()).contains("canary"));

        let idle = Held::idle(&engine, image);
        kit::feed(&idle, &["sh", "-c", "cat > /tmp/dump.rdb"], &dump);
        idle.sh(&format!("{check} /tmp/dump.rdb"));
        let server_program = client.replace("-cli", "-server");
        idle.sh(&format!(
            "{server_program} --dir /tmp --daemonize yes --save ''"
        ));
        idle.until("restored", &format!("test \"$({client} DBSIZE)\" = 500"));
        assert_eq!(idle.sh(&format!("{client} GET k77")), "v77");
        assert_eq!(idle.sh(&format!("{client} -n 3 GET x")), "y");

        held.sh("echo wrong-canary > /wrong");
        let mut wrong = server.clone();
        wrong.settings.password_file = Some("/wrong".to_owned());
        let sources_wrong = kit::open(&held, &wrong);
        let (fault, text) = kit::fault(sources_wrong[0].as_ref());
        assert_eq!(fault, "auth", "{text}");
        assert!(!text.contains("canary"), "{text}");
        held.sh(&format!("f=$(command -v {client}); cp $f /real; printf '#!/bin/sh\\ncase \"$*\" in *rdb*) /real \"$@\" | head -c 3000;; *) exec /real \"$@\";; esac\\n' > $f"));
        let (fault, text) = kit::fault(sources[0].as_ref());
        assert_eq!(fault, "no_end_marker", "{text}");
        println!("RELIABILITY docker_faults=2 false_greens=0");
    }
}

/// Says what it was given, as far as a stand-in can.
const MONGODUMP: &str = r#"#!/bin/sh
case "$*" in --version) echo "mongodump version: 100.9.4"; exit 0;; esac
echo "arguments: $*" >&2
case "$*" in *--config=/dev/stdin*) read -r line; echo "$line" > /tmp/config;; esac
cat /tmp/archive
exit $(cat /tmp/code)
"#;

#[test]
fn mongodump_gets_its_password_through_a_pipe_and_is_judged_by_its_end() {
    let Some(engine) = kit::engine(&["busybox:1"]) else {
        return;
    };
    let password = "canary p\"w$'7";
    let env = format!("MONGO_INITDB_ROOT_PASSWORD={password}");
    let args = [
        "-e",
        "MONGO_INITDB_ROOT_USERNAME=admin",
        "-e",
        &env,
        "--entrypoint",
        "sh",
    ];
    let held = Held::run(
        &engine,
        &args,
        "busybox:1",
        &["-c", "while :; do sleep 1; done"],
    );
    let write = Command::new([
        "sh",
        "-c",
        "cat > /bin/mongodump && chmod +x /bin/mongodump",
    ]);
    held.output(&write.with_input(MONGODUMP));
    held.sh("echo 0 > /tmp/code; echo no-archive > /tmp/archive");
    let sources = kit::open(&held, &kit::server(&held, DatabaseKind::Mongodb));
    assert_eq!(kit::names(&sources), ["db"]);
    let (fault, text) = kit::fault(sources[0].as_ref());
    assert_eq!(fault, "no_end_marker", "{text}");
    assert_eq!(held.sh("cat /tmp/config"), r#"password: "canary p\"w$'7""#);
    held.sh("echo 1 > /tmp/code");
    let (fault, text) = kit::fault(sources[0].as_ref());
    assert_eq!(fault, "tool_exit", "{text}");
    assert!(
        text.contains("arguments: --config=/dev/stdin --archive --username=admin"),
        "{text}"
    );
    held.sh("rm /bin/mongodump");
    let (fault, text) = kit::fault(sources[0].as_ref());
    assert_eq!(fault, "tool_missing", "{text}");
    println!("RELIABILITY docker_faults=3 false_greens=0");
}

fn command(held: &Held, line: &str) -> Box<dyn Source> {
    let source = CommandSource {
        source: "app.export".to_owned(),
        address: Address::own("", held.id.clone()),
        command: line.to_owned(),
        extension: "txt".to_owned(),
    };
    let how = How {
        owner: OWNER,
        patience: Duration::from_secs(2),
        count_rows: Duration::ZERO,
        before: &|_, _| Sizes::default(),
        accept_smaller: &|_| false,
        cancel: &Cancel::default(),
    };
    dumps::open_command(&held.engine, &source, &how)
}

#[test]
fn the_output_of_any_program_is_taken_whole_or_not_at_all() {
    let Some(engine) = kit::engine(&["busybox:1"]) else {
        return;
    };
    let held = Held::run(
        &engine,
        &["-e", "API_TOKEN=canary-7"],
        "busybox:1",
        &["sh", "-c", "while :; do sleep 1; done"],
    );
    let (bytes, _) = kit::pour(command(&held, "seq 1 300000; exit 0").as_ref()).unwrap();
    let whole: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    assert!(bytes == whole.as_bytes(), "{} bytes", bytes.len());
    let (bytes, _) =
        kit::pour(command(&held, "printf 'it'\\''s'; exec printf x").as_ref()).unwrap();
    assert_eq!(bytes, b"it'sx");
    for (line, fault) in [
        ("echo half; exit 3", "tool_exit"),
        ("echo half; no-such-program", "tool_missing"),
        (":", "empty"),
        ("echo half; kill -9 $$", "exec_lost"),
        ("echo half; sleep 1000", "stalled"),
    ] {
        let (found, text) = kit::fault(command(&held, line).as_ref());
        assert_eq!(found, fault, "{line}: {text}");
    }
    let (_, text) = kit::fault(command(&held, "echo \"$API_TOKEN\" >&2; exit 1").as_ref());
    assert!(!text.contains("canary") && text.contains("***"), "{text}");
    println!("RELIABILITY docker_faults=5 false_greens=0");
}
