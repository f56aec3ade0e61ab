#!/bin/sh
# The application: makes its files and fills its cache at the first start, always with the same content, then idles.
set -eu
trap 'exit 0' TERM

files() {
  for folder in /uploads /storage; do
    mkdir -p "$folder/a folder" "$folder/empty"
    seq 1 5000 >"$folder/numbers"
    printf 'line one\nline two\n' >"$folder/a folder/näme with späces.txt"
    : >"$folder/nothing"
    ln -s ../numbers "$folder/a folder/link"
    ln "$folder/numbers" "$folder/same"
    head -c 3000000 /dev/zero | tr '\0' 'x' >"$folder/large"
    echo secret >"$folder/private"
    chmod 600 "$folder/private"
    chown 999:999 "$folder/private"
  done
  echo 'can be made again' >/var/cache/app/thumbnail
}

# Redis's own inline notation. In double quotes, only \ and " mean something.
commands() {
  printf 'AUTH "%s"\r\n' "$(printf %s "$CACHE_PASSWORD" | sed 's/[\\"]/\\&/g')"
  printf 'SET "a key with späces" "and \\"quotes\\""\r\nSET binary "\\x00\\x01\\xff\\r\\n"\r\nSET counter 41\r\nINCR counter\r\n'
  seq 1 500 | sed 's/.*/SET page:& "text of page &"\r/'
  seq 1 300 | sed 's/.*/RPUSH list item-&\r/'
  seq 1 300 | sed 's/.*/HSET hash field-& value-&\r/'
  seq 1 300 | sed 's/.*/SADD set member-&\r/'
  seq 1 300 | sed 's/.*/ZADD ranks &.5 player-&\r/'
  seq 1 100 | sed 's/.*/XADD stream &-1 event number-&\r/'
  printf 'XGROUP CREATE stream readers 0\r\nPFADD visitors a b c d\r\nSETBIT bits 70000 1\r\nGEOADD places 13.36 38.11 Palermo 15.08 37.50 Catania\r\n'
  printf 'SET session stays-long EXAT 4102444800\r\nSELECT 5\r\nSET "in another database" yes\r\nQUIT\r\n'
}

if [ ! -e /uploads/.made ]; then
  files
  commands | nc cache 6379 >/tmp/answers
  if grep '^-' /tmp/answers; then exit 1; fi
  touch /uploads/.made
fi
touch /tmp/ready
while :; do sleep 1; done
