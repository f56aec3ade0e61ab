#!/usr/bin/env bash
# The sidecar as its users run it: built, brought up beside two applications that never stop writing, backed
# up, restored, stopped, killed. Every container, volume, network and image of the test bears the name of this
# run and is removed at the end, also after a failure.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=scripts/check.sh
. scripts/check.sh

project=lifeboat-e2e-$$
work=$(mktemp -d)
for variable in $(compgen -e | grep -E '^(BACKUP|COMPOSE)_' || true); do unset "$variable"; done
export COMPOSE_PROJECT_NAME=$project COMPOSE_FILE=compose.yaml:docker/e2e.compose.yaml COMPOSE_PROGRESS=quiet
export LIFEBOAT_IMAGE=lifeboat:e2e-$$ E2E_IMAGES=$project LIFEBOAT_RESTORED=$work/restored TZ=UTC

clean_up() {
  local label="label=com.docker.compose.project=$project"
  # The one-off containers too, which `down` leaves alone.
  docker ps -aq --filter "$label" | xargs -r docker rm -f >/dev/null 2>&1 || true
  docker compose --profile restore down -v --remove-orphans -t 1 >/dev/null 2>&1 || true
  docker volume ls -q --filter "$label" | xargs -r docker volume rm >/dev/null 2>&1 || true
  docker image rm -f "$LIFEBOAT_IMAGE" "$project/files" "$project/accounts" >/dev/null 2>&1 || true
  docker image prune -f --filter label=lifeboat.sources >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

[ ! -f .env ] || say "There is a .env here: its settings take part in what follows."

main() {
  mkdir -p "$work/restored"
  check "the classic builder and BuildKit make the same image" both_builders
  compiles_in_the_builder_image
  docker/stand-ins/build.sh "$project"
  docker compose up -d files accounts 2>"$work/up" || { cat "$work/up"; exit 1; }

  check "up.sh builds, starts and waits for health" scripts/up.sh
  check "up.sh is quick and changes nothing the second time" up_again
  check "the image holds one file" one_file
  check "no port is published; root is read-only; one capability" least_rights
  check "a backup beside running applications" back_up_all
  check "stock tools open it; no torn transaction" stock_tools_open
  check "the scripts list, tell and find it" scripts_answer
  check "restore_backup.sh restores beside the live data" restore_by_script
  check "test_restore.sh proves the newest and cleans up" test_restore
  check "a one-off run backs up while the sidecar is down" one_off
  check "health says yes to the sidecar and no where none is" health_is_honest
  check "an idle sidecar stops at once" stops_idle
  check "SIGTERM in the middle of a backup: gone within 9 s, nothing half-made" stops_busy
  check "kill -9 in the middle of a backup: the next start is clean" survives_kill
  checks_done
}

both_builders() {
  scripts/build_static.sh
  local kit
  for kit in 0 1; do
    DOCKER_BUILDKIT=$kit docker build -q -f Dockerfile.backup --target prebuilt --label lifeboat.sources=e2e -t "$LIFEBOAT_IMAGE" .
    docker run --rm "$LIFEBOAT_IMAGE" --version >"$work/version.$kit"
  done
  cmp "$work/version.0" "$work/version.1"
}

compiles_in_the_builder_image() {
  local builder=${BUILDER:-rust:1-slim-bookworm}
  if docker image inspect "$builder" >/dev/null 2>&1 || timeout 120 docker pull -q "$builder" >/dev/null 2>&1; then
    check "the image compiles in $builder" docker build -q -f Dockerfile.backup --build-arg "BUILDER=$builder" -t "$LIFEBOAT_IMAGE" .
  else
    skip "the image compiles in $builder" "no registry that has it answers"
  fi
}

up_again() {
  local before started=$SECONDS
  before=$(docker compose ps -q backup)
  scripts/up.sh
  [ "$(docker compose ps -q backup)" = "$before" ]
  [ $((SECONDS - started)) -le 15 ]
}

one_file() {
  # Docker itself adds mount points and the files of its own making.
  docker save "$LIFEBOAT_IMAGE" | tar -xO --wildcards '*layer.tar' | tar -tf - | grep -v '/$' >"$work/content" || true
  cat "$work/content"
  [ "$(cat "$work/content")" = lifeboat ]
}

least_rights() {
  local id pid
  id=$(docker compose ps -q backup)
  [ "$(docker inspect -f '{{.HostConfig.ReadonlyRootfs}} {{len .HostConfig.PortBindings}} {{.HostConfig.Privileged}}' "$id")" = "true 0 false" ]
  pid=$(docker inspect -f '{{.State.Pid}}' "$id")
  # Bit 2 is CAP_DAC_READ_SEARCH.
  grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs)' "/proc/$pid/status"
  [ "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" = 0000000000000004 ]
  [ "$(awk '/^CapBnd/ { print $2 }' "/proc/$pid/status")" = 0000000000000004 ]
  [ "$(awk '/^NoNewPrivs/ { print $2 }' "/proc/$pid/status")" = 1 ]
  awk '$5 == "/" { print $6 }' "/proc/$pid/mountinfo" | grep '^ro' >/dev/null
  awk '$5 == "/data/uploads" { print $6 }' "/proc/$pid/mountinfo" | grep '^ro' >/dev/null
}

lb() { docker compose exec -T backup lifeboat "$@"; }

# The applications make and remove files all the time: a backup that remarks on one (exit code 3) is a good one.
remarks_allowed() { "$@" || [ $? = 3 ]; }

# Looks into the store from the application that has it mounted.
in_store() { docker compose exec -T files "$@"; }

