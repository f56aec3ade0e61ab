#!/usr/bin/env bash
# Measures Lifeboat against the stock pipelines that it replaces, on this machine, in one run: each pair is run
# alternately (A B A B …), and the figure is the median of the pairs' ratios, so that a machine that slows down
# slows both. Writes the tables into docs/performance.md.
#
#   scripts/bench.sh                    about 20 minutes, 12 GB of disk, 8 GB of memory
#   scripts/bench.sh --full             also a tree of 1,000,000 files
#   scripts/bench.sh --small            tiny corpus: does the script work at all
#   scripts/bench.sh … --print          to the terminal only
#   scripts/bench.sh --only PART        one of throughput, without_a_disk, databases, held; to the terminal only
#   BENCH_DIR=DIR PAIRS=N BINARY=FILE   where (default: target/bench), how many pairs (5), which binary
#   MEGABYTES=N                         of the corpus (default: 2048)
#
# The corpus is made from this machine's own /usr/share and /usr/lib, three quarters, and bytes that cannot be
# compressed (AES-CTR of zeros under a fixed key), one quarter.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

megabytes=${MEGABYTES:-2048} small_files=100000 backups=10000 idle_seconds=60 full='' print='' only='' pairs=${PAIRS:-5}
for word; do
  case $word in
    --full) full=1 ;;
    --small) megabytes=64 small_files=2000 backups=200 idle_seconds=5 pairs=${PAIRS:-2} ;;
    --print) print=1 ;;
    --only) only=next ;;
    throughput | without_a_disk | databases | held) only=$word print=1 ;;
    *) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done

lifeboat=$(realpath "${BINARY:-dist/lifeboat}")
[ -x "$lifeboat" ] || die "there is no $lifeboat" "scripts/build_static.sh makes it"
for tool in /usr/bin/time age jq pigz zstd; do have "$tool" || die "$tool is missing" "scripts/install_tools.sh"; done
dir=${BENCH_DIR:-target/bench}
mkdir -p "$dir"
dir=$(realpath "$dir")
on_disk=$dir
sources=$dir/sources
for variable in $(compgen -e | grep '^BACKUP_' || true); do unset "$variable"; done
export TZ=UTC BACKUP_NAME=bench BACKUP_DIR=$dir/store
trap 'forget_project; rm -rf "$on_disk/store" "$on_disk/stock" "$on_disk/restic" "$on_disk/out" "${in_memory:-}"' EXIT

main() {
  make_corpus "$megabytes" "$small_files"
  age-keygen -o "$dir/key" 2>/dev/null || true
  recipient=$(age-keygen -y "$dir/key")

  report="$dir/report.md"
  {
    printf 'Measured on %s: %s, %s cores, Linux %s; %s pairs each; %s.\n\n' "$(date -u +%F)" \
      "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r | cut -d. -f1-2)" "$pairs" "$("$lifeboat" --version | head -n 1)"
    printf '| what | against | Lifeboat, s | other, s | ratio (lowest – highest) | MB/s | peak memory, MB |\n|---|---|---:|---:|---:|---:|---:|\n'
  } >"$report"
  if [ -n "$only" ]; then
    "$only"
    cat "$report"
    return
  fi
  throughput
  without_a_disk
  databases
  held
  {
    printf '\n| what | time, s | CPU, s | peak memory, MB |\n|---|---:|---:|---:|\n'
    [ -z "$full" ] || million_files
    many_backups
    idle_daemon
  } >>"$report"

  if [ -n "$print" ] || [ ! -f docs/performance.md ]; then
    cat "$report"
  else
    scripts/replace_block.sh docs/performance.md measured "$report"
    say "docs/performance.md is written."
  fi
}

# ---- what is measured ---------------------------------------------------------------------------

