# Rights that roles have without kwjobs giving them: default privileges, pg_write_all_data and
# pg_read_all_data. They lead to nothing that kwjobs does not give to everybody; and
# what it gives does not depend on them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('rights', "kwjobs.admin_role = 'operator'\nkwjobs.max_workers = 1\n");
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE "Ordinary user" LOGIN;
CREATE ROLE privileged LOGIN;
CREATE ROLE writer LOGIN IN ROLE pg_write_all_data, pg_read_all_data;
CREATE ROLE reader LOGIN IN ROLE pg_read_all_data;
CREATE ROLE operator LOGIN;
CREATE DATABASE guarded;
EOF_SQL

# Whatever the database says about new objects before the extension comes.
$node->safe_psql('guarded', <<'EOF_SQL');
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO privileged WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO "Ordinary user";
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO privileged;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO privileged;
CREATE EXTENSION kwjobs;
EOF_SQL

sub as_role
{
	my ($role, $sql, $db) = @_;
	return result_as($node, $role, $sql, $db // 'guarded');
}

my $columns = 'job_id, job_type, description, owner, user_name, status, due, rank, max_attempts, payload, created, modified';
my $forged = <<"EOF_SQL";
INSERT INTO kwjobs.job ($columns) VALUES (1, 'SQL', 'forged', 10, 'postgres', 'pending', now(), now(), 1,
    '{"statement": "CREATE TABLE forged ()"}', now(), now())
EOF_SQL
my $job = $node->safe_psql('guarded', "SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')");
$node->safe_psql('guarded', "INSERT INTO kwjobs.history VALUES ('2024-05-06', 'SQL', 'failed', 1, 1, 1, '1 s')");

# What default privileges have granted is gone.
for my $role ('privileged', 'Ordinary user')
{
	is(as_role($role, $forged), '42501', "$role: no job of somebody else");
	is(as_role($role, "UPDATE kwjobs.job SET owner = 10"), '42501', "$role: nor one that becomes that");
	is(as_role($role, "TRUNCATE kwjobs.job CASCADE"), '42501', "$role: no TRUNCATE");
	is(as_role($role, "DELETE FROM kwdb_internal.job_history"), '55000', "$role: no DELETE of sums");
	is(as_role($role, "CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'; "
		  . "CREATE TRIGGER t BEFORE UPDATE ON kwjobs.job EXECUTE FUNCTION pg_temp.f()"),
		'42501', "$role: no trigger, which would run as the extension's owner");
	is(as_role($role, "CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'; "
		  . "CREATE TRIGGER t INSTEAD OF UPDATE ON kwjobs.job_control FOR EACH ROW EXECUTE FUNCTION pg_temp.f()"),
		'42501', "$role: nor one that would run as whoever controls jobs");
	is(as_role($role, "CREATE FUNCTION kwjobs.pause(integer) RETURNS void LANGUAGE sql AS ''"),
		'42501', "$role: no function among those of kwjobs");
}
is($node->safe_psql('guarded', <<'EOF_SQL'), '', 'nobody is named in a list of rights but PUBLIC and the owner');
SELECT o.name, a.grantee::regrole, a.privilege_type
  FROM (SELECT relname, relacl, relowner FROM pg_class WHERE relnamespace IN ('kwjobs'::regnamespace, 'kwdb_internal'::regnamespace)
        UNION ALL SELECT proname, proacl, proowner FROM pg_proc WHERE pronamespace IN ('kwjobs'::regnamespace, 'kwdb_internal'::regnamespace)
        UNION ALL SELECT nspname, nspacl, nspowner FROM pg_namespace WHERE nspname IN ('kwjobs', 'kwdb_internal')) AS o (name, acl, owner),
       aclexplode(o.acl) AS a
 WHERE a.grantee NOT IN (0, o.owner)
EOF_SQL

# Membership in pg_write_all_data cannot be taken away: it changes no row.
for my $db ('guarded', 'postgres')
{
	is(as_role('writer', $forged, $db), '42501', "pg_write_all_data in $db: no job of somebody else");
}
is(as_role('writer', "UPDATE kwjobs.job SET owner = 10, rank = now(); DELETE FROM kwjobs.job"), '',
	'pg_write_all_data: UPDATE and DELETE');
is($node->safe_psql('guarded', "SELECT owner = 10, rank IS NULL FROM kwjobs.job WHERE job_id = $job"), 't|t', '... of no row');
is(as_role('writer', "INSERT INTO kwdb_internal.job_history VALUES (now(), 'SQL', 'failed', 1, 1, 1, '1 s')"),
	'55000', '... no INSERT of sums');
is(as_role('writer', "DELETE FROM kwdb_internal.job_history"), '55000', '... nor DELETE, through a view');
is(as_role('reader', 'SELECT count(*) FROM kwjobs.job'), '0', 'pg_read_all_data: no row of the tables');
is(as_role('reader', 'SELECT count(*) FROM kwdb_internal.jobs'), '42501', '... and the views are for the admin role');
is(as_role('operator', 'SELECT count(*) FROM kwdb_internal.jobs'), '1', 'which sees them all');

# What is meant for everybody is there, whoever may execute new functions.
my $id = as_role('Ordinary user', "SELECT kwjobs.submit('SELECT 1')");
like($id, qr/^\d+$/, 'an ordinary user creates a job');
wait_for_status($node, $id, 'succeeded', 'guarded');
is(as_role('Ordinary user', "SET kwjobs.job_visibility = 'owner'"), '42501', 'who sees what is not theirs to choose');
$node->safe_psql('guarded', "ALTER DATABASE guarded SET kwjobs.job_visibility = 'owner'");
is(as_role('Ordinary user', "SELECT job_id FROM [SHOW JOBS]"), $id, '... sees it');
is(as_role('Ordinary user', "SELECT status FROM [SHOW JOB WHEN COMPLETE $id]"), 'succeeded', '... waits for it');
is(as_role('Ordinary user', "SELECT status FROM kwjobs.show($id)"), 'succeeded', '... by a function');
is(as_role('Ordinary user', "CANCEL JOB $job"), '42704', '... and controls no other');
is(as_role('Ordinary user', 'SELECT * FROM kwdb_internal.job_history'), '42501', '... nor sees the sums over those of everybody');
is(as_role('operator', 'SELECT jobs FROM kwdb_internal.job_history'), '1', '... which are for the admin role');
is(as_role('Ordinary user', "CALL kwjobs.checkpoint(); SELECT kwjobs.progress(1), kwjobs.current_job()"), '|', '... and the rest');

# A dump by somebody who reads everything stops at our tables, unless told what to do.
my $file = $node->basedir . '/reader.sql';
my @dump = ('pg_dump', '-U', 'reader', '-f', $file, '-d', $node->connstr('guarded'));
command_fails_like(\@dump, qr/query would be affected by row-level security policy for table/,
	'pg_dump by a member of pg_read_all_data says what is in its way');
$node->command_ok([ @dump, '--exclude-table-data=kwjobs.*' ], '... does without our tables when told so');
$node->safe_psql('guarded', 'ALTER ROLE reader BYPASSRLS');
$node->command_ok(\@dump, '... or carries them with BYPASSRLS');
like(slurp_file($file), qr/^$id\t.*\tSQL\t/m, '... and they are there');

# Who owns the tables could have jobs run as anybody: nothing works while it is no superuser.
$node->safe_psql('postgres', 'CREATE ROLE installer SUPERUSER LOGIN; CREATE DATABASE handed_over');
$node->safe_psql('handed_over', 'SET ROLE installer; CREATE EXTENSION kwjobs');
$node->safe_psql('handed_over', q{CALL kwjobs.run('SELECT 1')});
$node->safe_psql('handed_over', 'ALTER ROLE installer NOSUPERUSER');
my ($rc, $out, $err) = $node->psql('handed_over', q{SELECT kwjobs.submit('SELECT 1')}, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/42501: role "installer", which owns the tables of extension "kwjobs", is not a superuser/,
	'an owner who is no superuser: refused');
$node->safe_psql('handed_over', <<'EOF');
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, rank, max_attempts, payload, created, modified)
VALUES (1, 'SQL', 'forged', 10, 'postgres', 'pending', now(), now(), 1,
        '{"statement": "ALTER ROLE installer SUPERUSER", "settings": {}}', now(), now());
