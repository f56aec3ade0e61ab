#!/usr/bin/env bash
# Brings a backup back into a new folder below ./restored: verified first, shown, and confirmed by typing.
#
#   scripts/restore_backup.sh --latest               the newest good one
#   scripts/restore_backup.sh NAME                   an id, or the name of one of its files
#   scripts/restore_backup.sh --interactive          pick from a list
#
# What follows goes to `lifeboat restore`: --source NAME, --path GLOB, --dry-run, --yes.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

case ${1:-} in
  "" | -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
  --interactive) what=--interactive folder=picked_$(date +%Y%m%d_%H%M%S) ;;
  --latest) what=$(lifeboat backup latest) folder=$what ;;
  -*) die "unknown option $1" "first a name, --latest or --interactive" ;;
  # An id ends at the first dot of a file's name.
  *) what=$(basename "$1") what=${what%%.*} folder=$what ;;
esac
shift
what=${what%$'\r'} folder=${folder%$'\r'}

if [ "$what" != --interactive ]; then
  lifeboat backup verify "$what"
fi
mkdir -p "$restored"
lifeboat restore restore "$what" --to "$(restored_as_seen "$folder")" "$@"

[[ " $* " != *" --dry-run "* ]] || exit 0
say "" "Restored into $restored/$folder; the live data is untouched. To put it in place: stop the services that" \
  "use it (docker compose stop SERVICE), copy the folder over theirs with owners kept (cp -a), start them again."
