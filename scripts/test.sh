#!/usr/bin/env bash
# Every check there is, each named and timed; CI runs this and nothing else.
#
#   scripts/test.sh              all of them
#   scripts/test.sh NAME…        only these (names as in `steps` below)
#
# The steps that are scripts print PASS, FAIL or SKIP at the start of a line for each thing they tried, and
# a Rust test that cannot run here prints SKIP: all are counted. With CI=true a missing Docker is a failure.
# shellcheck disable=SC2317 # the steps are called by their names
set -uo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
set +e # a failed step must not hide the ones after it

steps=(tools format lint walls tests doctests slow scripts binary bed e2e engine shop figures)
logs=target/test
passed=0 failed=0 skipped=0
summary=()

step_tools() { scripts/install_tools.sh; }
step_format() { cargo fmt --all --check; }
step_lint() { cargo clippy --workspace --all-targets --locked -- -D warnings; }
step_walls() { cargo deny --log-level error --workspace check bans licenses sources; }
step_doctests() { cargo test --workspace --doc --locked; }
step_scripts() { find scripts docker -name '*.sh' -exec shellcheck -x .ci/run {} +; }
step_binary() { scripts/build_static.sh; }
step_e2e() { scripts/e2e.sh; }
step_figures() { scripts/reliability.sh; }

step_tests() {
  if have cargo-nextest; then
    LIFEBOAT_HISTORIES=${LIFEBOAT_HISTORIES:-100000} cargo nextest run --workspace --locked --no-tests fail
  else
    cargo test --workspace --lib --bins --tests --locked --no-fail-fast -- --nocapture
  fi
}

# By their name: what is ignored and not called slow is a part that other tests start as a process.
step_slow() {
  if have cargo-nextest; then
    cargo nextest run --workspace --locked --profile slow --run-ignored only -E 'test(/(^|::)slow_/)'
  else
    cargo test --workspace --lib --bins --tests --locked --no-fail-fast slow_ -- --ignored --nocapture
  fi
}

step_bed() { with_engine bed docker/test-bed/build.sh; }
step_engine() { with_engine engine scripts/e2e_docker.sh; }
step_shop() { with_engine shop scripts/e2e_shop.sh; }

with_engine() {
  local name=$1
  shift
  if compose_works; then
    "$@"
  elif [ "${CI:-}" = true ]; then
    say "FAIL $name: no engine answers here, and CI must not pass without it"
    return 1
  else
    say "SKIP $name: no engine with Compose answers here"
  fi
}

run_step() {
  local name=$1 log=$logs/$1.log rc started=$SECONDS words verdict=ok
  printf '\n== %s\n' "$name"
  "step_$name" </dev/null 2>&1 | tee "$log"
  rc=${PIPESTATUS[0]}
  words=$(counts "$name" "$log")
  read -r good bad left <<<"$words"
  # A step that counts nothing is one check by itself.
  if [ "$((good + bad + left))" = 0 ]; then [ "$rc" = 0 ] && good=1 || bad=1; fi
  if [ "$rc" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
  [ "$bad" = 0 ] || verdict=FAILED
  summary+=("$(printf '%-9s %-7s %5d s   %d passed, %d failed, %d skipped' "$name" "$verdict" "$((SECONDS - started))" "$good" "$bad" "$left")")
}

# "passed failed skipped" of one step, from what it printed. A Rust test that skipped itself has passed in
# its runner's eyes, so it is taken from those that passed.
counts() {
  local name=$1 log=$2 junit=target/nextest/default/junit.xml
  [ "$name" != slow ] || junit=target/nextest/slow/junit.xml
  case $name in
    tests | slow)
      if have cargo-nextest; then
        local told=0
        if [ -f "$junit" ]; then told=$(awk -v RS='</testcase>' '/(^|[\n>])SKIP/ { n++ } END { print n + 0 }' "$junit"); fi
        sed -nE 's/\x1b\[[0-9;]*m//g; /Summary \[/p' "$log" | tail -n 1 | awk -v told="$told" '{
          for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) good = $(i - 1)
            if ($i ~ /^failed|^exec-failed/) bad += $(i - 1)
            if ($i ~ /^timed/) bad += $(i - 1)
          }
        } END { print good - told, bad + 0, told }'
      else
        awk '/^test result:/ { good += $4; bad += $6 } /^SKIP/ { told++ } END { print good - told, bad + 0, told + 0 }' "$log"
      fi
      ;;
    doctests) awk '/^test result:/ { good += $4; bad += $6 } END { print good + 0, bad + 0, 0 }' "$log" ;;
    bed | e2e | engine | shop) awk '/^PASS / { good++ } /^FAIL / { bad++ } /^SKIP / { left++ } END { print good + 0, bad + 0, left + 0 }' "$log" ;;
    *) echo 0 0 0 ;;
  esac
}

main() {
  [ $# -gt 0 ] || set -- "${steps[@]}"
  for name; do
    [[ " ${steps[*]} " == *" $name "* ]] || die "no step is called $name" "one of: ${steps[*]}"
  done
  mkdir -p "$logs"
  rm -f "$logs"/*.log target/nextest/*/junit.xml
  for name; do run_step "$name"; done

  printf '\n'
  printf '%s\n' "${summary[@]}"
  skips=$(cat "$logs"/*.log target/nextest/*/junit.xml 2>/dev/null | grep -oE '(^|>)SKIP[^<]*' | sed 's/^>//' | sort | uniq -c)
  [ -z "$skips" ] || printf '\nNot checked here:\n%s\n' "$skips"
  printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  [ "$failed" = 0 ]
}

# Read whole before anything runs: the file may be edited meanwhile.
main "$@"; exit
