# Logical replication of all tables: jobs stay where they were submitted. The subscriber's own are
# not touched, what they write is replicated like anything else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my %utf8 = (extra => [ '--no-locale', '--encoding=UTF8' ]);
my $publisher = new_node('publisher', "kwjobs.node_id = 1\n", %utf8, allows_streaming => 'logical');
my $subscriber = new_node('subscriber', "kwjobs.node_id = 2\n", %utf8, allows_streaming => 'logical');
my @nodes = ($publisher, $subscriber);
my $connection = $publisher->connstr . ' dbname=postgres';
my $later = "run_at => now() + interval '1 hour'";

sub submit
{
	my ($node, $what, $more) = @_;
	return $node->safe_psql('postgres',
		"SELECT kwjobs.submit('INSERT INTO effect VALUES (''$what'')'" . ($more ? ", $more)" : ')'));
}

# What was committed at the publisher has arrived.
sub catch_up
{
	my ($name) = @_;
	wait_query($subscriber, "SELECT bool_and(srsubstate IN ('r', 's')) FROM pg_subscription_rel WHERE srrelid = 'effect'::regclass");
	$publisher->wait_for_catchup($name);
	return;
}

sub effects
{
	my ($node) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(what, ' ' ORDER BY what) FROM effect");
}


# The nodes whose jobs this one has rows of: the low bits of the ids say it.
sub ids
{
	my ($node) = @_;
	return $node->safe_psql('postgres', <<'SQL');
SELECT string_agg(DISTINCT (id & 32767)::text, ',')
  FROM (SELECT job_id FROM kwjobs.job UNION ALL SELECT job_id FROM kwjobs.attempt
        UNION ALL SELECT job_id FROM kwjobs.checkpoint
        UNION ALL SELECT job_id FROM kwjobs.dependency) AS t (id)
SQL
}

$_->safe_psql('postgres', 'CREATE TABLE effect (what text)') for @nodes;
$publisher->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');

# Jobs in all kinds of states before there is a subscription.
my %before = map { $_ => submit($publisher, $_, $later) } qw(pending paused canceled);
$before{done} = submit($publisher, 'done');
$before{dependent} = submit($publisher, 'dependent', "depends_on => ARRAY[$before{pending}]");
$publisher->safe_psql('postgres', "SELECT kwjobs.pause($before{paused}), kwjobs.cancel($before{canceled})");
wait_for_status($publisher, $before{$_}, $_) for qw(paused canceled);
wait_for_status($publisher, $before{done}, 'succeeded');
my $own = submit($subscriber, 'own', $later);
my $kept = submit($subscriber, 'kept');
wait_for_status($subscriber, $kept, 'succeeded');
# the same day, type and status as at the publisher
$_->safe_psql('postgres', <<'SQL') for @nodes;
INSERT INTO kwjobs.history SELECT '2020-01-01', 'SQL', 'succeeded', setting::int, 1, 1, '1 second'
  FROM pg_settings WHERE name = 'kwjobs.node_id'
SQL

my ($rc, $out, $err) = $subscriber->psql('postgres',
	"CREATE SUBSCRIPTION sub CONNECTION '$connection' PUBLICATION everything");
is($rc, 0, 'CREATE SUBSCRIPTION');
like($err, qr/NOTICE:  subscription "sub" leaves out the tables of extension "kwjobs"/, '... says what it leaves out');
catch_up('sub');
is($subscriber->safe_psql('postgres', 'SELECT string_agg(srrelid::regclass::text, \',\') FROM pg_subscription_rel'),
	'effect', '... and replicates the rest');
is(ids($subscriber), '2', 'the first copy brings no jobs');

# Rows that are inserted, updated and deleted. The job that is due would have run twice.
my %after = map { $_ => submit($publisher, "after $_", $_ eq 'done' ? undef : $later) } qw(pending canceled done);
wait_for_status($publisher, $after{done}, 'succeeded');
$publisher->safe_psql('postgres', "SELECT kwjobs.cancel($after{canceled})");
wait_for_status($publisher, $after{canceled}, 'canceled');
$publisher->safe_psql('postgres', "UPDATE kwjobs.job SET due = now(), run_at = NULL WHERE job_id = $before{pending}");
$publisher->safe_psql('postgres', "SELECT kwjobs.submit('SELECT 1')");
wait_for_status($publisher, $before{$_}, 'succeeded') for qw(pending dependent);
$publisher->safe_psql('postgres', <<'SQL');
WITH gone AS (DELETE FROM kwjobs.job WHERE status = 'canceled' RETURNING job_id)
DELETE FROM kwjobs.event AS e USING gone AS g WHERE e.job_id = g.job_id;
UPDATE kwjobs.history SET jobs = 4711;
UPDATE kwjobs.home SET cluster = cluster;
SQL
catch_up('sub');
is(ids($subscriber), '2', 'nor do changes');
# A pass of the coordinator after all of that.
my $last = submit($subscriber, 'last');
wait_for_status($subscriber, $last, 'succeeded');
is(effects($publisher), 'after done dependent done pending', 'each job of the publisher ran once');
is(effects($subscriber), 'after done dependent done kept last pending',
	'... and what it wrote is at the subscriber once, beside what its own jobs wrote');
