use lifeboat_testkit::ends_within;
use std::{
    process::{Command, Stdio},
    time::Duration,
};

#[test]
fn a_process_is_waited_for_until_it_ends_and_no_longer_than_asked() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    assert!(!ends_within(&child, Duration::from_millis(1)).unwrap());
    drop(child.stdin.take());
    assert!(ends_within(&child, Duration::from_secs(60)).unwrap());
    child.wait().unwrap();
    assert!(ends_within(&child, Duration::ZERO).unwrap());
}
