//! A helper that is started before anybody holds still reads nothing before it is told to.

use super::scene::{Scene, large, scene, seal_to, sealed};
use crate::project::{docker, until};
use lifeboat::docker::volume::{Exchange, Helpers, How, What};
use lifeboat_run::{
    Cancel,
    seal::SealError,
    source::{Poured, Source},
};
use std::{fs, path::Path};

fn none_left(scene: &Scene) {
    assert_eq!((scene.left(), scene.doors()), (Vec::new(), 0));
}

fn with(scene: &Scene, exchange: Option<Exchange>, volume: &str) -> Poured {
    let helpers = Helpers {
        exchange,
        ..scene.helpers()
    };
    helpers.source("data", What::Volume(volume.to_owned()), How::default())
}

#[test]
fn what_is_there_at_the_word_is_read_and_not_what_was_there_at_the_start() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    fs::write(path.join("before"), "the hold").unwrap();
    let source = scene.source(&volume);
    let ready = source.ready(&Cancel::default()).unwrap().unwrap();
    assert_eq!(scene.left().len(), 1);
    assert!(scene.project.inspect(&scene.left()[0]).is_running());
    fs::remove_file(path.join("before")).unwrap();
    for name in ["one", "two", "three"] {
        fs::write(path.join(name), name).unwrap();
    }
    let captured = sealed(ready.as_ref()).unwrap();
    assert_eq!(captured.entries(), Some(4));
    assert_eq!(captured.warnings(), &[] as &[String]);
    none_left(&scene);
}

#[test]
fn one_that_is_never_told_goes_when_nobody_wants_it_any_more() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    fs::write(path.join("file"), "content").unwrap();
    let source = scene.source(&volume);
    let ready = source.ready(&Cancel::default()).unwrap().unwrap();
    assert_eq!(scene.left().len(), 1);
    drop(ready);
    none_left(&scene);

    let cancel = Cancel::default();
    cancel.cancel();
    assert!(source.ready(&cancel).is_err());
    none_left(&scene);
}

#[test]
fn where_no_word_can_be_given_it_is_started_when_it_may_read() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    fs::write(path.join("file"), "content").unwrap();
    let nowhere = Exchange {
        here: scene.exchange().unwrap().here,
        on_host: "/nowhere".into(),
    };
    for exchange in [None, Some(nowhere)] {
        let source = with(&scene, exchange, &volume);
        assert!(source.ready(&Cancel::default()).unwrap().is_none());
        none_left(&scene);
        assert_eq!(sealed(&source).unwrap().entries(), Some(2));
    }
}

#[test]
fn one_that_is_killed_while_it_waits_is_a_source_that_is_missed() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    large(&path);
    let source = scene.source(&volume);
    let ready = source.ready(&Cancel::default()).unwrap().unwrap();
    let id = scene.left().remove(0);
    docker(&["kill", &id]);
    until("it has ended", || !scene.project.inspect(&id).is_running());
    let null = Path::new("/dev/null");
    let ended = seal_to(ready.as_ref(), null, &Cancel::default(), || ());
    let Err(SealError::Source(error)) = ended else {
        panic!("it was published")
    };
    assert_eq!(error.code(), Some("exec_lost"), "{error}");
    none_left(&scene);
}
