use super::{SqliteError, place::uri};
use crate::Cancel;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use std::path::Path;

/// Up to this size every index is compared with its table (`integrity_check`). That takes a random
/// read for each entry, hours for a large database on a disk; so a larger one gets `quick_check`,
/// which reads every page once and finds torn and lost pages all the same.
const THOROUGH_SIZE_MAX: u64 = 256 << 20;

const FINDINGS_MAX: usize = 20;

/// What SQLite says of a copy's integrity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    Passed,
    /// The copy is as whole as the live database is, so this is news about the live database.
    Failed(String),
    /// The schema needs something that only its application has (a collation, a tokenizer).
    NotPossible(String),
}

pub(super) fn check(copy: &Path, size: u64, cancel: &Cancel) -> Result<Check, SqliteError> {
    let pragma = if size <= THOROUGH_SIZE_MAX {
        "integrity_check"
    } else {
        "quick_check"
    };
    match findings(copy, pragma, cancel) {
        Ok(findings) if findings == ["ok"] => Ok(Check::Passed),
        Ok(findings) => Ok(Check::Failed(findings.join("; "))),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Err(SqliteError::Cancelled),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Ok(Check::Failed(error.to_string()))
            }
            _ => Ok(Check::NotPossible(error.to_string())),
        },
    }
}

fn findings(copy: &Path, pragma: &str, cancel: &Cancel) -> rusqlite::Result<Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Immutable: its header may say WAL, yet it needs no companions.
    let mut copy = Connection::open_with_flags(uri(copy, "mode=ro&immutable=1"), flags)?;
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    let cancel = cancel.clone();
    copy.progress_handler(10_000, Some(move || cancel.is_cancelled()))?;
    let mut statement = copy.prepare(&format!("PRAGMA {pragma}({FINDINGS_MAX})"))?;
    statement.query_map([], |row| row.get(0))?.collect()
}
