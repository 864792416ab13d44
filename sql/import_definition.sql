-- IMPORT TABLE CREATE USING: files that are no definitions, and definitions that would reach farther than they say.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP SCHEMA IF EXISTS import_definition CASCADE;
RESET client_min_messages;
SET kwjobs.progress_interval = 0;
CREATE SCHEMA import_definition;
SET search_path = import_definition, public;
\set SHOW_CONTEXT never
\pset null NULL
\i `echo "$KWJ_INCLUDE/files.sql"`
-- A directory outside of the server's own, under a name that is the same in each run.
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_definition)" kwj_definition; ln -s "$(mktemp -d)" kwj_definition';
\set dir /proc/self/cwd/kwj_definition
\set ddl :dir/ddl.sql
\set good :dir/good.csv
\set bad :dir/bad.csv
SELECT write_file(:'good', E'1,one\n2,two\n'), write_file(:'bad', E'1,one\nx,two\n') \gset

-- 1. A file that is no text, or none that ends.
SELECT write_file(:'ddl', 'CREATE TABLE t (id integer);'::bytea || '\x00'::bytea || ' CREATE TABLE u (id integer);'::bytea) \gset
IMPORT TABLE CREATE USING :'ddl';
SELECT write_file(:'ddl', repeat('-- x' || E'\n', 300000)) \gset
IMPORT TABLE CREATE USING :'ddl';
IMPORT TABLE CREATE USING '/dev/zero';
COPY (SELECT WHERE false) TO PROGRAM 'mkfifo kwj_definition/pipe; ln -s ddl.sql kwj_definition/link.sql';
\set pipe :dir/pipe
IMPORT TABLE CREATE USING :'pipe';
\set link :dir/link.sql
IMPORT TABLE CREATE USING :'link';

-- 2. A byte order mark of UTF-8 is left out. How SET client_encoding is written does not matter.
SELECT write_file(:'ddl', '\xefbbbf'::bytea || convert_to('CREATE TABLE t (id integer, näme text);', 'UTF8')) \gset
IMPORT TABLE CREATE USING :'ddl' \gset
\echo :status
DROP TABLE t;
SELECT write_file(:'ddl', E'-- x\n set  Client_Encoding to ''latin1'';\nCREATE TABLE t (id integer, "n\\344me" text);'::bytea) \gset
IMPORT TABLE CREATE USING :'ddl' \gset
\echo :status
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 2;
DROP TABLE t;
SELECT write_file(:'ddl', E'SET client_encoding = TCVN;\nCREATE TABLE t (id integer, "n\\342me" text);'::bytea) \gset
IMPORT TABLE CREATE USING :'ddl' \gset
\echo :status
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 2;
DROP TABLE t;

SET client_min_messages = warning;
DROP SCHEMA import_definition CASCADE;
COPY (SELECT WHERE false) TO PROGRAM 'rm -rf "$(readlink kwj_definition)" kwj_definition';
