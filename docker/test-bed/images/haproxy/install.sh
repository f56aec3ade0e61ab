#!/bin/sh
# Run in the image's root.
set -eu
apt-get -qq update
apt-get -qq install -y haproxy
