#!/usr/bin/env bash
# Brings Lifeboat up for the project in this folder, and says what to do next. Run it as often as you like.
#
#   scripts/up.sh           with Docker: builds the image if need be and starts the service `backup`;
#                           without: runs the daemon on this host, over ./data and ./backups
#   scripts/up.sh --stop    stops what the above started; backups stay
#   scripts/up.sh --host    on this host, although there is a Docker
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

image=${LIFEBOAT_IMAGE:-lifeboat:local}
builder=${BUILDER:-rust:1-slim-bookworm}
state=${LIFEBOAT_STATE:-.lifeboat}
pid_file=$state/daemon.pid
log_file=$state/daemon.log

main() {
  local where=docker verb=start
  for word; do
    case $word in
      --host) where=host ;;
      --stop) verb=stop ;;
      -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit ;;
      *) die "unknown option $word" "scripts/up.sh --help" ;;
    esac
  done
  if [ "$where" = docker ] && ! docker_works; then
    say "No Docker engine answers here: running on this host."
    where=host
  fi
  "${verb}_on_$where"
}

start_on_docker() {
  compose_works || as_root "$PWD/scripts/install_compose.sh" || die "there is no 'docker compose' here" \
    "install the Docker Compose plugin, version 2.24 or later (Debian: docker-compose from trixie on; Ubuntu: docker-compose-v2)"
  docker compose config -q || die "compose.yaml or .env is not right" "the lines above say where"
  build_image
  # What the tag stood for before is of no use to anyone.
  docker image prune -f --filter label=lifeboat.sources >/dev/null
  docker compose up -d --no-build backup
  wait_until_healthy
  docker compose exec -T backup lifeboat status || true
  say "" "Next:" \
    "  scripts/backup_now.sh                 a backup at once" \
    "  scripts/list_backups.sh               what there is" \
    "  scripts/restore_backup.sh --latest    bring it back" \
    "  docker compose logs -f backup         what it does"
}

# The image follows the sources: it is built again only when one of them changed.
build_image() {
  local sources
  sources=$(find Cargo.toml Cargo.lock Dockerfile.backup crates scripts/build_static.sh -type f -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
  if [ "$(docker image inspect -f '{{index .Config.Labels "lifeboat.sources"}}' "$image" 2>/dev/null)" = "$sources" ]; then
    say "Image $image is up to date."
    return
  fi
  # An image that cannot be had is no fault: a host with cargo makes the same binary.
  if docker image inspect "$builder" >/dev/null 2>&1 || timeout 120 docker pull -q "$builder" >/dev/null 2>&1; then
    say "Building $image in $builder …"
    docker build -f Dockerfile.backup -t "$image" --label "lifeboat.sources=$sources" --build-arg "BUILDER=$builder" .
  elif have cargo; then
    say "The image $builder cannot be had; building with this host's cargo …"
    scripts/build_static.sh
    docker build -q -f Dockerfile.backup -t "$image" --label "lifeboat.sources=$sources" --target prebuilt . >/dev/null
  else
    die "the image $builder cannot be pulled, and there is no cargo here" \
      "let this host reach a registry, name another image with BUILDER=…, or install Rust"
  fi
}

wait_until_healthy() {
  local id health deadline=$((SECONDS + 90))
  id=$(docker compose ps -q backup)
  while [ "$SECONDS" -lt "$deadline" ]; do
    health=$(docker inspect -f '{{.State.Status}} {{.State.Health.Status}}' "$id" 2>/dev/null) || break
    case $health in
      "running healthy") say "The service backup is healthy."; return ;;
      "running "*) sleep 0.5 ;;
      *) break ;; # it ended, or restarts again and again
    esac
  done
  docker compose logs --tail 20 backup >&2
  die "the service backup did not become healthy (${health:-it is gone})" "its last words are above; docker compose exec backup lifeboat doctor"
}

stop_on_docker() {
  docker compose stop backup
}

start_on_host() {
  local binary
  if running; then
    say "The daemon runs already (pid $(cat "$pid_file"))."
  else
    binary=$(host_binary) || { have cargo || die "there is no lifeboat here and no cargo to build it" "install Rust"; scripts/build_static.sh; binary=dist/lifeboat; }
    host_settings
    mkdir -p "$state" "$BACKUP_SOURCES_DIR"
    # A session of its own: closing this terminal must not end it.
    setsid "$binary" daemon </dev/null >>"$log_file" 2>&1 &
    echo "$!" >"$pid_file"
  fi
  binary=$(host_binary)
  host_settings
  local deadline=$((SECONDS + 30))
  until "$binary" health >/dev/null 2>&1; do
    running || { tail -n 20 "$log_file" >&2; die "the daemon ended at once" "its last words are above"; }
    [ "$SECONDS" -lt "$deadline" ] || { "$binary" health >&2 || true; die "the daemon is not healthy" "see $log_file"; }
    sleep 0.2
  done
  "$binary" status || true
  say "" "Each folder of $BACKUP_SOURCES_DIR is a source; backups go to $BACKUP_DIR; the log is $log_file." \
    "Next: scripts/backup_now.sh, scripts/list_backups.sh, scripts/up.sh --stop"
}

stop_on_host() {
  running || { say "No daemon runs here."; return; }
  local pid
  pid=$(cat "$pid_file")
  kill -TERM "$pid"
  for _ in $(seq 150); do
    running || { rm -f "$pid_file"; say "Stopped."; return; }
    sleep 0.1
  done
  die "the daemon (pid $pid) did not stop within 15 s"
}

# The pid is ours only while its program is lifeboat: after a reboot another may have the number.
running() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) && [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep 'lifeboat daemon' >/dev/null
}

main "$@"
