-- Whatever a user may come across has a comment: \d+, \df+ and \dT+ tell what it is.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kwjobs;
RESET client_min_messages;
SELECT c.oid::regclass AS relation FROM pg_class AS c
 WHERE c.relnamespace IN ('kwjobs'::regnamespace, 'kwdb_internal'::regnamespace) AND c.relkind IN ('r', 'v')
   AND obj_description(c.oid, 'pg_class') IS NULL ORDER BY 1;
SELECT c.oid::regclass AS relation, a.attname AS "column" FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
 WHERE c.relnamespace IN ('kwjobs'::regnamespace, 'kwdb_internal'::regnamespace) AND c.relkind = 'v'
   AND a.attnum > 0 AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1, 2;
SELECT p.oid::regprocedure AS routine FROM pg_proc AS p
  JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'kwjobs'
 WHERE obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1;
SELECT t.oid::regtype AS type FROM pg_type AS t
 WHERE t.typnamespace = 'kwjobs'::regnamespace AND t.typtype = 'b' AND t.typelem = 0
   AND obj_description(t.oid, 'pg_type') IS NULL ORDER BY 1;
-- the test finds what it looks for
SELECT col_description('kwdb_internal.jobs'::regclass, 1), obj_description('kwjobs.submit'::regproc, 'pg_proc');
