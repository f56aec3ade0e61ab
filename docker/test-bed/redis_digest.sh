#!/usr/bin/env bash
# What a Redis or Valkey server holds, as text that is the same after a restore: for each of its databases the number
# of keys and a digest of keys, types, values and times of expiry; last, the digest of it all.
#
#   redis_digest.sh CONTAINER
#
# The password is taken from REDISCLI_AUTH, else from the container's --requirepass or REDIS_PASSWORD.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
container=$1

if [ -z "${REDISCLI_AUTH:-}" ]; then
  REDISCLI_AUTH=$(docker inspect "$container" | jq -r '.[0].Config |
    ((.Cmd // []) as $c | ($c | index("--requirepass")) as $i | if $i then $c[$i + 1] else null end)
    // ((.Env // []) | map(select(startswith("REDIS_PASSWORD=")))[0] // "" | sub("^REDIS_PASSWORD="; ""))')
fi
if [ -n "$REDISCLI_AUTH" ]; then export REDISCLI_AUTH; else unset REDISCLI_AUTH; fi

# What has no order of its own is sorted. Values are joined with their lengths, so that no two contents look alike.
# shellcheck disable=SC2016 # Lua
script='
local function text(v)
  if type(v) ~= "table" then v = tostring(v) return #v .. ":" .. v end
  local parts = {}
  for i, x in ipairs(v) do parts[i] = text(x) end
  return "[" .. table.concat(parts, ",") .. "]"
end
local function pairs_sorted(flat)
  local out = {}
  for i = 1, #flat, 2 do out[#out + 1] = text(flat[i]) .. text(flat[i + 1]) end
  table.sort(out)
  return text(out)
end
local read = {
  string = function(k) return redis.call("GET", k) end,
  list = function(k) return text(redis.call("LRANGE", k, 0, -1)) end,
  set = function(k) local m = redis.call("SMEMBERS", k) table.sort(m) return text(m) end,
  zset = function(k) return text(redis.call("ZRANGE", k, 0, -1, "WITHSCORES")) end,
  hash = function(k) return pairs_sorted(redis.call("HGETALL", k)) end,
  stream = function(k)
    local groups = {}
    for i, g in ipairs(redis.call("XINFO", "GROUPS", k)) do groups[i] = text({g[2], g[6], g[8]}) end
    table.sort(groups)
    return text(redis.call("XRANGE", k, "-", "+")) .. text(groups)
  end,
}
redis.call("SELECT", ARGV[1])
local keys = redis.call("KEYS", "*")
table.sort(keys)
local digest = ""
for _, k in ipairs(keys) do
  local kind = redis.call("TYPE", k)["ok"]
  digest = redis.sha1hex(digest .. text({k, kind, redis.call("PEXPIRETIME", k), read[kind](k)}))
end
return #keys .. " " .. digest'

# shellcheck disable=SC2016 # expanded in the container
cli='client=$(command -v redis-cli || command -v valkey-cli); exec "$client" --no-auth-warning -e "$@"'
ask() { docker exec -e REDISCLI_AUTH "$container" sh -c "$cli" sh "$@"; }

databases=$(ask info keyspace | sed -nE 's/^db([0-9]+):.*/\1/p' | sort -n)
text=$(
  for number in $databases; do
    found=$(ask eval "$script" 0 "$number") || exit 1
    echo "db$number $found"
  done
)
printf '%s\ndigest %s\n' "$text" "$(sha256sum <<<"$text" | cut -d' ' -f1)"