throughput() {
  local few="$sources/few" many="$sources/many"
  row "backup, $megabytes MiB in 16 files, zstd 3" "$few" \
    'tar \| zstd -T0 -3, sha256sum' "tar -C $few -c . | zstd -q -T0 -3 -o $dir/stock/f && sha256sum $dir/stock/f"
  row "the same, without reading back" "$few" \
    'tar \| zstd -T0 -3, sha256sum' "tar -C $few -c . | zstd -q -T0 -3 -o $dir/stock/f && sha256sum $dir/stock/f" BACKUP_VERIFY_AFTER_BACKUP=false
  row "the same, both made durable" "$few" \
    'tar \| zstd -T0 -3, sha256sum, sync' "tar -C $few -c . | zstd -q -T0 -3 -o $dir/stock/f && sha256sum $dir/stock/f && sync $dir/stock/f" BACKUP_VERIFY_AFTER_BACKUP=false
  row "backup, $small_files files of 1.5 kB, zstd 3" "$many" \
    'tar \| zstd -T0 -3, sha256sum' "tar -C $many -c . | zstd -q -T0 -3 -o $dir/stock/f && sha256sum $dir/stock/f"
  row "backup, $megabytes MiB, gzip 6" "$few" \
    'tar \| pigz -6, sha256sum' "tar -C $few -c . | pigz -6 >$dir/stock/f && sha256sum $dir/stock/f" BACKUP_COMPRESSION=gzip BACKUP_COMPRESSION_LEVEL=6
  row "backup, $megabytes MiB, zstd 3, age" "$few" \
    'tar \| zstd -T0 -3 \| age, sha256sum' "tar -C $few -c . | zstd -q -T0 -3 | age -r $recipient >$dir/stock/f && sha256sum $dir/stock/f" "BACKUP_AGE_RECIPIENTS=$recipient"
  if have restic; then
    local restic="restic --no-cache -q -r $dir/restic"
    row "backup, $megabytes MiB, zstd 3, age" "$few" "$(restic version | awk '{ print $1, $2 }'), new repository" \
      "rm -rf $dir/restic; export RESTIC_PASSWORD=x; $restic init && $restic backup $few" "BACKUP_AGE_RECIPIENTS=$recipient"
  fi
  restore_row "restore, $megabytes MiB, zstd 3" "$few"
  restore_row "restore, $small_files files of 1.5 kB, zstd 3" "$many"
  restore_row "the same, both made durable" "$many" "sync -f $dir/out"
}

# The same work where nothing waits for a disk: what the programs themselves cost.
without_a_disk() {
  if [ "$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')" -lt $((megabytes * 4)) ]; then
    say "SKIP in memory: /dev/shm has no room for it" >&2
    return
  fi
  in_memory=$(mktemp -d /dev/shm/lifeboat-bench.XXXXXX)
  cp -r "$sources" "$in_memory/sources"
  dir=$in_memory sources=$in_memory/sources
  export BACKUP_DIR=$dir/store
  local few="$sources/few" many="$sources/many"
  row "in memory: backup, $megabytes MiB, zstd 3, without reading back" "$few" \
    'tar \| zstd -T0 -3, sha256sum' "tar -C $few -c . | zstd -q -T0 -3 -o $dir/stock/f && sha256sum $dir/stock/f" BACKUP_VERIFY_AFTER_BACKUP=false
  row "in memory: backup, $small_files files, zstd 3, without reading back" "$many" \
    'tar \| zstd -T0 -3, sha256sum' "tar -C $many -c . | zstd -q -T0 -3 -o $dir/stock/f && sha256sum $dir/stock/f" BACKUP_VERIFY_AFTER_BACKUP=false
  row "in memory: backup, $megabytes MiB, zstd 3, age, without reading back" "$few" \
    'tar \| zstd -T0 -3 \| age, sha256sum' "tar -C $few -c . | zstd -q -T0 -3 | age -r $recipient >$dir/stock/f && sha256sum $dir/stock/f" "BACKUP_AGE_RECIPIENTS=$recipient" BACKUP_VERIFY_AFTER_BACKUP=false
  restore_row "in memory: restore, $megabytes MiB, zstd 3" "$few"
  restore_row "in memory: restore, $small_files files, zstd 3" "$many"
  dir=$on_disk sources=$on_disk/sources
  export BACKUP_DIR=$dir/store
  rm -rf "$in_memory"
}

