

CREATE SCHEMA city;

CREATE FUNCTION city.twin_commit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  PERFORM "city".twin_number();
  RETURN NULL;
END $$;

CREATE FUNCTION city.twin_log_buildings() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
 mine xid8 := pg_current_xact_id();
 gone bigint := 0;
 made bigint := 0;
BEGIN
 IF TG_OP = 'TRUNCATE' THEN
  EXECUTE format('SELECT count(*) FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO gone;
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) VALUES (mine, true, 'buildings', NULL, -gone, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  DELETE FROM "city"."twin_mesh_buildings";
  RETURN NULL;
 END IF;
 IF TG_OP <> 'INSERT' THEN SELECT count(*) INTO gone FROM old_rows; END IF;
 IF TG_OP <> 'DELETE' THEN SELECT count(*) INTO made FROM new_rows; END IF;
 IF gone = 0 AND made = 0 THEN RETURN NULL; END IF;
 IF TG_OP = 'UPDATE' THEN IF EXISTS (SELECT FROM "city"."twin_mesh_buildings") THEN DELETE FROM "city"."twin_mesh_buildings" m USING old_rows o WHERE m.fid = o."fid" AND NOT EXISTS (SELECT FROM new_rows n WHERE n."fid" = o."fid" AND n."geom"::bytea IS NOT DISTINCT FROM o."geom"::bytea); END IF;
 END IF;
 IF TG_OP = 'DELETE' THEN DELETE FROM "city"."twin_mesh_buildings" m USING old_rows o WHERE m.fid = o."fid";
 END IF;
 
 IF greatest(gone, made) > 10000 THEN
  IF TG_OP = 'INSERT' THEN
   INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'buildings', NULL, made, NULL, NULL, NULL, NULL, min(n.x1), min(n.y1), max(n.x2), max(n.y2) FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n;
  ELSIF TG_OP = 'DELETE' THEN
   INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'buildings', NULL, -gone, min(o.x1), min(o.y1), max(o.x2), max(o.y2), NULL, NULL, NULL, NULL FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM old_rows r) o;
  ELSE
   INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'buildings', NULL, 0, o.*, n.* FROM (SELECT min(o.x1), min(o.y1), max(o.x2), max(o.y2) FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM old_rows r) o) o,
    (SELECT min(n.x1), min(n.y1), max(n.x2), max(n.y2) FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n) n;
  END IF;
 ELSIF TG_OP = 'INSERT' THEN
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, row_number() OVER () = 1, 'buildings', n.fid, 1, NULL, NULL, NULL, NULL, n.x1, n.y1, n.x2, n.y2 FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n ORDER BY n.fid;
 ELSIF TG_OP = 'DELETE' THEN
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, row_number() OVER () = 1, 'buildings', o.fid, -1, o.x1, o.y1, o.x2, o.y2, NULL, NULL, NULL, NULL FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM old_rows r) o ORDER BY o.fid;
 ELSIF made = 1 AND (SELECT o."fid" = n."fid" FROM old_rows o, new_rows n) THEN
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, row_number() OVER () = 1, 'buildings', n.fid, 0, o.x1, o.y1, o.x2, o.y2, n.x1, n.y1, n.x2, n.y2 FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM old_rows r) o, (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n;
 ELSE
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, row_number() OVER () = 1, 'buildings', coalesce(n.fid, o.fid),
   CASE WHEN o.fid IS NULL THEN 1 WHEN n.fid IS NULL THEN -1 ELSE 0 END, o.x1, o.y1, o.x2, o.y2, n.x1, n.y1, n.x2, n.y2
   FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM old_rows r) o FULL JOIN (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n ON n.fid = o.fid ORDER BY coalesce(n.fid, o.fid);
 END IF;
 
 RETURN NULL;
END $$;

CREATE FUNCTION city.twin_log_wells() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
 mine xid8 := pg_current_xact_id();
 gone bigint := 0;
 made bigint := 0;
BEGIN
 IF TG_OP = 'TRUNCATE' THEN
  EXECUTE format('SELECT count(*) FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO gone;
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) VALUES (mine, true, 'wells', NULL, -gone, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  
  RETURN NULL;
 END IF;
 IF TG_OP <> 'INSERT' THEN SELECT count(*) INTO gone FROM old_rows; END IF;
 IF TG_OP <> 'DELETE' THEN SELECT count(*) INTO made FROM new_rows; END IF;
 IF gone = 0 AND made = 0 THEN RETURN NULL; END IF;
 
 
 BEGIN
 IF greatest(gone, made) > 10000 THEN
  IF TG_OP = 'INSERT' THEN
   INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'wells', NULL, made, NULL, NULL, NULL, NULL, min(n.x1), min(n.y1), max(n.x2), max(n.y2) FROM (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM new_rows r) n;
  ELSIF TG_OP = 'DELETE' THEN
   INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'wells', NULL, -gone, min(o.x1), min(o.y1), max(o.x2), max(o.y2), NULL, NULL, NULL, NULL FROM (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM old_rows r) o;
  ELSE
   INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'wells', NULL, 0, o.*, n.* FROM (SELECT min(o.x1), min(o.y1), max(o.x2), max(o.y2) FROM (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM old_rows r) o) o,
    (SELECT min(n.x1), min(n.y1), max(n.x2), max(n.y2) FROM (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM new_rows r) n) n;
  END IF;
 ELSIF TG_OP = 'INSERT' THEN
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, row_number() OVER () = 1, 'wells', n.fid, 1, NULL, NULL, NULL, NULL, n.x1, n.y1, n.x2, n.y2 FROM (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM new_rows r) n ORDER BY n.fid;
 ELSIF TG_OP = 'DELETE' THEN
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, row_number() OVER () = 1, 'wells', o.fid, -1, o.x1, o.y1, o.x2, o.y2, NULL, NULL, NULL, NULL FROM (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM old_rows r) o ORDER BY o.fid;
 ELSIF made = 1 AND (SELECT o."id" = n."id" FROM old_rows o, new_rows n) THEN
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, row_number() OVER () = 1, 'wells', n.fid, 0, o.x1, o.y1, o.x2, o.y2, n.x1, n.y1, n.x2, n.y2 FROM (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM old_rows r) o, (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM new_rows r) n;
 ELSE
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, row_number() OVER () = 1, 'wells', coalesce(n.fid, o.fid),
   CASE WHEN o.fid IS NULL THEN 1 WHEN n.fid IS NULL THEN -1 ELSE 0 END, o.x1, o.y1, o.x2, o.y2, n.x1, n.y1, n.x2, n.y2
   FROM (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM old_rows r) o FULL JOIN (SELECT r."id" AS fid, "public".st_xmin("public".st_envelope("public".st_transform(r."geom", 4326))) AS x1, "public".st_ymin("public".st_envelope("public".st_transform(r."geom", 4326))) AS y1, "public".st_xmax("public".st_envelope("public".st_transform(r."geom", 4326))) AS x2, "public".st_ymax("public".st_envelope("public".st_transform(r."geom", 4326))) AS y2 FROM new_rows r) n ON n.fid = o.fid ORDER BY coalesce(n.fid, o.fid);
 END IF;
 EXCEPTION WHEN data_exception OR internal_error THEN INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) VALUES (mine, true, 'wells', NULL, made - gone, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL); END;
 RETURN NULL;
END $$;

CREATE FUNCTION city.twin_number() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  newest bigint;
  mine xid8 := pg_current_xact_id();
BEGIN
  IF NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine) THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock(3300332464268188375);
  WITH gone AS (DELETE FROM "city".twin_pending WHERE xid = mine RETURNING *),
  put AS (INSERT INTO "city".twin_changes (seq, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, nonce)
    SELECT nextval('"city".twin_seq'::regclass), layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy,
      ('x' || substr(md5(random()::text || clock_timestamp()::text), 1, 16))::bit(64)::bigint
    FROM (SELECT * FROM gone ORDER BY id) ordered RETURNING seq)
  SELECT max(seq) INTO newest FROM put;
  PERFORM pg_notify('twin_city', newest::text);
  RETURN newest;
