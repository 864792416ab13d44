# A revert removes rows as the owner of the table. It runs nobody's code as that owner, or as
# the owner of a table that a foreign key leads to, but that owner's and superusers'.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('rights', "kwjobs.import_batch_size = '1kB'\n");
my $csv = write_csv($node, 300);
# the last record breaks a constraint, when other batches are committed
append_to_file($csv, "-2,row\n");

sub run_sql { return $node->safe_psql('postgres', $_[0]); }

run_sql(<<'EOF_SQL');
CREATE ROLE victim LOGIN;
CREATE ROLE other LOGIN;
CREATE ROLE imp LOGIN IN ROLE pg_read_server_files;
CREATE ROLE deputy LOGIN IN ROLE victim;
GRANT CREATE ON SCHEMA public TO victim, other, imp, deputy;
CREATE TABLE ran (as_role name);
GRANT INSERT ON ran TO PUBLIC;
-- the same function, owned by each
DO $$
DECLARE r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['victim', 'other', 'imp', 'deputy', 'postgres'] LOOP
        EXECUTE format('CREATE FUNCTION note_of_%s() RETURNS trigger LANGUAGE plpgsql AS
            ''BEGIN INSERT INTO public.ran VALUES (current_user); RETURN coalesce(OLD, NEW); END''', r);
        EXECUTE format('CREATE FUNCTION condition_of_%s(n integer) RETURNS boolean LANGUAGE plpgsql AS
            ''BEGIN INSERT INTO public.ran VALUES (current_user); RETURN true; END''', r);
        IF r <> 'postgres' THEN
            EXECUTE format('ALTER FUNCTION note_of_%1$s() OWNER TO %1$s', r);
            EXECUTE format('ALTER FUNCTION condition_of_%1$s(integer) OWNER TO %1$s', r);
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION definer_of_imp() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    'BEGIN INSERT INTO public.ran VALUES (current_user); RETURN coalesce(OLD, NEW); END';
CREATE FUNCTION definer_of_postgres() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    'BEGIN INSERT INTO public.ran VALUES (current_user); RETURN coalesce(OLD, NEW); END';
-- it takes back that the other one runs as imp, before that is called
CREATE FUNCTION changing() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    'BEGIN INSERT INTO public.ran VALUES (current_user); ALTER FUNCTION public.definer_of_imp() SECURITY INVOKER; RETURN coalesce(OLD, NEW); END';
ALTER FUNCTION definer_of_imp() OWNER TO imp;
ALTER FUNCTION changing() OWNER TO imp;
EOF_SQL

my $tables = 0;

# As whom a trigger of a table that other owns runs AFTER a foreign key of victim's table has changed it
my $late = $node->pg_version >= 18 ? 'other' : 'victim';

# A table of victim, with what else is said of it ($table and $n are known there); an import by imp
# fails. Returns the job.
sub fail_import
{
	my ($role, $setup, $owner) = @_;
	my $n = ++$tables;
	my $table = "table$n";
	$owner //= 'victim';
	run_sql("SET ROLE $owner; CREATE TABLE $table (n integer PRIMARY KEY CHECK (n <> -2), t text);"
		  . "GRANT SELECT, INSERT, TRIGGER, REFERENCES ON $table TO imp, other;"
		  . "RESET ROLE; TRUNCATE ran;" . $setup =~ s/TABLE_/$table/gr);
	my $job = $node->safe_psql('postgres', "SELECT kwjobs.import('$table', ARRAY['$csv'])", connstr => $node->connstr('postgres') . " user=$role");
	wait_for_end($node, $job);
	return ($job, $table);
}

sub ran_as { return run_sql("SELECT string_agg(DISTINCT as_role, ',' ORDER BY as_role) FROM ran"); }

