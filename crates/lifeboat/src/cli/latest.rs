//! `lifeboat latest`: the newest good backup, for scripts.

use super::{args, port::Port, screen::Screen};
use crate::exit::{Code, Failure, Result};
use lifeboat_run::layout;
use serde_json::json;

pub fn run(args: &args::Latest, port: &Port, screen: &mut Screen) -> Result {
    let catalog = port.catalog()?;
    let item = port.latest_that(&catalog, |item| {
        let archives = &item.manifest.archives;
        let holds = |source: &String| archives.iter().any(|a| a.source == *source);
        args.source.as_ref().is_none_or(holds)
    });
    let item = match (item, &args.source) {
        (Some(item), _) => item,
        (None, None) => return Err(port.no_good_backup(&catalog, None)),
        (None, Some(source)) => {
            return Err(Failure::new(
                Code::NotFound,
                format!("no good backup holds the source {source:?}"),
                "`lifeboat list --json` shows the archives of each backup",
            ));
        }
    };
    let manifest = &item.manifest;
    let archive = match (&args.source, &manifest.archives[..]) {
        (Some(source), archives) => archives.iter().find(|a| a.source == *source),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let key = match archive {
        Some(archive) => layout::archive(manifest.tier, &archive.file)?,
        None => layout::manifest(item.id()),
    };
    let path = port.dir().join(key.as_str());
    screen.document(&json!({
        "id": manifest.id,
        "path": path,
        "created_at": manifest.created_at,
        "age_seconds": (port.now - manifest.created_at).num_seconds(),
    }));
    match args.path {
        true => screen.line(path.display()),
        false => screen.line(&manifest.id),
    }
    Ok(Code::Done)
}
