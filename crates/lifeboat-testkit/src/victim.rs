//! Processes that are killed, or lied to by the kernel, on purpose.
//!
//! A victim is an ignored test of the same test program, run alone in a process of its own. It gets
//! its orders by name and says what it has done; strace strikes it at a chosen system call.
//!
//! ```ignore
//! #[test]
//! #[ignore = "a victim of other tests"]
//! fn victim() {
//!     let Some(folder) = victim::order("folder") else { return };
//!     …
//!     victim::say("ok");
//! }
//! ```

use std::{
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
};

const SAID: &str = "said: ";

#[derive(Debug, Clone)]
pub struct Victim {
    test: String,
    orders: Vec<(String, String)>,
    tampering: Vec<String>,
}

/// How a victim ended, and what it had said until then.
#[derive(Debug)]
pub struct Ended {
    pub said: Vec<String>,
    pub how: How,
    /// All it wrote, for the message of a failing test.
    pub output: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Well,
    Killed,
    /// It panicked.
    Badly,
}

impl Victim {
    /// `test` is the full name of an ignored test of this program.
    pub fn new(test: &str) -> Self {
        Victim {
            test: test.to_owned(),
            orders: Vec::new(),
            tampering: Vec::new(),
        }
    }

    pub fn order(mut self, name: &str, value: impl ToString) -> Self {
        self.orders.push((name.to_owned(), value.to_string()));
        self
    }

    /// As for `strace -e inject=`: `fsync:error=EIO:when=2`, `renameat2:signal=KILL:when=1`. Calls
    /// are counted for each thread.
    pub fn inject(mut self, what: impl ToString) -> Self {
        self.tampering.push(what.to_string());
        self
    }

    pub fn run(&self) -> io::Result<Ended> {
        let output = self.command()?.stdin(Stdio::null()).output()?;
        let how = match output.status.signal() {
            Some(9) => How::Killed,
            _ if output.status.success() => How::Well,
            _ => How::Badly,
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let said = text
            .lines()
            .filter_map(|l| Some(l.split_once(SAID)?.1.to_owned()));
        Ok(Ended {
            said: said.collect(),
            how,
            output: format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)),
        })
    }

    /// Starts it and leaves it to the caller, with pipes from and to it.
    pub fn start(&self) -> io::Result<Child> {
        self.command()?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
    }

    fn command(&self) -> io::Result<Command> {
        let program = std::env::current_exe()?;
        let mut command = if self.tampering.is_empty() {
            Command::new(program)
        } else {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o", "/dev/null"]);
            for what in &self.tampering {
                strace.args(["-e", &format!("inject={what}")]);
            }
            let calls: Vec<&str> = self
                .tampering
                .iter()
                .filter_map(|what| what.split(':').next())
                .collect();
            strace.args(["-e", &format!("trace={}", calls.join(","))]);
            strace.arg(program);
            strace
        };
        command.args([
            "--exact",
            &self.test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]);
        command.envs(
            self.orders
                .iter()
                .map(|(name, value)| (variable(name), value)),
        );
        Ok(command)
    }
}

/// Kills the victim at its first such system call, then a new one at its second, and so on until one
/// ends well; `check` looks at each one's remains. Returns how many were killed.
///
/// # Panics
/// When a victim ends in another way, or none was killed.
pub fn kill_at_every(
    call: &str,
    mut victim: impl FnMut(u64) -> Victim,
    mut check: impl FnMut(u64, &Ended),
) -> u64 {
    for nth in 1.. {
        let ended = victim(nth)
            .inject(format!("{call}:signal=KILL:when={nth}"))
            .run()
            .expect("strace runs");
        assert_ne!(ended.how, How::Badly, "{call} {nth}: {}", ended.output);
        check(nth, &ended);
        if ended.how == How::Well {
            assert!(nth > 1, "no call of {call} at all: {}", ended.output);
            return nth - 1;
        }
    }
    unreachable!("a victim has only so many calls")
}

/// Whether strace is here and may trace; says so when not.
#[allow(clippy::print_stdout)]
pub fn can_strace() -> bool {
    let args = [
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "inject=getpid:error=EIO",
        "true",
    ];
    let works = Command::new("strace").args(args).status();
    let works = works.is_ok_and(|status| status.success());
    if !works {
        println!("SKIPPED: strace does not work here");
    }
    works
}

/// In the victim: what it was ordered; `None` when nobody ordered anything.
#[allow(
    clippy::disallowed_methods,
    reason = "a victim's orders are its environment"
)]
pub fn order(name: &str) -> Option<String> {
    std::env::var(variable(name)).ok()
}

/// In the victim: what it has done, at once.
pub fn say(what: &str) {
    let mut out = io::stdout().lock();
    // One write, so that it is said or not, never half.
    let _ = out.write_all(format!("{SAID}{what}\n").as_bytes());
    let _ = out.flush();
}

fn variable(name: &str) -> String {
    format!("LIFEBOAT_VICTIM_{}", name.to_uppercase())
}
