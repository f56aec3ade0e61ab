#!/bin/sh
# Run in the image's root.
set -eu
groupadd -r -g 999 mysql
useradd -r -g mysql -u 999 -d /var/lib/mysql mysql
apt-get -qq update
apt-get -qq install -y gosu mysql-client-core mysql-server-core tzdata xz-utils zstd
rm -rf /var/lib/mysql
install -d -o mysql -g mysql -m 1777 /var/lib/mysql /var/run/mysqld
install -d -o mysql -g mysql -m 750 /var/lib/mysql-files
# As the original has it; the package's own default folders are others.
mkdir -p /docker-entrypoint-initdb.d /etc/mysql/conf.d
cat >/etc/my.cnf <<CONF
[mysqld]
host-cache-size=0
skip-name-resolve
datadir=/var/lib/mysql
socket=/var/run/mysqld/mysqld.sock
secure-file-priv=/var/lib/mysql-files
pid-file=/var/run/mysqld/mysqld.pid
[client]
socket=/var/run/mysqld/mysqld.sock
!includedir /etc/mysql/conf.d/
CONF
