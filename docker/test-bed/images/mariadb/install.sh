#!/bin/sh
# Run in the image's root.
set -eu
groupadd -r -g 999 mysql
useradd -r -g mysql -u 999 -d /var/lib/mysql mysql
apt-get -qq update
apt-get -qq install -y gosu mariadb-backup mariadb-server tzdata xz-utils zstd
# The data of the package's own first start.
rm -rf /var/lib/mysql
install -d -o mysql -g mysql -m 1777 /var/lib/mysql /run/mysqld
sed -i 's/^bind-address/#bind-address/' /etc/mysql/mariadb.conf.d/50-server.cnf
printf '[mariadbd]\nhost-cache-size=0\nskip-name-resolve\n' >/etc/mysql/mariadb.conf.d/05-skipcache.cnf
mkdir /docker-entrypoint-initdb.d
