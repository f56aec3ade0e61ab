#!/usr/bin/env bash
# The real binary on this host, judged by programs that we did not write: what `lifeboat backup` leaves
# behind must be opened by sha256sum, zstd, gzip, bzip2, xz, age, tar and jq, and be equal to the source.
#
#   scripts/e2e.sh [BINARY]      default: dist/lifeboat, which scripts/build_static.sh makes
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=scripts/check.sh
. scripts/check.sh

lifeboat=$(realpath "${1:-dist/lifeboat}")
[ -x "$lifeboat" ] || die "there is no $lifeboat" "scripts/build_static.sh makes it"
work=$(mktemp -d)
trap 'chmod -R u+rwx "$work" 2>/dev/null; rm -rf "$work"' EXIT
# Nothing of the caller's settings may reach the program.
for variable in $(compgen -e | grep '^BACKUP_' || true); do unset "$variable"; done
export TZ=UTC BACKUP_NAME=shop BACKUP_SOURCES_DIR=$work/data BACKUP_DIR=$work/backups

[ ! -f .env ] || say "There is a .env here: its settings take part in what follows."

main() {
  sample_tree "$BACKUP_SOURCES_DIR/storage"
  sample_database "$BACKUP_SOURCES_DIR/accounts"
  fingerprint "$BACKUP_SOURCES_DIR/storage" >"$work/before"
  age-keygen -o "$work/key" 2>"$work/recipient.line"
  recipient=$(sed -n 's/^Public key: //p' "$work/recipient.line")

  local codec
  for codec in zstd gzip bzip2 xz none; do
    check "stock tools open $codec" stock_tools_open "$codec" none
    check "stock tools open $codec inside age" stock_tools_open "$codec" age
  done
  check "stock age opens what a passphrase sealed" passphrase_opens
  check "stock sqlite3 finds the database whole" database_is_whole
  check "list, latest and the manifest agree" listing_agrees
  check "verify --deep passes a good backup" "$lifeboat" verify latest --deep
  check "restore gives back every byte, mode, owner and time" restore_is_equal
  check "every flipped byte is found (exit 13)" damage_is_found
  check "the wrong key is told from damage (exit 12)" wrong_key_is_told
  check "an unknown setting stops the program (exit 2)" unknown_setting_stops
  check "an empty store is not a good one (exit 10)" empty_store_is_told
  check "two runs at once: the second is turned away (exit 11)" second_run_is_turned_away
  check "kill -9 leaves nothing that looks like a backup" kill_leaves_no_trace
  check "prune --dry-run deletes nothing" prune_plans_only
  check "demo passes" demo_passes
  check "up.sh keeps a daemon on a host without Docker" up_on_this_host
  checks_done
}

# ---- what is backed up -------------------------------------------------------------------------

sample_tree() {
  local at=$1
  mkdir -p "$at/deep/er/est" "$at/empty" "$at/ünïcödé – name"
  head -c 3000000 /dev/urandom >"$at/random.bin"
  head -c 5000000 < <(yes 'the same line again') >"$at/lines.txt"
  printf 'x' >"$at/deep/er/est/one byte"
  : >"$at/empty file"
  printf 'odd' >"$at/"$'new\nline and \xff byte'
  ln -s ../outside "$at/dangling"
  ln "$at/lines.txt" "$at/deep/hard link"
  truncate -s 64M "$at/sparse"
  printf 'end' | dd of="$at/sparse" bs=1 seek=50000000 conv=notrunc status=none
  mkfifo "$at/fifo"
  chmod 0640 "$at/random.bin"
  chmod 2750 "$at/deep"
  touch -h -d '2001-02-03 04:05:06.789012345' "$at/dangling" "$at/random.bin" "$at/empty"
  local long
  long=$(printf 'd%.0s' {1..120})
  mkdir -p "$at/$long/$long" && echo long >"$at/$long/$long/file"
  if [ "$(id -u)" = 0 ]; then
    chown 1234:5678 "$at/deep/er/est/one byte"
    setfattr -n user.colour -v blue "$at/lines.txt" 2>/dev/null || true
    setfacl -m u:1234:r "$at/random.bin" 2>/dev/null || true
  fi
}

