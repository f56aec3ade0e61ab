#!/usr/bin/env bash
# Installs what scripts/test.sh and scripts/bench.sh need and this machine lacks. The one list is here.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

# The stock tools that must open our files, databases to make real dumps of, tools that inject faults, file
# systems to be cut off, checks, what the images of docker/test-bed are made with.
packages=(
  acl age attr btrfs-progs busybox-static bzip2 debian-archive-keyring e2fsprogs faketime jq libarchive-tools
  libc6-dev libcap2-bin mmdebstrap openssl pigz postgresql python3-minimal redis-server shellcheck sqlite3 strace time
  util-linux xfsprogs xxhash xz-utils zstd
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep 'ok installed' >/dev/null || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  have apt-get || die "these are missing: ${missing[*]}" "install them with this system's package manager (Debian's names)"
  say "Installing ${missing[*]}"
  # At that level no service is started: the tests start what they need, for themselves alone.
  as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@" >/dev/null' sh "${missing[@]}" ||
    die "could not install ${missing[*]}" "apt-get install ${missing[*]}"
fi

# Compiled once and kept in cargo's own folder; about two minutes each on two cores.
for tool in cargo-nextest cargo-deny; do
  have "$tool" || cargo install --locked --quiet "$tool" || say "$tool could not be installed"
done

# Docker may be absent, and then its tests are; but an engine without Compose is half a Docker.
! docker_works || compose_works || as_root "$PWD/scripts/install_compose.sh" || say "docker compose could not be installed"
