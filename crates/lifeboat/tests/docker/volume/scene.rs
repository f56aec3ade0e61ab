//! A volume, an image of this program, and a place for what is sealed.

use crate::{
    image::{Image, PROGRAM},
    project::{BUSYBOX, Project, docker, project},
};
use lifeboat::docker::{
    Engine,
    volume::{Exchange, HELPER, Helpers, How, What},
};
use lifeboat_plan::Compression;
use lifeboat_run::{
    Cancel, keys,
    seal::{Recipe, SealError, Sealed, seal},
    source::{Poured, Source, SourceError},
};
use lifeboat_store::{Key, Object, Upload};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub(crate) struct Scene {
    pub(crate) project: Project,
    pub(crate) image: Image,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn scene() -> Option<Scene> {
    let project = project(&[BUSYBOX])?;
    let image = Image::of_this_program();
    let dir = tempfile::tempdir().unwrap();
    Some(Scene {
        project,
        image,
        dir,
    })
}

impl Scene {
    pub(crate) fn helpers(&self) -> Helpers {
        self.helpers_through(self.project.engine.clone())
    }

    pub(crate) fn helpers_through(&self, engine: Engine) -> Helpers {
        Helpers {
            engine,
            image: self.image.id.clone(),
            program: PROGRAM.to_owned(),
            owner: self.project.name.clone(),
            exchange: self.exchange(),
        }
    }

    pub(crate) fn exchange(&self) -> Option<Exchange> {
        Some(Exchange {
            here: self.dir.path().to_owned(),
            on_host: self.dir.path().to_owned(),
        })
    }

    /// Nothing but what was there before.
    pub(crate) fn doors(&self) -> usize {
        fs::read_dir(self.dir.path()).unwrap().count()
    }

    /// A volume, and where its files lie on this machine.
    pub(crate) fn volume(&self, name: &str) -> (String, PathBuf) {
        let name = format!("{}_{name}", self.project.name);
        let project = format!("com.docker.compose.project={}", self.project.name);
        docker(&["volume", "create", "--label", &project, &name]);
        let path = docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", &name]);
        let path = PathBuf::from(path);
        assert!(path.is_dir(), "the engine is on another machine");
        (name, path)
    }

    pub(crate) fn source(&self, volume: &str) -> Poured {
        let what = What::Volume(volume.to_owned());
        self.helpers().source("data", what, How::default())
    }

    pub(crate) fn left(&self) -> Vec<String> {
        let filter = format!("label={HELPER}={}", self.project.name);
        let ids = docker(&["ps", "-aq", "--no-trunc", "--filter", &filter]);
        ids.lines().map(str::to_owned).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Of a test that failed.
        let _ = self.helpers().sweep();
    }
}

/// A file that calls somebody once, when the first bytes come, and waits until that is done.
struct ToFile {
    file: fs::File,
    size: u64,
    first: Option<Box<dyn FnOnce() + Send>>,
    committed: Arc<AtomicBool>,
}

impl Write for ToFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(first) = self.first.take() {
            first();
        }
        let size = self.file.write(bytes)?;
        self.size += size as u64;
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for ToFile {
    fn commit(self: Box<Self>) -> lifeboat_store::Result<Object> {
        self.committed.store(true, Ordering::SeqCst);
        Ok(Object {
            key: Key::new("sealed").unwrap(),
            size: self.size,
            modified: None,
        })
    }
}

pub(crate) fn seal_to(
    source: &dyn Source,
    to: &Path,
    cancel: &Cancel,
    first: impl FnOnce() + Send + 'static,
) -> Result<Sealed, SealError> {
    seal_with(Compression::None, source, to, cancel, first)
}

pub(crate) fn seal_with(
    compression: Compression,
    source: &dyn Source,
    to: &Path,
    cancel: &Cancel,
    first: impl FnOnce() + Send + 'static,
) -> Result<Sealed, SealError> {
    let committed = Arc::new(AtomicBool::new(false));
    let upload = ToFile {
        file: fs::File::create(to).unwrap(),
        size: 0,
        first: Some(Box::new(first)),
        committed: committed.clone(),
    };
    let recipe = Recipe {
        compression,
        level: compression.levels().1,
        threads: 2,
        seal: keys::Seal::Open,
    };
    let sealed = seal(source, &recipe, Box::new(upload), cancel, &());
    assert_eq!(sealed.is_ok(), committed.load(Ordering::SeqCst));
    sealed
}

pub(crate) fn sealed(source: &dyn Source) -> Result<Sealed, SourceError> {
    match seal_to(source, Path::new("/dev/null"), &Cancel::default(), || ()) {
        Ok(sealed) => Ok(sealed),
        Err(SealError::Source(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

/// More than fits into all the buffers on the way.
pub(crate) fn large(folder: &Path) {
    let noise: Vec<u8> = lifeboat_testkit::suite::noise(1 << 20, 7);
    let mut file = fs::File::create(folder.join("large")).unwrap();
    for _ in 0..96 {
        file.write_all(&noise).unwrap();
    }
}
