SET check_function_bodies = false;


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
    SET extra_float_digits TO '1'
    SET bytea_output TO 'hex'
    AS $_$
DECLARE
 mine xid8 := pg_current_xact_id();
 gone bigint := 0;
 made bigint := 0;
 whole bigint;
BEGIN
 IF TG_OP = 'TRUNCATE' THEN
  EXECUTE replace('SELECT count(*) FROM <table>', '<table>', TG_RELID::regclass::text) INTO gone;
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) VALUES (mine, true, 'buildings', NULL, -gone, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) RETURNING id INTO whole;
  EXECUTE replace('INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, part, there, old, geom, mesh) SELECT $1, false, ''buildings'', r.fid, 0, $2, true, r.old, r.geom, r.mesh FROM (SELECT r."fid" AS fid, row_to_json(json_populate_record(r.*, ''{"fid": null, "geom": null}'')) AS old, r."geom" AS geom, m.body AS mesh FROM <table> r LEFT JOIN "city"."twin_mesh_buildings" m ON m.fid = r."fid") r', '<table>', TG_RELID::regclass::text) USING mine, whole;
  DELETE FROM "city"."twin_mesh_buildings";
  RETURN NULL;
 END IF;
 IF TG_OP <> 'INSERT' THEN SELECT count(*) INTO gone FROM old_rows; END IF;
 IF TG_OP <> 'DELETE' THEN SELECT count(*) INTO made FROM new_rows; END IF;
 IF gone = 0 AND made = 0 THEN RETURN NULL; END IF;
 IF current_setting('twin.whole', true) <> '' THEN
  SELECT id INTO whole FROM "city".twin_pending WHERE xid = mine AND layer = 'buildings'
   AND id::text = current_setting('twin.whole', true);
 END IF;
 IF whole IS NULL THEN
  
  IF greatest(gone, made) > 10000 THEN
   IF TG_OP = 'INSERT' THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'buildings', NULL, made, NULL, NULL, NULL, NULL, min(n.x1), min(n.y1), max(n.x2), max(n.y2) FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n RETURNING id INTO whole;
   ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'buildings', NULL, -gone, min(o.x1), min(o.y1), max(o.x2), max(o.y2), NULL, NULL, NULL, NULL FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM old_rows r) o RETURNING id INTO whole;
   ELSE
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'buildings', NULL, 0, o.*, n.* FROM (SELECT min(o.x1), min(o.y1), max(o.x2), max(o.y2) FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM old_rows r) o) o,
     (SELECT min(n.x1), min(n.y1), max(n.x2), max(n.y2) FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n) n RETURNING id INTO whole;
   END IF;
  ELSE
   IF TG_OP = 'INSERT' THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, there, old, geom, mesh) SELECT mine, row_number() OVER () = 1 AND NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine), 'buildings', n.fid, 1, NULL, NULL, NULL, NULL, n.x1, n.y1, n.x2, n.y2, false, NULL, NULL, NULL FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n ORDER BY n.fid;
   ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, there, old, geom, mesh) SELECT mine, row_number() OVER () = 1 AND NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine), 'buildings', o.fid, -1, o.x1, o.y1, o.x2, o.y2, NULL, NULL, NULL, NULL, true, o.old, o.geom, o.mesh FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2, row_to_json(json_populate_record(r.*, '{"fid": null, "geom": null}')) AS old, r."geom" AS geom, m.body AS mesh FROM old_rows r LEFT JOIN "city"."twin_mesh_buildings" m ON m.fid = r."fid") o ORDER BY o.fid;
   ELSIF made = 1 AND (SELECT o."fid" = n."fid" FROM old_rows o, new_rows n) THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, there, old, geom, mesh) SELECT mine, row_number() OVER () = 1 AND NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine), 'buildings', n.fid, 0, o.x1, o.y1, o.x2, o.y2, n.x1, n.y1, n.x2, n.y2, true, o.old, o.geom, o.mesh FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2, row_to_json(json_populate_record(r.*, '{"fid": null, "geom": null}')) AS old, r."geom" AS geom, m.body AS mesh FROM old_rows r LEFT JOIN "city"."twin_mesh_buildings" m ON m.fid = r."fid") o, (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n;
   ELSE
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, there, old, geom, mesh) SELECT mine, row_number() OVER () = 1 AND NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine), 'buildings', coalesce(n.fid, o.fid), CASE WHEN o.fid IS NULL THEN 1 WHEN n.fid IS NULL THEN -1 ELSE 0 END, o.x1, o.y1, o.x2, o.y2, n.x1, n.y1, n.x2, n.y2, o.fid IS NOT NULL, o.old, o.geom, o.mesh
     FROM (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2, row_to_json(json_populate_record(r.*, '{"fid": null, "geom": null}')) AS old, r."geom" AS geom, m.body AS mesh FROM old_rows r LEFT JOIN "city"."twin_mesh_buildings" m ON m.fid = r."fid") o FULL JOIN (SELECT r."fid" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n ON n.fid = o.fid ORDER BY coalesce(n.fid, o.fid);
   END IF;
  END IF;
  
 END IF;
 IF whole IS NOT NULL THEN
  IF TG_OP <> 'INSERT' THEN INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, part, there, old, geom, mesh) SELECT mine, false, 'buildings', r.fid, 0, whole, true, r.old, r.geom, r.mesh FROM (SELECT r."fid" AS fid, row_to_json(json_populate_record(r.*, '{"fid": null, "geom": null}')) AS old, r."geom" AS geom, m.body AS mesh FROM old_rows r LEFT JOIN "city"."twin_mesh_buildings" m ON m.fid = r."fid") r; END IF;
  IF TG_OP = 'INSERT' THEN INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, part, there, old, geom, mesh) SELECT mine, false, 'buildings', r.fid, 0, whole, false, NULL, NULL, NULL FROM (SELECT r."fid" AS fid FROM new_rows r) r; END IF;
  IF TG_OP = 'UPDATE' THEN
   INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, part, there, old, geom, mesh) SELECT mine, false, 'buildings', r.fid, 0, whole, false, NULL, NULL, NULL FROM (SELECT r."fid" AS fid FROM new_rows r) r WHERE NOT EXISTS (SELECT FROM old_rows o WHERE o."fid" = r.fid);
  END IF;
 END IF;
 IF TG_OP = 'DELETE' THEN
  DELETE FROM "city"."twin_mesh_buildings" m USING old_rows o WHERE m.fid = o."fid";
 ELSIF TG_OP = 'UPDATE' AND EXISTS (SELECT FROM "city"."twin_mesh_buildings") THEN
  DELETE FROM "city"."twin_mesh_buildings" m USING old_rows o WHERE m.fid = o."fid" AND NOT EXISTS (SELECT FROM new_rows n
   WHERE n."fid" = o."fid" AND n."geom"::bytea IS NOT DISTINCT FROM o."geom"::bytea);
 END IF;
 RETURN NULL;