# Servers of the test bed with one gigabyte each, asked through the engine as a sidecar asks them. The dump tool
# alone is given the compression that Lifeboat has it use: none before 16, zstd from there on.
databases() {
  if ! docker_works || ! docker image inspect lifeboat-bed/postgres:15 lifeboat-bed/postgres:17 >/dev/null 2>&1; then
    say "SKIP databases: no engine, or no images (docker/test-bed/build.sh)" >&2
    return
  fi
  database 15 --compress=0
  database 17 --compress=zstd:3
}

database() { # VERSION OPTION-OF-PG_DUMP
  local container size ours
  bench_project=lifeboat-bench-$$
  container=$bench_project-db-1
  docker run -d --name "$container" --label "com.docker.compose.project=$bench_project" --label com.docker.compose.service=db \
    -e POSTGRES_PASSWORD=bench "lifeboat-bed/postgres:$1" >/dev/null
  until docker exec "$container" pg_isready -q -h 127.0.0.1; do :; done
  docker/test-bed/big.sh "$container" big >&2
  size=$(docker exec "$container" psql -U postgres -Atc "select pg_database_size('big')")
  mkdir -p "$dir/empty" "$dir/stock"
  ours="env BACKUP_SCOPE=$bench_project BACKUP_SOURCES_DIR=$dir/empty $lifeboat backup --source db.big"
  pair "PostgreSQL $1, 1 GiB, rows counted, read back" "$size" "pg_dump -Fc $2 to /dev/null, inside" \
    "rm -rf $dir/store" "$ours" true "docker exec $container pg_dump -U postgres -Fc $2 -f /dev/null big"
  pair "the same, rows not counted" "$size" "pg_dump -Fc $2 to /dev/null, inside" \
    "rm -rf $dir/store" "env BACKUP_ROW_COUNT_SECONDS=0 ${ours#env }" true "docker exec $container pg_dump -U postgres -Fc $2 -f /dev/null big"
  pair "PostgreSQL $1, 1 GiB, rows counted, read back" "$size" 'docker exec pg_dump -Fc > file' \
    "rm -rf $dir/store" "$ours" true "docker exec $container pg_dump -U postgres -Fc big >$dir/stock/f"
  forget_project
}

forget_project() {
  [ -n "${bench_project:-}" ] || return 0
  local label=label=com.docker.compose.project=$bench_project
  docker ps -aq --filter "$label" | xargs -r docker rm -fv >/dev/null
  docker volume ls -q --filter "$label" | xargs -r docker volume rm >/dev/null
  [ -z "${bench_image:-}" ] || docker image rm -f "$bench_image" >/dev/null
  bench_project='' bench_image=''
}

# For how long a service is down whose volume is read, against reading that volume inside a container and nothing else.
held() {
  if ! docker_works || ! docker image inspect lifeboat-bed/busybox:1 >/dev/null 2>&1; then
    say "SKIP held: no engine, or no images (docker/test-bed/build.sh)" >&2
    return
  fi
  bench_project=lifeboat-bench-$$
  local labels=(--label "com.docker.compose.project=$bench_project") files=${bench_project}_files store=${bench_project}_store bytes n a b
  bench_image=$(image_of_binary)
  docker volume create "${labels[@]}" "$files" >/dev/null
  docker volume create "${labels[@]}" "$store" >/dev/null
  docker run --rm "${labels[@]}" -v "$files:/files" -v "$sources/few:/from:ro" lifeboat-bed/busybox:1 cp -r /from/. /files
  docker run -d --name "$bench_project-app-1" "${labels[@]}" --label com.docker.compose.service=app --label lifeboat.hold=stop \
    -v "$files:/files" lifeboat-bed/busybox:1 sh -c 'trap "exit 0" TERM; while :; do sleep 1 & wait; done' >/dev/null
  bytes=$(du -sb "$sources/few" | cut -f1)
  : >"$dir/pairs"
  for ((n = 1; n <= pairs; n++)); do
    printf 'held: %d of %d\n' "$n" "$pairs" >&2
    b=$(docker run --rm -v "$files:/files:ro" lifeboat-bed/busybox:1 \
      sh -c 'read -r t _ </proc/uptime; cat /files/* | cat >/dev/null; read -r u _ </proc/uptime; echo "$t $u"' | awk '{ print $2 - $1 }')
    docker run --rm --user 0:0 "${labels[@]}" --label com.docker.compose.service=backup -e BACKUP_NAME=bench \
      -v /var/run/docker.sock:/var/run/docker.sock -v "$store:/backups" "$bench_image" backup >"$dir/said" 2>&1 || [ $? = 3 ] ||
      { tail -n 5 "$dir/said" >&2; die "the backup failed"; }
    a=$(docker inspect -f '{{.State.FinishedAt}} {{.State.StartedAt}}' "$bench_project-app-1" |
      while read -r from to; do echo "$(date -d "$to" +%s.%N) $(date -d "$from" +%s.%N)"; done | awk '{ print $1 - $2 }')
    echo "$a 0 0 $b" >>"$dir/pairs"
  done
  ratio_row "a service is down while its $megabytes MiB are read, zstd 3" "$bytes" 'cat of it, inside'
  forget_project
}

