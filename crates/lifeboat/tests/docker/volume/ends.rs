//! How a helper ends, and that nothing of it stays: killed, cancelled, left by a killed sidecar.

use super::scene::{large, scene, seal_to, sealed};
use crate::{
    filter::{Answer, Filter},
    image::PROGRAM,
    project::{BUSYBOX, docker},
};
use lifeboat::docker::{
    Engine, Place, Trouble,
    volume::{Exchange, HELPER, Helpers, How, What},
};
use lifeboat_run::{Cancel, seal::SealError};
use lifeboat_testkit::victim::{Victim, order, say};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

#[test]
fn a_helper_that_is_killed_in_the_middle_publishes_nothing() {
    let Some(scene) = scene() else { return };
    let scene = Arc::new(scene);
    let (volume, path) = scene.volume("files");
    large(&path);
    let killed = "it was killed: by somebody, or for want of memory";
    for (signal, words, exchange) in [
        ("KILL", killed, scene.exchange()),
        ("KILL", killed, None),
        ("TERM", "it was asked to stop", scene.exchange()),
        ("TERM", "it was asked to stop", None),
    ] {
        let killing = Arc::clone(&scene);
        // While nobody takes what it reads, so it cannot have come to its end.
        let kill = move || killing.project.signal(&killing.left()[0], signal);
        let helpers = Helpers {
            exchange,
            ..scene.helpers()
        };
        let source = helpers.source("data", What::Volume(volume.clone()), How::default());
        let null = Path::new("/dev/null");
        let Err(SealError::Source(error)) = seal_to(&source, null, &Cancel::default(), kill) else {
            panic!("it was published")
        };
        assert_eq!(error.code(), Some("exec_lost"), "{error}");
        assert!(error.to_string().ends_with(words), "{error}");
        assert!(error.may_pass());
        assert_eq!((scene.left(), scene.doors()), (Vec::new(), 0));
    }
}

#[test]
fn a_backup_that_is_cancelled_takes_its_helper_along() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    large(&path);
    for exchange in [scene.exchange(), None] {
        let helpers = Helpers {
            exchange,
            ..scene.helpers()
        };
        let source = helpers.source("data", What::Volume(volume.clone()), How::default());
        let cancel = Cancel::default();
        let told = cancel.clone();
        let ended = seal_to(&source, Path::new("/dev/null"), &cancel, move || {
            told.cancel();
        });
        assert!(matches!(ended, Err(SealError::Cancelled(_))));
        assert_eq!((scene.left(), scene.doors()), (Vec::new(), 0));
    }
}

/// Reads a volume until it is killed.
#[test]
#[ignore = "is started by another test"]
fn reader() {
    let Some(volume) = order("volume") else {
        return;
    };
    let helpers = Helpers {
        engine: Engine::connect(Place::Unix(crate::project::SOCKET.into())).unwrap(),
        image: order("image").unwrap(),
        program: PROGRAM.to_owned(),
        owner: order("owner").unwrap(),
        exchange: order("exchange").map(|folder| Exchange {
            here: folder.clone().into(),
            on_host: folder.into(),
        }),
    };
    let source = helpers.source("data", What::Volume(volume), How::default());
    let wait = || {
        say("reading");
        loop {
            std::thread::park();
        }
    };
    let _ = seal_to(&source, Path::new("/dev/null"), &Cancel::default(), wait);
}

#[test]
fn what_a_killed_sidecar_left_is_swept_and_nothing_else() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    large(&path);
    let mut reader = Victim::new("volume::ends::reader")
        .order("volume", &volume)
        .order("image", &scene.image.id)
        .order("owner", &scene.project.name)
        .order("exchange", scene.dir.path().display())
        .start()
        .unwrap();
    let mut lines = BufReader::new(reader.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("reading")));
    reader.kill().unwrap();
    reader.wait().unwrap();
    // The door was closed behind the helper.
    assert_eq!((scene.left().len(), scene.doors()), (1, 0));

    let others = Helpers {
        owner: format!("{}-other", scene.project.name),
        exchange: None,
        ..scene.helpers()
    };
    assert_eq!(others.sweep().unwrap(), 0);
    let told = docker(&[
        "inspect",
        "-f",
        "{{range .Mounts}}{{.Name}} {{end}}",
        &scene.left()[0],
    ]);
    assert_eq!(scene.helpers().sweep().unwrap(), 1);
    assert_eq!((scene.left(), scene.doors()), (Vec::new(), 0));
    for name in told.split_whitespace() {
        let there = scene.project.engine.volume(name).is_ok();
        assert_eq!(there, name == volume, "{name}");
    }
    assert_eq!(scene.helpers().sweep().unwrap(), 0);
}

#[test]
fn a_helper_that_a_busy_engine_does_not_remove_at_once_is_asked_for_again() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    fs::write(path.join("file"), "content").unwrap();
    let says = [
        Answer::Status(
            500,
            "tried to kill container, but did not receive an exit event",
        ),
        Answer::Status(409, "removal of container 4f is already in progress"),
        Answer::Status(500, "unlinkat /var/lib/docker/…: device or resource busy"),
        Answer::Status(503, "the proxy has no engine"),
        // Removed, and nobody said so.
        Answer::HangUp,
    ];
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let filter = Filter::answering(move |call| {
        let removal = call.starts_with("DELETE");
        let number = removal.then(|| count.fetch_add(1, Ordering::SeqCst))?;
        says.get(number).copied()
    });
    let helpers = scene.helpers_through(filter.engine());
    let source = helpers.source("data", What::Volume(volume), How::default());
    sealed(&source).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), says.len() + 1);
    assert_eq!((scene.left(), scene.doors()), (Vec::new(), 0));
}

#[test]
fn a_helper_whose_making_nobody_answered_for_is_removed_all_the_same() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    fs::write(path.join("file"), "content").unwrap();
    let filter = Filter::answering(|call| {
        call.ends_with("/containers/create")
            .then_some(Answer::HangUp)
    });
    let helpers = scene.helpers_through(filter.engine());
    let source = helpers.source("data", What::Volume(volume), How::default());
    let error = sealed(&source).unwrap_err();
    assert_eq!(error.code(), Some("docker_lost"), "{error}");
    assert_eq!((scene.left(), scene.doors()), (Vec::new(), 0));
    let made = |call: &String| call.starts_with("DELETE /containers/");
    assert_eq!(filter.seen().iter().filter(|call| made(call)).count(), 1);
}

#[test]
fn one_helper_that_cannot_be_removed_keeps_none_of_the_others() {
    let Some(scene) = scene() else { return };
    let create = || {
        let label = format!("{HELPER}={}", scene.project.name);
        docker(&["create", "--label", &label, BUSYBOX, "true"])
    };
    create();
    create();
    // The one that it comes to first.
    let stuck = scene.left().remove(0);
    let held = stuck.clone();
    let filter = Filter::new(move |call| call == format!("DELETE /containers/{held}"));
    let error = scene.helpers_through(filter.engine()).sweep().unwrap_err();
    assert_eq!(error.trouble, Trouble::Denied, "{error}");
    assert_eq!(scene.left(), [stuck]);
    assert_eq!(scene.helpers().sweep().unwrap(), 1);
}