END $_$;

CREATE FUNCTION city.twin_log_wells() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET extra_float_digits TO '1'
    SET bytea_output TO 'hex'
    AS $_$
DECLARE
 mine xid8 := pg_current_xact_id();
 gone bigint := 0;
 made bigint := 0;
 whole bigint;
BEGIN
 IF TG_OP = 'TRUNCATE' THEN
  EXECUTE replace('SELECT count(*) FROM <table>', '<table>', TG_RELID::regclass::text) INTO gone;
  INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) VALUES (mine, true, 'wells', NULL, -gone, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) RETURNING id INTO whole;
  EXECUTE replace('INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, part, there, old, geom, mesh) SELECT $1, false, ''wells'', r.fid, 0, $2, true, r.old, r.geom, r.mesh FROM (SELECT r."id" AS fid, row_to_json(json_populate_record(r.*, ''{"id": null, "geom": null}'')) AS old, r."geom" AS geom, NULL::bytea AS mesh FROM <table> r) r', '<table>', TG_RELID::regclass::text) USING mine, whole;
  
  RETURN NULL;
 END IF;
 IF TG_OP <> 'INSERT' THEN SELECT count(*) INTO gone FROM old_rows; END IF;
 IF TG_OP <> 'DELETE' THEN SELECT count(*) INTO made FROM new_rows; END IF;
 IF gone = 0 AND made = 0 THEN RETURN NULL; END IF;
 IF current_setting('twin.whole', true) <> '' THEN
  SELECT id INTO whole FROM "city".twin_pending WHERE xid = mine AND layer = 'wells'
   AND id::text = current_setting('twin.whole', true);
 END IF;
 IF whole IS NULL THEN
  
  IF greatest(gone, made) > 10000 THEN
   IF TG_OP = 'INSERT' THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'wells', NULL, made, NULL, NULL, NULL, NULL, min(n.x1), min(n.y1), max(n.x2), max(n.y2) FROM (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n RETURNING id INTO whole;
   ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'wells', NULL, -gone, min(o.x1), min(o.y1), max(o.x2), max(o.y2), NULL, NULL, NULL, NULL FROM (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM old_rows r) o RETURNING id INTO whole;
   ELSE
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy) SELECT mine, true, 'wells', NULL, 0, o.*, n.* FROM (SELECT min(o.x1), min(o.y1), max(o.x2), max(o.y2) FROM (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM old_rows r) o) o,
     (SELECT min(n.x1), min(n.y1), max(n.x2), max(n.y2) FROM (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n) n RETURNING id INTO whole;
   END IF;
  ELSE
   IF TG_OP = 'INSERT' THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, there, old, geom, mesh) SELECT mine, row_number() OVER () = 1 AND NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine), 'wells', n.fid, 1, NULL, NULL, NULL, NULL, n.x1, n.y1, n.x2, n.y2, false, NULL, NULL, NULL FROM (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n ORDER BY n.fid;
   ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, there, old, geom, mesh) SELECT mine, row_number() OVER () = 1 AND NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine), 'wells', o.fid, -1, o.x1, o.y1, o.x2, o.y2, NULL, NULL, NULL, NULL, true, o.old, o.geom, o.mesh FROM (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2, row_to_json(json_populate_record(r.*, '{"id": null, "geom": null}')) AS old, r."geom" AS geom, NULL::bytea AS mesh FROM old_rows r) o ORDER BY o.fid;
   ELSIF made = 1 AND (SELECT o."id" = n."id" FROM old_rows o, new_rows n) THEN
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, there, old, geom, mesh) SELECT mine, row_number() OVER () = 1 AND NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine), 'wells', n.fid, 0, o.x1, o.y1, o.x2, o.y2, n.x1, n.y1, n.x2, n.y2, true, o.old, o.geom, o.mesh FROM (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2, row_to_json(json_populate_record(r.*, '{"id": null, "geom": null}')) AS old, r."geom" AS geom, NULL::bytea AS mesh FROM old_rows r) o, (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n;
   ELSE
    INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, there, old, geom, mesh) SELECT mine, row_number() OVER () = 1 AND NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine), 'wells', coalesce(n.fid, o.fid), CASE WHEN o.fid IS NULL THEN 1 WHEN n.fid IS NULL THEN -1 ELSE 0 END, o.x1, o.y1, o.x2, o.y2, n.x1, n.y1, n.x2, n.y2, o.fid IS NOT NULL, o.old, o.geom, o.mesh
     FROM (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2, row_to_json(json_populate_record(r.*, '{"id": null, "geom": null}')) AS old, r."geom" AS geom, NULL::bytea AS mesh FROM old_rows r) o FULL JOIN (SELECT r."id" AS fid, "public".st_xmin(r."geom") AS x1, "public".st_ymin(r."geom") AS y1, "public".st_xmax(r."geom") AS x2, "public".st_ymax(r."geom") AS y2 FROM new_rows r) n ON n.fid = o.fid ORDER BY coalesce(n.fid, o.fid);
   END IF;
  END IF;
  
 END IF;
 IF whole IS NOT NULL THEN
  IF TG_OP <> 'INSERT' THEN INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, part, there, old, geom, mesh) SELECT mine, false, 'wells', r.fid, 0, whole, true, r.old, r.geom, r.mesh FROM (SELECT r."id" AS fid, row_to_json(json_populate_record(r.*, '{"id": null, "geom": null}')) AS old, r."geom" AS geom, NULL::bytea AS mesh FROM old_rows r) r; END IF;
  IF TG_OP = 'INSERT' THEN INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, part, there, old, geom, mesh) SELECT mine, false, 'wells', r.fid, 0, whole, false, NULL, NULL, NULL FROM (SELECT r."id" AS fid FROM new_rows r) r; END IF;
  IF TG_OP = 'UPDATE' THEN
   INSERT INTO "city".twin_pending (xid, first, layer, fid, delta, part, there, old, geom, mesh) SELECT mine, false, 'wells', r.fid, 0, whole, false, NULL, NULL, NULL FROM (SELECT r."id" AS fid FROM new_rows r) r WHERE NOT EXISTS (SELECT FROM old_rows o WHERE o."id" = r.fid);
  END IF;
 END IF;
 
 RETURN NULL;
