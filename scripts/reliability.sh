#!/usr/bin/env bash
# Gathers the figures that the last test run printed (lines "RELIABILITY key=value") into
# target/reliability.json; with --write also into the marked block of docs/reliability.md.
#
# The same key from several tests is added up, but for names that say otherwise: …_max and …_seconds keep
# the largest, …_min the smallest. What is not a number must be the same everywhere.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

json=target/reliability.json
page=docs/reliability.md

figures() {
  # From the runner's reports (XML, so a line may begin or end with a tag) and from the scripts' own logs.
  { cat target/nextest/*/junit.xml target/test/*.log 2>/dev/null || true; } |
    sed -nE 's/.*RELIABILITY ([A-Za-z0-9_.]+)=([^<[:space:]]+).*/\1 \2/p' |
    awk '
      { key = $1; value = $2 }
      !(key in seen) { seen[key] = value; next }
      value !~ /^-?[0-9.]+$/ { if (seen[key] != value) { print "two answers for " key ": " seen[key] ", " value >"/dev/stderr"; bad = 1 } next }
      key ~ /_(max|seconds)$/ { if (value + 0 > seen[key] + 0) seen[key] = value; next }
      key ~ /_min$/ { if (value + 0 < seen[key] + 0) seen[key] = value; next }
      { seen[key] += value }
      END { for (key in seen) print key "\t" seen[key]; exit bad }' | LC_ALL=C sort
}

found=$(figures)
if [ -z "$found" ]; then
  say "No figures: no test of the last run printed any."
  exit 0
fi
mkdir -p target
jq -Rn '[inputs | split("\t") | {key: .[0], value: (.[1] | tonumber? // .)}] | from_entries' <<<"$found" >"$json"
printf '%s\n' "$found" | column -t -s $'\t'
[ "${1:-}" = --write ] || exit 0

[ -f "$page" ] || die "there is no $page"
block=$(mktemp)
trap 'rm -f "$block"' EXIT
{
  printf 'Measured on %s at %s: %s cores, Linux %s.\n\n' "$(date -u +%F)" "$(git rev-parse --short HEAD)" "$(nproc)" "$(uname -r | cut -d. -f1-2)"
  printf '| figure | value |\n|---|---:|\n'
  awk -F'\t' '{ printf "| `%s` | %s |\n", $1, $2 }' <<<"$found"
} >"$block"
scripts/replace_block.sh "$page" figures "$block"
