#!/usr/bin/env bash
# The calls to the Docker engine that docs/security.md lists, each a regular expression on a line: what a filtering
# proxy has to allow. With words, only the features whose row begins with one of them: `allowed_calls.sh any discovery`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
features=$(IFS='|'; echo "${*:-.*}")
# shellcheck disable=SC2016 # backticks of the manual
sed -n '/^## The Docker engine/,/^## What/p' docs/security.md |
  grep -E "^\\| ($features)" |
  cut -d'|' -f3 |
  grep -oE '`(GET|HEAD|POST|PUT|DELETE) /[^`]*`' |
  tr -d '`' |
  sed -E 's/\./\\./g; s/\{[a-z]+\}/[^\/]+/g' |
  sort -u