END $_$;

CREATE FUNCTION city.twin_number() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  mine xid8 := pg_current_xact_id();
  before bigint;
  oldest bigint;
  newest bigint;
  changed text[];
BEGIN
  IF NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = mine) THEN
    RETURN NULL;
  END IF;
  PERFORM pg_advisory_xact_lock(3300332464268188375);
  before := nextval('"city".twin_seq'::regclass) - 1;
  WITH gone AS (DELETE FROM "city".twin_pending WHERE xid = mine RETURNING *),
  numbered AS MATERIALIZED (SELECT gone.*, before + count(*) FILTER (WHERE part IS NULL)
    OVER (ORDER BY coalesce(part, id), id) AS seq FROM gone),
  put AS (INSERT INTO "city".twin_changes (seq, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy, nonce)
    SELECT seq, layer, fid, delta, old_minx, old_miny, old_maxx, old_maxy, new_minx, new_miny, new_maxx, new_maxy,
      ('x' || substr(md5(random()::text || clock_timestamp()::text), 1, 16))::bit(64)::bigint
    FROM numbered WHERE part IS NULL),
  kept AS (INSERT INTO "city".twin_past (layer, fid, until, there, old, geom, mesh)
    SELECT layer, fid, seq, there, old, geom, mesh FROM numbered WHERE there IS NOT NULL)
  SELECT min(seq), max(seq), array_agg(DISTINCT layer) INTO oldest, newest, changed FROM numbered;
  PERFORM setval('"city".twin_seq'::regclass, newest);
  UPDATE "city".twin_records SET until = newest WHERE xid = mine AND until IS NULL;
  UPDATE "city".twin_kept SET seq = newest, xid = NULL WHERE xid = mine;
  PERFORM "city".twin_set(mine, oldest, newest, changed);
  PERFORM pg_notify('twin_city', newest::text);
  RETURN newest;
