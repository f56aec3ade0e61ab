#!/bin/sh
# An application on SQLite that is always in the middle of a transaction. Each transaction moves money
# from one account to another, so a copy that was torn shows in the sum. Like most applications it keeps
# its connection open, and lets nobody else near its files.
set -eu
umask 077
db=/storage/accounts.sqlite3
sqlite3 "$db" >/dev/null <<'SQL'
pragma journal_mode = wal;
create table if not exists account (id integer primary key, money integer not null);
insert or ignore into account
  with recursive n(i) as (select 0 union all select i + 1 from n where i < 999) select i, 100 from n;
SQL
chown -R 999:999 /storage

while :; do
  cat <<'SQL'
begin immediate;
update account set money = money - 1 where id = (select abs(random() % 1000));
update account set money = money + 1 where id = (select abs(random() % 1000));
commit;
SQL
  usleep 2000
done | sqlite3 -cmd '.timeout 5000' "$db"
