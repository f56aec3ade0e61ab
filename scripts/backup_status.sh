#!/usr/bin/env bash
# How things stand: counts, freshness, integrity, disk, recommendations. Exit code 3 when something is urgent.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
lifeboat backup status "$@"
