#!/usr/bin/env bash
# Gathers the figures that the last test run printed into target/reliability.json; with --write also into the
# marked block of docs/reliability.md. A test prints one line for each thing that it counted:
#
#   RELIABILITY power_cuts=100 lost=0 filesystem=ext4
#
# The first pair is what was done, and how often. The other numbers belong to it; a word tells one kind of it
# from another. Lines of several tests about the same thing are added up, but for names that say otherwise:
# …_max and …_seconds keep the largest, …_min the smallest.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

json=target/reliability.json
page=docs/reliability.md

# "done TAB number-or-empty TAB value", where the empty one is the count itself.
figures() {
  # The runner's reports are XML, so a line may begin or end with a tag.
  { cat target/nextest/*/junit.xml target/test/*.log 2>/dev/null || true; } |
    sed -nE 's/.*RELIABILITY ([^<]*).*/\1/p' |
    awk '
      function note(key, value, biggest) {
        if (!(key in seen)) seen[key] = value
        else if (biggest ~ /_(max|seconds)$/) { if (value > seen[key]) seen[key] = value }
        else if (biggest ~ /_min$/) { if (value < seen[key]) seen[key] = value }
        else seen[key] += value
      }
      {
        what = ""; kind = ""
        for (i = 1; i <= NF; i++) {
          split($i, pair, "=")
          if (pair[2] !~ /^-?[0-9]+(\.[0-9]+)?$/) kind = kind " " pair[2]
          else if (what == "") what = pair[1]
        }
        if (what == "") { print "not a figure: RELIABILITY " $0 >"/dev/stderr"; bad = 1; next }
        for (i = 1; i <= NF; i++) {
          split($i, pair, "=")
          if (pair[2] !~ /^-?[0-9]+(\.[0-9]+)?$/) continue
          note(what kind "\t" (pair[1] == what ? "" : pair[1]), pair[2] + 0, pair[1])
        }
      }
      END { for (key in seen) print key "\t" seen[key]; exit bad }' | LC_ALL=C sort
}

found=$(figures) || die "a test printed a figure that cannot be read" "a figure is KEY=NUMBER; the line is above"
if [ -z "$found" ]; then
  say "No figures: no test of the last run printed any."
  exit 0
fi
mkdir -p target
jq -Rn 'reduce (inputs | split("\t")) as [$what, $number, $value] ({};
  .[$what][if $number == "" then "count" else $number end] = ($value | tonumber))' <<<"$found" >"$json"
jq -r 'to_entries[] | "\(.key)\t\(.value | to_entries | map("\(.key) \(.value)") | join(", "))"' "$json" | column -t -s $'\t'
[ "${1:-}" = --write ] || exit 0

[ -f "$page" ] || die "there is no $page"
block=$(mktemp)
trap 'rm -f "$block"' EXIT
{
  printf 'Measured on %s at %s: %s cores, Linux %s.\n\n' "$(date -u +%F)" "$(git rev-parse --short HEAD)" "$(nproc)" "$(uname -r | cut -d. -f1-2)"
  printf '| what was done | times | found |\n|---|---:|---|\n'
  jq -r 'to_entries[] | "| \(.key | gsub("_"; " ")) | \(.value.count) | \(.value | del(.count) | to_entries | map("\(.key | gsub("_"; " ")): **\(.value)**") | join(", ")) |"' "$json"
} >"$block"
scripts/replace_block.sh "$page" figures "$block"