# With what it is linked with, so that one that was not built static serves too.
image_of_binary() {
  local root library
  root=$(mktemp -d)
  cp "$lifeboat" "$root/lifeboat"
  for library in $(ldd "$lifeboat" 2>/dev/null | grep -oE '/[^ ]+' || true); do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
  tar -C "$root" --owner=0 --group=0 -c . | docker import --change 'ENTRYPOINT ["/lifeboat"]' -
  rm -rf "$root"
}

# row WHAT SOURCE AGAINST COMMAND SETTING…
row() {
  local what=$1 source=$2 against=$3 other=$4
  shift 4
  warm "$source"
  pair "$what" "$source" "$against" \
    "rm -rf $dir/store" "env BACKUP_SOURCES_DIR=$sources BACKUP_INCLUDE=$(basename "$source") BACKUP_COMPRESSION=zstd $* $lifeboat backup" \
    "rm -rf $dir/stock; mkdir $dir/stock" "$other"
}

restore_row() { # WHAT SOURCE [COMMAND that the other runs at its end]
  local what=$1 source=$2 then=${3:-true}
  warm "$source"
  rm -rf "$dir/store" "$dir/stock" && mkdir "$dir/stock"
  BACKUP_SOURCES_DIR=$sources BACKUP_INCLUDE=$(basename "$source") "$lifeboat" backup >/dev/null 2>&1
  tar -C "$source" -c . | zstd -q -T0 -3 -o "$dir/stock/f"
  pair "$what" "$source" 'zstd -d \| tar -x' \
    "rm -rf $dir/out" "$lifeboat restore latest --yes --to $dir/out" \
    "rm -rf $dir/out; mkdir $dir/out" "zstd -dcq $dir/stock/f | tar -C $dir/out -xp && $then"
}

# pair WHAT SOURCE|BYTES AGAINST PREPARE_A COMMAND_A PREPARE_B COMMAND_B
pair() {
  local what=$1 source=$2 against=$3 size n a b
  if [ -e "$source" ]; then size=$(du -sb "$source" | cut -f1); else size=$source; fi
  : >"$dir/pairs"
  for ((n = 1; n <= pairs; n++)); do
    printf '%s, %s: %d of %d\n' "$what" "$against" "$n" "$pairs" >&2
    bash -c "$4"
    a=$(timed "$5")
    bash -c "$6"
    b=$(timed "$7")
    echo "$a $b" >>"$dir/pairs"
  done
  ratio_row "$what" "$size" "$against"
}

# ratio_row WHAT BYTES AGAINST: one line of the first table, from "seconds cpu peak other-seconds …" in $dir/pairs.
ratio_row() {
  awk -v what="$1" -v size="$2" -v against="$3" '
    function median(list, n, i, j, t) {
      for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
      return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
    }
    { n++; a[n] = $1; b[n] = $4; ratio[n] = $1 / $4; if ($3 > peak) peak = $3 }
    END {
      m = median(ratio, n)
      seconds = median(a, n)
      printf "| %s | `%s` | %.2f | %.2f | **%.2f** (%.2f – %.2f) | %.0f | %s |\n", what, against, seconds, median(b, n), m, ratio[1], ratio[n], size / 1e6 / seconds, peak ? sprintf("%.0f", peak / 1024) : "–"
    }' "$dir/pairs" >>"$report"
  tail -n 1 "$report" >&2
}

