//! How many rows each table has, counted in the very snapshot that the dump is made of.
//!
//! A second session exports a snapshot, waits until the dump has taken it over, and counts while the dump
//! runs. It gets all that it has to do on its command line, because not every proxy carries input. Nothing
//! that goes wrong here harms the dump: then the fact is that nothing was counted, and why.

use super::{At, Login, Refusal};
use crate::docker::{
    Container,
    dumps::{beside::Beside, not_counted},
    exec::fresh_mark,
};
use lifeboat_run::{Cancel, Secret};
use serde_json::{Map, Value};
use std::time::Duration;

/// What sessions call themselves, so that one can find the other.
pub(super) struct Names(String);

impl Names {
    pub(super) fn fresh() -> Self {
        Names(fresh_mark())
    }

    pub(super) fn of_dump(&self) -> Secret {
        Secret::new(format!("lifeboat-{}", self.0))
    }
}

/// Who counts, and how long.
pub(super) struct Counter<'a> {
    pub login: &'a Login,
    pub owner: Option<String>,
    pub names: &'a Names,
    pub time: Duration,
}

/// Somebody who counts.
#[derive(Debug)]
pub(super) struct Rows {
    snapshot: String,
    counting: Beside,
}

impl Rows {
    /// Comes back as soon as there is a snapshot.
    pub(super) fn begin(
        at: &At,
        container: &Container,
        counter: Counter<'_>,
        cancel: &Cancel,
    ) -> Result<Self, Refusal> {
        let wait = WAIT.replace("{dump}", counter.names.of_dump().reveal());
        let milliseconds = counter.time.as_millis().min(i32::MAX as u128);
        let time_max = format!("SET LOCAL statement_timeout = {milliseconds}");
        let mut tool = counter.login.psql(&[
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "SELECT pg_export_snapshot()",
            "SET LOCAL statement_timeout = 0",
            &wait,
            "SET LOCAL row_security = off",
            "SET LOCAL max_parallel_workers_per_gather = 0",
            EXTENSIONS,
            DATABASE,
            &time_max,
            COUNT,
            "SET LOCAL statement_timeout = 0",
            "SELECT '{' || current_setting('lifeboat.rows') || '}'",
        ]);
        tool.command.owner = counter.owner;
        let (snapshot, counting) = Beside::begin(at, container, tool, 0, counter.time, cancel)?;
        Ok(Rows { snapshot, counting })
    }

    pub(super) fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// Waits for the last count; the server itself keeps the time.
    pub(super) fn told(self) -> Map<String, Value> {
        match self.counting.told().and_then(|said| facts(&said)) {
            Ok(facts) => facts,
            Err(refusal) => not_counted(&refusal.line()),
        }
    }
}

/// Three documents: the extensions, what the database itself is, and the rows of every table.
fn facts(said: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let documents: Vec<Value> = said
        .split(|byte| *byte == 0)
        .filter(|document| !document.is_empty())
        .map(|document| serde_json::from_str(&String::from_utf8_lossy(document)))
        .collect::<Result<_, _>>()
        .map_err(|error| Refusal::tool(format!("psql gave no sense: {error}")))?;
    let [
        extensions @ Value::Object(_),
        database @ Value::Object(_),
        rows @ Value::Object(_),
    ] = &documents[..]
    else {
        return Err(Refusal::tool("psql did not say all that it was asked for"));
    };
    Ok(Map::from_iter([
        ("extensions".to_owned(), extensions.clone()),
        ("database".to_owned(), database.clone()),
        ("rows".to_owned(), rows.clone()),
        ("rows_at".to_owned(), "same snapshot".into()),
    ]))
}

/// A snapshot can be taken over while its owner's transaction lives. Taken over it is when the dump's session
/// holds a snapshot in a transaction of several statements: before that it runs single ones, whose snapshots
/// are gone a moment later.
const WAIT: &str = "DO $lifeboat$
DECLARE seen boolean := false; here boolean; holds boolean;
BEGIN
  FOR turn IN 1..6000 LOOP
    PERFORM pg_stat_clear_snapshot();
    SELECT count(*) > 0, coalesce(bool_or(backend_xmin IS NOT NULL AND xact_start < query_start), false)
      INTO here, holds FROM pg_catalog.pg_stat_activity WHERE application_name = '{dump}';
    EXIT WHEN holds OR (seen AND NOT here) OR (turn > 1000 AND NOT here);
    seen := seen OR here;
    PERFORM pg_sleep(0.01);
  END LOOP;
END $lifeboat$";

const EXTENSIONS: &str =
    "SELECT coalesce(json_object_agg(extname, extversion), '{}') FROM pg_catalog.pg_extension";

/// What no dump of a single database brings back into another one: `pg_restore` makes these only where it makes
/// the database itself.
const DATABASE: &str = "SELECT json_build_object('name', d.datname, 'owner', pg_get_userbyid(d.datdba), \
    'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype, \
    'settings', coalesce((SELECT json_agg(s) FROM pg_catalog.pg_db_role_setting r, unnest(r.setconfig) s \
    WHERE r.setdatabase = d.oid AND r.setrole = 0), '[]'), 'acl', d.datacl::text) \
    FROM pg_catalog.pg_database d WHERE d.datname = current_database()";

/// Small tables first, so that a time limit costs the fewest. Not the tables of extensions: their rows come
/// with the extension, and are in no dump. A table that may not be read says so in place of its number.
pub(super) const COUNT: &str = r#"DO $lifeboat$
DECLARE t record; n bigint; said text; lines text[] := '{}'; late boolean := false;
BEGIN
  FOR t IN
    SELECT n.nspname::text AS space, c.relname::text AS name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't'
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.relpages, 1, 2
  LOOP
    IF late THEN
      said := to_json('not counted: there was no time left'::text);
    ELSE
      BEGIN
        EXECUTE format('SELECT count(*) FROM ONLY %I.%I', t.space, t.name) INTO n;
        said := n;
      EXCEPTION
        WHEN query_canceled THEN
          late := true;
          said := to_json('not counted: there was no time left'::text);
        WHEN OTHERS THEN
          said := to_json('not counted: ' || SQLERRM);
      END;
    END IF;
    lines := array_append(lines, to_json(CASE WHEN t.space || t.name ~ '[."]'
      THEN '"' || replace(t.space, '"', '""') || '"."' || replace(t.name, '"', '""') || '"'
      ELSE t.space || '.' || t.name END)::text || ':' || said);
  END LOOP;
  PERFORM set_config('lifeboat.rows', array_to_string(lines, ','), true);
END $lifeboat$"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_facts_are_none() {
        let whole = b"{\"plpgsql\":\"1.0\"}\0{\"owner\":\"o\"}\0{\"public.a\":3,\"s.b\":\"not counted: no\"}\0";
        let told = facts(whole).unwrap();
        assert_eq!(told["database"]["owner"], "o");
        assert_eq!(told["rows"]["public.a"], 3);
        assert_eq!(told["extensions"]["plpgsql"], "1.0");
        for said in [&whole[..20], &whole[..40], b"", b"{}\0[]\0"] {
            assert!(facts(said).is_err(), "{}", String::from_utf8_lossy(said));
        }
    }
}
