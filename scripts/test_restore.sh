#!/usr/bin/env bash
# Tries the newest backup out: reads it back to its last byte, then restores it into a throw-away folder.
# That proves that the files can be had; whether the application starts on them is for the application.
#
#   scripts/test_restore.sh [ID]
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

id=${1:-$(lifeboat backup latest)}
id=${id%$'\r'}
folder=test_$(date +%Y%m%d_%H%M%S)_$$
lifeboat backup verify "$id" --deep

mkdir -p "$restored/$folder"
trap 'remove' EXIT
# The files may belong to others, as they did where they came from.
remove() { rm -rf "${restored:?}/$folder" 2>/dev/null || as_root rm -rf "${restored:?}/$folder" || say "left behind: $restored/$folder"; }
lifeboat restore restore "$id" --to "$(restored_as_seen "$folder")" --yes
[ -n "$(find "$restored/$folder" -mindepth 1 -print -quit)" ] || die "the restore of $id left nothing behind"
say "" "$id can be read and restored: $(find "$restored/$folder" | wc -l) entries, $(du -sh "$restored/$folder" | cut -f1)."