is(job_field($subscriber, $own, 'status'), 'pending', 'a job of the subscriber still waits for its time');
is($subscriber->safe_psql('postgres', "SELECT jobs FROM kwjobs.history"), '2', 'it has its own history');
is( $subscriber->safe_psql('postgres', 'SELECT h.cluster = c.system_identifier FROM kwjobs.home AS h, pg_control_system() AS c'),
	't', '... and is where its jobs are at home');

# Rows with the same keys at both, as in a subscriber that was made from a backup; and TRUNCATE.
$_->safe_psql('postgres', <<'SQL') for @nodes;
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status,
                        due, max_attempts, payload, created, modified)
SELECT n, 'SQL', 'the same', 10, 'postgres', 'paused', 'infinity', 1, '{}', now(), now()
  FROM generate_series(1, 2) AS n
SQL
$publisher->safe_psql('postgres', "UPDATE kwjobs.job SET description = 'changed' WHERE job_id = 1");
$publisher->safe_psql('postgres', 'DELETE FROM kwjobs.job WHERE job_id = 2');
$publisher->safe_psql('postgres', 'TRUNCATE kwjobs.history');
catch_up('sub');
is($subscriber->safe_psql('postgres', 'SELECT job_id, description FROM kwjobs.job WHERE job_id < 3 ORDER BY job_id'),
	"1|the same\n2|the same", 'rows with the same key stay as they are');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.history'), '1', 'nor does TRUNCATE reach the subscriber');
$_->safe_psql('postgres', 'DELETE FROM kwjobs.job WHERE job_id < 3') for @nodes;

# A refresh finds them again, and leaves them out again.
$_->safe_psql('postgres', 'CREATE TABLE added (n integer)') for @nodes;
for my $refresh ('REFRESH PUBLICATION', 'SET PUBLICATION everything')
{
	$subscriber->safe_psql('postgres', "ALTER SUBSCRIPTION sub $refresh");
	is( $subscriber->safe_psql('postgres', <<'SQL'), 'added,effect', "ALTER SUBSCRIPTION $refresh");
SELECT string_agg(srrelid::regclass::text, ',' ORDER BY srrelid::regclass::text) FROM pg_subscription_rel
SQL
}

# A subscription that is made without a connection gets its tables later.
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION sub');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '$connection' PUBLICATION everything WITH (connect = false, slot_name = NONE, enabled = false)");
$publisher->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('sub', 'pgoutput')");
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION sub SET (slot_name = sub)');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION sub ENABLE');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION sub REFRESH PUBLICATION WITH (copy_data = false)');
my $finally = submit($publisher, 'finally');
wait_for_status($publisher, $finally, 'succeeded');
catch_up('sub');
is(effects($subscriber), 'after done dependent done finally kept last pending', 'the same with one that is connected later');
is(ids($subscriber), '2', '... without jobs');

# In a database without kwjobs its hook has nothing to do.
$_->safe_psql('postgres', 'CREATE DATABASE plain') for @nodes;
$_->safe_psql('plain', 'CREATE TABLE t (n integer)') for @nodes;
$publisher->safe_psql('plain', 'CREATE PUBLICATION everything FOR ALL TABLES; INSERT INTO t VALUES (1)');
$subscriber->safe_psql('plain', "CREATE SUBSCRIPTION plain CONNECTION '" . $publisher->connstr . " dbname=plain' PUBLICATION everything");
wait_query($subscriber, 'SELECT count(*) = 1 FROM t', 'plain');

is_consistent($_) for @nodes;
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION sub');
$subscriber->safe_psql('plain', 'DROP SUBSCRIPTION plain');
$_->stop for $subscriber, $publisher;
done_testing();