END $$;

CREATE FUNCTION city.twin_record() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  mine xid8 := pg_current_xact_id();
  was json := CASE WHEN TG_OP <> 'INSERT' THEN row_to_json(OLD) END;
  named text := coalesce(NEW.id, OLD.id);
BEGIN
  IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - ARRAY['base_seq', 'base_count', 'signature', 'logger', 'seen'] = to_jsonb(OLD) - ARRAY['base_seq', 'base_count', 'signature', 'logger', 'seen'] THEN
    RETURN NULL;
  END IF;
  IF NOT EXISTS (SELECT FROM "city".twin_records WHERE xid = mine AND until IS NULL AND layer = named) THEN
    INSERT INTO "city".twin_records (layer, xid, record) VALUES (named, mine, was);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION city.twin_recorded() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  now jsonb := coalesce((SELECT to_jsonb(l) FROM "city".twin_layers l WHERE id = NEW.layer),
    (SELECT to_jsonb(f) FROM "city".twin_forms f WHERE id = NEW.layer));
  passing text[] := ARRAY['base_seq', 'base_count', 'signature', 'logger', 'seen'] || 'generation'::text;
  newest bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM "city".twin_records
    WHERE xid = NEW.xid AND until IS NULL AND layer = NEW.layer) THEN
    RETURN NULL;
  END IF;
  IF NOT EXISTS (SELECT FROM "city".twin_pending WHERE xid = NEW.xid) THEN
    IF now - passing = NEW.record::jsonb - passing THEN
      SELECT coalesce(max(last), 0) INTO newest FROM "city".twin_sets;
      UPDATE "city".twin_records SET until = newest WHERE xid = NEW.xid AND until IS NULL AND layer = NEW.layer
        AND NOT EXISTS (SELECT FROM "city".twin_records o WHERE o.layer = NEW.layer AND o.until = newest);
      DELETE FROM "city".twin_records WHERE xid = NEW.xid AND until IS NULL AND layer = NEW.layer;
      RETURN NULL;
    END IF;
    INSERT INTO "city".twin_pending (xid, first, layer, delta) VALUES (NEW.xid, false, NEW.layer, 0);
  END IF;
  PERFORM "city".twin_number();
  RETURN NULL;
END $$;

