#!/usr/bin/env bash
# Does what the manual of the official mariadb image says, written anew for the tests.
set -Eeo pipefail
data=/var/lib/mysql

# The value of MARIADB_X or MYSQL_X, or the content of the file that its _FILE names.
setting() {
  local prefix name file_name
  for prefix in MARIADB MYSQL; do
    name=${prefix}_$1 file_name=${prefix}_${1}_FILE
    if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then
      echo >&2 "error: both $name and $file_name are set (but are exclusive)"
      exit 1
    fi
    if [ -n "${!file_name:-}" ]; then
      cat "${!file_name}"
      return
    elif [ -n "${!name:-}" ]; then
      printf %s "${!name}"
      return
    fi
  done
}

sql() { mariadb --protocol=socket -uroot "$@"; }
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
  elif [ -z "$root$(setting ALLOW_EMPTY_ROOT_PASSWORD)$(setting ALLOW_EMPTY_PASSWORD)" ]; then
    echo >&2 'Database is uninitialized and password option is not specified (MARIADB_ROOT_PASSWORD).'
    exit 1
  fi
  mariadb-install-db --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null

  # On the socket only: a health check over TCP must not see this server.
  "$@" --skip-networking --socket=/run/mysqld/mysqld.sock &
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
  echo 'MariaDB init process done. Ready for start up.'
}

accounts() {
  local root=$1 database=$2 user=$3 password=$4 host check
  host=$(setting ROOT_HOST)
  check=$(head -c 24 /dev/urandom | base64)
  # mariadb-install-db makes these without a password.
  echo "DROP USER IF EXISTS root@'127.0.0.1', root@'::1';"
  echo "EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS root@''', @@hostname, '''');"
  if [ "$host" != localhost ]; then
    echo "CREATE USER root@$(quoted "${host:-%}") IDENTIFIED BY $(quoted "$root");"
    echo "GRANT ALL ON *.* TO root@$(quoted "${host:-%}") WITH GRANT OPTION;"
  fi
  for host in 127.0.0.1 ::1 localhost; do echo "CREATE USER healthcheck@'$host' IDENTIFIED BY '$check';"; done
  (umask 077 && printf '[mariadb-client]\nuser=healthcheck\npassword=%s\n' "$check" >"$data/.my-healthcheck.cnf")
  if [ -n "$database" ]; then echo "CREATE DATABASE $(identifier "$database");"; fi
  if [ -n "$user" ]; then
    echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$password");"
    # In a GRANT _ stands for any character.
    if [ -n "$database" ]; then echo "GRANT ALL ON $(identifier "${database//_/\\_}").* TO $(quoted "$user")@'%';"; fi
  fi
}

[ "${1:0:1}" != - ] || set -- mariadbd "$@"
[ "$1" = mariadbd ] || [ "$1" = mysqld ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
  find "$data" /run/mysqld \! -user mysql -exec chown mysql:mysql '{}' +
  exec gosu mysql "${BASH_SOURCE[0]}" "$@"
fi
if [ ! -d "$data/mysql" ]; then (initialise "$@"); fi
exec "$@"
