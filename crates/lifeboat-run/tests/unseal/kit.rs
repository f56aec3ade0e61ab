//! Archives to unseal, trees to compare, and stock tools.
#![allow(clippy::print_stdout, reason = "what was skipped is said aloud")]

use lifeboat_plan::{Archive, Compression, Encryption};
use lifeboat_run::{
    Cancel, Keyring, Secret,
    keys::{KeyTexts, generate},
    unseal::{self, Depth, Extracted, Options, UnsealError},
};
use lifeboat_testkit::compare_trees;
use std::{
    fs,
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Runs a bash script in `dir`, which must succeed.
pub fn sh(dir: &Path, script: &str) -> Vec<u8> {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(dir)
        .output()
        .expect("bash runs");
    assert!(
        output.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// `bytes` through a stock tool.
pub fn pipe(bytes: &[u8], program: &str, args: &[&str]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads all");
    assert!(output.status.success(), "{program} {args:?}");
    output.stdout
}

/// Says so when a test cannot run here.
pub fn has(program: &str) -> bool {
    let found = Command::new("which")
        .arg(program)
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED: there is no {program} on this machine");
    }
    found
}

pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED: only root can do this");
    }
    root
}

pub fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Pseudo-random bytes, the same ones in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Half noise, half text: compresses, but not to nothing.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 32);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
            bytes.extend_from_slice(b"the same words all over again.. ");
        }
        bytes.truncate(count);
        bytes
    }
}

/// Every kind of thing that a folder may hold.
pub fn odd_tree(dir: &Path) {
    sh(
        dir,
        r#"
        mkdir -p inv/2024 empty deep 'with space'
        printf 'one' > inv/1.txt; printf 'two' > inv/2.txt; printf 'pdf' > inv/7.pdf; : > nothing
        printf 'old' > inv/2024/1.txt
        ln inv/1.txt inv/2024/hard; ln inv/1.txt hard2
        ln -s inv/1.txt link; ln -s /etc/passwd absolute; ln -s ../../../nowhere dangling
        ln -s "$(printf 'y%.0s' {1..180})" longlink
        printf 'x' > "$(printf 'n%.0s' {1..255})"
        d=deep; for i in 1 2 3 4 5 6; do d="$d/$(printf "$i%.0s" {1..80})"; done; mkdir -p "$d"; printf 'far' > "$d/file"
        printf 'a' > 'with space/-dash'; printf 'b' > $'new\nline'; printf 'c' > $'latin\xff\xfe'; printf 'd' > '%percent#'
        seq 1 200000 > numbers; head -c 3000000 /dev/urandom > noise
        truncate -s 100M holes; printf 'begin' | dd of=holes conv=notrunc status=none
        printf 'middle' | dd of=holes conv=notrunc status=none bs=1 seek=50000000
        truncate -s 20M allhole
        for i in $(seq 0 2 120); do printf '%04096d' $i | dd of=comb conv=notrunc status=none bs=4096 seek=$i; done
        touch -d '2001-02-03 04:05:06.123456789' inv/1.txt; touch -d '1960-01-02 03:04:05.5' inv/2.txt
        touch -h -d '2002-02-02 02:02:02.222222222' link
        chmod 4755 inv/7.pdf; chmod 0000 nothing; chmod 1777 empty; chmod 0555 inv/2024
        setfattr -n user.color -v green inv/1.txt; setfattr -n user.empty numbers; setfattr -n user.dir -v 1 inv
        head -c 200 /dev/urandom > /tmp/.x.$$; setfattr -n user.raw -v 0x$(xxd -p /tmp/.x.$$ | tr -d '\n') noise; rm /tmp/.x.$$
        "#,
    );
    if rustix::process::geteuid().is_root() {
        sh(
            dir,
            r#"
            mkfifo pipe; chmod 640 pipe; mknod char c 1 3; mknod block b 7 99
            printf 'cap' > cap; setcap cap_net_raw+ep cap || setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 cap
            chown 1234:5678 inv/2.txt; chown -h 77:88 link; chown 3000000:4000000 noise; chown 12:34 empty
            setfacl -m u:4321:r,g:8765:rw inv/1.txt; setfacl -d -m u:4321:rwx inv
            setfattr -n trusted.note -v seen numbers
            "#,
        );
    }
    sh(
        dir,
        "touch -d '2003-03-03 03:03:03.333333333' inv/2024 inv empty deep .",
    );
}

/// Says where two trees differ.
pub fn assert_same(expected: &Path, found: &Path) {
    let differences = compare_trees(expected, found).expect("both can be read");
    assert!(differences.is_empty(), "{differences:#?}");
}

/// The stored bytes of an archive, and what its manifest says of it.
#[derive(Clone)]
pub struct Sample {
    pub stored: Vec<u8>,
    pub archive: Archive,
}

impl Sample {
    pub fn new(plain: &[u8], entries: Option<u64>) -> Self {
        let mut sample = Sample {
            stored: plain.to_vec(),
            archive: Archive {
                source: "storage".to_owned(),
                kind: "files".to_owned(),
                file: "shop_daily_20251213_020000.storage.tar".to_owned(),
                size: 0,
                sha256: String::new(),
                plain_size: plain.len() as u64,
                plain_xxh128: format!("{:032x}", xxhash_rust::xxh3::xxh3_128(plain)),
                compression: Compression::None,
                encryption: Encryption::None,
                entries,
                warnings: Vec::new(),
                warnings_total: 0,
                facts: serde_json::Map::new(),
                more: serde_json::Map::new(),
            },
        };
        sample.restore_digest();
        sample
    }