back_up_all() {
  wait_for 20 books_are_open
  remarks_allowed lb backup >"$work/said"
  tail -n 1 "$work/said" | tr -d '\r' >"$work/id"
  grep -Eq "^${project}_daily_[0-9]{8}_[0-9]{6}\$" "$work/id"
  lb verify latest --deep
  lb health
}

books_are_open() { docker compose exec -T accounts sh -c '[ "$(sqlite3 /storage/accounts.sqlite3 "select count(*) from account")" = 1000 ] && [ -s /storage/accounts.sqlite3-wal ]'; }

stock_tools_open() {
  local id to=$work/opened
  id=$(cat "$work/id")
  rm -rf "$to" && mkdir -p "$to/uploads" "$to/storage"
  in_store tar -C /backups -cf - daily | tar -C "$to" -xf -
  (cd "$to/daily" && sha256sum --quiet -c ./*.sha256)
  zstd -dcq "$to/daily/$id.uploads.tar.zst" | tar -C "$to/uploads" -xpf -
  [ "$(cat "$to/uploads/inbox/first")" = 'kept for ever' ]
  [ "$(stat -c '%u:%g %a' "$to/uploads/inbox/first")" = '999:999 600' ]
  zstd -dcq "$to/daily/$id.storage.tar.zst" | tar -C "$to/storage" -xpf -
  books_balance "$to/storage/accounts.sqlite3"
}

books_balance() {
  [ "$(sqlite3 "$1" 'pragma integrity_check; select count(*), sum(money) from account')" = $'ok\n1000|100000' ]
}

scripts_answer() {
  local id
  id=$(cat "$work/id")
  [ "$(scripts/latest_backup.sh | tr -d '\r')" = "$id" ]
  scripts/list_backups.sh | grep "$id" >/dev/null
  scripts/list_backups.sh --json | jq -e --arg id "$id" '.backups[] | select(.id == $id)' >/dev/null
  scripts/backup_status.sh
  remarks_allowed scripts/backup_now.sh --source uploads | tail -n 1 | grep "^${project}_daily_" >/dev/null
}

restore_by_script() {
  local id
  id=$(cat "$work/id")
  scripts/restore_backup.sh "$id" --yes
  [ "$(cat "$work/restored/$id/uploads/inbox/first")" = 'kept for ever' ]
  [ "$(stat -c '%u:%g %a' "$work/restored/$id/uploads/inbox/first")" = '999:999 600' ]
  books_balance "$work/restored/$id/storage/accounts.sqlite3"
}

test_restore() {
  scripts/test_restore.sh
  [ -z "$(find "$work/restored" -maxdepth 1 -name 'test_*')" ]
}

one_off() {
  docker compose stop backup
  remarks_allowed docker compose run --rm -T backup backup >"$work/said"
  docker compose run --rm -T backup latest | tr -d '\r' >"$work/latest"
  [ "$(tail -n 1 "$work/said" | tr -d '\r')" = "$(cat "$work/latest")" ]
  docker compose up -d --no-build --wait backup
}

health_is_honest() {
  lb health
  # Where no daemon ever was, nothing is healthy.
  expect_exit 1 docker run --rm --tmpfs /backups "$LIFEBOAT_IMAGE" health
}

# A sidecar that is in the middle of a backup that takes minutes.
begin_slow_run() {
  docker compose exec -T files sh -c '[ -f /slow/file ] || head -c 200000000 /dev/urandom >/slow/file'
  E2E_INCLUDE=slow E2E_RUN_ON_START=true E2E_COMPRESSION=xz E2E_LEVEL=9 E2E_THREADS=1 \
    docker compose up -d --no-build --force-recreate backup
  before=$(store_kib)
  wait_for 30 store_grew
}

store_kib() { in_store du -sk /backups | awk '{ print $1 }'; }
store_grew() { [ "$(store_kib)" -gt $((before + 1024)) ]; }
# What anyone would take for a backup; work in progress lies in a folder of its own.
backups_in_store() { in_store find /backups -name .lifeboat -prune -o -name "${project}_*" -print | sort; }

stop_within() {
  local limit=$1 id started ended milliseconds
  id=$(docker compose ps -aq backup)
  started=$(date +%s%N)
  docker stop -t 30 "$id" >/dev/null
  ended=$(date +%s%N)
  milliseconds=$(((ended - started) / 1000000))
  say "stopped after $milliseconds ms, exit code $(docker inspect -f '{{.State.ExitCode}}' "$id")"
  [ "$milliseconds" -le "$limit" ]
  # 137 would be the kill that comes when patience ends.
  [ "$(docker inspect -f '{{.State.ExitCode}}' "$id")" != 137 ]
}

stops_idle() {
  stop_within 3000
  docker compose up -d --no-build --wait backup
}

stops_busy() {
  local listed
  listed=$(backups_in_store)
  begin_slow_run
  stop_within 9000 >"$work/stop"
  cat "$work/stop"
  say "RELIABILITY sidecar_stops_in_a_backup=1 milliseconds_max=$(sed -nE 's/stopped after ([0-9]+) ms.*/\1/p' "$work/stop") visible_partials=0"
  diff <(echo "$listed") <(backups_in_store)
}

survives_kill() {
  local listed kills=3 try
  for ((try = 0; try < kills; try++)); do
    listed=$(backups_in_store)
    begin_slow_run
    docker kill -s KILL "$(docker compose ps -q backup)" >/dev/null
    diff <(echo "$listed") <(backups_in_store)
    docker compose up -d --no-build --force-recreate --wait backup
    remarks_allowed lb backup | tail -n 1 >"$work/said"
    lb verify latest --deep
    [ "$(lb latest | tr -d '\r')" = "$(tr -d '\r' <"$work/said")" ]
  done
  say "RELIABILITY sidecar_kills_in_a_backup=$kills visible_partials=0"
}

main
