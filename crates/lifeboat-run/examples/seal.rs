//! Seals one folder into one file, to time the seal as a whole process and against other tools:
//!
//! ```text
//! cargo run --release -p lifeboat-run --example seal -- FOLDER FILE [zstd|gzip|bzip2|xz|none [LEVEL [RECIPIENT]]]
//! ```

#![allow(clippy::print_stdout)]

use lifeboat_plan::Compression;
use lifeboat_run::{
    Cancel, keys,
    seal::{Recipe, seal},
    source::{Folder, Options},
};
use lifeboat_store::{Key, Object, Upload};
use std::{
    error::Error,
    fs::File,
    io::{self, Write},
};

/// A file without the promises of a store: what other tools are compared on makes none either.
struct Plain(File, u64);

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Plain {
    fn commit(self: Box<Self>) -> lifeboat_store::Result<Object> {
        Ok(Object {
            key: Key::new("example").expect("a sound key"),
            size: self.1,
            modified: None,
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |n: usize| arguments.get(n).map(String::as_str);
    let (Some(folder), Some(file)) = (word(0), word(1)) else {
        return Err("FOLDER FILE [COMPRESSION [LEVEL [RECIPIENT]]]".into());
    };
    let compression: Compression = word(2).unwrap_or("zstd").parse()?;
    let level = match word(3) {
        Some(level) => level.parse()?,
        None => compression.levels().1,
    };
    let recipe = Recipe {
        compression,
        level,
        threads: 0,
        seal: match word(4) {
            Some(recipient) => keys::Seal::Recipients(vec![recipient.to_owned()]),
            None => keys::Seal::Open,
        },
    };
    let source = Folder::new("example", folder, Options::default())?;
    let upload = Box::new(Plain(File::create(file)?, 0));
    let sealed = seal(&source, &recipe, upload, &Cancel::default(), &())?;
    println!(
        "{} -> {} bytes, {} entries, {} warnings, sha256 {}, xxh128 {}",
        sealed.plain_size(),
        sealed.object().size,
        sealed.entries().unwrap_or(0),
        sealed.warnings_total(),
        sealed.sha256(),
        sealed.plain_xxh128(),
    );
    for warning in sealed.warnings() {
        println!("  {warning}");
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("{peak}");
    }
    Ok(())
}
