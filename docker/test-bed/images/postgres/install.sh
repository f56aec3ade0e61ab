#!/bin/sh
# Run in the image's root: install.sh MAJOR
set -eu
major=$1
groupadd -r -g 999 postgres
useradd -r -g postgres -u 999 -d /var/lib/postgresql -s /bin/bash postgres
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
apt-get -qq update
apt-get -qq install -y gosu locales xz-utils zstd "postgresql-$major"
localedef -i en_US -c -f UTF-8 en_US.UTF-8
rm -rf /usr/share/i18n
sed -i "s/^#listen_addresses.*/listen_addresses = '*'/" "/usr/share/postgresql/$major/postgresql.conf.sample"
install -d -o postgres -g postgres -m 3777 /var/run/postgresql
install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
mkdir /docker-entrypoint-initdb.d