# The rows go; the code ran as these roles.
sub is_reverted
{
	my ($name, $as, $setup, %other) = @_;
	my ($job, $table) = fail_import($other{role} // 'imp', $setup, $other{owner});
	is(job_field($node, $job, 'status, error_code'), 'failed|23514', "$name: the job is reverted");
	is(run_sql("SELECT count(*) FROM $table"), '0', '... its rows are gone');
	is(ran_as(), $as, '... and what ran as whom');
	return;
}

# The revert is refused, no code ran, and it goes on when the trigger is disabled.
sub is_refused
{
	my ($name, $setup, %other) = @_;
	my ($job, $table) = fail_import($other{role} // 'imp', $setup, $other{owner});
	my $on = $other{on} // $table;
	my $owner = $other{runs_as} // 'victim';
	is( job_field($node, $job, 'status, error_code, error, error_detail, error_hint'),
		qq{revert-failed|55000|trigger "t" of table "$on" keeps imported rows from being removed|}
		  . qq{It would run as role "$owner", what may be neither that role's nor a superuser's choice.|}
		  . qq{Have the owner of the table disable or drop the trigger, or have role "$owner" own its function, then type RESUME JOB.},
		"$name: the revert is refused");
	is(ran_as(), '', '... and nothing ran');
	is(run_sql("SELECT count(*) > 0 FROM $table"), 't', '... and the rows are there');
	run_sql("ALTER TABLE $on DISABLE TRIGGER @{[ $other{disabled} // 't' ]}; SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'failed');
	is(run_sql("SELECT count(*) FROM $table"), '0', '... until the trigger is disabled');
	is(ran_as(), '', '... and again nothing ran');
	return;
}

my $trigger = 'CREATE TRIGGER t BEFORE DELETE ON TABLE_ FOR EACH ROW';

# Triggers of the table itself
is_reverted('no trigger', '', '');
is_reverted("the owner's function", 'victim', "SET ROLE victim; $trigger EXECUTE FUNCTION note_of_victim()");
is_reverted("the owner's function with arguments", 'victim', "SET ROLE victim; $trigger EXECUTE FUNCTION note_of_victim('x')");
is_reverted("a superuser's function", 'victim', "SET ROLE victim; $trigger EXECUTE FUNCTION note_of_postgres()");
is_reverted('the function of a role that may act as the owner', 'victim', "$trigger EXECUTE FUNCTION note_of_deputy()");
is_reverted("a superuser's function that runs as that one", 'postgres', "SET ROLE imp; $trigger EXECUTE FUNCTION definer_of_postgres('x')");
is_reverted('a condition on columns', 'victim', "SET ROLE victim; $trigger WHEN (OLD.n < 3 AND OLD.t LIKE 'row%' AND pg_trigger_depth() = 0) EXECUTE FUNCTION note_of_victim()");
is_reverted("a condition of the owner's", 'victim', "SET ROLE victim; $trigger WHEN (condition_of_victim(OLD.n)) EXECUTE FUNCTION note_of_victim()");
is_reverted("a trigger on INSERT", 'imp', 'SET ROLE imp; CREATE TRIGGER t AFTER INSERT OR UPDATE ON TABLE_ FOR EACH ROW EXECUTE FUNCTION note_of_imp()');
is_refused("imp's function", "SET ROLE imp; $trigger EXECUTE FUNCTION note_of_imp()");
is_refused("imp's function that runs as imp", "SET ROLE imp; $trigger EXECUTE FUNCTION definer_of_imp()");
is_refused("imp's functions that run as imp until one changes the other",
	"SET ROLE imp; $trigger EXECUTE FUNCTION changing(); CREATE TRIGGER u BEFORE DELETE ON TABLE_ FOR EACH ROW EXECUTE FUNCTION definer_of_imp()",
	disabled => 'USER');
is_refused("imp's function, import by a superuser", "SET ROLE imp; $trigger EXECUTE FUNCTION note_of_imp()", role => 'postgres');
is_refused("a third role's function", "SET ROLE imp; $trigger EXECUTE FUNCTION note_of_other()");
is_refused('after the row', 'SET ROLE imp; CREATE TRIGGER t AFTER DELETE ON TABLE_ FOR EACH ROW EXECUTE FUNCTION note_of_imp()');
is_refused('for the statement', 'SET ROLE imp; CREATE TRIGGER t AFTER DELETE ON TABLE_ REFERENCING OLD TABLE AS gone EXECUTE FUNCTION note_of_imp()');
is_refused('deferred', 'SET ROLE imp; CREATE CONSTRAINT TRIGGER t AFTER DELETE ON TABLE_ DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_of_imp()');
is_refused("a superuser's function that is told what to do", "SET ROLE imp; $trigger EXECUTE FUNCTION note_of_postgres('what', 'to do')");
is_refused("imp's function in a condition", "SET ROLE imp; $trigger WHEN (condition_of_imp(OLD.n)) EXECUTE FUNCTION note_of_victim()");
is_refused('a function that runs any text, in a condition',
	"SET ROLE imp; $trigger WHEN (query_to_xml('INSERT INTO ran VALUES (current_user)', true, true, '') IS NULL) EXECUTE FUNCTION note_of_victim()");
is_refused('a type of imp in a condition',
	"SET ROLE imp; CREATE TYPE of_imp AS (n integer); $trigger WHEN (ROW(OLD.n)::of_imp IS NULL) EXECUTE FUNCTION note_of_victim()");
# the owner of the table imports: what a trigger does on INSERT is done as that role, too
run_sql('GRANT pg_read_server_files TO victim');
is_reverted("the owner's own import", 'victim', "SET ROLE imp; $trigger EXECUTE FUNCTION note_of_imp()", role => 'victim');

# Partitions have triggers and owners of their own. PostgreSQL 14 calls these triggers internal.
for my $internal (0, 1)
{
	my $partition = 'partition' . ($tables + 1);
	is_refused("imp's trigger on a partitioned table" . ($internal ? ', as of PostgreSQL 14' : ''), <<"EOF_SQL", on => $partition);
SET ROLE victim;
CREATE TABLE parted (n integer CHECK (n <> -2), t text) PARTITION BY RANGE (n);
CREATE TABLE $partition PARTITION OF parted DEFAULT;
GRANT INSERT, TRIGGER ON parted, $partition TO imp;
SET ROLE imp;
CREATE TRIGGER t BEFORE DELETE ON parted FOR EACH ROW EXECUTE FUNCTION note_of_imp();
RESET ROLE;
DROP TABLE TABLE_;
ALTER TABLE parted RENAME TO TABLE_;
@{[ $internal ? "UPDATE pg_trigger SET tgisinternal = true WHERE tgrelid = '$partition'::regclass" : '' ]}
EOF_SQL
}

# Foreign keys pass a DELETE on. The rows that refer come in by a trigger of the import.
sub refers
{
	my ($action, $trigger_sql, $owner, $extra) = @_;
	my $n = $tables + 1;
	return "SET ROLE $owner; CREATE TABLE child$n (n integer DEFAULT -1 REFERENCES TABLE_ ON DELETE $action, t text);"
	  . "GRANT INSERT, TRIGGER ON child$n TO imp, victim;" . ($extra // '')
	  . "SET ROLE victim; CREATE FUNCTION copy_to_child$n() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO public.child$n VALUES (NEW.n); RETURN NULL; END';"
	  . "CREATE TRIGGER copy AFTER INSERT ON TABLE_ FOR EACH ROW EXECUTE FUNCTION copy_to_child$n();"
	  . "RESET ROLE;" . $trigger_sql =~ s/CHILD_/child$n/gr;
}
is_reverted('CASCADE', '', refers('CASCADE', '', 'other'));
is_reverted("CASCADE, its owner's trigger", 'other', refers('CASCADE', 'SET ROLE other; CREATE TRIGGER t BEFORE DELETE ON CHILD_ FOR EACH ROW EXECUTE FUNCTION note_of_other()', 'other'));
is_reverted("SET NULL, a trigger on DELETE", '', refers('SET NULL', 'SET ROLE imp; CREATE TRIGGER t BEFORE DELETE ON CHILD_ FOR EACH ROW EXECUTE FUNCTION note_of_imp()', 'other'));
for my $case (
	[ 'CASCADE', 'BEFORE DELETE', 'note_of_imp' ],
	[ 'CASCADE', 'BEFORE DELETE', 'note_of_victim' ],
	[ 'SET NULL', 'AFTER UPDATE', 'note_of_imp', $late ],
	[ 'SET NULL', 'BEFORE UPDATE OF n', 'note_of_imp' ])
{
	my ($action, $event, $function, $as) = @$case;
	is_refused("$action, $event, $function",
		refers($action, "SET ROLE imp; CREATE TRIGGER t $event ON CHILD_ FOR EACH ROW EXECUTE FUNCTION $function()", 'other'),
		on => 'child' . ($tables + 1), runs_as => $as // 'other');
}
# ... whose own triggers run as the owner of the first table, if that one deletes, and they come after
{
	my $after = 'CREATE TRIGGER t AFTER DELETE ON CHILD_ FOR EACH ROW EXECUTE FUNCTION note_of_other()';
	my $deferred = $after =~ s/CREATE (TRIGGER .*CHILD_)/CREATE CONSTRAINT $1 DEFERRABLE INITIALLY DEFERRED/r;
	for my $own ($after, $deferred)
	{
		my $setup = refers('CASCADE', "SET ROLE other; $own", 'other');
		$late eq 'other' ? is_reverted("its owner's: $own", 'other', $setup) :
		  is_refused("its owner's: $own", $setup, on => 'child' . ($tables + 1));
	}
}
# the job's owner has not inserted into that table
is_refused("imp's trigger on another table of the job's owner",
	refers('CASCADE', 'SET ROLE imp; CREATE TRIGGER t BEFORE DELETE ON CHILD_ FOR EACH ROW EXECUTE FUNCTION note_of_imp()', 'victim'),
	role => 'victim', on => 'child' . ($tables + 1));
# what has to leave its partition
{
	my $n = $tables + 1;
	is_refused('SET NULL that moves a row', <<"EOF_SQL", on => "rest$n", runs_as => 'other');
SET ROLE other;
CREATE TABLE child$n (n integer REFERENCES TABLE_ ON DELETE SET NULL, t text) PARTITION BY RANGE (n);
CREATE TABLE positive$n PARTITION OF child$n FOR VALUES FROM (0) TO (1000000);
CREATE TABLE rest$n PARTITION OF child$n DEFAULT;
GRANT INSERT ON child$n TO victim;
GRANT TRIGGER ON rest$n TO imp;
SET ROLE imp;
CREATE TRIGGER t BEFORE INSERT ON rest$n FOR EACH ROW EXECUTE FUNCTION note_of_imp();
SET ROLE victim;
CREATE FUNCTION copy_to_child$n() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO public.child$n VALUES (NEW.n); RETURN NULL; END';
CREATE TRIGGER copy AFTER INSERT ON TABLE_ FOR EACH ROW EXECUTE FUNCTION copy_to_child$n();
EOF_SQL
}
# What an UPDATE computes runs as the owner of the table, policies not at all.
{
	my $n = $tables + 1;
	is_reverted('SET DEFAULT, and a policy', 'other',
		refers('SET DEFAULT', '', 'other',
			"CREATE FUNCTION default$n() RETURNS integer LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.ran VALUES (current_user); RETURN NULL; END';"
			  . "ALTER TABLE child$n ALTER n SET DEFAULT default$n();"
			  . "CREATE POLICY p ON child$n USING (condition_of_imp(n)) WITH CHECK (true); ALTER TABLE child$n ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"));
}
is_reverted('a rule, which only the owner makes', 'victim',
	'SET ROLE victim; CREATE RULE r AS ON DELETE TO TABLE_ DO ALSO INSERT INTO ran VALUES (current_user)');
# over two tables, and to a table that is partitioned
{
	my $n = $tables + 1;
	is_refused('CASCADE over two tables',
		refers('CASCADE',
			"SET ROLE other; CREATE TABLE grandchild$n (n integer REFERENCES CHILD_ (n) ON DELETE CASCADE); GRANT TRIGGER ON grandchild$n TO imp;"
			  . "SET ROLE imp; CREATE TRIGGER t BEFORE DELETE ON grandchild$n FOR EACH ROW EXECUTE FUNCTION note_of_imp()",
			'other', "ALTER TABLE child$n ADD UNIQUE (n);"),
		on => "grandchild$n", runs_as => 'other');
}
{
	my $n = $tables + 1;
	is_refused('CASCADE to a partition', <<"EOF_SQL", on => "leaf$n", runs_as => 'other');
SET ROLE other;
CREATE TABLE root$n (n integer REFERENCES TABLE_ ON DELETE CASCADE) PARTITION BY RANGE (n);
CREATE TABLE leaf$n PARTITION OF root$n DEFAULT;
GRANT TRIGGER ON leaf$n TO imp;
SET ROLE imp;
CREATE TRIGGER t BEFORE DELETE ON leaf$n FOR EACH ROW EXECUTE FUNCTION note_of_imp();
EOF_SQL
}
# an index that a deferrable constraint computes once more, after the statement
if ($late ne 'other')
{
	my $n = $tables + 1;
	my ($job, $table) = fail_import('imp', refers('SET NULL', '', 'other',
		"CREATE FUNCTION same$n(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(\$1, 0); END';"
		  . "ALTER TABLE child$n ADD CONSTRAINT c EXCLUDE (same$n(n) WITH =) DEFERRABLE;"));
	is( job_field($node, $job, 'status, error_code, error, error_detail, error_hint'),
		qq{revert-failed|55000|deferrable constraint "c" of table "child$n" keeps imported rows from being removed|}
		  . q{Its functions would run as role "victim", what may be neither that role's nor a superuser's choice.|}
		  . 'Have the owner of the table drop the constraint, then type RESUME JOB.',
		'a deferrable constraint with a function: the revert is refused');
	run_sql("ALTER TABLE child$n DROP CONSTRAINT c; SELECT kwjobs.resume($job)");
	wait_for_status($node, $job, 'failed');
	is(run_sql("SELECT count(*) FROM $table"), '0', '... until it is dropped');
}
# a foreign key that leads back
is_reverted('a table that refers to itself', 'victim',
	"SET ROLE victim; ALTER TABLE TABLE_ ADD FOREIGN KEY (n) REFERENCES TABLE_ ON DELETE CASCADE; $trigger EXECUTE FUNCTION note_of_victim()");

# What such code names without a schema is never the job owner's: neither because the function has found it
# before, when imp's rows came in, nor at the end of the transaction.
run_sql(<<'EOF_SQL');
CREATE SCHEMA of_imp AUTHORIZATION imp;
GRANT USAGE ON SCHEMA of_imp TO PUBLIC;
ALTER ROLE imp SET search_path = of_imp, public;
SET ROLE victim;
CREATE DOMAIN amount AS integer;
CREATE FUNCTION declares_amount() RETURNS trigger LANGUAGE plpgsql AS
    'DECLARE a amount := 1; BEGIN RETURN coalesce(NEW, OLD); END';
CREATE FUNCTION calls_f() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM f(); RETURN NULL; EXCEPTION WHEN undefined_function THEN RETURN NULL; END';
RESET ROLE;
SET ROLE imp;
CREATE FUNCTION of_imp.f() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.ran VALUES (current_user); RETURN true; END';
CREATE DOMAIN of_imp.amount AS integer CHECK (of_imp.f());
EOF_SQL
{
	my ($job) = fail_import('imp', 'SET ROLE victim; CREATE TRIGGER t BEFORE INSERT OR DELETE ON TABLE_ FOR EACH ROW EXECUTE FUNCTION declares_amount()');
	is(job_field($node, $job, 'status, error_code, error'), 'revert-failed|42704|type "amount" does not exist', "a type is not imp's, although the trigger has used that for INSERT");
	is(ran_as(), 'imp', '... and nothing ran as the owner of the table');
	is(run_sql("SELECT count(DISTINCT pid), count(*) FROM kwdb_internal.job_attempts WHERE job_id = $job"), '2|2', '... as the revert has a worker of its own');
}
is_reverted("a deferred trigger does not find imp's function", '',
	'SET ROLE victim; CREATE CONSTRAINT TRIGGER t AFTER DELETE ON TABLE_ DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION calls_f()');

is_consistent($node);
$node->stop;
done_testing();
