#!/bin/sh
# An application that keeps writing small files, as a user of its own who lets nobody else read them.
set -eu
mkdir -p /uploads/inbox
chmod 700 /uploads/inbox
chown -R 999:999 /uploads
echo 'kept for ever' >/uploads/inbox/first
chown 999:999 /uploads/inbox/first
chmod 600 /uploads/inbox/first

trap 'exit 0' TERM
n=0
while :; do
  n=$((n + 1))
  echo "upload $n" >"/uploads/inbox/.new"
  chown 999:999 /uploads/inbox/.new
  chmod 600 /uploads/inbox/.new
  mv /uploads/inbox/.new "/uploads/inbox/upload-$((n % 500))"
  usleep 20000
done
