-- The large one: about 20,000 rows, the same in every run. Nothing here is random and nothing asks the clock.
\connect "my shop"
SET timezone = 'UTC';
CREATE EXTENSION citext;
CREATE SCHEMA "Sales Dept" AUTHORIZATION "o'neil";
SET search_path = 'Sales Dept', public;

CREATE TYPE state AS ENUM ('new', 'paid', 'sent', 'it''s back');
CREATE DOMAIN price AS numeric(10, 2) CHECK (VALUE >= 0);

CREATE TABLE customer (
  id bigserial PRIMARY KEY,
  email citext NOT NULL UNIQUE,
  name text NOT NULL,
  tags text[] NOT NULL DEFAULT '{}',
  facts jsonb NOT NULL DEFAULT '{}',
  since timestamptz NOT NULL
);
INSERT INTO customer (email, name, tags, facts, since)
SELECT 'Person' || i || '@example.org', 'Zoë "Z" O''Hara ' || i, ARRAY['a' || i % 7, E'tab\there', NULL],
  jsonb_build_object('n', i, 'emoji', '🛟', 'nested', jsonb_build_object('null', null)), '2025-01-01 00:00+00'::timestamptz + i * interval '7 minutes'
FROM generate_series(1, 4000) i;

CREATE TABLE product (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "Name" text NOT NULL,
  price price NOT NULL,
  taxed numeric GENERATED ALWAYS AS (price * 1.19) STORED,
  picture bytea
);
INSERT INTO product ("Name", price, picture)
SELECT 'thing ' || i, i % 100 + 0.99, decode(repeat(md5(i::text), 1 + i % 40), 'hex') FROM generate_series(1, 1000) i;

CREATE TABLE "order" (
  id bigint NOT NULL,
  customer bigint NOT NULL REFERENCES customer,
  state state NOT NULL,
  placed date NOT NULL,
  PRIMARY KEY (id, placed)
) PARTITION BY RANGE (placed);
CREATE TABLE order_2024 PARTITION OF "order" FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE order_2025 PARTITION OF "order" FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO "order"
SELECT i, 1 + i * 7 % 4000, (enum_range(NULL::state))[1 + i % 4], '2024-01-01'::date + (i % 700) FROM generate_series(1, 6000) i;

CREATE TABLE line (
  order_id bigint NOT NULL,
  placed date NOT NULL,
  product int NOT NULL REFERENCES product,
  amount double precision NOT NULL,
  note text,
  FOREIGN KEY (order_id, placed) REFERENCES "order" (id, placed)
);
INSERT INTO line
SELECT o.id, o.placed, 1 + o.id * 13 % 1000, o.id / 3.0, CASE o.id % 3 WHEN 0 THEN NULL WHEN 1 THEN E'back\\slash\nand line' ELSE '' END
FROM "order" o;
CREATE INDEX line_note ON line (lower(note)) WHERE note IS NOT NULL;

CREATE SEQUENCE invoice START 1000 INCREMENT 5;
SELECT count(nextval('invoice')) FROM generate_series(1, 321);

CREATE TABLE scan (id int PRIMARY KEY, file oid NOT NULL);
INSERT INTO scan SELECT i, lo_from_bytea(700000 + i, convert_to(repeat('page ' || i || E'\n', i * 100), 'UTF8')) FROM generate_series(1, 20) i;
COMMENT ON LARGE OBJECT 700001 IS 'the first scan';

CREATE TABLE empty (id int);
CREATE TABLE "we""ird ' name" ("a column; with -- signs" text);
INSERT INTO "we""ird ' name" SELECT 'x' || i FROM generate_series(1, 100) i;
CREATE TABLE public.customer (only_the_name_is_the_same text);
INSERT INTO public.customer VALUES ('yes'), (NULL), ('NULL'), ('\N');

CREATE VIEW open_order AS SELECT o.*, c.name FROM "order" o JOIN customer c ON c.id = o.customer WHERE state <> 'sent';
CREATE MATERIALIZED VIEW turnover AS
  SELECT date_trunc('month', placed::timestamp) AS month, sum(amount) AS amount FROM line GROUP BY 1;

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  NEW.name := trim(NEW.name); -- it's harmless
  RETURN NEW;
END $body$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION touch();

GRANT USAGE ON SCHEMA "Sales Dept" TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA "Sales Dept" TO reader;
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON customer FOR SELECT TO reader USING (id < 100);
COMMENT ON TABLE customer IS 'who buys; "quoted"';
ALTER TABLE line OWNER TO "o'neil";
