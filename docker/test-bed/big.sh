#!/usr/bin/env bash
# Makes a database of about 1 GiB, for benchmarks: three quarters are pgbench's tables, the rest is text that
# compresses as prose does. The same content every time; an older one of the name is dropped.
#
#   big.sh CONTAINER [DATABASE]     default: big;   SCALE=50 is 1 GiB, SCALE=5 a tenth of it
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
container=$1 database=${2:-big} scale=${SCALE:-50}

# shellcheck disable=SC2016 # expanded in the container
in_container='
export PGUSER="${POSTGRES_USER:-postgres}" PGPASSWORD="${POSTGRES_PASSWORD:-}" PGOPTIONS="-c synchronous_commit=off -c client_min_messages=warning"
if [ -z "$PGPASSWORD" ] && [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
exec "$@"'
run() { docker exec -i "$container" sh -c "$in_container" sh "$@"; }
sql() { run psql --no-psqlrc -q -v ON_ERROR_STOP=1 "$@"; }

sql -d postgres -v name="$database" <<'SQL'
DROP DATABASE IF EXISTS :"name" WITH (FORCE);
CREATE DATABASE :"name";
SQL
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run pgbench --initialize --quiet --scale="$scale" "$database" >"$log" 2>&1 &
pgbench=$!

# Pairs of made-up words in an order that a small generator of pseudo-random numbers gives: zstd makes a quarter of it.
articles() {
  # shellcheck disable=SC2016 # Perl
  run perl -e '
    use integer;
    my $state = 1;
    my @words;
    for my $a (qw(ka lo mi ren tas ver un dol pe)) {
      for my $b (qw(ra sil to gen bu ni x al or)) {
        for my $c ("", qw(s ed ing er ly al um a)) { push @words, "$a$b$c" }
      }
    }
    my @pairs = map { $state = ($state * 1103515245 + 12345) & 0x7fffffff; $words[($state >> 8) % 729] . " " . $words[($state >> 17) % 729] . " " } 1 .. 65536;
    for my $id (1 .. $ARGV[0]) {
      my $body = "";
      for (1 .. 100) { $state = ($state * 1103515245 + 12345) & 0x7fffffff; $body .= $pairs[($state >> 12) & 65535] }
      print "$id\tArticle $id\t$body\n";
    }' "$1"
}
sql -d "$database" -c 'CREATE TABLE article (id int NOT NULL, title text NOT NULL, body text NOT NULL)'
articles $((scale * 3800)) | sql -d "$database" -c 'COPY article FROM STDIN' -c 'ALTER TABLE article ADD PRIMARY KEY (id)'
wait "$pgbench" || { cat "$log" >&2; exit 1; }
sql -At -d "$database" -c "SELECT pg_size_pretty(pg_database_size(current_database()))"
