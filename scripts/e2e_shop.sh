#!/usr/bin/env bash
# A whole project behind one service: databases with awkward names and passwords, volumes that nobody mounted for us,
# a program's output, services that hold still. Nothing of it is configured. Every dump goes back by stock tools into
# servers made afresh, and is compared by what it holds. Everything is labelled by the run's own project, and removed.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=scripts/check.sh
. scripts/check.sh

project=lifeboat-shop-$$
bed=$PWD/docker/test-bed
work=$(mktemp -d)
for variable in $(compgen -e | grep -E '^(BACKUP|COMPOSE|DOCKER)_' || true); do unset "$variable"; done
export COMPOSE_PROJECT_NAME=$project COMPOSE_FILE=$bed/shop.compose.yaml COMPOSE_PROGRESS=quiet
# An image that is there already is taken as it is.
own_image=${LIFEBOAT_IMAGE:-}
export LIFEBOAT_IMAGE=${own_image:-lifeboat:shop-$$}
services=(db crm books cache app ledger wiki queue)
mysql=

clean_up() {
  docker ps -aq --filter "label=lifeboat-e2e=$project" | xargs -r docker rm -fv >/dev/null 2>&1 || true
  docker compose -p "$project-again" --profile mysql down -v --remove-orphans -t 1 >/dev/null 2>&1 || true
  docker compose --profile mysql down -v --remove-orphans -t 1 >/dev/null 2>&1 || true
  docker ps -aq --filter "label=com.docker.compose.project=$project" | xargs -r docker rm -fv >/dev/null 2>&1 || true
  docker volume ls -q --filter "label=com.docker.compose.project=$project" | xargs -r docker volume rm >/dev/null 2>&1 || true
  [ -n "$own_image" ] || docker image rm -f "$LIFEBOAT_IMAGE" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

main() {
  docker/test-bed/build.sh >"$work/bed" 2>&1 || { cat "$work/bed"; die "the images of the test bed could not be made"; }
  if docker image inspect lifeboat-bed/mysql:9 >/dev/null 2>&1; then mysql=orders; else skip "MySQL 9" "its image cannot be made here"; fi
  [ -n "$own_image" ] || build
  [ -z "$mysql" ] || services+=("$mysql") COMPOSE_PROFILES=mysql
  export COMPOSE_PROFILES=${COMPOSE_PROFILES:-}
  docker compose up -d --wait "${services[@]}" 2>"$work/up" || { cat "$work/up"; docker compose logs --tail 30; exit 1; }
  docker compose up -d --wait backup 2>"$work/up" || { cat "$work/up"; docker compose logs --tail 50 backup; exit 1; }

  check "plan shows every source, and what is left to the dumps" plan_is_whole
  check "doctor finds every login and tool in order" doctor_is_well
  check "one backup holds every database and volume" back_up_all
  check "stock tools open every archive; its digest is right" stock_tools_open
  check "PostgreSQL 15: roles and every database come back equal" postgres_back db 15 shop
  check "PostgreSQL 17: the same, with its password in a file" postgres_back crm 17 'crm admin'
  check "MariaDB: databases, routines, triggers, events, users come back equal" mariadb_back
  [ -z "$mysql" ] || check "MySQL 9: databases and users come back equal" mysql_back
  check "Redis: every key comes back equal" redis_back
  check "volumes that nobody mounted come back with owner, mode and links" volumes_back
  check "what a label's command says is a source" command_back
  check "who was stopped was still, who was paused was frozen, and all go on" holds_were_still
  check "row counts are those of the dump" rows_are_counted
  check "the manifest knows the project, and no secret of it" one_restore_point
  check "the recovery sheet, run as it is printed, brings everything into a new project" sheet_brings_back
  check "one command brings dropped databases back in place" postgres_in_place
  check "one command brings an emptied volume back in place" volume_in_place
  check "no password in any process list, event, log or file" no_secret_anywhere
  check "a wrong password: partial, exit code 1, nothing pruned, said in two lines" wrong_password
  check "a database server that is down: partial, and whole again when it is up" server_down
  check "kill -9 while a service is stopped: the next start lets it go on" killed_while_holding
  check "behind a proxy that allows what the manual lists, and no call more" behind_proxy
  check "behind a proxy that answers 200: dumps all the same" behind_haproxy
  check "without root: a user and the socket's group" without_root
  check "nothing of ours is left behind" nothing_left
  checks_done
}

# For pipelines: the lines that match, and that there are none. (`! grep` would not end a function.)
matching() { grep -E -- "$1" || [ $? = 1 ]; }
nothing() {
  local found
  found=$(cat)
  [ -z "$found" ] || { say "found, and should not be: $found"; return 1; }
}

lb() { docker compose exec -T backup lifeboat "$@"; }

# What fails here fails for good: no second attempt after a minute.
lb_once() { docker compose exec -T -e BACKUP_RETRY_SECONDS=0 backup lifeboat "$@"; }
container() { docker compose ps -aq "$1"; }

# A copy of the store on this host; the image has no shell.
fetch() {
  rm -rf "$work/store" && mkdir -p "$work/store"
  docker cp -q "$(container backup):/backups/." "$work/store"
}
archive() { # SOURCE-WORD.ENDING of the newest whole backup
  find "$work/store/daily" -name "$(cat "$work/id").$1.zst"
}

expected_sources() {
  printf '%s\n' app.letters app.app "books.books" "books.globals" "books.odd-name db" cache crm.crm crm.globals crm.postgres \
    db.globals "db.my shop" "db.o'hara" db.postgres db.select db.shop db.Ümläut-db ledger queue storage uploads wiki
  [ -z "$mysql" ] || printf '%s\n' orders.globals orders.orders
}

build() {
  scripts/build_static.sh >"$work/build" 2>&1 || { cat "$work/build"; exit 1; }
  docker build -q -f Dockerfile.backup --target prebuilt -t "$LIFEBOAT_IMAGE" . >/dev/null
}

plan_is_whole() {
  lb plan --json >"$work/plan"
  lb plan
  jq -e '[.sources[] | select(.kind == "postgres") | .service] | unique == ["crm", "db"]' "$work/plan"
  jq -e '[.sources[] | select(.volume != null) | .volume] | index("'"$project"'_uploads") != null' "$work/plan"
  jq -e '[.sources[] | select(.hold == "stop") | .service] | unique == ["wiki"]' "$work/plan"
  # The raw files of a dumped database are no gap, and no source.
  jq -r '.sources[] | .volume // empty' "$work/plan" | matching "_(db|crm|books|cache|orders)\$" | nothing
  jq -r '.uncovered[].what' "$work/plan" | matching "_(db|crm|books|cache|orders|uploads)\$" | nothing
}

doctor_is_well() {
  lb doctor || [ $? = 3 ]
  lb doctor --json >"$work/doctor" || [ $? = 3 ]
  jq -e '.ok' "$work/doctor"
}

back_up_all() {
  lb backup >"$work/said" || [ $? = 3 ] || { cat "$work/said"; return 1; }
  tail -n 1 "$work/said" | tr -d '\r' >"$work/id"
  fetch
  cp "$work/store/daily/$(cat "$work/id").json" "$work/manifest"
  jq -e '.status == "completed"' "$work/manifest"
  diff <(expected_sources | sort) <(jq -r '.archives[].source' "$work/manifest" | sort)
  lb verify latest --deep
}

stock_tools_open() {
  (cd "$work/store/daily" && sha256sum --quiet -c ./*.sha256)
  find "$work/store/daily" -name '*.zst' -exec zstd -tq {} +
  for file in "$work/store"/daily/*.tar.zst; do zstd -dcq "$file" | tar -t >/dev/null; done
}

# Starts a server beside the project, labelled with this run.
fresh() { # NAME OPTION… IMAGE [COMMAND…]
  local name=$1
  shift
  docker run -d --name "$project-$name" --label "lifeboat-e2e=$project" --network none "$@" >/dev/null
}

postgres_back() { # SERVICE MAJOR USER
  local service=$1 to=$project-$1-fresh user=$3 database file
  fresh "$service-fresh" -e "POSTGRES_USER=$user" -e POSTGRES_PASSWORD=other -e POSTGRES_HOST_AUTH_METHOD=trust -e POSTGRES_INITDB_ARGS=--auth-local=trust "lifeboat-bed/postgres:$2"
  # Its exit code 2, "no answer", is not what wait_for means by 2.
  wait_for 90 docker exec "$to" sh -c 'pg_isready -q -h 127.0.0.1 || exit 1'
  # The roles that are there already are said to be; everything else must be silent.
  zstd -dcq "$(archive "$service.globals.sql")" | docker exec -i "$to" psql -qX -U "$user" -d postgres >"$work/globals" 2>&1 || true
  matching ERROR <"$work/globals" | { grep -v 'already exists' || true; } | nothing
  while IFS= read -r database; do
    file=$(archive "$service.$(escaped "$database").dump")
    [ -n "$file" ]
    docker exec "$to" dropdb -U "$user" --maintenance-db=template1 --if-exists -- "$database"
    zstd -dcq "$file" >"$work/dump"
    docker cp -q "$work/dump" "$to:/tmp/dump"
    docker exec "$to" pg_restore -U "$user" -d template1 --create --exit-on-error /tmp/dump
    diff <("$bed/postgres_digest.sh" "$(container "$service")" "$database") <("$bed/postgres_digest.sh" "$to" "$database")
  done < <(jq -r --arg s "$service." '.archives[].source | select(startswith($s)) | ltrimstr($s) | select(. != "globals")' "$work/manifest")
  diff <("$bed/postgres_digest.sh" "$(container "$service")" --server | grep -v '^database') <("$bed/postgres_digest.sh" "$to" --server | grep -v '^database') |
    grep '^[<>] \(role\|member\)' >"$work/roles" || true
  cat "$work/roles"
  [ ! -s "$work/roles" ]
}

# As a name of a source is written in a file name.
escaped() { python3 -c 'import sys, urllib.parse; print("".join(c if c.isascii() and (c.isalnum() or c in "-_.") else urllib.parse.quote(c, safe="") for c in sys.argv[1]))' "$1"; }

mariadb_back() {
  local to=$project-books-fresh database
  fresh books-fresh -e MARIADB_ROOT_PASSWORD=other lifeboat-bed/mariadb:10.11 --event-scheduler=OFF
  wait_for 90 docker exec -e MYSQL_PWD=other "$to" mariadb -uroot -h 127.0.0.1 -e 'select 1'
  for database in books "odd-name db"; do
    docker exec -e MYSQL_PWD=other "$to" mariadb -uroot -e "CREATE DATABASE IF NOT EXISTS \`$database\`"
  done
  zstd -dcq "$(archive books.globals.sql)" | docker exec -i -e MYSQL_PWD=other "$to" mariadb -uroot --force mysql
  for database in books "odd-name db"; do
    zstd -dcq "$(archive "books.$(escaped "$database").sql")" | docker exec -i "$to" sh -c 'mariadb -uroot -p"$0" "$1" || MYSQL_PWD=other mariadb -uroot "$1"' "$(docker exec "$(container books)" printenv MARIADB_ROOT_PASSWORD)" "$database"
    diff <("$bed/mariadb_digest.sh" "$(container books)" "$database") <(MYSQL_PWD=$(docker exec "$(container books)" printenv MARIADB_ROOT_PASSWORD) "$bed/mariadb_digest.sh" "$to" "$database")
  done
}

mysql_back() {
  local to=$project-orders-fresh
  fresh orders-fresh -e MYSQL_ROOT_PASSWORD=other lifeboat-bed/mysql:9
  wait_for 120 docker exec -e MYSQL_PWD=other "$to" mysql -uroot -h 127.0.0.1 -e 'select 1'
  docker exec -e MYSQL_PWD=other "$to" mysql -uroot -e 'CREATE DATABASE IF NOT EXISTS orders'
  zstd -dcq "$(archive orders.orders.sql)" | docker exec -i -e MYSQL_PWD=other "$to" mysql -uroot orders
  diff <("$bed/mariadb_digest.sh" "$(container orders)" orders) <(MYSQL_PWD=other "$bed/mariadb_digest.sh" "$to" orders)
}

redis_back() {
  local to=$project-cache-fresh file
  file=$(find "$work/store/daily" -name "$(cat "$work/id").cache*.rdb.zst")
  mkdir -p "$work/rdb"
  zstd -dqf "$file" -o "$work/rdb/dump.rdb"
  docker create --name "$to" --label "lifeboat-e2e=$project" --network none lifeboat-bed/redis:7 >/dev/null
  chmod -R a+rX "$work/rdb"
  docker cp -q "$work/rdb/dump.rdb" "$to:/data/dump.rdb"
  docker start "$to" >/dev/null
  wait_for 30 docker exec "$to" redis-cli ping
  docker exec "$to" redis-check-rdb /data/dump.rdb
  diff <("$bed/redis_digest.sh" "$(container cache)") <("$bed/redis_digest.sh" "$to")
}

# Names, kinds, modes, owners, link targets and contents of a folder.
tree() { (cd "$1" && find . -printf '%p %y %m %U:%G %l %n\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

volumes_back() {
  local volume to
  for volume in uploads:/uploads storage:/storage app.letters:/letters app.app:/var/cache/app; do
    to=$work/volumes/${volume%%:*}
    mkdir -p "$to.live" "$to"
    docker cp -qa "$(container app):${volume#*:}/." - | tar -C "$to.live" -xpf -
    zstd -dcq "$(archive "${volume%%:*}.tar")" | tar -C "$to" -xpf -
    diff <(tree "$to.live") <(tree "$to")
  done
}

command_back() {
  [ "$(zstd -dcq "$(archive ledger.txt)" | sha256sum)" = "$( (echo 'the  ledger'; seq 1 2000) | sha256sum)" ]
}

holds_were_still() {
  local first second
  for volume in wiki queue; do
    mkdir -p "$work/pages/$volume"
    zstd -dcq "$(archive "$volume.tar")" | tar -C "$work/pages/$volume" -xpf -
  done
  [ "$(cat "$work/pages/wiki/first")" = "$(cat "$work/pages/wiki/second")" ]
  first=$(cat "$work/pages/queue/first") second=$(cat "$work/pages/queue/second")
  [ "$first" = "$second" ] || [ "$first" = $((second + 1)) ]
  for service in "${services[@]}"; do
    [ "$(docker inspect -f '{{.State.Status}}' "$(container "$service")")" = running ]
  done
}

rows_are_counted() {
  local counted
  jq -e '.archives[] | select(.source == "db.shop") | .facts | .server_version and (.rows | length > 0)' "$work/manifest"
  counted=$(jq '[.archives[] | select(.source == "db.shop") | .facts.rows[]] | add' "$work/manifest")
  [ "$counted" = "$("$bed/postgres_digest.sh" "$project-db-fresh" shop | awk '$1 == "table" { n += $(NF - 1) } END { print n + 0 }')" ]
}

# Another host: the same compose file, empty servers, no Lifeboat; the store is a folder.
sheet_brings_back() {
  local again=$project-again database
  fetch
  lb plan --recovery-sheet | tr -d '\r' >"$work/sheet"
  COMPOSE_PROJECT_NAME=$again docker compose up -d --wait db crm books cache ${mysql:+"$mysql"}
  (
    export COMPOSE_PROJECT_NAME=$again STORE=$work/store OUT=$work/out COMPOSE=$bed
    sh "$work/sheet"
  )
  for database in shop 'my shop' "o'hara" select; do
    diff <("$bed/postgres_digest.sh" "$(container db)" "$database") <("$bed/postgres_digest.sh" "$(container_again db)" "$database")
  done
  diff <("$bed/postgres_digest.sh" "$(container crm)" crm) <("$bed/postgres_digest.sh" "$(container_again crm)" crm)
  for database in books 'odd-name db'; do
    diff <("$bed/mariadb_digest.sh" "$(container books)" "$database") <("$bed/mariadb_digest.sh" "$(container_again books)" "$database")
  done
  diff <("$bed/redis_digest.sh" "$(container cache)") <("$bed/redis_digest.sh" "$(container_again cache)")
  diff <(tree "$work/volumes/uploads") <(tree "$work/out/uploads")
  [ "$(sha256sum <"$work/out/ledger.txt")" = "$( (echo 'the  ledger'; seq 1 2000) | sha256sum)" ]
  docker compose -p "$again" --profile mysql down -v --remove-orphans -t 1 >/dev/null 2>&1
}

container_again() { docker compose -p "$project-again" ps -aq "$1"; }

# What was lost comes back under its own name, next to what was there before; nothing is done unasked.
postgres_in_place() {
  local id before after
  id=$(cat "$work/id") before=$work/before after=$work/after
  in_place_digest >"$before"
  docker compose exec -T db psql -qX -U shop -d shop -c 'DROP SCHEMA public CASCADE'
  docker compose exec -T db dropdb -U shop 'my shop'
  expect_exit 14 lb restore "$id" --source db.shop --to live </dev/null
  lb restore "$id" --source db.globals --source db.shop --source 'db.my shop' --to live --dry-run
  lb restore "$id" --source db.globals --source db.shop --source 'db.my shop' --to live --yes || [ $? = 3 ]
  in_place_digest >"$after"
  diff "$before" "$after"
  lb list --json | jq -e '[.backups[] | select(.type == "pre_restore")] | length == 1'
  lb history --json | jq -e '.restores[0] | .target == "live" and .ending == "done"'
  docker compose exec -T db psql -qAtX -U shop -d postgres -c "SELECT datname FROM pg_database WHERE datname LIKE 'shop_before_%'" >"$work/kept"
  [ "$(wc -l <"$work/kept")" = 1 ]
  docker compose exec -T db dropdb -U shop "$(tr -d '\r' <"$work/kept")"
}

volume_in_place() {
  volume_digest >"$work/before"
  [ -s "$work/before" ]
  docker run --rm --label "lifeboat-e2e=$project" -v "${project}_uploads:/v" lifeboat-bed/busybox:1 sh -c 'rm -rf /v/* && echo changed >/v/changed'
  lb restore "$(cat "$work/id")" --source uploads --to live --dry-run
  lb restore "$(cat "$work/id")" --source uploads --to live --yes || [ $? = 3 ]
  volume_digest >"$work/after"
  diff "$work/before" "$work/after"
}

volume_digest() {
  docker run --rm --label "lifeboat-e2e=$project" -v "${project}_uploads:/v:ro" lifeboat-bed/busybox:1 sh -c \
    'cd /v && find . | sort | while IFS= read -r f; do stat -c "%n %F %a %u:%g %Y %h" "$f"; [ ! -f "$f" ] || sha256sum "$f"; done'
}

in_place_digest() {
  local database
  for database in shop 'my shop'; do "$bed/postgres_digest.sh" "$(container db)" "$database"; done
}

one_restore_point() {
  jq -e '.compose.project == "'"$project"'"' "$work/manifest"
  jq -e '.compose | tostring | contains("lifeboat-bed/postgres:15")' "$work/manifest"
  jq -e '.compose | tostring | contains("sha256:")' "$work/manifest"
}

secrets() {
  docker compose config --format json | jq -r '.services[].environment // {} | to_entries[] | select(.key | test("PASSWORD$")) | .value'
  cat "$bed/shop/secrets/crm_password"
}

no_secret_anywhere() {
  docker events --since "$(docker inspect -f '{{.State.StartedAt}}' "$(container backup)")" --until 0s --filter "label=com.docker.compose.project=$project" >"$work/events"
  docker compose logs backup >"$work/log"
  fetch
  local secret
  while IFS= read -r secret; do
    [ ${#secret} -ge 6 ] || continue
    { grep -rF -- "$secret" "$work/events" "$work/log" "$work/manifest" "$work/plan" "$work/doctor" "$work/said" || true; } | nothing
    { grep -rF --include='*.json' -- "$secret" "$work/store" || true; } | nothing
  done < <(secrets)
}

# Runs one backup of the project with other settings, in a container of its own.
back_up_once() { docker compose run --rm -T --no-deps "$@" backup backup; }

backups_in_store() { lb list --json | jq -r '.backups[].id' | sort; }

wrong_password() {
  local before to_say
  before=$(backups_in_store)
  docker compose exec -T cache redis-cli --no-auth-warning -a "$(cache_password)" config set requirepass changed
  expect_exit 1 lb_once backup >"$work/wrong"
  lb list --json | jq -e '.backups[0].status == "partial"'
  docker compose exec -T cache redis-cli --no-auth-warning -a changed config set requirepass "$(cache_password)"
  # Nothing was dropped for it.
  [ -z "$(comm -23 <(echo "$before") <(backups_in_store))" ]
  to_say=$(lb list --json | jq -r '.backups[0].missed[0] | .source + " " + .code')
  say "$to_say"
  [ "$to_say" = "cache auth" ]
}

cache_password() { docker inspect "$(container cache)" | jq -r '.[0].Config.Cmd as $c | $c[($c | index("--requirepass")) + 1]'; }

server_down() {
  docker compose stop -t 1 crm
  expect_exit 1 lb_once backup
  lb list --json | jq -e '.backups[0] | .status == "partial" and [.missed[].source] == ["crm"]'
  docker compose up -d --wait crm
  lb backup || [ $? = 3 ]
  lb list --json | jq -e '.backups[0].status == "completed"'
}

wiki_is() { [ "$(docker inspect -f '{{.State.Status}}' "$(container wiki)")" = "$1" ]; }

killed_while_holding() {
  local id
  id=$(container backup)
  # A large file keeps the service stopped for as long as it takes to kill the sidecar.
  docker compose exec -T wiki sh -c 'head -c 400000000 /dev/urandom >/pages/large'
  lb backup --source wiki >/dev/null 2>&1 &
  wait_for 60 wiki_is exited
  docker kill -s KILL "$id" >/dev/null
  wait "$!" || true
  wiki_is exited
  docker compose up -d --wait backup
  wait_for 60 wiki_is running
  docker compose exec -T wiki rm /pages/large
  say "RELIABILITY sidecar_kills_while_holding=1 left_stopped=0"
}

behind_proxy() {
  docker run -d --name "$project-proxy" --label "lifeboat-e2e=$project" --network "${project}_default" --network-alias proxy \
    -v /var/run/docker.sock:/var/run/docker.sock -e "ALLOW=$(scripts/allowed_calls.sh)" lifeboat-bed/proxy >/dev/null
  back_up_once -e DOCKER_HOST=tcp://proxy:2375 -v /dev/null:/var/run/docker.sock || [ $? = 3 ]
  lb list --json | jq -e '.backups[0].status == "completed"'
  docker logs "$project-proxy" >"$work/calls" 2>&1
  matching ' 403$' <"$work/calls" | nothing
}

behind_haproxy() {
  docker run -d --name "$project-haproxy" --label "lifeboat-e2e=$project" --network "${project}_default" --network-alias haproxy \
    -v /var/run/docker.sock:/var/run/docker.sock -e CONTAINERS=1 -e EXEC=1 -e POST=1 -e IMAGES=1 -e VOLUMES=1 -e ALLOW_START=1 -e ALLOW_STOP=1 -e ALLOW_PAUSE=1 \
    lifeboat-bed/haproxy:2.6 >/dev/null
  back_up_once -e DOCKER_HOST=tcp://haproxy:2375 -v /dev/null:/var/run/docker.sock || [ $? = 3 ]
  lb list --json | jq -e '.backups[0].status == "completed"'
}

without_root() {
  local group
  group=$(stat -c %g /var/run/docker.sock)
  docker volume create --label "com.docker.compose.project=$project" "$project-nobody" >/dev/null
  docker run --rm --label "lifeboat-e2e=$project" -v "$project-nobody:/backups" lifeboat-bed/busybox:1 chown 65532:65532 /backups
  docker run --rm --label "lifeboat-e2e=$project" --user 65532:65532 --group-add "$group" --cap-drop ALL --security-opt no-new-privileges --read-only \
    --tmpfs /tmp -v "$project-nobody:/backups" -v /var/run/docker.sock:/var/run/docker.sock -e "BACKUP_SCOPE=$project" "$LIFEBOAT_IMAGE" backup || [ $? = 3 ]
}

# Of this run's image: others may be at work on the same engine.
helpers_left() { docker ps -aq --no-trunc --filter label=lifeboat.helper --filter "ancestor=$LIFEBOAT_IMAGE"; }
no_helper_left() { [ -z "$(helpers_left)" ]; }

# What is known of each: who it is, how far it came, and what was said of it.
tell_helpers() {
  local id
  for id in $(helpers_left); do
    docker inspect -f '{{.Name}} {{.State.Status}} since {{.Created}}, ended {{.State.FinishedAt}}, {{json .Config.Labels}} {{json .Args}}' "$id" || true
    docker compose logs --no-log-prefix backup 2>&1 | matching "$id|a helper stays" || true
  done
}

nothing_left() {
  # A run of the schedule's own may be at work at this moment. What was left behind waits for the next one.
  wait_for 60 no_helper_left || { tell_helpers; return 1; }
  for service in db crm books cache; do
    { docker compose exec -T "$service" sh -c 'grep -lz LIFEBOAT_RUN /proc/[0-9]*/environ 2>/dev/null' || true; } | nothing
  done
}

main
