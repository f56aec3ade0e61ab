//! The sample project: files of every kind a volume has, and a shop whose SQLite database is written to
//! all the time.

use rusqlite::{Connection, OpenFlags};
use std::{
    fs, io,
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What all accounts of the shop hold together, at every moment that a transaction ends.
pub(super) const MONEY: i64 = 1_000_000;
const ACCOUNTS: i64 = 100;
const INVOICES: usize = 240;

/// Writes the folders that would be the volumes of a project.
pub(super) fn make(sources: &Path) -> io::Result<()> {
    documents(&sources.join("documents"))?;
    let shop = sources.join("shop");
    fs::create_dir_all(shop.join("uploads"))?;
    fs::write(
        shop.join("uploads/logo.svg"),
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n",
    )?;
    Ok(())
}

pub(super) fn database(sources: &Path) -> PathBuf {
    sources.join("shop/shop.sqlite3")
}

fn documents(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join("invoices/2025"))?;
    for n in 0..INVOICES {
        let text = format!("Invoice {n}\n{}\n", "one more line of it\n".repeat(n));
        fs::write(root.join(format!("invoices/2025/{n:04}.txt")), text)?;
    }
    fs::write(root.join("empty"), "")?;
    fs::write(root.join("a name with spaces, ünïcödé & 'quotes'"), "odd\n")?;
    fs::create_dir(root.join("an empty folder"))?;
    fs::write(root.join("backup.sh"), "#!/bin/sh\necho hello\n")?;
    fs::set_permissions(root.join("backup.sh"), fs::Permissions::from_mode(0o750))?;
    symlink("invoices/2025", root.join("this-year"))?;
    fs::hard_link(
        root.join("invoices/2025/0000.txt"),
        root.join("the first invoice"),
    )?;
    // 32 MiB long, and nearly all of it a hole.
    let sparse = fs::File::create(root.join("disk.img"))?;
    sparse.set_len(32 << 20)?;
    sparse.write_all_at(b"boot", 0)?;
    sparse.write_all_at(b"end", (32 << 20) - 3)?;
    Ok(())
}

/// The shop at work: it moves money between accounts until it is told to stop. Each transfer is one
/// transaction, so a copy in which the sum is wrong was torn.
#[derive(Debug)]
pub(super) struct Shop {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    writer: Option<JoinHandle<rusqlite::Result<()>>>,
}

impl Shop {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let mut database = Connection::open(path)?;
        database.busy_timeout(Duration::from_secs(10))?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.execute_batch(
            "CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL);
             CREATE TABLE transfer (id INTEGER PRIMARY KEY, payer INTEGER, payee INTEGER, cents INTEGER);",
        )?;
        for id in 0..ACCOUNTS {
            database.execute(
                "INSERT INTO account VALUES (?1, ?2)",
                (id, MONEY / ACCOUNTS),
            )?;
        }
        transfer(&mut database, 0)?;
        let stop = Arc::new(AtomicBool::new(false));
        let made = Arc::new(AtomicU64::new(1));
        let (stopping, counting) = (Arc::clone(&stop), Arc::clone(&made));
        let writer = thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                transfer(&mut database, counting.load(Ordering::SeqCst))?;
                counting.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        });
        Ok(Shop {
            stop,
            made,
            writer: Some(writer),
        })
    }

    /// Transfers that are certainly in the database by now.
    pub(super) fn transfers(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// How many transfers were made in all.
    pub(super) fn close(mut self) -> Result<u64, String> {
        self.stop.store(true, Ordering::Relaxed);
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(Ok(()))) => Ok(self.transfers()),
            Some(Ok(Err(error))) => Err(error.to_string()),
            Some(Err(_)) | None => Err("its thread panicked".to_owned()),
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn transfer(database: &mut Connection, n: u64) -> rusqlite::Result<()> {
    let payer = n.wrapping_mul(37) as i64 % ACCOUNTS;
    let payee = n.wrapping_mul(59).wrapping_add(1) as i64 % ACCOUNTS;
    let cents = (n % 97) as i64;
    let transaction = database.transaction()?;
    transaction.execute(
        "UPDATE account SET cents = cents - ?2 WHERE id = ?1",
        (payer, cents),
    )?;
    transaction.execute(
        "UPDATE account SET cents = cents + ?2 WHERE id = ?1",
        (payee, cents),
    )?;
    transaction.execute(
        "INSERT INTO transfer (payer, payee, cents) VALUES (?1, ?2, ?3)",
        (payer, payee, cents),
    )?;
    transaction.commit()
}

/// What a copy of the database says of itself.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) sound: bool,
    pub(super) money: i64,
    pub(super) transfers: u64,
}

/// Opens a copy and reads all of it.
pub(super) fn audit(path: &Path) -> rusqlite::Result<Books> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let one = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0));
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    Ok(Books {
        sound: check == "ok",
        money: one("SELECT sum(cents) FROM account")?,
        transfers: one("SELECT count(*) FROM transfer")? as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_keeps_its_books() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path()).unwrap();
        let path = database(folder.path());
        let shop = Shop::open(&path).unwrap();
        let made = shop.close().unwrap();
        let books = audit(&path).unwrap();
        assert!(books.sound);
        assert_eq!(books.money, MONEY);
        assert_eq!(books.transfers, made);
    }
}
