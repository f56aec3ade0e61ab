# shellcheck shell=bash
# Sourced by the other scripts: where the project is, how to speak, where `lifeboat` can be run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf "%s\n" "$@"; }

# Two lines for a person: what happened, what to do.
die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

docker_works() { have docker && timeout 20 docker version >/dev/null 2>&1; }
compose_works() { docker_works && docker compose version >/dev/null 2>&1; }

# A program that sudo or root can install with; empty where neither is to be had.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo -n "$@"; else return 1; fi
}

# The settings a bare host runs with: those of .env, read as Compose reads it (no shell in it), where
# the environment does not set them already; then folders of the project instead of the container's.
host_settings() {
  local line key value
  if [ -f .env ]; then
    while IFS= read -r line || [ -n "$line" ]; do
      [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
      key=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]%$'\r'}
      if [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]]; then value=${BASH_REMATCH[1]}; else value=${value%% #*}; fi
      [ -n "${!key+set}" ] || export "$key=$value"
    done <.env
  fi
  export BACKUP_SOURCES_DIR=${BACKUP_SOURCES_DIR:-$PWD/data} BACKUP_DIR=${BACKUP_DIR:-$PWD/backups}
  export BACKUP_HTTP_ADDR=${BACKUP_HTTP_ADDR:-127.0.0.1:8080}
}

# Where restored files are put, on this host and as the service `restore` sees it.
restored=${LIFEBOAT_RESTORED:-$PWD/restored}
restored_as_seen() { if [ "$(lifeboat_place)" = docker ]; then echo "/restore/$1"; else echo "$restored/$1"; fi; }

host_binary() {
  local binary
  for binary in "${LIFEBOAT:-}" dist/lifeboat target/release/lifeboat "$(command -v lifeboat || true)"; do
    [ -z "$binary" ] || [ ! -x "$binary" ] || { say "$binary"; return; }
  done
  return 1
}

# Where a verb is run: in the sidecar that is up, else in a container of its own, else on this host.
lifeboat_place() {
  if compose_works && docker image inspect "${LIFEBOAT_IMAGE:-lifeboat:local}" >/dev/null 2>&1; then
    echo docker
  elif host_binary >/dev/null; then
    echo host
  else
    die "neither the image ${LIFEBOAT_IMAGE:-lifeboat:local} nor a lifeboat binary is here" "run scripts/up.sh first"
  fi
}

# `lifeboat SERVICE VERB …`: SERVICE is `backup`, or `restore` for what writes restored files.
lifeboat() {
  local service=$1 tty=() binary
  shift
  { [ -t 0 ] && [ -t 1 ]; } || tty=(-T)
  if [ "$(lifeboat_place)" = host ]; then
    binary=$(host_binary)
    host_settings
    "$binary" "$@"
  elif [ "$service" = backup ] && [ -n "$(docker compose ps -q --status running backup 2>/dev/null)" ]; then
    docker compose exec "${tty[@]}" backup lifeboat "$@"
  else
    docker compose run --rm --no-deps "${tty[@]}" "$service" "$@"
  fi
}
