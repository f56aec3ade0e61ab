//! The life of a store in eight steps, told by a process that may die at any time, and how to find
//! out afterwards how far it came.

use lifeboat_store::{
    Key, Local, Store, get,
    lock::{Owner, RunLock},
};
use lifeboat_testkit::{noise, victim};
use std::{collections::BTreeMap, io::Write, path::Path};

enum Step {
    Put(&'static str, usize),
    Link(&'static str, &'static str),
    Replace(&'static str, usize),
    Delete(&'static str),
}

use Step::{Delete, Link, Put, Replace};

const STORY: [Step; 8] = [
    Put("daily/a.tar", 900_000),
    Link("daily/a.tar", "weekly/a.tar"),
    Replace("manifest.json", 1000),
    Put("restore_logs/2025/12/r.json", 10),
    Replace("manifest.json", 3000),
    Delete("daily/a.tar"),
    Put(".lifeboat/journal/1.json", 50),
    Put("daily/b.tar", 300_000),
];

pub(crate) const STEPS: usize = STORY.len();

/// Keys and the sizes of what they hold: the content follows from the size.
type State = BTreeMap<String, usize>;

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// As a victim: goes through the story in the folder that it was ordered to, and says each step.
pub(crate) fn tell() {
    let Some(folder) = victim::order("folder") else {
        return;
    };
    let store = Local::open_or_create(folder).unwrap();
    let _lock = RunLock::take(&store, &Owner::here("story", "today", "tale")).unwrap();
    go_through(&store, |n| victim::say(&format!("step {n}")));
}

/// The whole story; `done` hears how many steps of it are.
pub(crate) fn go_through(store: &Local, mut done: impl FnMut(usize)) {
    for (n, step) in STORY.iter().enumerate() {
        act(store, step);
        done(n + 1);
    }
}

fn act(store: &Local, step: &Step) {
    match *step {
        Put(at, size) => {
            let mut upload = store.begin(&key(at)).unwrap();
            for piece in noise(size, size as u64).chunks(300_000) {
                upload.write_all(piece).unwrap();
            }
            upload.commit().unwrap();
        }
        Link(from, to) => store.link(&key(from), &key(to)).unwrap(),
        Replace(at, size) => store.replace(&key(at), &noise(size, size as u64)).unwrap(),
        Delete(at) => store.delete(&key(at)).unwrap(),
    }
}

fn state_after(steps: usize) -> State {
    let mut state = State::new();
    for step in &STORY[..steps] {
        match *step {
            Put(at, size) | Replace(at, size) => {
                state.insert(at.into(), size);
            }
            Link(from, to) => {
                let size = state[from];
                state.insert(to.into(), size);
            }
            Delete(at) => {
                state.remove(at);
            }
        }
    }
    state
}

/// What the folder holds, if every object in it is whole.
fn state_of(folder: &Path) -> Result<State, String> {
    let mut state = State::new();
    let Ok(store) = Local::existing(folder) else {
        return Ok(state);
    };
    for prefix in ["", ".lifeboat/"] {
        for object in store.list(prefix).map_err(|e| e.to_string())? {
            let bytes = get(&store, &object.key, 10 << 20).map_err(|e| e.to_string())?;
            if bytes.len() as u64 != object.size || bytes != noise(bytes.len(), object.size) {
                return Err(format!(
                    "{} is not whole: {} bytes",
                    object.key,
                    bytes.len()
                ));
            }
            state.insert(object.key.into(), bytes.len());
        }
    }
    Ok(state)
}

/// Says what is wrong when the folder is not as it must be after `said` steps: a step that was said
/// is done, and the one after it, `in_flight`, is done or not.
pub(crate) fn faithful(folder: &Path, said: usize, in_flight: bool) -> Result<(), String> {
    let there = state_of(folder)?;
    let after = state_after(said);
    if there == after || (in_flight && said < STEPS && there == state_after(said + 1)) {
        return Ok(());
    }
    Err(format!(
        "after {said} steps: {there:?} instead of {after:?}"
    ))
}
