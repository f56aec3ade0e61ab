//! What comes over the wire, however it comes: whole frames are output, everything else is an error.

use crate::stub::{DONE, Script, Stub, frame};
use lifeboat::docker::{Command, ExecError, Output, Trouble, Verdict};
use lifeboat_run::Cancel;
use std::time::Duration;

const TUNNEL: &[u8] =
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";
const BODY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn run(head: &[u8], stream: &[u8], inspect: (u16, &'static str)) -> Result<Output, ExecError> {
    let stub = Stub::new(Script {
        start: [head, stream].concat(),
        inspect,
    });
    let output = stub.engine().run(
        "c1",
        &Command::new(["dump"]),
        Duration::from_secs(20),
        &Cancel::default(),
    );
    assert_eq!(stub.started(), 1, "the scripted answer was never asked for");
    output
}

fn stream() -> Vec<u8> {
    [
        frame(1, b"first words, "),
        frame(2, b"a warning"),
        frame(1, b""),
        frame(1, b"last words"),
    ]
    .concat()
}

fn chunked(bytes: &[u8], size: usize) -> Vec<u8> {
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let chunks: Vec<Vec<u8>> = bytes.chunks(size).map(chunk).collect();
    [chunks.concat(), b"0\r\n\r\n".to_vec()].concat()
}

#[test]
fn output_and_errors_are_told_apart_through_a_tunnel_a_body_and_chunks() {
    let chunks: Vec<Vec<u8>> = [1, 3, 7, 8, 9, 1000]
        .map(|size| chunked(&stream(), size))
        .into();
    let mut ways = vec![(TUNNEL, stream()), (BODY, stream())];
    ways.extend(chunks.into_iter().map(|chunks| (CHUNKED, chunks)));
    for (head, bytes) in ways {
        let output = run(head, &bytes, DONE).unwrap();
        assert_eq!(output.stdout, b"first words, last words");
        assert_eq!(output.stderr, "a warning");
        assert_eq!(output.verdict, Verdict::Done);
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_but_between_frames_is_corrupt() {
    let whole = stream();
    let mut boundaries = 0;
    for cut in 0..whole.len() {
        match run(TUNNEL, &whole[..cut], DONE) {
            Err(ExecError::Corrupt(what)) => assert!(what.contains("middle of a frame"), "{what}"),
            Ok(_) => boundaries += 1,
            Err(error) => panic!("cut at {cut}: {error}"),
        }
    }
    // Nothing on the wire can tell these from an end: that is what the verdict and the format are for.
    assert_eq!(boundaries, 4);
}

#[test]
fn chunks_that_never_end_are_a_cut_stream() {
    let whole = chunked(&stream(), 7);
    let without_end = &whole[..whole.len() - 5];
    assert!(matches!(
        run(CHUNKED, without_end, DONE),
        Err(ExecError::Corrupt(_))
    ));
}

#[test]
fn what_is_no_frame_is_corrupt_and_not_output() {
    for bytes in [
        &b"exec failed: no such file\r\n"[..],
        &frame(3, b"x"),
        &frame(0, b"x"),
        &[1, 1, 1, 1, 0, 0, 0, 1, 9],
    ] {
        let ended = run(TUNNEL, bytes, DONE);
        assert!(
            matches!(&ended, Err(ExecError::Corrupt(what)) if what.contains("not a frame")),
            "{ended:?}"
        );
    }
}

#[test]
fn the_end_of_a_stream_is_only_as_good_as_what_the_engine_says_of_it() {
    for (inspect, verdict) in [
        (DONE, Verdict::Done),
        ((200, r#"{"Running":false,"ExitCode":3}"#), Verdict::Exit(3)),
        ((200, r#"{"Running":false,"ExitCode":null}"#), Verdict::Lost),
        ((200, r#"{"Running":false}"#), Verdict::Lost),
        (
            (200, r#"{"Running":true,"ExitCode":null}"#),
            Verdict::StillRunning,
        ),
        (
            (200, r#"{"Running":true,"ExitCode":0}"#),
            Verdict::StillRunning,
        ),
        ((200, "{}"), Verdict::Lost),
        (
            (404, r#"{"message":"No such exec instance"}"#),
            Verdict::Lost,
        ),
    ] {
        let output = run(TUNNEL, &stream(), inspect).unwrap();
        assert_eq!(output.verdict, verdict, "{inspect:?}");
    }
}

#[test]
fn a_refusal_names_the_call_and_what_was_said() {
    let refused = |head: &[u8], body: &[u8]| match run(head, body, DONE) {
        Err(ExecError::Docker(error)) => error,
        other => panic!("{other:?}"),
    };
    let json = b"{\"message\":\"not by you\"}";
    let error = refused(b"HTTP/1.1 403 Forbidden\r\n\r\n", json);
    assert_eq!(error.trouble, Trouble::Denied);
    assert_eq!(
        error.to_string(),
        "POST /exec/e1/start: refused: not by you"
    );

    let error = refused(
        b"HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n",
        &chunked(json, 9),
    );
    assert_eq!(
        (error.trouble, error.detail.as_str()),
        (Trouble::Conflict, "not by you")
    );

    let error = refused(b"HTTP/1.1 403 Forbidden\r\n\r\n", b"<html>forbidden</html>");
    assert_eq!(error.detail, "<html>forbidden</html>");

    for head in [&b"SSH-2.0-OpenSSH\r\n\r\n"[..], b"HTTP/1.1 101 UPG"] {
        assert_eq!(refused(head, b"").trouble, Trouble::Garbled);
    }
    // As an engine does it that dies just then.
    assert_eq!(refused(b"", b"").trouble, Trouble::Unreachable);
}