sample_database() {
  mkdir -p "$1"
  sqlite3 "$1/app.sqlite3" >/dev/null <<'SQL'
pragma journal_mode = wal;
create table line (id integer primary key, text text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
  insert into line select i, 'row ' || i from n;
SQL
}

# Everything that a restore must give back, one line an entry. Sockets cannot be saved by anyone.
fingerprint() {
  (
    cd "$1"
    find . ! -type s -printf '%y %m %U:%G %n %T@ %l %p\0' | sort -z | tr '\0\n' '\n?'
    find . -type f -print0 | sort -z | xargs -0 sha256sum
    getfattr -R -h -d -m - . 2>/dev/null | sort
  )
}

# ---- the checks --------------------------------------------------------------------------------

fresh_store() { rm -rf "$BACKUP_DIR"; mkdir -p "$BACKUP_DIR"; }

# With the settings given as NAME=VALUE…, one backup into an empty store.
back_up() {
  fresh_store
  env "$@" "$lifeboat" backup
}

archive_of() { find "$BACKUP_DIR/daily" -name "*.$1.*" ! -name '*.sha256' ! -name '*.json' | head -n 1; }

# Undoes the endings of a file's name, each with the tool that it is named after.
unseal_with_stock_tools() { decrypt "$1" | expand "${1%.age}"; }
decrypt() { case $1 in *.age) age -d -i "$work/key" "$1" ;; *) cat "$1" ;; esac; }
expand() {
  case $1 in
    *.zst) zstd -dcq ;;
    *.gz) gzip -dc ;;
    *.bz2) bzip2 -dc ;;
    *.xz) xz -dc ;;
    *) cat ;;
  esac
}

