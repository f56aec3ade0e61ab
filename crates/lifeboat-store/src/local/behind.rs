//! Writing that starts the disk early.
//!
//! A kernel left alone may collect gigabytes before it writes, and then the last fsync of a backup
//! takes minutes. Here a second thread syncs every [`STEP`] while the writer goes on. At most one sync
//! runs and one waits; the writer never does. Dropped half-way, it leaves the thread to end by itself.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

const STEP: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Behind {
    file: Arc<File>,
    written: u64,
    since_sync: u64,
    syncing: Option<(SyncSender<()>, JoinHandle<io::Result<()>>)>,
    /// Why nothing more may be written: an error that is passed over once would be a hole in the file.
    failed: Option<io::ErrorKind>,
}

impl Behind {
    pub(super) fn new(file: File) -> Self {
        Behind {
            file: Arc::new(file),
            written: 0,
            since_sync: 0,
            syncing: None,
            failed: None,
        }
    }

    /// Waits for the thread, and says how many bytes were taken, or what went wrong with any of them.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        if let Some(kind) = self.failed {
            return Err(io::Error::new(kind, "an earlier write had failed"));
        }
        self.stop_syncing()?;
        Ok(self.written)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = (&*self.file).write(bytes)?;
        self.written += taken as u64;
        self.since_sync += taken as u64;
        if self.since_sync >= STEP {
            self.sync_behind()?;
        }
        Ok(taken)
    }

    fn sync_behind(&mut self) -> io::Result<()> {
        self.since_sync = 0;
        if self.syncing.is_none() {
            let (ask, asked) = sync_channel(1);
            let file = Arc::clone(&self.file);
            let thread = std::thread::Builder::new()
                .name("write-behind".into())
                .spawn(move || asked.iter().try_for_each(|()| file.sync_data()));
            // Without a thread the last fsync takes longer, and that is all.
            let Ok(thread) = thread else { return Ok(()) };
            self.syncing = Some((ask, thread));
        }
        match self.syncing.as_ref().map(|(ask, _)| ask.try_send(())) {
            // The thread only ends by itself when a sync has failed.
            Some(Err(TrySendError::Disconnected(()))) => self.stop_syncing(),
            _ => Ok(()),
        }
    }

    /// The error of a sync is told once per open file: here, and never again by a later fsync.
    fn stop_syncing(&mut self) -> io::Result<()> {
        let Some((ask, thread)) = self.syncing.take() else {
            return Ok(());
        };
        drop(ask);
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the write-behind thread panicked")))
    }
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.failed {
            return Err(io::Error::new(kind, "an earlier write had failed"));
        }
        self.try_write(bytes).inspect_err(|e| {
            if e.kind() != io::ErrorKind::Interrupted {
                self.failed = Some(e.kind());
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
