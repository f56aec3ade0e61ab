#!/usr/bin/env bash
# The id of the newest good backup; with --path the path of its manifest (in the container, where Docker
# runs it), with --source NAME of one archive. Exit code 10 when there is none.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
lifeboat backup latest "$@"
