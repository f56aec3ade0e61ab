//! `lifeboat plan --recovery-sheet`: how the newest backup comes back without Lifeboat.
//!
//! It is a shell script as much as a sheet of paper: what is printed is what the tests run. It belongs where
//! the backups are not.

use super::{port::Port, screen::Screen, words};
use crate::{
    exit::{Code, Result},
    shell,
};
use lifeboat_plan::{Archive, Compression, Encryption, Manifest};
use serde_json::{Value, json};
use std::fmt::Write;

pub fn run(port: &Port, screen: &mut Screen) -> Result {
    let catalog = port.catalog()?;
    let manifest = &port.latest(&catalog, None)?.manifest;
    let made = words::time(manifest.created_at, port.zone());
    let text = sheet(manifest, &made, &port.dir().display().to_string());
    screen.document(&json!({ "id": manifest.id, "sheet": text }));
    screen.line(text.trim_end());
    Ok(Code::Done)
}

/// `dir`: where the store is as this program sees it.
fn sheet(manifest: &Manifest, made: &str, dir: &str) -> String {
    let mut archives: Vec<&Archive> = manifest.archives.iter().collect();
    // Roles before what belongs to them.
    archives.sort_by_key(|archive| !is_globals(archive));
    let mut text = head(manifest, made, dir);
    text.push_str("\n# 1. Are the files whole?\n");
    for archive in &archives {
        let digest = shell::word(&format!("{}.sha256", archive.file));
        let _ = writeln!(text, "sha256sum -c {digest}");
    }
    text.push_str("\n# 2. Put them back. Each line stands alone: run those that you need.\n");
    for archive in archives {
        let _ = write!(
            text,
            "\n# {}: {}\n{}",
            archive.source,
            archive.kind,
            back(archive, manifest)
        );
    }
    text
}

