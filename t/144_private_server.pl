# The private server of a job's program (src/serve): the program has sessions of the job's owner
# without pg_hba.conf and password, and nobody else has; what the program may do there, and what is
# left when it, a session, the worker or the server dies.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use JSON::PP;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/environ';

my $node = new_node('private', <<'EOC');
kwjobs.max_workers = 4
EOC
my $data = abs_path($node->data_dir);
my $bin = $node->config_data('--bindir');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Creates a job whose program gets sessions; returns its id.
sub create
{
	my ($owner, $argv, %more) = @_;
	my $text = encode_json({ sessions => 3, argv => $argv, %more });
	return sql("SELECT kwjobs.create_job('TEST_PROGRAM', \$json\$$text\$json\$, max_attempts => 1, run_as => '$owner')");
}

# Runs psql with this text as a job of the role. Returns the id of the job, when it has this status.
sub run_psql
{
	my ($owner, $text, $status, @more) = @_;
	my $job = create($owner, [ "$bin/psql", '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', $text, @more ]);
	wait_for_status($node, $job, $status);
	return $job;
}

sub messages
{
	return sql("SELECT array_to_string(messages, ' / ') FROM kwdb_internal.job_attempts WHERE job_id = $_[0]");
}

sub error_of { return sql("SELECT error_code || ': ' || error FROM kwdb_internal.jobs WHERE job_id = $_[0]"); }

sql(<<'EOC');
CREATE ROLE owner LOGIN;
CREATE ROLE other LOGIN;
CREATE ROLE nologin;
GRANT CREATE ON SCHEMA public TO owner;
CREATE TABLE secret (n int);
ALTER ROLE owner SET work_mem = '7MB';
EOC

# ---- nobody can connect otherwise ----

unlink("$data/pg_hba.conf") or die;
append_to_file("$data/pg_hba.conf", "local all postgres trust\nlocal all all reject\n");
$node->reload;

my $job = run_psql('owner', q{SELECT session_user || ' ' || current_user || ' ' || current_setting('work_mem') || ' ' || current_setting('is_superuser') || ' ' || current_database()}, 'succeeded');
is(messages($job), 'owner owner 7MB off postgres', 'the program has a session of the owner, with the settings of the role, and needs no line in pg_hba.conf');

done_testing();