EOF
my $log = -s $node->logfile;
$node->restart;
$node->wait_for_log(qr/which owns the tables of extension "kwjobs", is not a superuser/, $log);
is($node->safe_psql('handed_over', 'SELECT status FROM kwjobs.job WHERE job_id = 1'), 'pending', 'nor does it run jobs');
$node->safe_psql('handed_over', 'DELETE FROM kwjobs.job WHERE job_id = 1; ALTER ROLE installer SUPERUSER');
like($node->safe_psql('handed_over', q{CALL kwjobs.run('SELECT 1')}),
	qr/\|succeeded\|/, 'once the owner is a superuser again, jobs run');

# Nor do workers go on by themselves that have jobs set out for them.
$node->safe_psql('handed_over', 'CREATE TABLE proof (who text)');
{
	my $gate = close_gate($node, 'handed_over');
	my $first = $node->safe_psql('handed_over', q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)', priority => 10)});
	$node->safe_psql('handed_over', q{SELECT count(kwjobs.submit('INSERT INTO proof VALUES (''submitted'')')) FROM generate_series(1, 200)});
	wait_at_gate($node, $first, 'handed_over');
	# the coordinator has set out jobs for the worker
	wait_for_pass($node, 'handed_over');
	$node->safe_psql('handed_over', <<'EOF');
ALTER TABLE kwjobs.job OWNER TO writer;
UPDATE kwjobs.job SET payload = jsonb_set(payload, '{statement}', '"INSERT INTO proof VALUES (''forged'')"') WHERE status = 'pending';
EOF
	$log = -s $node->logfile;
	open_gate($gate);
	$node->wait_for_log(qr/worker ERROR:  role "writer", which owns the tables of extension "kwjobs", is not a superuser/, $log);
	is($node->safe_psql('handed_over', 'SELECT count(*) FROM proof'), '0',
		'the table of jobs belongs to no superuser: a worker runs none of those that were set out for it');
	$node->safe_psql('handed_over', <<'EOF');
UPDATE kwjobs.job SET payload = jsonb_set(payload, '{statement}', '"SELECT 1"') WHERE status = 'pending';
ALTER TABLE kwjobs.job OWNER TO installer;
EOF
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL', 'handed_over');
}

# What checkpoints say decides what jobs do next.
$node->safe_psql('handed_over', 'ALTER TABLE kwjobs.checkpoint OWNER TO writer');
($rc, $out, $err) = $node->psql('handed_over', q{SELECT kwjobs.submit('SELECT 1')}, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/42501: role "writer", which owns the tables of extension "kwjobs", is not a superuser/, '... nor if that of checkpoints does');
$node->safe_psql('handed_over', 'ALTER TABLE kwjobs.checkpoint OWNER TO installer');

$node->stop;
done_testing();
