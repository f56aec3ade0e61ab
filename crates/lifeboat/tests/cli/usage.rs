//! What the program says to a command line that it does not understand, word for word.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    process::{Command, Output, Stdio},
};

fn lifeboat(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

#[track_caller]
fn refused(arguments: &[&str], stderr: &str) {
    let output = lifeboat(arguments);
    assert_eq!(String::from_utf8_lossy(&output.stderr), stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_verb_that_is_misspelt_is_answered_with_the_right_one() {
    refused(
        &["bakcup"],
        "lifeboat: unrecognized subcommand 'bakcup'\n\
         hint: a similar subcommand exists: 'backup'\n",
    );
}

#[test]
fn an_option_that_is_misspelt_is_answered_with_the_right_one() {
    refused(
        &["list", "--tire", "daily"],
        "lifeboat: unexpected argument '--tire' found\n\
         hint: a similar argument exists: '--tier'\n",
    );
}

#[test]
fn a_value_that_cannot_be_says_what_could() {
    refused(
        &["list", "--tier", "hourly"],
        "lifeboat: invalid value 'hourly' for '--tier <TIER>': \"hourly\" is not a tier (daily, weekly, fortnightly, monthly, yearly)\n\
         hint: `lifeboat --help` shows the verbs, `lifeboat VERB --help` what each one takes\n",
    );
    refused(
        &["sweep", "--older-than", "soon"],
        "lifeboat: invalid value 'soon' for '--older-than <AGE>': write it as 30m, 24h or 7d\n\
         hint: `lifeboat --help` shows the verbs, `lifeboat VERB --help` what each one takes\n",
    );
}

#[test]
fn a_missing_argument_is_named() {
    refused(
        &["cat", "latest"],
        "lifeboat: the following required arguments were not provided: <SOURCE>\n\
         hint: `lifeboat --help` shows the verbs, `lifeboat VERB --help` what each one takes\n",
    );
}

#[test]
fn programs_read_the_same_as_json_on_stdout() {
    let output = lifeboat(&["--json", "bakcup"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        answer,
        serde_json::json!({
            "error": "unrecognized subcommand 'bakcup'",
            "hint": "a similar subcommand exists: 'backup'",
            "code": 2,
        })
    );
}

#[test]
fn every_verb_explains_itself() {
    let help = lifeboat(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).unwrap();
    for verb in [
        "daemon", "backup", "list", "latest", "status", "plan", "doctor", "verify", "restore",
        "prune", "delete", "history", "cat", "open", "rebuild", "sweep", "health", "demo",
    ] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is missing");
        let output = lifeboat(&[verb, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{verb} --help");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("--json") && text.contains("--config"),
            "{verb} --help: {text}"
        );
    }
}

#[test]
fn what_helpers_are_told_is_no_verb_for_people() {
    let help = lifeboat(&["--help"]);
    assert!(!String::from_utf8_lossy(&help.stdout).contains("pour"));
}

#[test]
fn a_helper_without_its_folder_says_so_on_both_ways() {
    let output = lifeboat(&["pour", "/nowhere"]);
    assert_eq!(output.status.code(), Some(10));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "lifeboat: /nowhere is not there\n\
         hint: this verb is for Lifeboat itself; `lifeboat backup` saves what there is\n"
    );
    let stream = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stream.ends_with(r#"{"why":"missing"}"#), "{stream:?}");
}

#[test]
fn a_helper_says_first_that_nobody_listens_at_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let plain = lifeboat(&["pour", folder]);
    let asked = lifeboat(&["pour", "--socket", "/nowhere/socket", folder]);
    assert_eq!(
        (plain.status.code(), asked.status.code()),
        (Some(0), Some(0))
    );
    assert_eq!(asked.stdout[0], b'O');
    assert_eq!(asked.stdout[1..9], plain.stdout[..8]);
}

#[test]
fn a_helper_that_is_to_wait_reads_nothing_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let waiting = |socket: &str| {
        let words = ["pour", "--wait", "--socket", socket, folder];
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(words).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let nobody = waiting("/nowhere/socket").wait_with_output().unwrap();
    assert_eq!(
        (nobody.status.code(), &nobody.stdout[..]),
        (Some(0), &b"O"[..])
    );

    let elsewhere = tempfile::tempdir().unwrap();
    let socket = elsewhere.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let socket = socket.to_str().unwrap();
    let left = waiting(socket);
    drop(listener.accept().unwrap());
    let left = left.wait_with_output().unwrap();
    assert_eq!((left.status.code(), &left.stdout[..]), (Some(1), &b"S"[..]));

    let told = waiting(socket);
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"G").unwrap();
    let mut poured = Vec::new();
    stream.read_to_end(&mut poured).unwrap();
    assert_eq!(told.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(poured[..8], lifeboat(&["pour", folder]).stdout[..8]);
}
