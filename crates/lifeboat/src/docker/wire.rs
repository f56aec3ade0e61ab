//! The raw stream behind an upgrade, and the frames on it.
//!
//! The engine's client insists on status 101, and hands a frame that was cut in two over as if it were
//! whole. Neither will do: some proxies answer 200 and go on all the same, and half a frame is half a dump.
//! So this one kind of request is spoken here, on a socket of its own, in large reads.

mod frames;
mod head;

pub use frames::Part;
pub(super) use frames::{FrameError, Frames};

use super::{Call, DockerError, Place, Trouble};
use head::{Chunks, Head};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// How long a wish to stop may go unseen while nothing comes.
const LOOK_UP: Duration = Duration::from_millis(200);
/// Until the head of the answer is there, or until somebody takes what is sent.
const PATIENCE: Duration = Duration::from_secs(30);
const HEAD_BYTES_MAX: usize = 64 << 10;
const READ_BYTES: usize = 256 << 10;

/// A request that became a stream.
#[derive(Debug)]
pub(super) struct Wire {
    call: Call,
    socket: Socket,
    /// Read, and not yet taken: `buffer[taken..]`.
    buffer: Vec<u8>,
    taken: usize,
    ended: bool,
    /// Status 101: both ways are open. Otherwise it is the body of an answer, and nothing can be sent.
    tunnel: bool,
    chunks: Option<Chunks>,
}

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    Some,
    Quiet,
    End,
}

impl Wire {
    /// Sends the request with the wish to upgrade, and reads the head of the answer.
    pub(super) fn open(
        place: &Place,
        path: &str,
        call: Call,
        body: &[u8],
    ) -> Result<Self, DockerError> {
        let failed = |error: io::Error| DockerError::of_io(call.clone(), &error);
        let mut socket = Socket::connect(place).map_err(failed)?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: docker\r\nUser-Agent: lifeboat\r\n\
             Content-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        socket
            .write(&[head.as_bytes(), body].concat())
            .map_err(failed)?;
        let mut wire = Wire {
            call,
            socket,
            buffer: Vec::new(),
            taken: 0,
            ended: false,
            tunnel: false,
            chunks: None,
        };
        wire.read_head()?;
        Ok(wire)
    }

    /// Everything the other end is to read, and its end. Short: it is sent before anything is read.
    ///
    /// Never done where there is nothing to send: some proxies end the whole tunnel when one way is closed.
    pub(super) fn send_all(&mut self, bytes: &[u8]) -> Result<(), DockerError> {
        if !self.tunnel {
            let what = "something in between answers 200 in place of 101";
            return Err(DockerError::new(self.call.clone(), Trouble::OneWay, what));
        }
        let sent = self.socket.write(bytes);
        sent.and_then(|()| self.socket.shut_down_writing())
            .map_err(|error| DockerError::of_io(self.call.clone(), &error))
    }

    /// For whoever sends while somebody else reads. Without it what the other end reads has no end: it must
    /// end by itself, or be told by [`Input::end`].
    pub(super) fn input(&self) -> Result<Input, DockerError> {
        if !self.tunnel {
            let what = "something in between answers 200 in place of 101";
            return Err(DockerError::new(self.call.clone(), Trouble::OneWay, what));
        }
        let failed = |error| DockerError::of_io(self.call.clone(), &error);
        let socket = self.socket.try_clone().map_err(failed)?;
        socket.set_write_timeout(LOOK_UP).map_err(failed)?;
        Ok(Input(socket))
    }

    fn read_head(&mut self) -> Result<(), DockerError> {
        let begun = Instant::now();
        let head = loop {
            match Head::parse(&self.buffer) {
                Ok(Some(head)) => break head,
                Ok(None) if self.buffer.len() > HEAD_BYTES_MAX => {
                    return Err(self.garbled("the head of the answer has no end"));
                }
                Ok(None) => {}
                Err(what) => return Err(self.garbled(&what)),
            }
            match self.more()? {
                More::Quiet if begun.elapsed() > PATIENCE => {
                    return Err(DockerError::new(self.call.clone(), Trouble::TooSlow, ""));
                }
                More::Some | More::Quiet => {}
                More::End if self.buffer.is_empty() => {
                    let what = "it hung up without an answer";
                    return Err(DockerError::new(
                        self.call.clone(),
                        Trouble::Unreachable,
                        what,
                    ));
                }
                More::End => return Err(self.garbled("the answer ends in its head")),
            }
        };
        self.taken = head.length;
        self.chunks = head.chunked.then(Chunks::default);
        match head.status {
            101 => self.tunnel = true,
            200 => {}
            status => {
                let detail = self.message(begun)?;
                return Err(DockerError::of_status(self.call.clone(), status, detail));
            }
        }
        Ok(())
    }

