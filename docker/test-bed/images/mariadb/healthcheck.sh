#!/bin/sh
# As the official one's --connect: the server answers over TCP, which it does not during its first initialisation.
exec mariadb --defaults-extra-file=/var/lib/mysql/.my-healthcheck.cnf -h 127.0.0.1 --protocol=tcp -e 'SELECT 1' >/dev/null