stock_tools_open() {
  local codec=$1 settings=("BACKUP_COMPRESSION=$1") file
  [ "$2" = none ] || settings+=("BACKUP_AGE_RECIPIENTS=$recipient")
  back_up "${settings[@]}"
  (cd "$BACKUP_DIR/daily" && sha256sum --quiet -c ./*.sha256)
  file=$(archive_of storage)
  rm -rf "$work/unpacked" && mkdir "$work/unpacked"
  unseal_with_stock_tools "$file" | tar -C "$work/unpacked" --xattrs --xattrs-include='*' --acls --numeric-owner -xpf -
  fingerprint "$work/unpacked" | diff "$work/before" - >"$work/diff" || { head -n 20 "$work/diff"; return 1; }
  # A second opinion by another implementation.
  unseal_with_stock_tools "$file" | bsdtar -tf - >/dev/null
}

passphrase_opens() {
  back_up BACKUP_ENCRYPTION=age BACKUP_ENCRYPTION_KEY='correct horse battery'
  # age asks the terminal and nothing else, so it gets one.
  local file
  file=$(archive_of storage)
  printf 'correct horse battery\n' | script -qefc "age -d -o $work/plain $file" /dev/null >/dev/null
  zstd -dcq "$work/plain" | tar -tf - >/dev/null
}

database_is_whole() {
  back_up BACKUP_COMPRESSION=zstd
  local out=$work/db
  rm -rf "$out" && mkdir "$out"
  unseal_with_stock_tools "$(archive_of accounts)" | tar -C "$out" -xf -
  [ "$(sqlite3 "$out/app.sqlite3" 'pragma integrity_check; select count(*) from line')" = $'ok\n20000' ]
}

listing_agrees() {
  back_up BACKUP_COMPRESSION=zstd >"$work/said"
  local id
  id=$(tail -n 1 "$work/said")
  [ "$("$lifeboat" latest)" = "$id" ]
  [ "$("$lifeboat" list --json | jq -r '.backups[0].id')" = "$id" ]
  [ "$(jq -r .status "$BACKUP_DIR/daily/$id.json")" = completed ]
  jq -r '.archives[] | "\(.sha256)  \(.file)"' "$BACKUP_DIR/daily/$id.json" | (cd "$BACKUP_DIR/daily" && sha256sum --quiet -c)
  [ -f "$("$lifeboat" latest --path --source storage)" ]
}

restore_is_equal() {
  local to=$work/restored
  rm -rf "$to"
  "$lifeboat" restore latest --to "$to" --yes >/dev/null
  fingerprint "$to/storage" | diff "$work/before" - >"$work/diff" || { head -n 20 "$work/diff"; return 1; }
}

damage_is_found() {
  back_up BACKUP_COMPRESSION=zstd >/dev/null
  local file size at id found=0 tries=25 try
  id=$("$lifeboat" latest)
  file=$(archive_of storage)
  size=$(stat -c %s "$file")
  chmod u+w "$file"
  cp "$file" "$work/good"
  for ((try = 0; try < tries; try++)); do
    at=$((size * try / tries))
    # The byte is turned over, so that it surely differs.
    printf '%b' "\\x$(printf %02x $((0x$(byte_at "$file" "$at") ^ 0xff)))" | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
    expect_exit 13 "$lifeboat" verify "$id" && found=$((found + 1))
    cat "$work/good" >"$file"
  done
  "$lifeboat" verify "$id"
  say "RELIABILITY damaged_bytes=$tries found=$found missed=$((tries - found))"
  [ "$found" = "$tries" ]
}

byte_at() { od -An -tx1 -j "$2" -N 1 "$1" | tr -d ' '; }

wrong_key_is_told() {
  back_up "BACKUP_AGE_RECIPIENTS=$recipient" >/dev/null
  age-keygen -o "$work/other" 2>/dev/null
  expect_exit 12 env BACKUP_AGE_IDENTITY_FILE="$work/other" "$lifeboat" restore latest --to "$work/never" --yes
  [ ! -e "$work/never/storage" ]
  rm -rf "$work/other" "$work/right"
  env BACKUP_AGE_IDENTITY_FILE="$work/key" "$lifeboat" restore latest --to "$work/right" --yes >/dev/null
}

unknown_setting_stops() {
  expect_exit 2 env BACKUP_SHEDULE='@daily' "$lifeboat" plan
  env BACKUP_SHEDULE='@daily' "$lifeboat" plan >"$work/said" 2>&1 || true
  grep -q BACKUP_SCHEDULE "$work/said"
}

empty_store_is_told() {
  fresh_store
  expect_exit 10 "$lifeboat" latest
  expect_exit 10 "$lifeboat" verify latest
}

# A source that takes long enough to act upon the run that saves it.
slow_source() {
  mkdir -p "$BACKUP_SOURCES_DIR/slow"
  [ -f "$BACKUP_SOURCES_DIR/slow/file" ] || head -c 200000000 /dev/urandom >"$BACKUP_SOURCES_DIR/slow/file"
}

begin_slow_run() {
  fresh_store
  slow_source
  BACKUP_COMPRESSION=xz BACKUP_COMPRESSION_LEVEL=9 BACKUP_COMPRESSION_THREADS=1 BACKUP_INCLUDE=slow "$lifeboat" backup >"$work/slow.log" 2>&1 &
  run=$!
  trap 'kill -9 "$run" 2>/dev/null || true' EXIT # whatever becomes of the check
  wait_for 20 has_bytes "$BACKUP_DIR"
}

# Work in progress lies somewhere below: more than any lock or journal would take.
has_bytes() { [ "$(du -sk "$1" | cut -f1)" -gt 1024 ] || { kill -0 "$run" 2>/dev/null || return 2; return 1; }; }

second_run_is_turned_away() {
  begin_slow_run
  expect_exit 11 "$lifeboat" backup
}

kill_leaves_no_trace() {
  local kills=3 try
  for ((try = 0; try < kills; try++)); do
    begin_slow_run
    kill -9 "$run"
    wait "$run" 2>/dev/null || true
    [ -z "$(find "$BACKUP_DIR"/daily -name 'shop_*' 2>/dev/null)" ] || { find "$BACKUP_DIR"; return 1; }
    expect_exit 10 "$lifeboat" latest
    BACKUP_INCLUDE=accounts "$lifeboat" backup >/dev/null
    "$lifeboat" verify latest >/dev/null
    [ "$("$lifeboat" list --tier daily --json | jq .total)" = 1 ]
  done
  say "RELIABILITY program_kills=$kills visible_partials=0"
  rm -rf "$BACKUP_SOURCES_DIR/slow"
}

prune_plans_only() {
  local before
  back_up BACKUP_COMPRESSION=zstd >/dev/null
  before=$(find "$BACKUP_DIR" -name 'shop_*' | sort)
  BACKUP_MAX_COUNT=1 BACKUP_KEEP_MIN=1 "$lifeboat" prune --dry-run >/dev/null
  [ "$(find "$BACKUP_DIR" -name 'shop_*' | sort)" = "$before" ]
}

demo_passes() {
  local started=$SECONDS
  env -u BACKUP_NAME -u BACKUP_SOURCES_DIR -u BACKUP_DIR timeout 60 "$lifeboat" demo
  # Ten seconds are promised, on a machine that has nothing else to do; this one may be busy.
  say "RELIABILITY demo_seconds=$((SECONDS - started))"
}

up_on_this_host() {
  export LIFEBOAT=$lifeboat LIFEBOAT_STATE=$work/state BACKUP_HTTP_ADDR=off BACKUP_SCHEDULE=@yearly BACKUP_RUN_ON_START=true
  trap 'scripts/up.sh --host --stop' EXIT
  fresh_store
  scripts/up.sh --host
  local pid
  pid=$(cat "$work/state/daemon.pid")
  scripts/up.sh --host >"$work/said"
  grep -q "runs already (pid $pid)" "$work/said"
  wait_for 30 "$lifeboat" latest
  scripts/up.sh --host --stop
  # Gone, or a zombie that nobody has asked about yet: that one has no command line.
  if grep -qa lifeboat "/proc/$pid/cmdline" 2>/dev/null; then return 1; fi
  trap - EXIT
}

main
