//! `lifeboat history`: the restores that were made from this store, newest first.

use super::{port::Port, screen::Screen, table::Table, words};
use crate::exit::{Code, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

const RECORD_BYTES_MAX: u64 = 1 << 20;

/// As much of a record as a table shows; the rest goes to whoever reads JSON.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    id: String,
    target: PathBuf,
    #[serde(default)]
    sources: Vec<String>,
    started_at: DateTime<Utc>,
    #[serde(default)]
    entries: u64,
    #[serde(default)]
    bytes: u64,
    #[serde(flatten)]
    more: Map<String, Value>,
}

pub fn run(port: &Port, screen: &mut Screen) -> Result {
    let store = port.harbour().store;
    let mut records: Vec<Record> = Vec::new();
    let mut unreadable = Vec::new();
    for object in store.list("restore_logs/")? {
        let bytes = lifeboat_store::get(store, &object.key, RECORD_BYTES_MAX)?;
        match serde_json::from_slice(&bytes) {
            Ok(record) => records.push(record),
            Err(error) => unreadable.push(format!("{}: {error}", object.key)),
        }
    }
    records.sort_by_key(|record| std::cmp::Reverse(record.started_at));
    screen.document(&json!({
        "restores": records,
        "total": records.len(),
        "unreadable": unreadable,
    }));

    let mut table = Table::new(&["when", "backup", "sources", ">entries", ">size", "to"]);
    for record in &records {
        table.row([
            words::time(record.started_at, port.zone()),
            record.id.clone(),
            record.sources.join(", "),
            words::count(record.entries),
            words::size(record.bytes),
            record.target.display().to_string(),
        ]);
    }
    match table.is_empty() {
        true => screen.line("Nothing was restored from this store yet."),
        false => table.print(screen),
    }
    for text in &unreadable {
        screen.line(format_args!("! not understood: {}", words::plain(text)));
    }
    Ok(match unreadable.is_empty() {
        true => Code::Done,
        false => Code::Warnings,
    })
}
