-- Roles and databases that tools trip over. Run in the database `shop`.
CREATE ROLE reader NOLOGIN;
CREATE ROLE "o'neil" LOGIN PASSWORD 'it''s "mine" \ $1 100%';
CREATE ROLE "Ünal Ö" LOGIN CREATEDB CONNECTION LIMIT 5 VALID UNTIL '2099-01-01';
GRANT reader TO "o'neil" WITH ADMIN OPTION;
ALTER ROLE "o'neil" SET search_path = 'Sales Dept', public;

CREATE DATABASE "my shop" OWNER "o'neil";
CREATE DATABASE "Ümläut-db";
CREATE DATABASE "select" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE "o'hara" CONNECTION LIMIT 20;
ALTER DATABASE "my shop" SET work_mem = '8MB';
COMMENT ON DATABASE "my shop" IS 'it''s the "shop"';
REVOKE CONNECT ON DATABASE "o'hara" FROM PUBLIC;

CREATE TABLE plain (id int PRIMARY KEY, word text NOT NULL);
INSERT INTO plain SELECT i, md5(i::text) FROM generate_series(1, 500) i;
