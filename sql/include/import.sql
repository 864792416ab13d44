\set ECHO none
-- How the tests of IMPORT that show rows and errors begin. Such a test names its schema, and the roles that
-- it creates, and includes this file:
--     \set schema import_rows
--     \set roles 'kwj_importer, kwj_reader'
--     \i `echo "$KWJ_INCLUDE/import.sql"`
-- where make installcheck sets KWJ_INCLUDE. What a run that was interrupted has left is dropped first. The
-- schema is new and the first in search_path. No lines of progress come, however long an import takes.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
DROP SCHEMA IF EXISTS :"schema" CASCADE;
\if :{?roles}
DROP ROLE IF EXISTS :roles;
\endif
RESET client_min_messages;
SET kwjobs.progress_interval = 0;
CREATE SCHEMA :"schema";
SET search_path = :"schema";
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only
\pset null NULL
\set ECHO all
