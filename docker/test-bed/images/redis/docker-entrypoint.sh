#!/bin/sh
# Does what the manual of the official redis image says (valkey's is the same), written anew for the tests.
# SERVER is `redis` or `valkey`. The original is compiled with protected mode off; here the command line says it.
set -eu
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- "$SERVER-server" "$@"; fi
[ "$1" = "$SERVER-server" ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
  find . \! -user "$SERVER" -exec chown "$SERVER" '{}' +
  exec gosu "$SERVER" "$0" "$@"
fi
umask 0077
exec "$@" --protected-mode no
