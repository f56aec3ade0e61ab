\connect "Ümläut-db"
CREATE TABLE "Größe" ("Länge" text, n int);
INSERT INTO "Größe" SELECT 'ß' || i, i FROM generate_series(1, 400) i;

\connect "select"
CREATE TABLE "from" ("where" int PRIMARY KEY, "group" text);
INSERT INTO "from" SELECT i, chr(65 + i % 26) FROM generate_series(1, 300) i;

\connect "o'hara"
CREATE TABLE "scarlett's" (line serial, said text);
INSERT INTO "scarlett's" (said) SELECT 'tomorrow is another day, ' || i FROM generate_series(1, 200) i;
