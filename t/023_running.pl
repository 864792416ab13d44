# kwjobs.running shows the attempts of all databases; waits have names; running out of
# background workers is said once, and once that it is over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('running', "kwjobs.import_batch_size = 1kB\nautovacuum = off\n",
	extra => [ '--no-locale', '--encoding=UTF8' ]);
my $rows = 2000;
my $csv = write_csv($node, $rows);
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION kwjobs');
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE admin;
CREATE ROLE operator LOGIN IN ROLE admin;
CREATE ROLE importer LOGIN;
GRANT pg_read_server_files TO importer;
EOF

my $running = 'SELECT database, job_type, owner, status FROM kwjobs.running ORDER BY database';
is($node->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.running'), '0', 'nothing runs');

# A job in each database, by different roles.
my $before = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
make_target($node, 'target', 1000);
make_target($node, 'target', 1000, 'other');
$node->safe_psql('other', 'ALTER TABLE target OWNER TO importer');
my %gate = (postgres => close_gate($node), other => close_gate($node, 'other'));
my %job = (
	postgres => start_import($node, 'target', $csv),
	other => $node->safe_psql('other', "SET ROLE importer; SELECT kwjobs.import('target', ARRAY['$csv'])"));
wait_at_gate($node, $job{$_}, $_) for sort keys %job;

for my $db (sort keys %job)
{
	is($node->safe_psql($db, $running), "other|IMPORT|importer|running\npostgres|IMPORT|postgres|running",
		"$db: the jobs of both databases");
}
is( $node->safe_psql('postgres', <<"EOF"),
SELECT r.job_id = $job{other}, r.attempt, r.pid = a.pid, r.fraction_completed > 0 AND r.fraction_completed < 1,
       r.rows > 0, r.since > '$before', r.since < clock_timestamp()
  FROM kwjobs.running AS r JOIN pg_stat_activity AS a ON a.datname = r.database AND a.backend_type = 'kwjobs worker'
 WHERE r.database = 'other'
EOF
	't|1|t|t|t|t|t', 'of another database: which attempt it is, and how far');

# Who sees what.
is($node->safe_psql('postgres', 'SET ROLE operator; SELECT count(*) FROM kwjobs.running'), '2', 'the admin role sees all');
my ($rc, $out, $err) = $node->psql('postgres', 'SET ROLE importer; SELECT count(*) FROM kwjobs.running');
like($err, qr/ERROR:  only users with the admin role are allowed to SHOW JOBS/, 'others nothing');
is( $node->safe_psql('postgres', "SET kwjobs.job_visibility = 'owner'; SET ROLE importer; $running"),
	'other|IMPORT|importer|running', 'owners their own, where they may');

# An attempt that reverts shows as such. This session gets the lock that it needs first.
my $locker = $node->background_psql('other');
$locker->query_until(qr/locking/, "BEGIN;\n\\echo locking\nLOCK TABLE target IN SHARE MODE;\n");
wait_query($node, "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'relation' AND mode = 'ShareLock' AND NOT granted");
$node->safe_psql('other', "SELECT kwjobs.cancel($job{other})");
wait_query($node, "SELECT status = 'reverting' FROM kwjobs.running WHERE database = 'other'");
$locker->query_safe('COMMIT');
$locker->quit;

# The names of the waits: since version 17.
SKIP:
{
	skip 'waits have no names before version 17', 2 if $node->pg_version < 17;
	# launcher and coordinators
	wait_query($node, <<'EOF');
SELECT count(*) = 3 AND bool_and(wait_event_type = 'Extension' AND wait_event = 'KwjobsMain') FROM pg_stat_activity
 WHERE backend_type IN ('kwjobs launcher', 'kwjobs coordinator')
EOF
	my $session = $node->background_psql('postgres');
	$session->query_until(qr/waiting/, "\\echo waiting\nSHOW JOB WHEN COMPLETE $job{postgres};\n");
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'KwjobsJobComplete'");
	open_gate($gate{postgres});
	delete $gate{postgres};
	$session->quit;
	is($node->safe_psql('postgres', "SELECT string_agg(name, ' ' ORDER BY name) FROM pg_wait_events WHERE name LIKE 'Kwjobs%' AND type <> 'Extension'"),
		'', 'all are waits of an extension');
}
open_gate($_) for values %gate;
wait_for_status($node, $job{postgres}, 'succeeded');
wait_for_status($node, $job{other}, 'canceled', 'other');
wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.running');

# What a job says of itself is shown in the encoding of whoever looks.
{
	my %said = (UTF8 => q{'u ' || chr(252) || ' euro ' || chr(8364) || '!'}, LATIN1 => q{'u ' || chr(252)},
		SQL_ASCII => q{'u ' || convert_from('\\xfc', 'SQL_ASCII') || '!'}, EUC_KR => q{'u ' || convert_from('\\xb0a1', 'EUC_KR')});
	my %seen = (
		UTF8 => { UTF8 => $said{UTF8}, LATIN1 => $said{LATIN1}, SQL_ASCII => q{'u ?!'}, EUC_KR => q{'u ' || chr(44032)} },
		LATIN1 => { UTF8 => q{'u ' || chr(252) || ' euro ?!'}, LATIN1 => $said{LATIN1}, SQL_ASCII => $said{SQL_ASCII}, EUC_KR => q{'u ?'} });
	my (%gates, %jobs);
	for my $encoding (sort keys %said)
	{
		my $db = 'in_' . lc $encoding;
		$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
		$node->safe_psql($db, 'CREATE EXTENSION kwjobs');
		$gates{$db} = close_gate($node, $db);
		$jobs{$db} = $node->safe_psql($db, "SELECT kwjobs.submit(\$job\$SELECT kwjobs.progress(0.5, $said{$encoding}); SELECT pg_advisory_xact_lock_shared(4711)\$job\$)");
		wait_at_gate($node, $jobs{$db}, $db);
	}
	for my $looks (sort keys %seen)
	{
		for my $speaks (sort keys %{ $seen{$looks} })
		{
			is( $node->safe_psql('in_' . lc $looks, "SELECT running_status = $seen{$looks}{$speaks} FROM kwjobs.running WHERE database = lower('in_$speaks')"),
				't', "said in $speaks, read in $looks");
		}
	}
	open_gate($_) for values %gates;
	for my $db (sort keys %jobs)
	{
		wait_for_status($node, $jobs{$db}, 'succeeded', $db);
		$node->safe_psql('postgres', "DROP DATABASE $db");
	}
}

# No room for any coordinator: there is only room for the launchers. It is said once.
$node->append_conf('postgresql.conf', "max_worker_processes = 2\n");
my $log = -s $node->logfile;
$node->restart;
my $no_room = qr/LOG:  kwjobs cannot start a coordinator: out of background worker slots/;
$node->wait_for_log($no_room, $log);
$node->safe_psql('postgres', q{SET client_min_messages = error; CREATE SCHEDULE due FOR SQL 'SELECT 1' RECURRING NEVER WITH SCHEDULE OPTIONS first_run = now});
wait_query($node, q{SELECT state = 'overdue: there is no coordinator: no background worker slot is free' FROM [SHOW SCHEDULE due]});
note('a schedule that is overdue says that there is no room for a coordinator');
# the launcher goes on trying while these two databases wait
$node->safe_psql($_, 'DROP EXTENSION kwjobs') for qw(postgres other);
is(scalar(() = slurp_file($node->logfile, $log) =~ /$no_room/g), 1, 'no room is reported once');

$node->stop;
done_testing();
