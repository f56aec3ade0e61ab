//! SIGINT and SIGTERM: the first is a wish, the second an order.
//!
//! While nothing is in hand (a list is printed, a question is open) the first one ends the program at
//! once. A verb that has work in hand takes the [`Cancel`] and is given time to take its work back.

use crate::exit::{Code, Failure};
use lifeboat_run::Cancel;
use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread,
};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    cancel: Cancel,
    in_hand: AtomicBool,
    code: AtomicU8,
}

impl Signals {
    /// Listens on a thread of its own from now on.
    pub fn watch() -> Result<Self, Failure> {
        let signals = Signals::default();
        let heard = Arc::clone(&signals.0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(cannot_listen)?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            // Whoever hears it is not killed by it: a limit on file sizes (ulimit -f) is an error of the write.
            let too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
            drop(signal(too_large).map_err(cannot_listen)?);
            (
                signal(SignalKind::interrupt()).map_err(cannot_listen)?,
                signal(SignalKind::terminate()).map_err(cannot_listen)?,
            )
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        let code = tokio::select! {
                            _ = interrupt.recv() => Code::Interrupted,
                            _ = terminate.recv() => Code::Terminated,
                        };
                        heard.hear(code);
                    }
                });
            })
            .map_err(cannot_listen)?;
        Ok(signals)
    }

    /// From here on a signal is a wish.
    pub fn cancel(&self) -> &Cancel {
        self.0.in_hand.store(true, Ordering::SeqCst);
        &self.0.cancel
    }

    /// An interrupted run says which signal it was.
    pub fn name_the_signal(&self, failure: Failure) -> Failure {
        let terminated = self.0.code.load(Ordering::SeqCst) == Code::Terminated as u8;
        match failure.code {
            Code::Interrupted if terminated => Failure {
                code: Code::Terminated,
                ..failure
            },
            _ => failure,
        }
    }
}

impl Heard {
    fn hear(&self, code: Code) {
        let second = self.code.swap(code as u8, Ordering::SeqCst) != 0;
        self.cancel.cancel();
        // Nothing in hand: there is nothing to take back. Twice: whoever asks does not want to wait.
        if second || !self.in_hand.load(Ordering::SeqCst) {
            process::exit(i32::from(code as u8));
        }
    }
}

fn cannot_listen(error: std::io::Error) -> Failure {
    Failure::io(
        "listen for",
        "signals",
        &error,
        "raise the limits on open files and threads of this user (ulimit -n, ulimit -u)",
    )
}
