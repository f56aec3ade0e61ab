#!/usr/bin/env bash
# replace_block.sh PAGE NAME FILE: puts FILE between the lines <!-- NAME: begin --> and <!-- NAME: end --> of PAGE.
set -euo pipefail
page=$1 name=$2 file=$3
for edge in begin end; do
  grep -qx "<!-- $name: $edge -->" "$page" || { echo "replace_block.sh: $page has no line <!-- $name: $edge -->" >&2; exit 1; }
done
new=$(mktemp "$page.XXXXXX")
awk -v name="$name" -v file="$file" '
  $0 == "<!-- " name ": begin -->" { print; print ""; while ((getline line < file) > 0) print line; print ""; inside = 1; next }
  $0 == "<!-- " name ": end -->" { inside = 0 }
  !inside { print }' "$page" >"$new"
chmod 644 "$new"
mv "$new" "$page"