    /// As the seal makes it: many frames, members or streams of `piece` plain bytes.
    pub fn pieces(mut self, compression: Compression, piece: usize) -> Self {
        let packed = self
            .stored
            .chunks(piece)
            .flat_map(|chunk| pack(chunk, compression))
            .collect();
        self.stored = packed;
        self.archive.compression = compression;
        self.restore_digest();
        self
    }

    /// Through a stock compressor.
    pub fn stock(mut self, compression: Compression, program: &str, args: &[&str]) -> Self {
        self.stored = pipe(&self.stored, program, args);
        self.archive.compression = compression;
        self.restore_digest();
        self
    }

    pub fn age(mut self, recipient: &str) -> Self {
        self.stored = age_to(&self.stored, recipient);
        self.archive.encryption = Encryption::Age;
        self.restore_digest();
        self
    }

    pub fn restore_digest(&mut self) {
        self.archive.size = self.stored.len() as u64;
        self.archive.sha256 = sha256(&self.stored);
    }

    pub fn reader(&self) -> Box<dyn Read + Send> {
        Box::new(Cursor::new(self.stored.clone()))
    }

    pub fn check(&self, depth: Depth, keys: &Keyring) -> Result<(), UnsealError> {
        unseal::check(
            self.reader(),
            &self.archive,
            depth,
            keys,
            &Cancel::default(),
        )
    }

    pub fn extract(&self, keys: &Keyring, into: &Path) -> Result<Extracted, UnsealError> {
        self.extract_with(keys, into, &Options::default())
    }

    pub fn extract_with(
        &self,
        keys: &Keyring,
        into: &Path,
        options: &Options,
    ) -> Result<Extracted, UnsealError> {
        let cancel = Cancel::default();
        unseal::extract(
            self.reader(),
            &self.archive,
            keys,
            into,
            options,
            &cancel,
            &(),
        )
    }

    /// Everything that `open` gives out, or its error.
    pub fn open(&self, keys: &Keyring) -> Result<Vec<u8>, String> {
        let mut plain = Vec::new();
        unseal::open(
            &self.archive.file,
            self.reader(),
            self.archive.compression,
            self.archive.encryption,
            keys,
        )
        .map_err(|error| error.to_string())?
        .read_to_end(&mut plain)
        .map_err(|error| error.to_string())?;
        Ok(plain)
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    lifeboat_run::authenticity::hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

/// One piece as one whole frame, member or stream.
pub fn pack(plain: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => plain.to_vec(),
        Compression::Zstd => {
            let mut zstd = zstd::bulk::Compressor::new(3).expect("zstd");
            zstd.include_checksum(true).expect("zstd");
            zstd.compress(plain).expect("zstd")
        }
        Compression::Gzip => {
            let mut gzip = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
            let mut packed = vec![0; gzip.gzip_compress_bound(plain.len())];
            let size = gzip.gzip_compress(plain, &mut packed).expect("gzip");
            packed.truncate(size);
            packed
        }
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(plain).expect("bzip2");
            encoder.finish().expect("bzip2")
        }
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(plain).expect("xz");
            encoder.finish().expect("xz")
        }
    }
}

pub fn age_to(plain: &[u8], recipient: &str) -> Vec<u8> {
    let recipient: age::x25519::Recipient = recipient.parse().expect("a recipient");
    let mut sealed = Vec::new();
    let mut writer = age::Encryptor::with_recipients(std::iter::once(&recipient as _))
        .expect("one recipient")
        .wrap_output(&mut sealed)
        .expect("a Vec");
    writer.write_all(plain).expect("a Vec");
    writer.finish().expect("a Vec");
    sealed
}

/// A keyring with a fresh identity, and its recipient.
pub fn key_pair() -> (Keyring, String) {
    let (identity, recipient) = generate();
    let keys = Keyring::new(KeyTexts {
        identity: Some(identity),
        ..KeyTexts::default()
    });
    (keys.expect("a good identity"), recipient)
}

pub fn with_passphrase(text: &str) -> Keyring {
    Keyring::new(KeyTexts {
        passphrase: Some(Secret::new(text.to_owned())),
        ..KeyTexts::default()
    })
    .expect("a good passphrase")
}

/// How many members Python counts.
pub fn count_entries(tar: &Path) -> u64 {
    let script = format!(
        "python3 -c 'import sys, tarfile; print(sum(1 for _ in tarfile.open(sys.argv[1])))' {}",
        tar.display()
    );
    let text = sh(Path::new("/"), &script);
    String::from_utf8_lossy(&text)
        .trim()
        .parse()
        .expect("a number")
}

/// A folder and, next to it, a tripwire: things that must not change.
pub struct Staging {
    temp: tempfile::TempDir,
    pub inside: PathBuf,
    before: Vec<u8>,
}

impl Staging {
    pub fn new() -> Self {
        let temp = temp();
        let inside = temp.path().join("outer/staging");
        fs::create_dir_all(&inside).expect("mkdir");
        fs::write(temp.path().join("outer/victim"), "untouched").expect("write");
        fs::create_dir(temp.path().join("outer/folder")).expect("mkdir");
        let before = Staging::outside(temp.path());
        Staging {
            temp,
            inside,
            before,
        }
    }

    /// Everything around the staging folder, with contents, owners, modes, links and times.
    fn outside(root: &Path) -> Vec<u8> {
        sh(
            root,
            "find . -path ./outer/staging -prune -o -printf '%p %y %s %m %U %G %n %T@\\n' | sort; cat outer/victim",
        )
    }

    pub fn assert_nothing_outside(&self) {
        let now = Staging::outside(self.temp.path());
        assert_eq!(
            String::from_utf8_lossy(&self.before),
            String::from_utf8_lossy(&now)
        );
    }
}
