#!/bin/sh
# Writes the same number into two files, one after the other, and ends only between two such steps.
ending=
trap 'ending=yes' TERM
n=$(cat /pages/second 2>/dev/null || echo 0)
while [ -z "$ending" ]; do
  n=$((n + 1))
  echo "$n" >/pages/.new && mv /pages/.new /pages/first
  usleep 20000
  echo "$n" >/pages/.new && mv /pages/.new /pages/second
done