    /// What the other end says of its refusal: `{"message": "…"}` from an engine, anything from a proxy.
    fn message(&mut self, begun: Instant) -> Result<String, DockerError> {
        let mut text = Vec::new();
        loop {
            let bytes = self.take(HEAD_BYTES_MAX)?;
            text.extend_from_slice(bytes);
            if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&text)
                && let Some(message) = value.get("message").and_then(|m| m.as_str())
            {
                return Ok(message.to_owned());
            }
            let late = begun.elapsed() > PATIENCE || text.len() >= HEAD_BYTES_MAX;
            if late || (self.taken == self.buffer.len() && self.more()? != More::Some) {
                let text = String::from_utf8_lossy(&text);
                return Ok(text.trim().chars().take(300).collect());
            }
        }
    }

    /// One read of whatever is there.
    fn more(&mut self) -> Result<More, DockerError> {
        if self.ended {
            return Ok(More::End);
        }
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        }
        let before = self.buffer.len();
        self.buffer.resize(before + READ_BYTES, 0);
        let read = self.socket.read(&mut self.buffer[before..]);
        self.buffer
            .truncate(before + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => {
                self.ended = true;
                Ok(More::End)
            }
            Ok(_) => Ok(More::Some),
            Err(error) if is_quiet(&error) => Ok(More::Quiet),
            // Whoever dies at the other end resets the connection: an end that proves nothing, like every other.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.ended = true;
                Ok(More::End)
            }
            Err(error) => Err(DockerError::of_io(self.call.clone(), &error)),
        }
    }

    /// At most `limit` bytes of the stream itself, out of the chunks it may come in; none: read more.
    fn take(&mut self, limit: usize) -> Result<&[u8], DockerError> {
        let there = &self.buffer[self.taken..];
        let (skip, length) = match &mut self.chunks {
            None => (0, there.len().min(limit)),
            Some(chunks) => chunks
                .next(there, limit)
                .map_err(|what| DockerError::new(self.call.clone(), Trouble::Garbled, what))?,
        };
        let from = self.taken + skip;
        self.taken = from + length;
        Ok(&self.buffer[from..from + length])
    }

    /// Is the end of what came also the end of what was sent?
    fn is_whole(&self) -> bool {
        self.chunks.as_ref().is_none_or(Chunks::is_finished)
    }

    fn garbled(&self, what: &str) -> DockerError {
        DockerError::new(self.call.clone(), Trouble::Garbled, what)
    }
}

/// The way to a program's standard input.
#[derive(Debug)]
pub(super) struct Input(Socket);

/// What became of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// So many of them.
    Some(usize),
    /// Nobody takes any for a moment.
    Quiet,
    /// Nobody takes any more.
    Closed,
}

impl Input {
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<Sent> {
        match self.0.write_some(bytes) {
            Ok(sent) => Ok(Sent::Some(sent)),
            Err(error) if is_quiet(&error) => Ok(Sent::Quiet),
            Err(error) => match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ok(Sent::Closed),
                _ => Err(error),
            },
        }
    }

    /// There is no more.
    pub(super) fn end(self) -> io::Result<()> {
        match self.0.shut_down_writing() {
            // It is gone already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            ended => ended,
        }
    }
}

fn is_quiet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[derive(Debug)]
enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    fn connect(place: &Place) -> io::Result<Self> {
        match place {
            Place::Unix(path) => {
                let socket = UnixStream::connect(path)?;
                socket.set_read_timeout(Some(LOOK_UP))?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Socket::Unix(socket))
            }
            Place::Tcp(address) => {
                let socket = TcpStream::connect(address)?;
                socket.set_read_timeout(Some(LOOK_UP))?;
                socket.set_write_timeout(Some(PATIENCE))?;
                socket.set_nodelay(true)?;
                Ok(Socket::Tcp(socket))
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(socket) => socket.read(buffer),
            Socket::Tcp(socket) => socket.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Unix(socket) => socket.write_all(bytes),
            Socket::Tcp(socket) => socket.write_all(bytes),
        }
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(socket) => socket.write(bytes),
            Socket::Tcp(socket) => socket.write(bytes),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Socket::Unix(socket) => Socket::Unix(socket.try_clone()?),
            Socket::Tcp(socket) => Socket::Tcp(socket.try_clone()?),
        })
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Socket::Unix(socket) => socket.set_write_timeout(Some(timeout)),
            Socket::Tcp(socket) => socket.set_write_timeout(Some(timeout)),
        }
    }

    fn shut_down_writing(&self) -> io::Result<()> {
        match self {
            Socket::Unix(socket) => socket.shutdown(Shutdown::Write),
            Socket::Tcp(socket) => socket.shutdown(Shutdown::Write),
        }
    }
}
