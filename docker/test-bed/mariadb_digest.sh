#!/usr/bin/env bash
# What a MariaDB or MySQL database holds, as text that is the same after a restore: one line for each table (rows, and a
# digest of them that their order does not change) and definition; last, the digest of it all.
#
#   mariadb_digest.sh CONTAINER DATABASE
#
# It logs in as root with the password that the container was started with; MYSQL_PWD overrules it.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
container=$1 database=$2

# shellcheck disable=SC2016 # expanded in the container
connect='
export MYSQL_PWD="${MYSQL_PWD:-${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}}"
file=${MARIADB_ROOT_PASSWORD_FILE:-${MYSQL_ROOT_PASSWORD_FILE:-}}
if [ -z "$MYSQL_PWD" ] && [ -n "$file" ]; then MYSQL_PWD=$(cat "$file"); fi
client=$(command -v mariadb || command -v mysql)
exec "$client" -uroot --default-character-set=utf8mb4 --batch --skip-column-names --raw "$@"'
ask() { docker exec -i -e MYSQL_PWD "$container" sh -c "$connect" sh "$database"; }

settings="SET time_zone = '+00:00', sql_mode = '', group_concat_max_len = 1000000;"

# One SELECT for each table; every value as a literal, so that NULL, '' and 'NULL' differ.
selects=$(
  ask <<SQL
$settings
SELECT CONCAT(
  'SELECT ''table'', ', QUOTE(t.TABLE_NAME), ', COUNT(*), COALESCE(SUM(CAST(CONV(LEFT(SHA2(CONCAT_WS('','', ',
  GROUP_CONCAT(
    IF(c.DATA_TYPE IN ('blob', 'tinyblob', 'mediumblob', 'longblob', 'binary', 'varbinary', 'bit', 'geometry'),
      CONCAT('COALESCE(HEX(\`', REPLACE(c.COLUMN_NAME, '\`', '\`\`'), '\`), ''NULL'')'),
      CONCAT('QUOTE(\`', REPLACE(c.COLUMN_NAME, '\`', '\`\`'), '\`)'))
    ORDER BY c.ORDINAL_POSITION SEPARATOR ', '),
  '), 256), 15), 16, 10) AS UNSIGNED)), 0) FROM \`', REPLACE(t.TABLE_NAME, '\`', '\`\`'), '\`;')
FROM information_schema.TABLES t JOIN information_schema.COLUMNS c USING (TABLE_SCHEMA, TABLE_NAME)
WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE'
GROUP BY t.TABLE_NAME ORDER BY BINARY t.TABLE_NAME;
SQL
)

# A view's text names its database, which a restore may have given another name.
text=$(
  ask <<SQL
$settings
$selects
SELECT 'columns', TABLE_NAME, SHA2(GROUP_CONCAT(CONCAT_WS(' ', COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, COLLATION_NAME) ORDER BY ORDINAL_POSITION), 256)
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() GROUP BY TABLE_NAME ORDER BY BINARY TABLE_NAME;
SELECT 'engine', TABLE_NAME, ENGINE, TABLE_COLLATION
  FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY BINARY TABLE_NAME;
SELECT 'index', TABLE_NAME, INDEX_NAME, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX), NON_UNIQUE
  FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() GROUP BY TABLE_NAME, INDEX_NAME, NON_UNIQUE ORDER BY BINARY TABLE_NAME, BINARY INDEX_NAME;
SELECT 'reference', TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME
  FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY BINARY CONSTRAINT_NAME, ORDINAL_POSITION;
SELECT 'view', TABLE_NAME, DEFINER, SHA2(REPLACE(VIEW_DEFINITION, CONCAT('\`', DATABASE(), '\`.'), ''), 256)
  FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() ORDER BY BINARY TABLE_NAME;
SELECT 'routine', ROUTINE_TYPE, ROUTINE_NAME, DEFINER, SHA2(CONCAT(ROUTINE_DEFINITION, ROUTINE_COMMENT), 256)
  FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() ORDER BY BINARY ROUTINE_NAME;
SELECT 'trigger', TRIGGER_NAME, DEFINER, CONCAT_WS(' ', ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE), SHA2(ACTION_STATEMENT, 256)
  FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY BINARY TRIGGER_NAME;
SELECT 'event', EVENT_NAME, DEFINER, STATUS, CONCAT_WS(' ', INTERVAL_VALUE, INTERVAL_FIELD, STARTS), SHA2(EVENT_DEFINITION, 256)
  FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE() ORDER BY BINARY EVENT_NAME;
SQL
)
printf '%s\ndigest\t%s\n' "$text" "$(sha256sum <<<"$text" | cut -d' ' -f1)"