fn head(manifest: &Manifest, made: &str, dir: &str) -> String {
    let sealed = manifest
        .archives
        .iter()
        .any(|a| a.encryption == Encryption::Age);
    let key = match sealed {
        true => {
            "\n# Sealed: age asks for the passphrase; or set AGE_IDENTITY to the file with the secret key."
        }
        false => "",
    };
    format!(
        "#!/bin/sh
# Recovery sheet of {id}, made {made}. Keep it where the backups are not.
# With Lifeboat at hand: lifeboat restore {id} --to live (or --to DIR). This is the way without it: a shell,
# sha256sum, tar and the tools that the names of the files end with; for databases also the project's own
# containers, empty and running (docker compose up -d), in the folder of its compose.yaml.{key}
set -eu
STORE=${{STORE:-{dir}}} # where the backups lie
OUT=${{OUT:-$PWD/restored}} # where files go
COMPOSE=${{COMPOSE:-$PWD}} # the folder of compose.yaml
mkdir -p \"$OUT\"
cd \"$STORE/{tier}\"
dc() {{ docker compose --project-directory \"$COMPOSE\" \"$@\"; }}
",
        id = manifest.id,
        dir = shell::word(dir),
        tier = manifest.tier,
    )
}

/// The lines that bring one archive back.
fn back(archive: &Archive, manifest: &Manifest) -> String {
    let plain = unsealed(archive);
    if archive.entries.is_some() {
        let folder = shell::word(&archive.source);
        let tar = "tar -x -p --numeric-owner --xattrs --xattrs-include='*' --acls";
        return format!("mkdir -p \"$OUT\"/{folder}\n{plain} | {tar} -C \"$OUT\"/{folder}\n");
    }
    let (service, part) = service_of(archive, manifest);
    let exec = format!("dc exec -T {}", shell::word(service));
    match archive.kind.as_str() {
        "postgres" if is_globals(archive) => format!(
            "# \"already exists\" of roles that every new server has is no trouble; anything else is.\n\
             {plain} | {exec} sh -c '{PG_LOGIN} exec psql -X -q -d postgres' || true\n"
        ),
        "postgres" => format!(
            "{plain} | {exec} sh -c '{PG_LOGIN} exec pg_restore --clean --if-exists --create --exit-on-error -d template1'\n"
        ),
        "mysql" | "mariadb" if is_globals(archive) => {
            format!("{plain} | {exec} sh -c '{MY_LOGIN} exec $my --force mysql'\n")
        }
        "mysql" | "mariadb" => {
            let database = database_of(archive, part);
            let create = format!(
                "CREATE DATABASE IF NOT EXISTS `{}`",
                database.replace('`', "``")
            );
            format!(
                "{plain} | {exec} sh -c '{MY_LOGIN} $my -e \"$1\" && exec $my --binary-mode --database=\"$2\"' sh {} {}\n",
                shell::word(&create),
                shell::word(database)
            )
        }
        "redis" => {
            let file = shell::word(&archive.source);
            let service = shell::word(service);
            format!(
                "# With appendonly the server must be started once without it, or it begins empty.\n\
                 {plain} >\"$OUT\"/{file}.rdb\n\
                 dc stop {service}\n\
                 dc cp \"$OUT\"/{file}.rdb {service}:/data/dump.rdb\n\
                 dc start {service}\n"
            )
        }
        "mongodb" => format!("{plain} | {exec} mongorestore --archive --drop\n"),
        _ => {
            let ending = archive
                .file
                .trim_start_matches(manifest.id.to_string().as_str());
            format!(
                "{plain} >\"$OUT\"/{}\n",
                shell::word(&plain_name(archive, ending))
            )
        }
    }
}

/// As in the servers' own images; the password is taken where they take it from.
const PG_LOGIN: &str = "export PGUSER=\"${POSTGRES_USER:-postgres}\" PGPASSWORD=\"${POSTGRES_PASSWORD:-$(cat \"${POSTGRES_PASSWORD_FILE:-/dev/null}\")}\";";
const MY_LOGIN: &str = "export MYSQL_PWD=\"${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}\"; my=\"$(command -v mariadb || command -v mysql) -uroot\";";

fn unsealed(archive: &Archive) -> String {
    let file = shell::word(&archive.file);
    let unpack = match archive.compression {
        Compression::Zstd => "zstd -dc",
        Compression::Gzip => "gzip -dc",
        Compression::Bzip2 => "bzip2 -dc",
        Compression::Xz => "xz -dc",
        Compression::None => "cat",
    };
    match archive.encryption {
        Encryption::None => format!("{unpack} <{file}"),
        Encryption::Age => {
            format!("age -d ${{AGE_IDENTITY:+-i \"$AGE_IDENTITY\"}} {file} | {unpack}")
        }
    }
}

fn is_globals(archive: &Archive) -> bool {
    matches!(archive.kind.as_str(), "postgres" | "mysql" | "mariadb")
        && archive.source.ends_with(".globals")
        && archive.file.contains(".globals.sql")
}

/// Whose it is, and what of it. A service may have dots in its name.
fn service_of<'a>(archive: &'a Archive, manifest: &Manifest) -> (&'a str, &'a str) {
    let source = archive.source.as_str();
    let services = manifest
        .compose
        .as_ref()
        .and_then(|compose| compose.pointer("/definition/services"))
        .and_then(Value::as_object);
    let known = |name: &str| services.is_some_and(|services| services.contains_key(name));
    let mut cuts = source.rmatch_indices('.').map(|(at, _)| at);
    let cut = cuts.find(|at| known(&source[..*at]));
    match cut {
        _ if known(source) => (source, ""),
        Some(at) => (&source[..at], &source[at + 1..]),
        None => source.split_once('.').unwrap_or((source, "")),
    }
}

fn database_of<'a>(archive: &'a Archive, part: &'a str) -> &'a str {
    let fact = archive
        .facts
        .get("database")
        .and_then(|fact| fact.get("name"));
    fact.and_then(Value::as_str).unwrap_or(part)
}

/// Without what compression and encryption have added.
fn plain_name(archive: &Archive, ending: &str) -> String {
    let mut name = ending.trim_start_matches('.').to_owned();
    for added in [".age", ".zst", ".gz", ".bz2", ".xz"] {
        if let Some(shorter) = name.strip_suffix(added) {
            name = shorter.to_owned();
        }
    }
    match name.is_empty() {
        true => archive.source.clone(),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};
    use lifeboat_plan::{BackupId, Tier};
    use serde_json::Map;

    fn archive(source: &str, kind: &str, ending: &str) -> Archive {
        Archive {
            source: source.to_owned(),
            kind: kind.to_owned(),
            file: format!("shop_daily_20251213_020000.{source}.{ending}.zst"),
            size: 1,
            sha256: String::new(),
            plain_size: 1,
            plain_xxh128: String::new(),
            compression: Compression::Zstd,
            encryption: Encryption::None,
            entries: (kind == "files").then_some(1),
            warnings: Vec::new(),
            warnings_total: 0,
            facts: Map::new(),
            more: Map::new(),
        }
    }

    fn manifest(archives: Vec<Archive>) -> Manifest {
        let at = Utc.with_ymd_and_hms(2025, 12, 13, 2, 0, 0).unwrap();
        let id = BackupId::new(&"shop".parse().unwrap(), Tier::Daily, &at, 1);
        Manifest {
            archives,
            compose: Some(
                json!({ "definition": { "services": { "db": {}, "db.two": {}, "cache": {} } } }),
            ),
            ..Manifest::empty(id, at)
        }
    }

    #[test]
    fn every_kind_has_its_line_and_roles_come_first() {
        let manifest = manifest(vec![
            archive("uploads", "files", "tar"),
            archive("db.o'hara", "postgres", "dump"),
            archive("db.globals", "postgres", "globals.sql"),
            archive("db.two.shop", "mariadb", "sql"),
            archive("cache", "redis", "rdb"),
            archive("ledger", "command", "txt"),
        ]);
        let text = sheet(&manifest, "then", "/backups");
        let order = [
            "sha256sum -c shop_daily_20251213_020000.uploads.tar.zst.sha256",
            "exec psql -X",
            "tar -x",
            "<'shop_daily_20251213_020000.db.o'\\''hara.dump.zst' | dc exec -T db sh",
            "dc exec -T db.two sh -c",
            "dc cp \"$OUT\"/cache.rdb cache:/data/dump.rdb",
            ">\"$OUT\"/ledger.txt",
        ];
        let places = order.map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}")));
        assert!(places.is_sorted(), "{text}");
        assert!(
            text.contains("CREATE DATABASE IF NOT EXISTS `shop`"),
            "{text}"
        );
        assert!(!text.contains("AGE_IDENTITY"), "{text}");
    }

    #[test]
    fn a_sealed_backup_says_what_opens_it() {
        let mut sealed = archive("uploads", "files", "tar");
        sealed.encryption = Encryption::Age;
        let text = sheet(&manifest(vec![sealed]), "then", "/my backups");
        assert!(text.contains("age asks for the passphrase"), "{text}");
        assert!(
            text.contains("age -d ${AGE_IDENTITY:+-i \"$AGE_IDENTITY\"} "),
            "{text}"
        );
        assert!(text.contains("STORE=${STORE:-'/my backups'}"), "{text}");
    }
}
