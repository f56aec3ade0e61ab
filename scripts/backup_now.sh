#!/usr/bin/env bash
# One backup now; prints its id last. What follows goes to `lifeboat backup` (--source NAME, --dry-run).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
lifeboat backup backup "$@"
