//! `lifeboat rebuild`: writes the catalogue anew. The manifests are the truth, so nothing is lost with it.

use super::{port::Port, screen::Screen, words};
use crate::exit::{Code, Result};
use serde_json::json;

pub fn run(port: &Port, screen: &mut Screen) -> Result {
    let _lock = port.lock("rebuild")?;
    let catalog = port.catalog()?;
    catalog.remember(port.harbour().store)?;
    let before = catalog.remembered.as_ref().map(Vec::len);
    screen.document(&json!({
        "backups": catalog.items.len(),
        "before": before,
        "suspects": catalog.suspects.len(),
    }));
    let before = match before {
        Some(before) => format!("it had {before} before"),
        None => "there was none before".to_owned(),
    };
    screen.line(format_args!(
        "The catalogue lists {} ({before}).",
        words::many(catalog.items.len() as u64, "backup", "backups")
    ));
    for suspect in &catalog.suspects {
        screen.line(format_args!(
            "! left out, not understood: {}  {}",
            suspect.id,
            words::plain(&suspect.reason)
        ));
    }
    Ok(match catalog.suspects.is_empty() {
        true => Code::Done,
        false => Code::Warnings,
    })
}