# "seconds cpu-seconds peak-KiB" of one command; what earlier ones wrote must not be flushed at its cost.
timed() {
  sync
  if ! /usr/bin/time -o "$dir/time" -f '%e %U %S %M' bash -c "$1" >"$dir/said" 2>&1; then
    tail -n 5 "$dir/said" >&2
    die "this failed: $1"
  fi
  awk '{ print ($1 > 0 ? $1 : 0.01), $2 + $3, $4 }' "$dir/time"
}

plain_row() {
  local seconds cpu peak
  read -r seconds cpu peak <<<"$(timed "$2")"
  printf '| %s | %.2f | %.2f | %.0f |\n' "$1" "$seconds" "$cpu" "$((peak / 1024))"
}

million_files() {
  small_tree million 1000000
  rm -rf "$dir/store"
  plain_row "backup of 1,000,000 files" "env BACKUP_SOURCES_DIR=$sources BACKUP_INCLUDE=million $lifeboat backup"
  plain_row "restore of 1,000,000 files" "$lifeboat restore latest --yes --to $dir/out"
  rm -rf "$dir/out"
}

many_backups() {
  rm -rf "$dir/store" "$dir/tiny" && mkdir -p "$dir/tiny/notes"
  echo hello >"$dir/tiny/notes/file"
  BACKUP_SOURCES_DIR=$dir/tiny "$lifeboat" backup >/dev/null 2>&1
  python3 scripts/many_backups.py "$dir/store/daily" "$backups"
  plain_row "\`rebuild\` with $backups backups" "$lifeboat rebuild"
  local verb
  for verb in list plan 'prune --dry-run' status; do
    plain_row "\`$verb\` with $backups backups" "env BACKUP_SOURCES_DIR=$dir/tiny $lifeboat $verb || [ \$? = 3 ]"
  done
}

idle_daemon() {
  local pid ticks
  rm -rf "$dir/store"
  BACKUP_SOURCES_DIR=$dir/tiny BACKUP_HTTP_ADDR=127.0.0.1:0 "$lifeboat" daemon >"$dir/said" 2>&1 &
  pid=$!
  sleep 3
  ticks=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
  sleep "$idle_seconds"
  awk -v before="$ticks" -v per="$(getconf CLK_TCK)" -v wall="$idle_seconds" -v peak="$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status")" \
    '{ printf "| the daemon, idle for %d s | %d | %.2f | %.0f |\n", wall, wall, ($14 + $15 - before) / per, peak / 1024 }' "/proc/$pid/stat"
  kill -TERM "$pid"
  wait "$pid" || true
}

# ---- the corpus ---------------------------------------------------------------------------------

make_corpus() {
  local want="$1 $2" each=$(($1 / 16))
  [ "$(cat "$dir/corpus" 2>/dev/null || true)" != "$want" ] || return 0
  printf 'Making the corpus …\n' >&2
  rm -rf "$sources" "$dir/corpus" && mkdir -p "$sources/few"
  { machine_bytes || true; } | head -c "$((each * 12))M" | split -b "${each}M" -d - "$sources/few/machine-"
  head -c "$((each * 4))M" /dev/zero | openssl enc -aes-256-ctr -K "$(printf '00%.0s' {1..32})" -iv "$(printf '00%.0s' {1..16})" |
    split -b "${each}M" -d - "$sources/few/random-"
  small_tree many "$2"
  echo "$want" >"$dir/corpus"
}

# A hundred files to a folder, cut from the machine's own files.
small_tree() {
  local to=$sources/$1 count=$2 folder
  [ ! -d "$to" ] || return 0
  mkdir -p "$to"
  { machine_bytes || true; } | for ((folder = 0; folder < count / 100; folder++)); do
    mkdir "$to/$folder"
    head -c 150000 | split -b 1500 -a 2 -d - "$to/$folder/file-"
  done
}

# For ever, until the reader has enough (141: nobody reads any more).
machine_bytes() {
  local rc=0
  while [ "$rc" -le 2 ]; do
    tar -c --sort=name --ignore-failed-read /usr/share /usr/lib 2>/dev/null && rc=0 || rc=$?
  done
}

warm() { find "$1" -type f -print0 | xargs -0 cat >/dev/null; }

main
