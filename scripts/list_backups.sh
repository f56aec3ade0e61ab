#!/usr/bin/env bash
# All backups by tier, with size, age and marks, then the totals. What follows goes to `lifeboat list`
# (--tier daily, --limit N, --json).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
lifeboat backup list "$@"