CREATE FUNCTION city.twin_set(mine xid8, oldest bigint, newest bigint, changed text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  present "city".twin_sets;
  said json;
  next bigint;
  now_ms bigint := 1000 * extract(epoch FROM date_trunc('milliseconds', clock_timestamp()));
BEGIN
  SELECT * INTO present FROM "city".twin_sets ORDER BY id DESC LIMIT 1;
  IF present.xid = mine THEN
    UPDATE "city".twin_sets SET last = newest,
      layers = ARRAY(SELECT DISTINCT unnest(layers || changed) ORDER BY 1) WHERE id = present.id;
    RETURN;
  END IF;
  IF current_setting('twin.author', true) <> '' AND pg_has_role(session_user, current_user, 'MEMBER') THEN
    said := current_setting('twin.author', true);
  ELSE
    said := json_build_object('via', 'other', 'actor', session_user, 'message',
      current_setting('application_name'), 'address', coalesce(host(inet_client_addr()), ''));
  END IF;
  -- an older snapshot does not show the sets that were made since: the sequences do
  next := coalesce(present.id, 0) + 1;
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    next := (SELECT last_value FROM "city".twin_set_id) + 1;
  END IF;
  now_ms := greatest(now_ms, (SELECT last_value FROM "city".twin_set_at));
  PERFORM setval('"city".twin_set_id'::regclass, next);
  PERFORM setval('"city".twin_set_at'::regclass, now_ms);
  INSERT INTO "city".twin_sets VALUES (next, oldest, newest,
    greatest(present.at, to_timestamp(now_ms / 1000.0)), said->>'actor', said->>'via',
    coalesce(said->>'message', ''), coalesce(said->>'address', ''), changed, (said->>'generation')::bigint,
    (said->>'undone')::bigint, mine);
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

CREATE TABLE city.twin_epochs (
    epoch text NOT NULL,
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL
);

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

CREATE TABLE city.twin_kept (
    layer text NOT NULL COLLATE pg_catalog."C",
    seq bigint,
    at timestamp with time zone NOT NULL,
    why text NOT NULL,
    xid xid8
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
    vertical_datum text DEFAULT ''::text NOT NULL,
    seen oid
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
    since bigint DEFAULT 0 NOT NULL,
    began timestamp with time zone DEFAULT date_trunc('milliseconds'::text, clock_timestamp()) NOT NULL,
    history text,
    CONSTRAINT twin_meta_one_check CHECK (one)
);

CREATE TABLE city.twin_past (
    layer text NOT NULL COLLATE pg_catalog."C",
    fid bigint,
    until bigint NOT NULL,
    there boolean NOT NULL,
    old json,
    geom public.geometry,
    mesh bytea
)
PARTITION BY LIST (layer);

CREATE TABLE city.twin_past_buildings (
    layer text NOT NULL COLLATE pg_catalog."C",
    fid bigint,
    until bigint NOT NULL,
    there boolean NOT NULL,
    old json,
    geom public.geometry,
    mesh bytea
);

CREATE TABLE city.twin_past_wells (
    layer text NOT NULL COLLATE pg_catalog."C",
    fid bigint,
    until bigint NOT NULL,
    there boolean NOT NULL,
    old json,
    geom public.geometry,
    mesh bytea
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
    new_maxy double precision,
    part bigint,
    there boolean,
    old json,
    geom public.geometry,
    mesh bytea
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

CREATE TABLE city.twin_records (
    layer text NOT NULL COLLATE pg_catalog."C",
    until bigint,
    xid xid8,
    record json
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

CREATE SEQUENCE city.twin_set_at
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;

CREATE SEQUENCE city.twin_set_id
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;

CREATE TABLE city.twin_sets (
    id bigint NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text,
    via text NOT NULL,
    message text NOT NULL,
    address text NOT NULL,
    layers text[] NOT NULL,
    generation bigint,
    undone bigint,
    xid xid8
);

CREATE TABLE city.twin_stages (
    name text NOT NULL,
    lock bigint NOT NULL
);

CREATE TABLE public.wells (
    id integer NOT NULL,
    depth double precision,
    geom public.geometry(Point,4326)
);

ALTER TABLE ONLY city.twin_past ATTACH PARTITION city.twin_past_buildings FOR VALUES IN ('buildings');

ALTER TABLE ONLY city.twin_past ATTACH PARTITION city.twin_past_wells FOR VALUES IN ('wells');

INSERT INTO city.buildings VALUES (2, '0103000020E610000001000000050000008A4160E5D00239400000000000004E408A4160E5D0023940E3A59BC420004E40C3F5285C8F023940E3A59BC420004E40C3F5285C8F0239400000000000004E408A4160E5D00239400000000000004E40', 'b1', 'b', NULL, 1, NULL, NULL, NULL);
INSERT INTO city.buildings VALUES (1, NULL, 'b0', 'a', 2.5, 0, NULL, NULL, NULL);

INSERT INTO city.twin_changes VALUES (1, 'wells', NULL, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -8797873722467547155);
INSERT INTO city.twin_changes VALUES (2, 'buildings', NULL, 3, NULL, NULL, NULL, NULL, 25, 60, 25.0210018157959, 60.00100326538086, -4465144260290846020);
INSERT INTO city.twin_changes VALUES (3, 'buildings', 1, 0, 25, 60, 25.001, 60.001, 25, 60, 25.001, 60.001, 5279162175181101631);
INSERT INTO city.twin_changes VALUES (4, 'buildings', 2, 0, 25.01, 60, 25.011000000000003, 60.001, 25.01, 60, 25.011000000000003, 60.001, 4438954671317217767);
INSERT INTO city.twin_changes VALUES (5, 'wells', 1, 0, 25.001, 60, 25.001, 60, 25.001, 60, 25.001, 60, 2239418332157434938);
INSERT INTO city.twin_changes VALUES (6, 'buildings', 3, -1, 25.02, 60, 25.021, 60.001, NULL, NULL, NULL, NULL, -4685179781257639279);
INSERT INTO city.twin_changes VALUES (7, 'buildings', 1, 0, 25, 60, 25.001, 60.001, NULL, NULL, NULL, NULL, 8194840759834403842);

INSERT INTO city.twin_epochs VALUES ('c0be27358b6d', 0, '2026-11-30 16:13:03.953+00');

INSERT INTO city.twin_history VALUES ('buildings', 3, 0);

INSERT INTO city.twin_kept VALUES ('wells', 1, '2026-11-30 16:13:04.312+00', 'gap', NULL);

INSERT INTO city.twin_layers VALUES ('wells', 'feature', '{}', 'Point', 'EPSG:4326', NULL, '[]', 1, '[]', '{"schema": "public", "table": "wells", "fid": "id", "geometry": "geom", "srid": 4326, "refresh": 10.0}', 'twin_log_wells', 'ok', '17430 1107460 followed b2a7ac82b52093c1bc8f6039 3260e7e06564837b2f9ba8c1 01109847c5b3bd53e690f9dd', '[["depth", "double precision", "number", false]]', 0, 0, '', 17438);
INSERT INTO city.twin_layers VALUES ('buildings', 'building', '{"en": "Buildings"}', 'Polygon', 'EPSG:3879', NULL, '[]', 1, '[{"name": "source_id", "type": "string", "title": {"en": "Source id", "zh-CN": "来源标识"}, "unit": null, "codes": null}, {"name": "name", "type": "string", "title": {"en": "Name", "zh-CN": "名称"}, "unit": null, "codes": null}, {"name": "height_m", "type": "number", "title": {"en": "Height"}, "unit": "m", "codes": null}, {"name": "levels", "type": "integer", "title": {}, "unit": null, "codes": null}, {"name": "listed", "type": "boolean", "title": {}, "unit": null, "codes": null}, {"name": "built", "type": "date", "title": {}, "unit": null, "codes": null}, {"name": "seen", "type": "datetime", "title": {}, "unit": null, "codes": null}]', NULL, 'twin_log_buildings', 'ok', '17609 -1 followed b2a7ac82b52093c1bc8f6039 db48e52445c87764ea447bfb ee589d8751651c06806b0019', '[["source_id", "text", "string", false], ["name", "text", "string", false], ["height_m", "double precision", "number", false], ["levels", "bigint", "integer", false], ["listed", "boolean", "boolean", false], ["built", "date", "date", false], ["seen", "timestamp with time zone", "datetime", false]]', 0, 0, '', 17438);

INSERT INTO city.twin_mesh_buildings VALUES (2, '\x4d534831040000000400000000000000000039400000000000004e400000000000000000c74b3789410039400000000000004e4000000000000000000000000000003940e3a59bc420004e40000000000000000000000000000039400000000000004e40000000000000244000000000020000000100000000000000010000000300000001000000020000000300000002000000000000000300000001020302');

INSERT INTO city.twin_meta VALUES (true, 5, 'c0be27358b6d', 2, '7713993774343869975/17429/17438/00000001', '', 0, 0, '2026-11-30 16:13:03.919+00', NULL);

INSERT INTO city.twin_past_buildings VALUES ('buildings', 1, 3, true, '{"fid":null,"geom":null,"source_id":"b0","name":"house 0","height_m":null,"levels":0,"listed":null,"built":null,"seen":null}', '0103000020E61000000100000005000000C74B3789410039400000000000004E40C74B378941003940E3A59BC420004E400000000000003940E3A59BC420004E4000000000000039400000000000004E40C74B3789410039400000000000004E40', NULL);
INSERT INTO city.twin_past_buildings VALUES ('buildings', 2, 4, true, '{"fid":null,"geom":null,"source_id":"b1","name":"house 1","height_m":null,"levels":1,"listed":null,"built":null,"seen":null}', '0103000020E610000001000000050000008A4160E5D00239400000000000004E408A4160E5D0023940E3A59BC420004E40C3F5285C8F023940E3A59BC420004E40C3F5285C8F0239400000000000004E408A4160E5D00239400000000000004E40', '\x4d534831040000000400000000000000000039400000000000004e400000000000000000c74b3789410039400000000000004e4000000000000000000000000000003940e3a59bc420004e40000000000000000000000000000039400000000000004e40000000000000244000000000020000000100000000000000010000000300000001000000020000000300000002000000000000000300000001020302');
INSERT INTO city.twin_past_buildings VALUES ('buildings', 3, 6, true, '{"fid":null,"geom":null,"source_id":"b2","name":"house 2","height_m":null,"levels":2,"listed":null,"built":null,"seen":null}', '0103000020E610000001000000050000004C378941600539400000000000004E404C37894160053940E3A59BC420004E4085EB51B81E053940E3A59BC420004E4085EB51B81E0539400000000000004E404C378941600539400000000000004E40', NULL);
INSERT INTO city.twin_past_buildings VALUES ('buildings', 1, 7, true, '{"fid":null,"geom":null,"source_id":"b0","name":"a","height_m":2.5,"levels":0,"listed":null,"built":null,"seen":null}', '0103000020E61000000100000005000000C74B3789410039400000000000004E40C74B378941003940E3A59BC420004E400000000000003940E3A59BC420004E4000000000000039400000000000004E40C74B3789410039400000000000004E40', NULL);

INSERT INTO city.twin_past_wells VALUES ('wells', 1, 5, true, '{"id":null,"depth":1,"geom":null}', '0101000020E6100000C74B3789410039400000000000004E40', NULL);

INSERT INTO city.twin_records VALUES ('wells', 1, '732', NULL);
INSERT INTO city.twin_records VALUES ('buildings', 2, '737', NULL);

INSERT INTO city.twin_sets VALUES (1, 1, 1, '2026-11-30 16:13:04.319+00', NULL, 'repair', '', '', '{wells}', NULL, NULL, '732');
INSERT INTO city.twin_sets VALUES (2, 2, 2, '2026-11-30 16:13:08.186+00', NULL, 'api', '', '', '{buildings}', 1, NULL, '737');
INSERT INTO city.twin_sets VALUES (3, 3, 3, '2026-11-30 16:13:08.303+00', 'anna', 'api', '', '', '{buildings}', NULL, NULL, '739');
INSERT INTO city.twin_sets VALUES (4, 4, 4, '2026-11-30 16:13:08.318+00', 'anna', 'api', '', '', '{buildings}', NULL, NULL, '740');
INSERT INTO city.twin_sets VALUES (5, 5, 5, '2026-11-30 16:13:08.329+00', 'ben', 'api', '', '', '{wells}', NULL, NULL, '741');
INSERT INTO city.twin_sets VALUES (6, 6, 6, '2026-11-30 16:13:08.336+00', NULL, 'api', '', '', '{buildings}', NULL, NULL, '742');
INSERT INTO city.twin_sets VALUES (7, 7, 7, '2026-11-30 16:13:08.344+00', NULL, 'api', '', '', '{buildings}', NULL, NULL, '743');

INSERT INTO public.wells VALUES (2, 2, '0101000020E61000008D976E12830039400000000000004E40');
INSERT INTO public.wells VALUES (1, 7, '0101000020E6100000C74B3789410039400000000000004E40');

SELECT pg_catalog.setval('city.buildings_fid_seq', 3, true);

SELECT pg_catalog.setval('city.twin_pending_id_seq', 7, true);

SELECT pg_catalog.setval('city.twin_seq', 7, true);

SELECT pg_catalog.setval('city.twin_set_at', 1796055188344, true);

SELECT pg_catalog.setval('city.twin_set_id', 7, true);

ALTER TABLE ONLY city.buildings
    ADD CONSTRAINT buildings_pkey PRIMARY KEY (fid);

ALTER TABLE ONLY city.twin_changes
    ADD CONSTRAINT twin_changes_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY city.twin_epochs
    ADD CONSTRAINT twin_epochs_pkey PRIMARY KEY (epoch);

ALTER TABLE ONLY city.twin_forms
    ADD CONSTRAINT twin_forms_pkey PRIMARY KEY (id);

ALTER TABLE ONLY city.twin_history
    ADD CONSTRAINT twin_history_pkey PRIMARY KEY (layer);

ALTER TABLE ONLY city.twin_kept
    ADD CONSTRAINT twin_kept_pkey PRIMARY KEY (layer);

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

ALTER TABLE ONLY city.twin_sets
    ADD CONSTRAINT twin_sets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY city.twin_stages
    ADD CONSTRAINT twin_stages_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.wells
    ADD CONSTRAINT wells_pkey PRIMARY KEY (id);

CREATE INDEX twin_changes_feature ON city.twin_changes USING btree (layer, fid, seq);

CREATE INDEX twin_changes_layer ON city.twin_changes USING btree (layer, seq) INCLUDE (delta);

CREATE INDEX twin_past_unplaced ON ONLY city.twin_past USING btree (fid) WHERE (there AND (
CASE
    WHEN ((geom IS NULL) OR public.st_isempty(geom)) THEN 1
    ELSE NULL::integer
END = 1));

CREATE INDEX twin_past_buildings_fid_idx ON city.twin_past_buildings USING btree (fid) WHERE (there AND (
CASE
    WHEN ((geom IS NULL) OR public.st_isempty(geom)) THEN 1
    ELSE NULL::integer
END = 1));

CREATE INDEX twin_past_fid ON ONLY city.twin_past USING btree (fid, until);

CREATE INDEX twin_past_buildings_fid_until_idx ON city.twin_past_buildings USING btree (fid, until);

CREATE INDEX twin_past_place ON ONLY city.twin_past USING gist (geom);

CREATE INDEX twin_past_buildings_geom_idx ON city.twin_past_buildings USING gist (geom);

CREATE INDEX twin_past_until ON ONLY city.twin_past USING btree (until, fid);

CREATE INDEX twin_past_buildings_until_fid_idx ON city.twin_past_buildings USING btree (until, fid);

CREATE INDEX twin_past_wells_fid_idx ON city.twin_past_wells USING btree (fid) WHERE (there AND (
CASE
    WHEN ((geom IS NULL) OR public.st_isempty(geom)) THEN 1
    ELSE NULL::integer
END = 1));

CREATE INDEX twin_past_wells_fid_until_idx ON city.twin_past_wells USING btree (fid, until);

CREATE INDEX twin_past_wells_geom_idx ON city.twin_past_wells USING gist (geom);

CREATE INDEX twin_past_wells_until_fid_idx ON city.twin_past_wells USING btree (until, fid);

CREATE INDEX twin_pending_xid ON city.twin_pending USING btree (xid);

CREATE INDEX twin_place_buildings ON city.buildings USING gist (geom);

CREATE INDEX twin_records_layer ON city.twin_records USING btree (layer, until);

CREATE INDEX twin_records_xid ON city.twin_records USING btree (xid) WHERE (until IS NULL);

CREATE INDEX twin_sets_at ON city.twin_sets USING btree (at, id);

CREATE UNIQUE INDEX twin_sets_last ON city.twin_sets USING btree (last);

CREATE INDEX twin_source_buildings ON city.buildings USING btree (source_id);

CREATE INDEX twin_unplaced_buildings ON city.buildings USING btree (fid) WHERE (
CASE
    WHEN ((geom IS NULL) OR public.st_isempty(geom)) THEN 1
    ELSE NULL::integer
END = 1);

ALTER INDEX city.twin_past_unplaced ATTACH PARTITION city.twin_past_buildings_fid_idx;

ALTER INDEX city.twin_past_fid ATTACH PARTITION city.twin_past_buildings_fid_until_idx;

ALTER INDEX city.twin_past_place ATTACH PARTITION city.twin_past_buildings_geom_idx;

ALTER INDEX city.twin_past_until ATTACH PARTITION city.twin_past_buildings_until_fid_idx;

ALTER INDEX city.twin_past_unplaced ATTACH PARTITION city.twin_past_wells_fid_idx;

ALTER INDEX city.twin_past_fid ATTACH PARTITION city.twin_past_wells_fid_until_idx;

ALTER INDEX city.twin_past_place ATTACH PARTITION city.twin_past_wells_geom_idx;

ALTER INDEX city.twin_past_until ATTACH PARTITION city.twin_past_wells_until_fid_idx;

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

CREATE TRIGGER twin_record AFTER INSERT OR DELETE OR UPDATE ON city.twin_forms FOR EACH ROW EXECUTE FUNCTION city.twin_record();

CREATE TRIGGER twin_record AFTER INSERT OR DELETE OR UPDATE ON city.twin_layers FOR EACH ROW EXECUTE FUNCTION city.twin_record();

CREATE CONSTRAINT TRIGGER twin_recorded AFTER INSERT ON city.twin_records DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION city.twin_recorded();

ALTER TABLE city.twin_records ENABLE ALWAYS TRIGGER twin_recorded;

CREATE TRIGGER twin_city_wells_delete AFTER DELETE ON public.wells REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_wells();

ALTER TABLE public.wells ENABLE ALWAYS TRIGGER twin_city_wells_delete;

CREATE TRIGGER twin_city_wells_insert AFTER INSERT ON public.wells REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_wells();

ALTER TABLE public.wells ENABLE ALWAYS TRIGGER twin_city_wells_insert;

CREATE TRIGGER twin_city_wells_truncate BEFORE TRUNCATE ON public.wells FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_wells();

ALTER TABLE public.wells ENABLE ALWAYS TRIGGER twin_city_wells_truncate;

CREATE TRIGGER twin_city_wells_update AFTER UPDATE ON public.wells REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION city.twin_log_wells();

ALTER TABLE public.wells ENABLE ALWAYS TRIGGER twin_city_wells_update;

REVOKE ALL ON FUNCTION city.twin_number() FROM PUBLIC;

REVOKE ALL ON FUNCTION city.twin_set(mine xid8, oldest bigint, newest bigint, changed text[]) FROM PUBLIC;

REFRESH MATERIALIZED VIEW city.twin_complete;

