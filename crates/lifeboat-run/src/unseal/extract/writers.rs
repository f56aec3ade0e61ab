//! Threads that write small files, a batch at a time.

use super::{Apply, create, failed, refused, split};
use crate::unseal::{Trouble, UnsealError, tar::Meta};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Scope},
};

const BATCH_BYTES: usize = 1 << 20;
const BATCH_FILES: usize = 128;
/// A batch holds its folders open, as far as the limit on open files allows.
const BATCH_FOLDERS: usize = 16;
/// For everything else that is open meanwhile.
const OTHER_OPEN_FILES: u64 = 48;

/// A file whose content is in the batch.
pub(super) struct Small {
    pub(super) parent: Arc<OwnedFd>,
    pub(super) path: Vec<u8>,
    pub(super) meta: Meta,
}

#[derive(Default)]
struct Batch {
    data: Vec<u8>,
    /// Each with the end of its content in `data`.
    files: Vec<(Small, usize)>,
    folders: usize,
}

/// There are as many batches as may be under way, and no more: whoever wants to wait for all writers
/// collects them.
pub(super) struct Writers {
    filling: Batch,
    spare: Vec<Batch>,
    batches: usize,
    batch_folders: usize,
    send: Sender<Batch>,
    back: Receiver<Batch>,
    failure: Arc<Failure>,
}

#[derive(Default)]
struct Failure {
    happened: AtomicBool,
    first: Mutex<Option<UnsealError>>,
}

impl Writers {
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        jobs: usize,
        apply: &'scope Apply<'scope>,
    ) -> Result<Self, UnsealError> {
        let (send, taken) = unbounded();
        let (give_back, back) = unbounded();
        let failure = Arc::<Failure>::default();
        for _ in 0..jobs {
            let writer = Writer {
                taken: taken.clone(),
                back: give_back.clone(),
                failure: Arc::clone(&failure),
                apply,
            };
            thread::Builder::new()
                .name("write".to_owned())
                .spawn_scoped(scope, move || writer.run())
                .map_err(|error| UnsealError::Io {
                    action: "start",
                    what: "a thread".to_owned(),
                    error,
                })?;
        }
        let batches = jobs + 2;
        Ok(Writers {
            filling: Batch::default(),
            spare: (1..batches).map(|_| Batch::default()).collect(),
            batches,
            batch_folders: batch_folders(batches),
            send,
            back,
            failure,
        })
    }

    /// Where the content of the next file goes. Give it back with [`Writers::add`].
    pub(super) fn room(&mut self, size: usize) -> Result<Vec<u8>, UnsealError> {
        let is_full = self.filling.data.len() + size > BATCH_BYTES
            || self.filling.files.len() >= BATCH_FILES
            || self.filling.folders >= self.batch_folders;
        if is_full {
            self.pass_on()?;
        }
        Ok(std::mem::take(&mut self.filling.data))
    }

    pub(super) fn add(&mut self, data: Vec<u8>, file: Small) -> Result<(), UnsealError> {
        let batch = &mut self.filling;
        let is_same = batch
            .files
            .last()
            .is_some_and(|(last, _)| Arc::ptr_eq(&last.parent, &file.parent));
        batch.folders += usize::from(!is_same);
        batch.files.push((file, data.len()));
        batch.data = data;
        Ok(())
    }

    /// Returns when all files that were added are written.
    pub(super) fn flush(&mut self) -> Result<(), UnsealError> {
        if !self.filling.files.is_empty() {
            self.pass_on()?;
        }
        // The batch that is being filled is the one that is not under way.
        while self.spare.len() < self.batches - 1 {
            let batch = self.wait()?;
            self.spare.push(batch);
        }
        self.check()
    }

    /// Whether a writer has failed.
    pub(super) fn check(&self) -> Result<(), UnsealError> {
        if !self.failure.happened.load(Ordering::Relaxed) {
            return Ok(());
        }
        let first = self.failure.lock().take();
        Err(first.unwrap_or_else(|| Trouble::tell("the archive", Trouble::died("writer"))))
    }

    fn pass_on(&mut self) -> Result<(), UnsealError> {
        self.check()?;
        let empty = match self.spare.pop() {
            Some(empty) => empty,
            None => self.wait()?,
        };
        let full = std::mem::replace(&mut self.filling, empty);
        self.send
            .send(full)
            .map_err(|_| Trouble::tell("the archive", Trouble::died("writer")))
    }

    fn wait(&self) -> Result<Batch, UnsealError> {
        self.back
            .recv()
            .map_err(|_| Trouble::tell("the archive", Trouble::died("writer")))
    }
}

fn batch_folders(batches: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit.saturating_sub(OTHER_OPEN_FILES)).unwrap_or(usize::MAX)
    });
    (room / batches).clamp(1, BATCH_FOLDERS)
}

impl Failure {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<UnsealError>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer<'a> {
    taken: Receiver<Batch>,
    back: Sender<Batch>,
    failure: Arc<Failure>,
    apply: &'a Apply<'a>,
}

impl Writer<'_> {
    fn run(self) {
        for batch in &self.taken {
            let mut lent = Lent {
                batch,
                back: &self.back,
                failure: &self.failure,
                is_done: false,
            };
            if !self.failure.happened.load(Ordering::Relaxed)
                && let Err(error) = self.write(&lent.batch)
            {
                self.failure.lock().get_or_insert(error);
                self.failure.happened.store(true, Ordering::Relaxed);
            }
            lent.is_done = true;
        }
    }

    fn write(&self, batch: &Batch) -> Result<(), UnsealError> {
        let mut start = 0;
        for (file, end) in &batch.files {
            let (_, name) = split(&file.path);
            let fd = create(&file.parent, name)
                .map_err(|errno| refused("the archive", "create", &file.path, errno))?;
            let mut content = &batch.data[start..*end];
            while !content.is_empty() {
                let n = rustix::io::write(&fd, content)
                    .map_err(|errno| failed("write", &file.path, errno))?;
                content = &content[n..];
            }
            self.apply.to_file(&fd, &file.path, &file.meta)?;
            start = *end;
        }
        Ok(())
    }
}

/// Comes back empty whatever happens to its writer.
struct Lent<'a> {
    batch: Batch,
    back: &'a Sender<Batch>,
    failure: &'a Failure,
    is_done: bool,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.failure.happened.store(true, Ordering::Relaxed);
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.data.clear();
        batch.files.clear();
        batch.folders = 0;
        let _ = self.back.send(batch);
    }
}
