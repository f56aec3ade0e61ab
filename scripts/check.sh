# shellcheck shell=bash
# Sourced by the end-to-end scripts: runs one named check after the other, and says what became of each.
# A check is a command or function; it runs in a shell of its own, and any command of it that fails, fails it.

checks_failed=0

# `set -e` ends a shell without a word; this says where.
set -E
trap 'echo "stopped at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR

check() {
  local name=$1 log rc=0 started=$SECONDS
  shift
  log=$(mktemp)
  # Not `if (…)`: a condition would switch `set -e` off inside.
  set +e
  (set -e; "$@") >"$log" 2>&1
  rc=$?
  set -e
  grep -h '^RELIABILITY ' "$log" || true
  if [ "$rc" = 0 ]; then
    say "PASS $name ($((SECONDS - started)) s)"
  else
    say "FAIL $name (exit code $rc)"
    sed 's/^/     | /' "$log" | tail -n 40
    checks_failed=$((checks_failed + 1))
  fi
  rm -f "$log"
}

skip() { say "SKIP $1: $2"; }

checks_done() { [ "$checks_failed" = 0 ]; }

expect_exit() {
  local want=$1 got=0
  shift
  "$@" >/dev/null || got=$?
  [ "$got" = "$want" ] || { say "exit code $got, not $want: $*"; return 1; }
}

# wait_for SECONDS COMMAND…: until the command says yes. Exit code 2 of the command gives up at once.
wait_for() {
  local deadline=$((SECONDS + $1)) rc
  shift
  while :; do
    rc=0
    "$@" >/dev/null 2>&1 || rc=$?
    [ "$rc" != 0 ] || return 0
    if [ "$rc" = 2 ] || [ "$SECONDS" -ge "$deadline" ]; then
      say "waited in vain for: $*"
      return 1
    fi
    sleep 0.1
  done
}
