//! The memory that frames take between the file and the reader.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes, packed and plain, of all frames that are under way.
const BUDGET: usize = 20 << 20;

/// How much memory is out, and buffers to be used again.
#[derive(Default)]
pub(super) struct Room {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    used: usize,
    closed: bool,
    packed: Vec<Vec<u8>>,
    plain: Vec<Vec<u8>>,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room; always gives it to a frame that is alone. `false`: the reader is gone.
    pub(super) fn acquire(&self, cost: usize) -> bool {
        let mut state = self.lock();
        while !state.closed && state.used > 0 && state.used + cost > BUDGET {
            state = self
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.used += cost;
        !state.closed
    }

    pub(super) fn release(&self, mut plain: Vec<u8>, cost: usize) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(cost);
        if plain.capacity() > 0 {
            plain.clear();
            state.plain.push(plain);
        }
        drop(state);
        self.freed.notify_one();
    }

    pub(super) fn take_back(&self, mut packed: Vec<u8>) {
        packed.clear();
        self.lock().packed.push(packed);
    }

    pub(super) fn plain_buffer(&self) -> Vec<u8> {
        self.lock().plain.pop().unwrap_or_default()
    }

    pub(super) fn packed_buffer(&self) -> Vec<u8> {
        self.lock().packed.pop().unwrap_or_default()
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.freed.notify_all();
    }
}
