#!/usr/bin/env bash
# Small images for the end-to-end tests, packed from this machine's own Debian programs: no registry, no
# download, two seconds. Each is removed by `docker image rm` with the label below.
#
#   build.sh [PREFIX]      makes PREFIX/files and PREFIX/accounts (default: lifeboat-test)
set -euo pipefail
cd "$(dirname "$0")"
prefix=${1:-lifeboat-test}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

busybox=$(command -v busybox)
if ldd "$busybox" >/dev/null 2>&1; then
  echo "build.sh: $busybox is not static; install busybox-static" >&2
  exit 1
fi

# pack IMAGE SCRIPT: what lies in $root, with SCRIPT as the program that the container runs.
pack() {
  install -m 755 "$2" "$root/run.sh"
  tar -C "$root" --numeric-owner --owner=0 --group=0 -c . |
    docker import -c 'LABEL lifeboat-test=1' -c 'ENV PATH=/bin' -c 'CMD ["/bin/sh", "/run.sh"]' - "$1" >/dev/null
}

mkdir -p "$root/bin" "$root/tmp" "$root/etc"
cp "$busybox" "$root/bin/busybox"
for applet in $(busybox --list); do
  [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done
pack "$prefix/files" files.sh

# sqlite3 is not static: it comes with the libraries that it names.
cp "$(command -v sqlite3)" "$root/bin/"
ldd "$(command -v sqlite3)" | grep -oE '/[^ ]+' | while read -r library; do
  cp -L --parents "$library" "$root"
done
pack "$prefix/accounts" accounts.sh
