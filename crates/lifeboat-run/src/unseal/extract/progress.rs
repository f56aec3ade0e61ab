//! How far an extraction has come, told now and then.

use crate::Listener;
use lifeboat_plan::event::RunEvent;

const EVERY_BYTES: u64 = 8 << 20;
const EVERY_ENTRIES: u64 = 500;

pub(super) struct Progress<'a> {
    source: &'a str,
    listener: &'a dyn Listener,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    told: (u64, u64),
}

impl<'a> Progress<'a> {
    pub(super) fn new(source: &'a str, listener: &'a dyn Listener) -> Self {
        Progress {
            source,
            listener,
            entries: 0,
            bytes: 0,
            told: (0, 0),
        }
    }

    pub(super) fn step(&mut self) {
        self.entries += 1;
        self.add(0);
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        let (entries, bytes) = self.told;
        if self.entries >= entries + EVERY_ENTRIES || self.bytes >= bytes + EVERY_BYTES {
            self.tell();
        }
    }

    pub(super) fn tell(&mut self) {
        self.told = (self.entries, self.bytes);
        self.listener.hear(&RunEvent::Progress {
            source: self.source.to_owned(),
            plain_bytes: self.bytes,
            entries: self.entries,
        });
    }
}
