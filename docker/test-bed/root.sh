#!/usr/bin/env bash
# Makes the root file system of one image and writes it as a tar file to stdout. Started by build.sh, as root.
#
#   root.sh base RELEASE                             a small Debian (mmdebstrap, debootstrap's faster cousin)
#   root.sh image BASE.tar DEBS INSTALL.sh [WORD…]   BASE, in which `INSTALL.sh WORD…` ran; DEBS keeps the packages
#
# Everything happens in a mount namespace of its own, in memory where there is enough: dpkg's many small
# synchronous writes take three times as long on a disk, and nothing is left behind however this ends.
set -euo pipefail

gibibytes_wanted=3
mirror=${DEBIAN_MIRROR:-$(sed -nE 's/^URIs:[[:space:]]*([^[:space:]]+).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)}
mirror=${mirror:-http://deb.debian.org/debian}

if [ "${IN_NAMESPACE:-}" != yes ]; then
  IN_NAMESPACE=yes exec unshare --mount --propagation private "$0" "$@"
fi

# Where to work: an anonymous tmpfs, or a folder on disk that is removed at the end.
available=$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
work=$(mktemp -d)
chmod 755 "$work"
if [ "$available" -ge $((2 * gibibytes_wanted)) ]; then
  mount -t tmpfs -o "size=${gibibytes_wanted}g,mode=755" lifeboat-bed "$work"
else
  mount --bind "$work" "$work"
fi
clean_up() {
  umount -R -l "$work"
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT

# As Debian's small images do: no documentation, no translations, no recommended packages.
make_base() {
  local release=$1 options=()
  # A mirror may lag behind the clock, and unstable's lists are valid for a week only.
  [ "$release" != sid ] || options+=(--aptopt='Acquire::Check-Valid-Until "false"')
  TMPDIR=$work mmdebstrap --variant=minbase --mode=root --quiet --format=tar --skip=cleanup/apt/lists \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' "${options[@]}" \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    "$release" - "$mirror"
}

make_image() {
  local base=$1 debs=$2 install=$3 root=$work/root
  shift 3
  mkdir -p "$root" "$debs/partial"
  tar -C "$root" --numeric-owner -xf "$base"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --bind "$debs" "$root/var/cache/apt/archives"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  # No server of a package starts while it is installed.
  install -m 755 /dev/stdin "$root/usr/sbin/policy-rc.d" <<<$'#!/bin/sh\nexit 101'
  install -m 755 "$install" "$root/install.sh"
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    ${http_proxy:+http_proxy="$http_proxy"} chroot "$root" /install.sh "$@" >&2
  rm "$root/install.sh"
  umount -l "$root/var/cache/apt/archives" "$root/proc"
  umount -R -l "$root/dev"
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log "$root"/usr/share/{doc,man,info,locale}/*
  tar -C "$root" --numeric-owner -c .
}

verb=$1
shift
"make_$verb" "$@"
