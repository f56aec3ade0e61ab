#!/usr/bin/env bash
# Makes the images of the test bed from Debian's packages; no registry is asked for anything.
#
#   build.sh                 all of them; what has not changed is kept (a label bears the recipe's digest)
#   build.sh IMAGE…          only these, named as in `all` below
#
#   JOBS=N          how many at once (default: the number of cores)
#   BED_CACHE=DIR   bases and packages (default: target/test-bed of this checkout)
#   DEBIAN_MIRROR   default: the mirror that this machine's apt uses
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/../../scripts/common.sh"

all=(postgres:15 postgres:17 mariadb:10.11 mysql:9 redis:7 valkey:8 proxy haproxy:2.6 busybox:1)
recipes=docker/test-bed
cache=${BED_CACHE:-$PWD/target/test-bed}
unavailable=69

# recipe IMAGE: sets what it is made of. install.sh of the folder is run with the words in `arguments`.
recipe() {
  dockerfile=Dockerfile arguments=() build_arguments=()
  case $1 in
    postgres:15) folder=postgres release=bookworm arguments=(15) build_arguments=(MAJOR=15) ;;
    postgres:17) folder=postgres release=trixie arguments=(17) build_arguments=(MAJOR=17) ;;
    mariadb:10.11) folder=mariadb release=bookworm ;;
    mysql:9) folder=mysql release=sid ;; # in no release of Debian
    redis:7) folder=redis release=bookworm arguments=(redis) ;;
    valkey:8) folder=redis release=trixie arguments=(valkey) dockerfile=valkey.Dockerfile ;;
    proxy) folder=proxy release=bookworm ;;
    haproxy:2.6) folder=haproxy release=bookworm ;;
    busybox:1) folder=busybox release=none ;;
    *) die "no image is called $1" "one of: ${all[*]}" ;;
  esac
  folder=$recipes/images/$folder
}

main() {
  if [ "${1:-}" = --one ]; then
    make_one "$2"
    return
  fi
  [ $# -gt 0 ] || set -- "${all[@]}"
  local name missing=()
  for name; do recipe "$name"; done
  for name; do is_fresh "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || { say "The images of the test bed are up to date."; return; }
  docker_works || die "no Docker engine answers here" "docker version says why"
  [ -x /usr/bin/mmdebstrap ] || scripts/install_tools.sh
  mkdir -p "$cache"
  # The engine's images are one for the whole machine, whichever checkout they are made from.
  exec 9>"${TMPDIR:-/tmp}/lifeboat-bed.lock"
  flock 9
  printf '%s\n' "${missing[@]}" | xargs -P "${JOBS:-$(nproc)}" -n 1 "$recipes/build.sh" --one
  # What the names stood for before, unless a container still runs on it.
  docker image prune -f --filter label=bed.recipe >/dev/null
}

digest_of() {
  recipe "$1"
  {
    printf '%s\n' "$1" "$release" "${arguments[*]}" "${build_arguments[*]}" "$dockerfile"
    find "$folder" "$recipes/root.sh" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c1-16
}

is_fresh() {
  [ "$(docker image inspect -f '{{index .Config.Labels "bed.recipe"}}' "lifeboat-bed/$1" 2>/dev/null)" = "$(digest_of "$1")" ]
}

make_one() {
  local name=$1 image=lifeboat-bed/$1 log rc=0 started=$SECONDS
  # Another build may have made it while this one waited for the lock.
  ! is_fresh "$name" || { say "$image: kept"; return; }
  recipe "$name"
  log=$cache/${name/:/-}.log
  (build "$name") >"$log" 2>&1 || rc=$?
  if [ "$rc" = 0 ]; then
    say "$image: made in $((SECONDS - started)) s, $(($(docker image inspect -f '{{.Size}}' "$image") / 1000000)) MB"
  elif [ "$rc" = "$unavailable" ] && [ "$release" = sid ]; then
    say "SKIP $image: Debian $release does not give its packages today (see $log)"
  else
    say "FAIL $image"
    tail -n 20 "$log" | sed 's/^/     | /'
    return 1
  fi
}

# Subshells and `||` switch `set -e` off: every step says for itself what its failure means.
build() {
  local name=$1 image=lifeboat-bed/$1 packed=lifeboat-bed/packed:${1/:/-} word words=() ends
  root_of "$name" | docker import - "$packed"
  ends=("${PIPESTATUS[@]}")
  [ "${ends[0]}" = 0 ] || { docker image rm "$packed"; return "${ends[0]}"; }
  [ "${ends[1]}" = 0 ] || return 1
  for word in "${build_arguments[@]}"; do words+=(--build-arg "$word"); done
  docker build --network host -q -f "$folder/$dockerfile" --build-arg "ROOT=$packed" "${words[@]}" \
    --label "bed.recipe=$(digest_of "$name")" -t "$image" "$folder" || return 1
  # Its content lives on in the image.
  docker image rm "$packed" || true
}

# The root file system of an image as a tar file on stdout.
root_of() {
  if [ "$release" = none ]; then
    busybox_root
    return
  fi
  local base=$cache/base-$release.tar
  base_of "$release" "$base" || return "$unavailable"
  make_root image "$base" "$cache/debs/${1/:/-}" "$folder/install.sh" "${arguments[@]}" || return "$unavailable"
}

# sudo would drop these.
make_root() { as_root env DEBIAN_MIRROR="${DEBIAN_MIRROR:-}" http_proxy="${http_proxy:-}" "$recipes/root.sh" "$@"; }

base_of() {
  exec 8>"$2.lock"
  flock 8
  [ -f "$2" ] || { make_root base "$1" >"$2.part" && mv "$2.part" "$2"; } || return 1
  flock -u 8
}

busybox_root() {
  local root applet
  root=$(mktemp -d)
  mkdir -p "$root/bin" "$root/tmp" "$root/etc"
  echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
  cp "$(command -v busybox)" "$root/bin/busybox"
  for applet in $(busybox --list); do [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"; done
  tar -C "$root" --numeric-owner --owner=0 --group=0 -c .
  rm -rf "$root"
}

main "$@"; exit