END $$;

CREATE TABLE city.buildings (
    fid bigint NOT NULL,
    geom public.geometry,
    source_id text COLLATE pg_catalog."C",
    name text COLLATE pg_catalog."C",
    height_m double precision,
    levels bigint,
    listed boolean,
    built date,
    seen timestamp with time zone,
    CONSTRAINT twin_srid CHECK ((public.st_srid(geom) = 4326)),
    CONSTRAINT twin_type CHECK ((public.geometrytype(geom) = 'POLYGON'::text))
);

ALTER TABLE city.buildings ALTER COLUMN fid ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME city.buildings_fid_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE city.twin_actors (
    layer text NOT NULL COLLATE pg_catalog."C",
    fid bigint NOT NULL,
    seq bigint NOT NULL,
    actor text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE city.twin_changes (
    seq bigint NOT NULL,
    layer text NOT NULL COLLATE pg_catalog."C",
    fid bigint,
    delta bigint NOT NULL,
    old_minx double precision,
    old_miny double precision,
    old_maxx double precision,
    old_maxy double precision,
    new_minx double precision,
    new_miny double precision,
    new_maxx double precision,
    new_maxy double precision,
    nonce bigint NOT NULL
);

CREATE MATERIALIZED VIEW city.twin_complete AS
 SELECT true AS complete
  WITH NO DATA;

CREATE TABLE city.twin_forms (
    id text NOT NULL COLLATE pg_catalog."C",
    form text NOT NULL,
    kind text NOT NULL,
    title text NOT NULL,
    crs text NOT NULL,
    vertical_datum text NOT NULL,
    minx double precision,
    miny double precision,
    maxx double precision,
    maxy double precision,
    generation bigint NOT NULL,
    assets text NOT NULL
);

CREATE TABLE city.twin_history (
    layer text NOT NULL COLLATE pg_catalog."C",
    high_fid bigint NOT NULL,
    generation bigint NOT NULL
);

CREATE TABLE city.twin_layers (
    id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    title text NOT NULL,
    geometry_type text NOT NULL,
    crs text NOT NULL,
    time_field text,
    key text NOT NULL,
    generation bigint NOT NULL,
    fields text NOT NULL,
    source text,
    logger text NOT NULL,
    state text NOT NULL,
    signature text NOT NULL,
    columns text NOT NULL,
    base_seq bigint NOT NULL,
    base_count bigint NOT NULL,
    vertical_datum text DEFAULT ''::text NOT NULL
);

CREATE TABLE city.twin_mesh_buildings (
    fid bigint NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE ONLY city.twin_mesh_buildings ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE city.twin_meta (
    one boolean DEFAULT true NOT NULL,
    format integer NOT NULL,
    epoch text NOT NULL,
    stamp bigint NOT NULL,
    origin text NOT NULL,
    former text DEFAULT ''::text NOT NULL,
    pruned bigint DEFAULT 0 NOT NULL,
    CONSTRAINT twin_meta_one_check CHECK (one)
);

CREATE UNLOGGED TABLE city.twin_pending (
    id bigint NOT NULL,
    xid xid8 NOT NULL,
    first boolean NOT NULL,
    layer text NOT NULL COLLATE pg_catalog."C",
    fid bigint,
    delta bigint NOT NULL,
    old_minx double precision,
    old_miny double precision,
    old_maxx double precision,
    old_maxy double precision,
    new_minx double precision,
    new_miny double precision,
    new_maxx double precision,
    new_maxy double precision
);

ALTER TABLE city.twin_pending ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME city.twin_pending_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE city.twin_pruned (
    layer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL
);

CREATE TABLE city.twin_refresh (
    layer text NOT NULL COLLATE pg_catalog."C",
    every double precision NOT NULL,
    due timestamp with time zone NOT NULL
);

CREATE TABLE city.twin_reports (
    layer text NOT NULL COLLATE pg_catalog."C",
    report text NOT NULL
);

CREATE SEQUENCE city.twin_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE city.twin_stages (
    name text NOT NULL,
    lock bigint NOT NULL
);

CREATE TABLE public.wells (
    id integer NOT NULL,
    depth numeric,
    geom public.geometry(Point,3067)
);

INSERT INTO city.buildings VALUES (2, '0103000020E610000001000000050000008A4160E5D00239400000000000004E408A4160E5D0023940E3A59BC420004E40C3F5285C8F023940E3A59BC420004E40C3F5285C8F0239400000000000004E408A4160E5D00239400000000000004E40', 'b1', 'house 1', NULL, 1, NULL, NULL, NULL);
INSERT INTO city.buildings VALUES (3, '0103000020E610000001000000050000004C378941600539400000000000004E404C37894160053940E3A59BC420004E4085EB51B81E053940E3A59BC420004E4085EB51B81E0539400000000000004E404C378941600539400000000000004E40', 'b2', 'house 2', NULL, 2, NULL, NULL, NULL);
INSERT INTO city.buildings VALUES (4, '0103000020E610000001000000050000000F2DB29DEF0739400000000000004E400F2DB29DEF073940E3A59BC420004E4048E17A14AE073940E3A59BC420004E4048E17A14AE0739400000000000004E400F2DB29DEF0739400000000000004E40', 'b3', 'house 3', NULL, 3, NULL, NULL, NULL);
INSERT INTO city.buildings VALUES (1, '0103000020E61000000100000005000000C74B3789410039400000000000004E40C74B378941003940E3A59BC420004E400000000000003940E3A59BC420004E4000000000000039400000000000004E40C74B3789410039400000000000004E40', 'b0', 'second', NULL, 0, NULL, NULL, NULL);

INSERT INTO city.twin_actors VALUES ('buildings', 1, 3, 'anna', '2026-11-29 20:20:03.359648+00');
INSERT INTO city.twin_actors VALUES ('wells', 2, 4, 'ben', '2026-11-29 20:20:03.450195+00');
INSERT INTO city.twin_actors VALUES ('buildings', 1, 5, 'anna', '2026-11-29 20:20:03.461684+00');

INSERT INTO city.twin_changes VALUES (1, 'wells', NULL, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 3300482239717034442);
INSERT INTO city.twin_changes VALUES (2, 'buildings', NULL, 4, NULL, NULL, NULL, NULL, 25, 60, 25.0310001373291, 60.00100326538086, 6556172742599755555);
INSERT INTO city.twin_changes VALUES (3, 'buildings', 1, 0, 25, 60, 25.001, 60.001, 25, 60, 25.001, 60.001, 4156684554134526542);
INSERT INTO city.twin_changes VALUES (4, 'wells', 2, 0, 24.92925854808695, 60.16869415730161, 24.92925854808695, 60.16869415730161, 24.92925854808695, 60.16869415730161, 24.92925854808695, 60.16869415730161, 6289491976180054930);
INSERT INTO city.twin_changes VALUES (5, 'buildings', 1, 0, 25, 60, 25.001, 60.001, 25, 60, 25.001, 60.001, 6167654938936240947);

INSERT INTO city.twin_history VALUES ('buildings', 4, 0);

INSERT INTO city.twin_layers VALUES ('wells', 'feature', '{}', 'Point', 'EPSG:3067', NULL, '[]', 1, '[]', '{"schema": "public", "table": "wells", "fid": "id", "geometry": "geom", "srid": 3067, "refresh": 10.0}', 'twin_log_wells', 'ok', '18277 785156 followed b2a7ac82b52093c1bc8f6039 162b00c6e03b01c6f5710c50 0511b06463fdfd66e8b8bc27', '[["depth", "numeric", "number", false]]', 0, 0, '');
INSERT INTO city.twin_layers VALUES ('buildings', 'building', '{"en": "Buildings"}', 'Polygon', 'EPSG:3879', NULL, '[]', 1, '[{"name": "source_id", "type": "string", "title": {"en": "Source id", "zh-CN": "来源标识"}, "unit": null, "codes": null}, {"name": "name", "type": "string", "title": {"en": "Name", "zh-CN": "名称"}, "unit": null, "codes": null}, {"name": "height_m", "type": "number", "title": {"en": "Height"}, "unit": "m", "codes": null}, {"name": "levels", "type": "integer", "title": {}, "unit": null, "codes": null}, {"name": "listed", "type": "boolean", "title": {}, "unit": null, "codes": null}, {"name": "built", "type": "date", "title": {}, "unit": null, "codes": null}, {"name": "seen", "type": "datetime", "title": {}, "unit": null, "codes": null}]', NULL, 'twin_log_buildings', 'ok', '18394 -1 followed b2a7ac82b52093c1bc8f6039 7846402f234028e1566cfb71 859283b7017da2ed03c3309c', '[["source_id", "text", "string", false], ["name", "text", "string", false], ["height_m", "double precision", "number", false], ["levels", "bigint", "integer", false], ["listed", "boolean", "boolean", false], ["built", "date", "date", false], ["seen", "timestamp with time zone", "datetime", false]]', 0, 0, '');

INSERT INTO city.twin_mesh_buildings VALUES (2, '\x4d534831040000000400000000000000000039400000000000004e400000000000000000c74b3789410039400000000000004e4000000000000000000000000000003940e3a59bc420004e40000000000000000000000000000039400000000000004e40000000000000244000000000020000000100000000000000010000000300000001000000020000000300000002000000000000000300000001020302');

INSERT INTO city.twin_meta VALUES (true, 4, 'b2007ff83b77', 2, '7713682913921258623/18276/18285/00000001', '', 0);

INSERT INTO public.wells VALUES (1, 2.5, '0101000020FB0B000000000000A07F174100000000A0735941');
INSERT INTO public.wells VALUES (2, 4.0, '0101000020FB0B0000000000003081174100000000A0735941');

SELECT pg_catalog.setval('city.buildings_fid_seq', 4, true);

SELECT pg_catalog.setval('city.twin_pending_id_seq', 5, true);

SELECT pg_catalog.setval('city.twin_seq', 5, true);

ALTER TABLE ONLY city.buildings
    ADD CONSTRAINT buildings_pkey PRIMARY KEY (fid);

ALTER TABLE ONLY city.twin_actors
    ADD CONSTRAINT twin_actors_pkey PRIMARY KEY (layer, fid, seq);

ALTER TABLE ONLY city.twin_changes
    ADD CONSTRAINT twin_changes_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY city.twin_forms
    ADD CONSTRAINT twin_forms_pkey PRIMARY KEY (id);

ALTER TABLE ONLY city.twin_history
    ADD CONSTRAINT twin_history_pkey PRIMARY KEY (layer);

ALTER TABLE ONLY city.twin_layers
    ADD CONSTRAINT twin_layers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY city.twin_mesh_buildings
    ADD CONSTRAINT twin_mesh_buildings_pkey PRIMARY KEY (fid);

ALTER TABLE ONLY city.twin_meta
    ADD CONSTRAINT twin_meta_pkey PRIMARY KEY (one);

ALTER TABLE ONLY city.twin_pruned
    ADD CONSTRAINT twin_pruned_pkey PRIMARY KEY (layer);

ALTER TABLE ONLY city.twin_refresh
    ADD CONSTRAINT twin_refresh_pkey PRIMARY KEY (layer);

ALTER TABLE ONLY city.twin_reports
    ADD CONSTRAINT twin_reports_pkey PRIMARY KEY (layer);

ALTER TABLE ONLY city.twin_stages
    ADD CONSTRAINT twin_stages_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.wells
    ADD CONSTRAINT wells_pkey PRIMARY KEY (id);

CREATE INDEX twin_changes_feature ON city.twin_changes USING btree (layer, fid, seq);

CREATE INDEX twin_changes_layer ON city.twin_changes USING btree (layer, seq) INCLUDE (delta);

CREATE INDEX twin_pending_xid ON city.twin_pending USING btree (xid);

CREATE INDEX twin_place_buildings ON city.buildings USING gist (geom);

CREATE INDEX twin_source_buildings ON city.buildings USING btree (source_id);

CREATE INDEX twin_unplaced_buildings ON city.buildings USING btree (fid) WHERE (
CASE
    WHEN ((geom IS NULL) OR public.st_isempty(geom)) THEN 1
    ELSE NULL::integer
END = 1);

CREATE TRIGGER twin_city_buildings_delete AFTER DELETE ON city.buildings REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_buildings();

ALTER TABLE city.buildings ENABLE ALWAYS TRIGGER twin_city_buildings_delete;

CREATE TRIGGER twin_city_buildings_insert AFTER INSERT ON city.buildings REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_buildings();

ALTER TABLE city.buildings ENABLE ALWAYS TRIGGER twin_city_buildings_insert;

CREATE TRIGGER twin_city_buildings_truncate BEFORE TRUNCATE ON city.buildings FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_buildings();

ALTER TABLE city.buildings ENABLE ALWAYS TRIGGER twin_city_buildings_truncate;

CREATE TRIGGER twin_city_buildings_update AFTER UPDATE ON city.buildings REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_buildings();

ALTER TABLE city.buildings ENABLE ALWAYS TRIGGER twin_city_buildings_update;

CREATE CONSTRAINT TRIGGER twin_commit AFTER INSERT ON city.twin_pending DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.first) EXECUTE FUNCTION city.twin_commit();

ALTER TABLE city.twin_pending ENABLE ALWAYS TRIGGER twin_commit;

CREATE TRIGGER twin_city_wells_delete AFTER DELETE ON public.wells REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_wells();

ALTER TABLE public.wells ENABLE ALWAYS TRIGGER twin_city_wells_delete;

CREATE TRIGGER twin_city_wells_insert AFTER INSERT ON public.wells REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_wells();

ALTER TABLE public.wells ENABLE ALWAYS TRIGGER twin_city_wells_insert;

CREATE TRIGGER twin_city_wells_truncate BEFORE TRUNCATE ON public.wells FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_wells();

ALTER TABLE public.wells ENABLE ALWAYS TRIGGER twin_city_wells_truncate;

CREATE TRIGGER twin_city_wells_update AFTER UPDATE ON public.wells REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_wells();

ALTER TABLE public.wells ENABLE ALWAYS TRIGGER twin_city_wells_update;

REFRESH MATERIALIZED VIEW city.twin_complete;


