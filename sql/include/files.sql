\set ECHO none
-- Functions by which a test writes a file on the server. It includes this file with
--     \i `echo "$KWJ_INCLUDE/files.sql"`
-- where make installcheck sets KWJ_INCLUDE. The functions are in the first schema of search_path, which
-- is the test's own.

CREATE FUNCTION write_file(path text, content bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE object oid := lo_from_bytea(0, content);
BEGIN
    PERFORM lo_export(object, path), lo_unlink(object);
END $$;
CREATE FUNCTION write_file(path text, content text) RETURNS void
RETURN write_file(path, convert_to(content, 'UTF8'));
\set ECHO all
