//! A shorter way for the bytes than through the engine: a socket in a folder that both containers see.
//!
//! The engine copies what a container says several times over, in small frames. A socket is as fast as
//! memory. The helper sees a folder with nothing in it but the socket, read-only; where the socket cannot be
//! made or reached (a file system without sockets, another kernel, SELinux), it says so and the bytes take
//! the long way.

use crate::docker::{MountKind, own::Own};
use lifeboat_run::Cancel;
use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, Read, Write},
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the helper sees it.
pub(super) const FOLDER: &str = "/exchange";
const SOCKET: &str = "socket";
const PREFIX: &str = "pour-";

/// How long a wish to stop may go unseen while nothing comes.
const LOOK_UP: Duration = Duration::from_millis(200);

/// A folder of this container that the engine can mount into another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub here: PathBuf,
    pub on_host: PathBuf,
}

impl Exchange {
    /// `None`: the folder is not on a mount, so nobody else can see it.
    pub fn of(own: &Own, folder: &Path) -> Option<Self> {
        let below = |mount: &&crate::docker::Mount| folder.starts_with(&mount.destination);
        let mount = own
            .mounts
            .iter()
            .filter(below)
            .max_by_key(|mount| Path::new(&mount.destination).components().count())?;
        let local = match &mount.kind {
            MountKind::Volume { driver, .. } => driver == "local",
            MountKind::Bind => true,
            MountKind::Other(_) => false,
        };
        let rest = folder.strip_prefix(&mount.destination).ok()?;
        (local && mount.source.starts_with('/')).then(|| Exchange {
            here: folder.to_owned(),
            on_host: Path::new(&mount.source).join(rest),
        })
    }

    /// Removes what killed runs left.
    pub(super) fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.here)? {
            let entry = entry?;
            let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
            if ours && entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    pub(super) fn open(&self, mark: &str) -> io::Result<Door> {
        let name = format!("{PREFIX}{mark}");
        let folder = self.here.join(&name);
        // Nobody else comes this far; the helper does, because it may search every folder.
        DirBuilder::new().mode(0o700).create(&folder)?;
        let mut door = Door {
            on_host: self.on_host.join(&name),
            folder,
            listener: None,
        };
        let socket = door.folder.join(SOCKET);
        let listener = UnixListener::bind(&socket)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&socket, Permissions::from_mode(0o666))?;
        door.listener = Some(listener);
        Ok(door)
    }
}

/// A socket that waits for one helper. Gone when it is dropped.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) on_host: PathBuf,
    folder: PathBuf,
    listener: Option<UnixListener>,
}

impl Door {
    /// In the helper.
    pub(super) fn there() -> String {
        format!("{FOLDER}/{SOCKET}")
    }

    /// For a helper that says that it came in.
    pub(super) fn let_in(self) -> io::Result<Hall> {
        let stream = self.meet()?;
        stream.set_read_timeout(Some(LOOK_UP))?;
        Ok(Hall(stream))
    }

    /// The other way round: where the bytes go out. A write that nobody takes fails with `WouldBlock`
    /// several times a second.
    pub(super) fn hand_out(self) -> io::Result<UnixStream> {
        let stream = self.meet()?;
        stream.set_write_timeout(Some(LOOK_UP))?;
        Ok(stream)
    }

    fn meet(&self) -> io::Result<UnixStream> {
        let listener = self.listener.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // What stays is swept.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where the bytes come in.
#[derive(Debug)]
pub(super) struct Hall(UnixStream);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    Some,
    Nothing,
    End,
}

impl Hall {
    /// To one that waits. One that is gone hears nothing, and its end is read soon enough.
    pub(super) fn say(&mut self, word: u8) {
        if let Err(error) = self.0.write_all(&[word]) {
            tracing::debug!(%error, "a helper that waited is gone");
        }
    }

    /// Appends at most `limit` bytes.
    pub(super) fn read(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        cancel: &Cancel,
    ) -> io::Result<Came> {
        if cancel.is_cancelled() {
            return Ok(Came::Nothing);
        }
        let before = out.len();
        let read = (&mut self.0).take(limit as u64).read_to_end(out);
        match read {
            Ok(got) if got < limit => Ok(Came::End),
            Ok(_) => Ok(Came::Some),
            Err(error) if is_quiet(&error) && out.len() > before => Ok(Came::Some),
            Err(error) if is_quiet(&error) => Ok(Came::Nothing),
            // Whoever dies at the other end resets the connection: an end that proves nothing.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Came::End),
            Err(error) => Err(error),
        }
    }
}

fn is_quiet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Mount;

    fn mount(kind: MountKind, destination: &str, source: &str) -> Mount {
        Mount {
            kind,
            destination: destination.to_owned(),
            source: source.to_owned(),
            writable: true,
        }
    }

    #[test]
    fn a_folder_on_a_mount_has_a_name_on_the_host() {
        let volume = |driver: &str| MountKind::Volume {
            name: "backups".to_owned(),
            driver: driver.to_owned(),
        };
        let own = Own {
            id: "4f".to_owned(),
            project: None,
            service: None,
            image: "lifeboat".to_owned(),
            image_id: "sha256:1".to_owned(),
            mounts: vec![
                mount(
                    volume("local"),
                    "/backups",
                    "/var/lib/docker/volumes/b/_data",
                ),
                mount(MountKind::Bind, "/backups/inner", "/srv/inner"),
                mount(volume("nfs-plugin"), "/far", "/mnt/far"),
                mount(MountKind::Other("tmpfs".to_owned()), "/tmp", ""),
            ],
        };
        for (folder, host) in [
            (
                "/backups/.lifeboat/x",
                Some("/var/lib/docker/volumes/b/_data/.lifeboat/x"),
            ),
            ("/backups", Some("/var/lib/docker/volumes/b/_data")),
            ("/backups/inner/x", Some("/srv/inner/x")),
            ("/backups-other/x", None),
            ("/far/x", None),
            ("/tmp/x", None),
        ] {
            let exchange = Exchange::of(&own, Path::new(folder));
            let on_host = exchange.map(|exchange| exchange.on_host);
            assert_eq!(on_host.as_deref(), host.map(Path::new), "{folder}");
        }
    }

    #[test]
    fn a_door_is_gone_when_it_is_closed_and_swept_when_nobody_closed_it() {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange {
            here: dir.path().to_owned(),
            on_host: "/elsewhere".into(),
        };
        let entries = || fs::read_dir(dir.path()).unwrap().count();
        let door = exchange.open("one").unwrap();
        assert_eq!(door.on_host, Path::new("/elsewhere/pour-one"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&door.folder), 0o700);
        assert_eq!(mode(&door.folder.join(SOCKET)), 0o666);
        drop(door);
        assert_eq!(entries(), 0);

        std::mem::forget(exchange.open("two").unwrap());
        fs::write(dir.path().join("pour-is-no-folder"), "").unwrap();
        fs::create_dir(dir.path().join("sqlite-1-1")).unwrap();
        exchange.sweep().unwrap();
        assert_eq!(entries(), 2);
    }
}
