#!/usr/bin/env bash
# What a PostgreSQL database holds, as text that is the same after a restore: one line for each table (rows, and a
# digest of them that their order does not change), sequence, large object and definition; last, the digest of it all.
#
#   postgres_digest.sh CONTAINER DATABASE
#   postgres_digest.sh CONTAINER --server      roles with their passwords, memberships, databases and their settings
#
# User and password are those that the container was started with; PGUSER and PGPASSWORD overrule them.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
container=$1 database=$2
if [ "$database" = --server ]; then database=postgres verb=server_text; else verb=database_text; fi

# shellcheck disable=SC2016 # expanded in the container
connect='
export PGUSER="${PGUSER:-${POSTGRES_USER:-postgres}}" PGPASSWORD="${PGPASSWORD:-${POSTGRES_PASSWORD:-}}"
if [ -z "$PGPASSWORD" ] && [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
exec psql --no-psqlrc --no-password -qAt -F " " -v ON_ERROR_STOP=1'

ask() { docker exec -i -e PGUSER -e PGPASSWORD -e PGDATABASE="$database" "$container" sh -c "$connect"; }

server_text() {
  ask <<'SQL'
SET client_encoding = 'UTF8'; SET datestyle = 'ISO'; SET timezone = 'UTC';
SELECT 'role', quote_ident(rolname), rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
  coalesce(rolvaliduntil::text, '-'), md5(coalesce(rolpassword, '')), coalesce((SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0)::text, '-')
FROM pg_authid r WHERE rolname !~ '^pg_' ORDER BY rolname COLLATE "C";
SELECT 'member', member::regrole, 'of', roleid::regrole, admin_option FROM pg_auth_members WHERE roleid >= 16384 OR member >= 16384
ORDER BY member::regrole::text COLLATE "C", roleid::regrole::text COLLATE "C";
SELECT 'database', quote_ident(datname), datdba::regrole, pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit, datallowconn,
  coalesce((SELECT string_agg(acl::text, ',' ORDER BY acl::text COLLATE "C") FROM unnest(datacl) acl), '-'),
  coalesce((SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0)::text, '-'), md5(coalesce(shobj_description(oid, 'pg_database'), ''))
FROM pg_database d WHERE NOT datistemplate ORDER BY datname COLLATE "C";
SQL
}

database_text() {
  ask <<'SQL'
SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 3;
SET row_security = off; SET search_path = ''; SET client_encoding = 'UTF8';
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

SELECT format(
  'SELECT %L, %L, count(*), coalesce(sum((''x'' || left(md5(t::text), 15))::bit(60)::bigint), 0) FROM ONLY %s t',
  CASE relkind WHEN 'm' THEN 'matview' ELSE 'table' END, c.oid::regclass, c.oid::regclass)
FROM pg_class c
WHERE relkind IN ('r', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)' AND relpersistence <> 't'
ORDER BY c.oid::regclass::text COLLATE "C" \gexec

SELECT format('SELECT ''sequence'', %L, last_value, is_called FROM %s', c.oid::regclass, c.oid::regclass)
FROM pg_class c
WHERE relkind = 'S' AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)' AND relpersistence <> 't'
ORDER BY c.oid::regclass::text COLLATE "C" \gexec

SELECT 'large_object', oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY oid;

SELECT kind, name, md5(definition) FROM (
  SELECT 'view' AS kind, c.oid::regclass::text AS name, pg_get_viewdef(c.oid) AS definition
    FROM pg_class c WHERE relkind IN ('v', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
  UNION ALL SELECT 'columns', attrelid::regclass::text, string_agg(format('%s %s %s', quote_ident(attname), format_type(atttypid, atttypmod), attnotnull), ',' ORDER BY attnum)
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
    GROUP BY attrelid
  UNION ALL SELECT 'constraint', conrelid::regclass || ' ' || quote_ident(conname), pg_get_constraintdef(oid)
    FROM pg_constraint WHERE conrelid <> 0 AND conparentid = 0 AND connamespace::regnamespace::text !~ '^(pg_|information_schema$)'
  UNION ALL SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
  UNION ALL SELECT 'trigger', tgrelid::regclass || ' ' || quote_ident(tgname), pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
    FROM pg_proc p WHERE prokind IN ('f', 'p') AND pronamespace::regnamespace::text !~ '^(pg_|information_schema$)'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND deptype = 'e')
  UNION ALL SELECT 'policy', polrelid::regclass || ' ' || quote_ident(polname), concat(polcmd, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
  UNION ALL SELECT 'extension', quote_ident(extname), extversion FROM pg_extension
  UNION ALL SELECT 'comment', classoid::regclass || ' ' || coalesce(CASE WHEN classoid = 'pg_class'::regclass THEN objoid::regclass::text END, objsubid::text), description
    FROM pg_description d WHERE classoid IN ('pg_class'::regclass, 'pg_largeobject'::regclass)
      AND objoid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = d.objoid AND deptype = 'e')
) all_definitions
ORDER BY kind COLLATE "C", name COLLATE "C", definition COLLATE "C";

-- Who owns it and who may use it.
SELECT 'rights', c.oid::regclass, relowner::regrole,
  md5(coalesce((SELECT string_agg(acl::text, ',' ORDER BY acl::text COLLATE "C") FROM unnest(relacl) acl), ''))
FROM pg_class c
WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
ORDER BY c.oid::regclass::text COLLATE "C";
COMMIT;
SQL
}

text=$("$verb")
printf '%s\ndigest %s\n' "$text" "$(sha256sum <<<"$text" | cut -d' ' -f1)"
