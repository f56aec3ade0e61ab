#!/usr/bin/env bash
# Does what the manual of the official mysql image says, written anew for the tests.
set -Eeo pipefail
data=/var/lib/mysql

# The value of MYSQL_X, or the content of the file that MYSQL_X_FILE names.
setting() {
  local name=MYSQL_$1 file_name=MYSQL_${1}_FILE
  if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then
    echo >&2 "error: both $name and $file_name are set (but are exclusive)"
    exit 1
  fi
  if [ -n "${!file_name:-}" ]; then cat "${!file_name}"; else printf %s "${!name:-}"; fi
}

sql() { mysql --protocol=socket -uroot "$@"; }
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/[\\\\']/\\\\&/g")"; }
identifier() { printf "\`%s\`" "${1//\`/\`\`}"; }

initialise() {
  local root database user password server
  root=$(setting ROOT_PASSWORD)
  database=$(setting DATABASE)
  user=$(setting USER)
  password=$(setting PASSWORD)
  if [ -n "$(setting RANDOM_ROOT_PASSWORD)" ]; then
    root=$(head -c 24 /dev/urandom | base64)
    echo "GENERATED ROOT PASSWORD: $root"
  elif [ -z "$root$(setting ALLOW_EMPTY_PASSWORD)" ]; then
    echo >&2 'Database is uninitialized and password option is not specified (MYSQL_ROOT_PASSWORD).'
    exit 1
  fi
  "$@" --initialize-insecure

  # On the socket only: a health check over TCP must not see this server.
  "$@" --skip-networking --mysqlx=OFF &
  server=$!
  for _ in $(seq 300); do
    if sql -e 'SELECT 1' >/dev/null 2>&1; then break; fi
    kill -0 "$server"
    sleep 0.1
  done
  accounts "$root" "$database" "$user" "$password" | sql
  for file in /docker-entrypoint-initdb.d/*; do
    [ ! -f "$file" ] || echo "$0: running $file"
    # shellcheck disable=SC1090 # a script of the user's
    case $file in
      *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) sql ${database:+"$database"} <"$file" ;;
      *.sql.gz) gunzip -c "$file" | sql ${database:+"$database"} ;;
      *.sql.xz) xzcat "$file" | sql ${database:+"$database"} ;;
      *.sql.zst) zstd -dc "$file" | sql ${database:+"$database"} ;;
    esac
  done
  sql -e "ALTER USER root@localhost IDENTIFIED BY $(quoted "$root")"
  kill "$server"
  wait "$server"
  echo 'MySQL init process done. Ready for start up.'
}

accounts() {
  local root=$1 database=$2 user=$3 password=$4 host
  host=$(setting ROOT_HOST)
  if [ "$host" != localhost ]; then
    echo "CREATE USER root@$(quoted "${host:-%}") IDENTIFIED BY $(quoted "$root");"
    echo "GRANT ALL ON *.* TO root@$(quoted "${host:-%}") WITH GRANT OPTION;"
  fi
  if [ -n "$database" ]; then echo "CREATE DATABASE $(identifier "$database");"; fi
  if [ -n "$user" ]; then
    echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$password");"
    # In a GRANT _ stands for any character.
    if [ -n "$database" ]; then echo "GRANT ALL ON $(identifier "${database//_/\\_}").* TO $(quoted "$user")@'%';"; fi
  fi
}

[ "${1:0:1}" != - ] || set -- mysqld "$@"
[ "$1" = mysqld ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
  find "$data" /var/run/mysqld /var/lib/mysql-files \! -user mysql -exec chown mysql:mysql '{}' +
  exec gosu mysql "${BASH_SOURCE[0]}" "$@"
fi
if [ ! -d "$data/mysql" ]; then (initialise "$@"); fi
exec "$@"
