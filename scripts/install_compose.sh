#!/usr/bin/env bash
# Gets `docker compose` (and buildx) where it is missing: from the system's own packages if they have
# version 2, else on Debian from the next release's packages, whose programs are static enough to run
# on the release before. Nothing else of that release is installed.
set -euo pipefail

docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1 && exit 0
[ "$(id -u)" = 0 ] || { echo "install_compose.sh: only root can install the Compose plugin" >&2; exit 1; }
plugins=/usr/local/lib/docker/cli-plugins
debian_release=trixie

have_v2() { apt-cache policy "$1" 2>/dev/null | grep 'Candidate: [^(]' >/dev/null; }
apt-get -qq update || true
for package in docker-compose-plugin docker-compose-v2; do
  if have_v2 "$package"; then
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$package" >/dev/null
    exec docker compose version
  fi
done

# The mirror that this machine uses already, in either of apt's two notations.
mirror=$(sed -nE 's/^URIs:[[:space:]]*([^[:space:]]+).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
[ -n "$mirror" ] || mirror=$(sed -nE 's/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
if [ -z "$mirror" ] || [ ! -f "$keyring" ]; then
  echo "install_compose.sh: this is not Debian; install the Docker Compose plugin by hand" >&2
  exit 1
fi

# An apt of its own: the machine's package lists must not learn of the other release.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/unpacked" "$plugins"
echo "deb [signed-by=$keyring] $mirror $debian_release main" >"$work/sources.list"
cat >"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF
export APT_CONFIG=$work/apt.conf
cd "$work"
apt-get -qq update
apt-get -qq download docker-compose docker-buildx
for package in ./*.deb; do dpkg-deb -x "$package" unpacked; done
install -m 755 unpacked/usr/libexec/docker/cli-plugins/* "$plugins/"
docker compose version
docker buildx version
