#!/bin/sh
# Run in the image's root: install.sh redis|valkey
set -eu
groupadd -r -g 999 "$1"
useradd -r -g "$1" -u 999 "$1"
apt-get -qq update
apt-get -qq install -y gosu "$1-server"
install -d -o "$1" -g "$1" /data
