-- The two roles of a city. Run once by psql, as a superuser, in the city's database:
-- the image of docker/compose.yaml does it by itself, docs/deploying.md shows it for a server of your own.
\getenv writer_password TWIN_WRITER_PASSWORD
\getenv reader_password TWIN_READER_PASSWORD

CREATE EXTENSION IF NOT EXISTS postgis;

-- makes the city's schema and owns what is in it
CREATE ROLE twin_writer LOGIN PASSWORD :'writer_password';
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE :"DBNAME" TO twin_writer;

-- answers every read; is granted what it reads when a layer is published, and can change nothing
CREATE ROLE twin_reader LOGIN PASSWORD :'reader_password';
GRANT CONNECT ON DATABASE :"DBNAME" TO twin_reader;
ALTER ROLE twin_reader SET default_transaction_read_only = on;

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
