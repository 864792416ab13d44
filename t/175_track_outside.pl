# Statements that another library does itself, in a hook that is called before those of kwjobs, are jobs as
# any others (kwjobs.track).

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('track_outside', "kwjobs.track = top\n");
my $dir = abs_path($node->basedir);
ok(build_library($node, 'keeper_hooks', $dir), 'the library is built');
$node->safe_psql('postgres', 'CREATE TABLE kept (n integer); CREATE TABLE other (n integer)');

# Returns what SHOW JOBS has of the jobs that the statements leave.
sub jobs_of
{
	my ($statements) = @_;
	wait_for_session_jobs($node);
	my $last = $node->safe_psql('postgres', 'SELECT coalesce(max(job_id), 0) FROM kwjobs.job');
	$node->psql('postgres', $statements, on_error_stop => 0);
	wait_for_session_jobs($node);
	return $node->safe_psql('postgres', "SELECT job_type, status, description FROM kwdb_internal.jobs WHERE job_id > $last ORDER BY job_id");
}

sub check
{
	my ($name, $load) = @_;
	is(jobs_of("$load; CREATE INDEX one ON kept (n)"), 'SCHEMA CHANGE|succeeded|CREATE INDEX one ON kept (n)', "$name: the first statement");
	is(jobs_of("$load; CREATE INDEX wrong ON kept (n)"), 'SCHEMA CHANGE|failed|CREATE INDEX wrong ON kept (n)', "$name: one that fails");
	is(jobs_of("$load; CREATE INDEX i ON other (n); DROP INDEX i"),
		"SCHEMA CHANGE|succeeded|CREATE INDEX i ON other (n)\nSCHEMA CHANGE|succeeded|DROP INDEX i", "$name: what it lets pass is one job each");
	is(jobs_of("$load; DO 'BEGIN CREATE INDEX a ON kept (n); CREATE INDEX b ON other (n); DROP INDEX b; END'"),
		join("\n", map { "SCHEMA CHANGE|succeeded|$_" } 'CREATE INDEX a ON kept (n)', 'CREATE INDEX b ON other (n)', 'DROP INDEX b'), "$name: in DO");
	is(jobs_of("$load; BEGIN; CREATE INDEX one ON kept (n); ROLLBACK"), 'SCHEMA CHANGE|failed|CREATE INDEX one ON kept (n)', "$name: rolled back");
	is(jobs_of("$load; SET kwjobs.track = none; CREATE INDEX one ON kept (n)"), '', "$name: tracking is off");
	is(jobs_of("SET kwjobs.track = none; $load; SELECT 1; SET kwjobs.track = top; CREATE INDEX one ON kept (n)"), 'SCHEMA CHANGE|succeeded|CREATE INDEX one ON kept (n)', "$name: and on again");
	is($node->safe_psql('postgres', "$load; SET client_min_messages = error; SHOW JOBS; SELECT 'shown'") =~ /shown$/, 1, "$name: SHOW JOBS");
	return;
}
check('loaded by the session', "LOAD '$dir/keeper_hooks'");
for my $order ("kwjobs, $dir/keeper_hooks", "$dir/keeper_hooks, kwjobs")
{
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$order'");
	my $starts = "count(*) FILTER (WHERE job_type = 'RESTART')";
	my $before = $node->safe_psql('postgres', "SELECT $starts FROM kwjobs.job");
	$node->restart;
	# The coordinator records the start of the server as a job, a moment after the start.
	wait_query($node, "SELECT $starts = $before + 1 FROM kwjobs.job");
	check($order =~ /^kwjobs/ ? 'loaded after kwjobs' : 'loaded before kwjobs', 'SELECT 1');
}

is_consistent($node);
$node->stop;
done_testing();
